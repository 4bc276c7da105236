"""Requests as an attacker writes them, over TLS: bytes on HTTP/1.1, any header block on HTTP/2."""

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from http.client import parse_headers
from io import BytesIO
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from . import wire
from .certificate import Certificate


def _connect(base: str, certificate: Certificate, protocol: str) -> ssl.SSLSocket:
    address = urlsplit(base)
    plain = socket.create_connection((address.hostname, address.port), timeout=wire.TIMEOUT)
    context = ssl.create_default_context(cafile=certificate.certificate)
    context.set_alpn_protocols([protocol])
    connection = context.wrap_socket(plain, server_hostname=address.hostname)
    assert connection.selected_alpn_protocol() == protocol, f"{base} does not speak {protocol}"
    return connection


def exchange(base: str, certificate: Certificate, request: bytes) -> bytes:
    """All that comes back until the server closes, so the last request on the connection has to ask for that."""
    with _connect(base, certificate, "http/1.1") as connection:
        connection.sendall(request)
        answer = b""
        try:
            while block := connection.recv(65536):
                answer += block
        except (ConnectionResetError, ssl.SSLEOFError):
            # Servers that refuse do not always wait for the rest of the request.
            pass
        return answer


def request(method: str, target: str, *headers: str, body: bytes = b"", host: str = "hs.test") -> bytes:
    """One request that ends its connection; `headers` are whole lines, and nothing in them is looked at."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def status_of(answer: bytes) -> int | None:
    """The status of the first reply; None if there was none, but a closed connection."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


@dataclass(frozen=True)
class H2Answer:
    """What came of one stream: a reply, or a reset or closed connection (`status` None)."""

    status: int | None
    headers: Message
    body: bytes
    complete: bool

    def reply(self) -> wire.Reply:
        assert self.status is not None and self.complete, f"no complete reply: {self}"
        return wire.Reply(self.status, self.headers, self.body)


class H2Client:
    """One connection for one request. The library checks nothing of what is sent: the servers have to."""

    def __init__(self, base: str, certificate: Certificate):
        self.base = base
        self.socket = _connect(base, certificate, "h2")
        config = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(config)
        self.state.initiate_connection()
        self.events: list[h2.events.Event] = []

    def __enter__(self) -> "H2Client":
        return self

    def __exit__(self, *_failure) -> None:
        self.socket.close()

    def ask(self, headers: Iterable[tuple[str, str]], body: bytes | None = None) -> H2Answer:
        """Sends exactly this header block."""
        stream = self.state.get_next_available_stream_id()
        try:
            self.state.send_headers(stream, list(headers), end_stream=body is None)
            if body is not None:
                self._send_body(stream, body)
            while not self._over(stream):
                self._receive()
        except (ConnectionError, ssl.SSLError, h2.exceptions.ProtocolError):
            # The server gave up on the connection, or on the body before its length was reached: an answer as well.
            pass
        return self._answer(stream)

    def get(self, target: str, *, token: str | None = None, headers: dict[str, str] | None = None) -> wire.Reply:
        """A request without tricks."""
        return self.ask(head(target, token=token, headers=headers)).reply()

    def _send_body(self, stream: int, body: bytes) -> None:
        sent = 0
        while sent < len(body) and not self._over(stream):
            room = min(self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size)
            if room == 0:
                self._receive()
                continue
            piece = body[sent : sent + room]
            self.state.send_data(stream, piece)
            self.socket.sendall(self.state.data_to_send())
            sent += len(piece)
        if not self._over(stream):
            self.state.end_stream(stream)

    def _receive(self) -> None:
        self.socket.sendall(self.state.data_to_send())
        block = self.socket.recv(65536)
        if not block:
            raise ConnectionResetError
        for event in self.state.receive_data(block):
            if isinstance(event, h2.events.DataReceived):
                self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.events.append(event)
        self.socket.sendall(self.state.data_to_send())

    def _of(self, stream: int) -> list[h2.events.Event]:
        return [event for event in self.events if getattr(event, "stream_id", None) == stream]

    def _over(self, stream: int) -> bool:
        # A connection that ends without an error lets its last streams end first.
        last_words = [event for event in self.events if isinstance(event, h2.events.ConnectionTerminated)]
        gone = any(event.error_code != 0 for event in last_words)
        ends = (h2.events.StreamEnded, h2.events.StreamReset)
        return gone or any(isinstance(event, ends) for event in self._of(stream))

    def _answer(self, stream: int) -> H2Answer:
        events = self._of(stream)
        heads = [event.headers for event in events if isinstance(event, h2.events.ResponseReceived)]
        fields = dict(heads[-1]) if heads else {}
        status = fields.get(":status")
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if not name.startswith(":"))
        return H2Answer(
            status=int(status) if status else None,
            headers=parse_headers(BytesIO(f"{lines}\r\n".encode("latin-1"))),
            body=b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived)),
            complete=any(isinstance(event, h2.events.StreamEnded) for event in events),
        )


def head(
    target: str,
    *,
    method: str = "GET",
    authority: str = "hs.test",
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> list[tuple[str, str]]:
    """The header block of an ordinary request."""
    fields = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", target)]
    if token is not None:
        fields.append(("authorization", f"Bearer {token}"))
    return fields + [(name.lower(), value) for name, value in (headers or {}).items()]

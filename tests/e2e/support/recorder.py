"""A clamd that remembers what it was shown: a relay before the real one. Nobody else gets to see the plaintext of an
attachment from Lazaret, so this is the place to look at it."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, BaseServer, ThreadingTCPServer, ThreadingUnixStreamServer

from .clamd import Clamd

_BLOCK = 256 * 1024


class Recorder:
    """`address` is for a backend in Lazaret's settings: a path takes descriptors and streams, a port only streams."""

    def __init__(self, clamd: Clamd, address: str):
        self.clamd = clamd
        self.address = address
        self._streams: list[bytearray] = []
        self._files: list[bytes] = []

    def by_descriptor(self) -> list[bytes]:
        """What the engine was given as an open file."""
        return list(self._files)

    def by_stream(self) -> list[bytes]:
        """What the engine was given whole through the connection."""
        bodies = (_streamed(bytes(said)) for said in list(self._streams))
        return [body for body in bodies if body is not None]

    def scanned(self) -> list[bytes]:
        """All of it, Lazaret's own canaries among it."""
        return self.by_descriptor() + self.by_stream()

    def relay(self, client: socket.socket) -> None:
        """One conversation. What is said is kept before it is passed on, so it is here when the reply is."""
        with socket.socket(socket.AF_UNIX) as clamd:
            clamd.connect(str(self.clamd.socket))
            answers = threading.Thread(target=_answers, args=(clamd, client))
            answers.start()
            with suppress(OSError):
                self._questions(client, clamd)
            with suppress(OSError):
                clamd.shutdown(socket.SHUT_WR)
            answers.join()

    def _questions(self, client: socket.socket, clamd: socket.socket) -> None:
        said = bytearray()
        self._streams.append(said)
        while True:
            block, descriptors, _flags, _address = socket.recv_fds(client, _BLOCK, 4)
            if not block:
                return
            said += block
            if descriptors:
                self._pass_on(clamd, block, descriptors)
            else:
                clamd.sendall(block)

    def _pass_on(self, clamd: socket.socket, block: bytes, descriptors: list[int]) -> None:
        try:
            self._files += [os.pread(file, os.fstat(file).st_size, 0) for file in descriptors]
            socket.send_fds(clamd, [block], descriptors)
        finally:
            for file in descriptors:
                os.close(file)


def _answers(clamd: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while block := clamd.recv(_BLOCK):
            client.sendall(block)
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _streamed(said: bytes) -> bytes | None:
    """The body of an INSTREAM command that was brought to its end."""
    command, _, rest = said.partition(b"\0")
    if command != b"zINSTREAM":
        return None
    body, at = bytearray(), 0
    while size := int.from_bytes(rest[at : at + 4], "big"):
        body += rest[at + 4 : at + 4 + size]
        at += 4 + size
    return bytes(body) if rest[at : at + 4] == bytes(4) else None


# As long as clamd's own: who comes to a full queue is turned away, and that is a clamd out of order.
_QUEUE = 200


class _TcpServer(ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = _QUEUE


class _UnixServer(ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = _QUEUE


def _server(socket_path: Path | None, handler: type[BaseRequestHandler]) -> tuple[BaseServer, str]:
    if socket_path:
        return _UnixServer(str(socket_path), handler), f"unix:{socket_path}"
    server = _TcpServer(("127.0.0.1", 0), handler)
    return server, f"tcp:127.0.0.1:{server.server_address[1]}"


@contextmanager
def recording(clamd: Clamd, socket_path: Path | None = None) -> Iterator[Recorder]:
    """Before `clamd`, on a socket at this path or else on a port of loopback."""

    class Conversation(BaseRequestHandler):
        def handle(self) -> None:
            recorder.relay(self.request)

    server, address = _server(socket_path, Conversation)
    recorder = Recorder(clamd, address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

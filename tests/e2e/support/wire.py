"""HTTP exactly as written: `http.client` sends a path untouched, where richer clients normalise it."""

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT = 60

# What a browser needs to show our refusal to a web client instead of "network error".
CORS_ORIGIN = "*"

# The tests' certificates are self-signed.
_ANY_CERTIFICATE = ssl.create_default_context()
_ANY_CERTIFICATE.check_hostname = False
_ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.body[:300]!r}"


def connect(base: str, source: str | None = None) -> http.client.HTTPConnection:
    """A connection for those who send a request bit by bit."""
    address = urlsplit(base)
    options = {"timeout": TIMEOUT, "source_address": (source, 0) if source else None}
    if address.scheme == "https":
        return http.client.HTTPSConnection(address.hostname, address.port, context=_ANY_CERTIFICATE, **options)
    return http.client.HTTPConnection(address.hostname, address.port, **options)


@contextmanager
def open_reply(
    base: str,
    method: str,
    target: str,
    *,
    token: str | None = None,
    body: bytes | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
    chunked: bool = False,
    source: str | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """Sends a request and hands out the reply with its body still unread. `source` is the client's own address."""
    connection = connect(base, source)
    fields = dict(headers or {})
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    if chunked:
        fields["Transfer-Encoding"] = "chunked"
    try:
        # Who is refused before the body is through gets the answer and then no more room for the rest.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, target, body=body, headers=fields, encode_chunked=chunked)
        yield connection.getresponse()
    finally:
        connection.close()


def request(base: str, method: str, target: str, **options) -> Reply:
    with open_reply(base, method, target, **options) as reply:
        return Reply(reply.status, reply.headers, reply.read())


def get(base: str, target: str, **options) -> Reply:
    return request(base, "GET", target, **options)


def post_json(base: str, target: str, document: dict, **options) -> Reply:
    headers = {"Content-Type": "application/json"} | options.pop("headers", {})
    return request(base, "POST", target, body=json.dumps(document).encode(), headers=headers, **options)


def _error_body(reply: Reply, status: int) -> dict:
    assert reply.status == status, f"expected {status}, got {reply}"
    assert reply.headers.get_content_type() == "application/json", reply.headers
    assert reply.headers.get("Access-Control-Allow-Origin") == CORS_ORIGIN, reply.headers
    return reply.json()


def assert_matrix_error(reply: Reply, status: int, errcode: str) -> None:
    """The answer shape of native routes: `errcode` and `error`, readable for web clients."""
    body = _error_body(reply, status)
    assert body.get("errcode") == errcode, f"expected {errcode}, got {reply}"
    assert isinstance(body.get("error"), str), reply
    assert "reason" not in body, f"scanner vocabulary on a native route: {reply}"


def assert_scanner_error(reply: Reply, status: int, reason: str) -> None:
    """The answer shape of scanner routes. With an `errcode` Element X would show "not found" for a blocked file."""
    body = _error_body(reply, status)
    assert body.get("reason") == reason, f"expected {reason}, got {reply}"
    assert isinstance(body.get("info"), str), reply
    assert "errcode" not in body and "error" not in body, f"Matrix vocabulary on a scanner route: {reply}"


def assert_verdict(reply: Reply, clean: bool) -> None:
    """The 200 answer of `scan` and `scan_encrypted`, with the texts that clients compare."""
    assert reply.status == 200, reply
    assert reply.headers.get("Access-Control-Allow-Origin") == CORS_ORIGIN, reply.headers
    info = "File is clean" if clean else "***VIRUS DETECTED***"
    assert reply.json() == {"clean": clean, "info": info}

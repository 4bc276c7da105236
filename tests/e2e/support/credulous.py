"""A homeserver that serves everybody the same body at every address, and remembers what it was asked.

Behind it a bypass shows: any path that a proxy does not take for media comes back with the infected file. Synapse would
hide many of those, since it answers 404 where other homeservers and routers decode, merge or ignore.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; `target` untouched."""

    method: str
    target: str
    headers: Message
    body: bytes


@dataclass
class Credulous:
    media: bytes
    seen: list[Seen] = field(default_factory=list)
    url: str = ""

    def targets(self) -> list[str]:
        return [request.target for request in self.seen]

    def uploads(self) -> list[bytes]:
        return [request.body for request in self.seen if request.method in ("POST", "PUT")]

    @contextmanager
    def serving(self) -> Iterator["Credulous"]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(homeserver: Credulous) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline:
                self.close_connection = True
                return
            if not self.parse_request():
                return
            self._answer()

        def _answer(self) -> None:
            body = self._body()
            # `self.path` has had leading slashes merged.
            method, target, _version = self.raw_requestline.decode("latin-1").split(maxsplit=2)
            homeserver.seen.append(Seen(method, target, self.headers, body))
            content, kind = _content(homeserver, method, target)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if method != "HEAD":
                self.wfile.write(content)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, *_arguments) -> None:
            """Nothing: the requests are in `seen`."""

    return Handler


def _content(homeserver: Credulous, method: str, target: str) -> tuple[bytes, str]:
    if target.endswith("/account/whoami"):
        return json.dumps({"user_id": "@anyone:hs.test"}).encode(), "application/json"
    if method in ("POST", "PUT"):
        return json.dumps({"content_uri": "mxc://hs.test/stored"}).encode(), "application/json"
    return homeserver.media, "application/octet-stream"

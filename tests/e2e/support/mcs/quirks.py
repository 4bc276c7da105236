"""A homeserver that answers for each medium as it was told to, correct or not, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

SERVER_NAME = "mcs.test"
TOKEN = "right"


@dataclass(frozen=True)
class Asked:
    """One request of a scanner."""

    target: str
    authorization: str | None

    def __str__(self) -> str:
        return f"{self.target} [{self.authorization}]" if self.authorization else self.target


@dataclass(frozen=True)
class Answer:
    """Written as it stands. `ending` is "whole", "chunked", "cut" (before the last byte) or "reset" (no answer)."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/octet-stream"),)
    body: bytes = b""
    ending: str = "whole"

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in self.headers)]
        if self.ending == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif self.status != 204:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode()

    def content(self) -> bytes:
        if self.ending == "chunked":
            return b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.body), self.body)
        return self.body[:-1] if self.ending == "cut" else self.body


Rule = Callable[[Asked], Answer]


def error(status: int, errcode: str, **more: object) -> Answer:
    return document(status, {"errcode": errcode, "error": "As the homeserver says"} | more)


def document(status: int, body: object) -> Answer:
    return Answer(status, (("Content-Type", "application/json"),), json.dumps(body).encode())


@dataclass
class Quirky:
    """`media` holds the rules by media id; what has none is not found."""

    media: dict[str, Rule] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    port: int = 0
    away: bool = True

    def add(self, rule: Rule | Answer) -> str:
        """The media id under which it is served from now on."""
        media_id = f"medium{len(self.media)}"
        self.media[media_id] = rule if callable(rule) else lambda _asked: rule
        return media_id

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        path = unquote(asked.target.partition("?")[0])
        if path.endswith("/account/whoami"):
            return document(200, {"user_id": f"@anyone:{SERVER_NAME}"})
        rule = self.media.get(path.rpartition("/")[2])
        return rule(asked) if rule else error(404, "M_NOT_FOUND")

    @contextmanager
    def serving(self) -> Iterator["Quirky"]:
        """Each time at the same address; in between, connections that were kept are closed without an answer."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self.port = server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        self.away = False
        try:
            yield self
        finally:
            self.away = True
            server.shutdown()
            thread.join()
            server.server_close()


def _handler(homeserver: Quirky) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = homeserver.answer(Asked(self.path, self.headers["Authorization"]))
            self.close_connection = homeserver.away or answer.ending in ("cut", "reset")
            if not homeserver.away and answer.ending != "reset":
                self.wfile.write(answer.head() + answer.content())

        def log_message(self, *_arguments) -> None:
            """Nothing: the requests are in `asked`."""

    return Handler

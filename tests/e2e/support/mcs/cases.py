"""What both scanners are asked: routes, methods, addresses, tokens, and what the homeserver does."""

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .. import specimens
from ..attachments import SCANNER
from . import quirks
from .quirks import SERVER_NAME, Answer, Asked, Quirky

OCTETS = ("Content-Type", "application/octet-stream")
# One dot.
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
THUMBNAIL = "?width=32&height=32&method=crop"

# Makes the body for a scanner with this public key.
Body = Callable[[str], bytes]


@dataclass(frozen=True)
class Request:
    """`before` are requests of the same case whose answers are not compared."""

    method: str
    target: str
    body: Body | None = None
    token: str | None = quirks.TOKEN
    headers: dict[str, str] = field(default_factory=dict)
    before: tuple["Request", ...] = ()
    chunked: bool = False


@dataclass(frozen=True)
class Case:
    """`file` is what the homeserver has under the address, to recognise it in answers."""

    name: str
    request: Request
    file: bytes | None = None


def get(path: str, **options) -> Request:
    return Request("GET", f"{SCANNER}/{path}", **options)


def served(homeserver: Quirky, data: bytes, *headers: tuple[str, str], **options) -> str:
    """The path of a medium that the homeserver gives to everybody."""
    return f"{SERVER_NAME}/{homeserver.add(Answer(200, (OCTETS, *headers), data, **options))}"


def routes(homeserver: Quirky) -> Iterator[Case]:
    """Routes: methods, slashes, encodings, and what is no route."""
    data = specimens.clean(2000)
    path = served(homeserver, data)
    yield Case("public_key", get("public_key", token=None))
    yield Case("public_key with a slash", get("public_key/", token=None))
    yield Case("public_key with two slashes before", Request("GET", f"{SCANNER}//public_key", token=None))
    yield Case("public_key with a query", get("public_key?a=b", token=None))
    for route in ("scan", "download", "thumbnail"):
        query = THUMBNAIL if route == "thumbnail" else ""
        yield Case(f"{route} of a clean file", get(f"{route}/{path}{query}"), data)
        yield Case(f"HEAD of {route}", Request("HEAD", f"{SCANNER}/{route}/{path}{query}"), data)
        yield Case(f"POST to {route}", Request("POST", f"{SCANNER}/{route}/{path}", body=lambda _: b"{}"))
        yield Case(f"{route} with a slash at the end", get(f"{route}/{path}/"))
        yield Case(f"{route} with a third segment", get(f"{route}/{path}/name.png"))
        yield Case(f"{route} with an encoded slash", get(f"{route}/{path.replace('/', '%2F')}"), data)
        yield Case(f"{route} with two slashes", get(f"{route}//{path}"))
        yield Case(f"{route} of a server alone", get(f"{route}/{SERVER_NAME}"))
        yield Case(f"{route} of nothing", get(f"{route}/"))
        yield Case(f"{route} without anything", get(route))
    for verb in ("scan_encrypted", "download_encrypted"):
        yield Case(f"GET of {verb}", get(verb))
        yield Case(f"{verb} with a slash", Request("POST", f"{SCANNER}/{verb}/", body=lambda _: b"{}"))
        yield Case(f"OPTIONS of {verb}", Request("OPTIONS", f"{SCANNER}/{verb}", headers=_preflight(), token=None))
    yield Case("HEAD of public_key", Request("HEAD", f"{SCANNER}/public_key", token=None))
    yield Case("POST to public_key", Request("POST", f"{SCANNER}/public_key", body=lambda _: b"{}"))
    for method in ("PUT", "DELETE", "PATCH"):
        yield Case(f"{method} of scan", Request(method, f"{SCANNER}/scan/{path}"))
    yield Case("OPTIONS of scan", Request("OPTIONS", f"{SCANNER}/scan/{path}", headers=_preflight(), token=None))
    yield Case("OPTIONS of no route", Request("OPTIONS", f"{SCANNER}/nothing", headers=_preflight(), token=None))
    yield Case("no route", get("nothing"))
    yield Case("the prefix alone", Request("GET", SCANNER))
    yield Case("the prefix with a slash", Request("GET", f"{SCANNER}/"))
    yield Case("scan in capitals", get(f"SCAN/{path}"))
    yield Case("scan with an encoded letter", get(f"%73can/{path}"), data)
    yield Case("download with a range", get(f"download/{path}", headers={"Range": "bytes=0-9"}), data)
    yield Case("download with an origin", get(f"download/{path}", headers={"Origin": "https://chat.test"}), data)
    yield Case("scan with a body", get(f"scan/{path}", body=lambda _: b"{}"))


def _preflight() -> dict[str, str]:
    return {"Origin": "https://chat.test", "Access-Control-Request-Method": "POST"}


def addresses(homeserver: Quirky) -> Iterator[Case]:
    """Addresses, and which address of the homeserver they become."""
    data = specimens.clean(2000)
    media_id = homeserver.add(Answer(200, (OCTETS,), data))
    for server in ("mcs.test:8448", "mcs.test%3A8448", "10.0.0.1:1", "[::1]:8448", "%5B%3A%3A1%5D%3A8448"):
        yield Case(f"download of {server}", get(f"download/{server}/{media_id}"), data)
    for address in (
        *("..%2Fpreview_url", "%2E%2E/preview_url", "mcs.test/..", "mcs.test/%2E%2E%2Fx", "mcs.test/%252e%252e"),
        *("mcs.test/a%00", "mcs.test/a%3Fb", "mcs.test/a%5Cb", "mcs.test/a%23b", "mcs.test/%C3%A9", "mcs.test/%FF"),
        *("mcs.test/a.b", "mcs..test/a", "mcs.test:99999/a", "mcs test/a"),
    ):
        target = address.replace(" ", "%20")
        yield Case(f"scan of {address}", get(f"scan/{target}"))
        yield Case(f"download of {address}", get(f"download/{target}"))
    yield Case("thumbnail of ..%2Fpreview_url", get("thumbnail/..%2Fpreview_url?url=http://127.0.0.1/"))
    for name, query in (
        ("all parameters", "?width=32&height=32&method=crop&animated=true&timeout_ms=5000"),
        ("no parameters", ""),
        ("an odd parameter", "?width=a&colour=red"),
        ("a repeated parameter", "?width=1&width=2&height=1"),
        ("an encoded parameter", "?width=1&height=1&x=%26%3D+%2B"),
        ("a token in the query", "?width=1&height=1&access_token=right"),
        ("a redirect allowed", "?width=1&height=1&allow_redirect=true"),
    ):
        yield Case(f"thumbnail with {name}", get(f"thumbnail/mcs.test/{media_id}{query}"), data)
    for query in ("allow_redirect=true", "timeout_ms=5", "access_token=right"):
        yield Case(f"download with {query}", get(f"download/mcs.test/{media_id}?{query}"), data)
        yield Case(f"scan with {query}", get(f"scan/mcs.test/{media_id}?{query}"))


def tokens(homeserver: Quirky) -> Iterator[Case]:
    """Tokens: whose they are to check, and on which address."""
    data = specimens.clean(2000)

    def guarded(asked: Asked) -> Answer:
        if asked.authorization is None:
            return quirks.error(401, "M_MISSING_TOKEN")
        if asked.authorization != "Bearer right":
            return quirks.error(401, "M_UNKNOWN_TOKEN", soft_logout=True)
        return Answer(200, (OCTETS,), data)

    def only(part: str, otherwise: Answer) -> str:
        found = Answer(200, (OCTETS,), data)
        return f"{SERVER_NAME}/{homeserver.add(lambda asked: found if part in asked.target else otherwise)}"

    absent, unrecognized = quirks.error(404, "M_NOT_FOUND"), quirks.error(400, "M_UNRECOGNIZED")
    for route in ("scan", "download"):
        public = served(homeserver, data)
        yield Case(f"{route} without a token", get(f"{route}/{public}", token=None), data)
        for name, token in (("the right token", "right"), ("no token", None), ("a wrong token", "wrong")):
            path = f"{SERVER_NAME}/{homeserver.add(guarded)}"
            yield Case(f"{route} of guarded media with {name}", get(f"{route}/{path}", token=token), data)
            known = f"{SERVER_NAME}/{homeserver.add(guarded)}"
            first = get(f"{route}/{known}")
            again = get(f"{route}/{known}", token=token, before=(first,))
            yield Case(f"{route} of known guarded media with {name}", again, data)
        odd = f"{SERVER_NAME}/{homeserver.add(guarded)}"
        yield Case(f"{route} with `Bearer (null)`", get(f"{route}/{odd}", token="(null)"))
        r0, old = only("/r0/", absent), only("/r0/", unrecognized)
        yield Case(f"{route} without a token of an r0 server", get(f"{route}/{r0}", token=None), data)
        yield Case(f"{route} without a token of an old r0 server", get(f"{route}/{old}", token=None), data)
        yield Case(f"{route} with a token of an r0 server", get(f"{route}/{only('/r0/', absent)}"))
        v3 = only("/v3/", unrecognized)
        yield Case(f"{route} with a token of a v3 server", get(f"{route}/{v3}"))


def verdicts(homeserver: Quirky) -> Iterator[Case]:
    """Verdicts on plain media."""
    for route in ("scan", "download", "thumbnail"):
        infected = served(homeserver, specimens.infected())
        yield Case(f"{route} of an infected file", get(f"{route}/{infected}"))
        known = get(f"{route}/{infected}", before=(get(f"scan/{infected}"),))
        yield Case(f"{route} of a file known as infected", known)
        yield Case(f"{route} of an empty file", get(f"{route}/{served(homeserver, b'')}"), b"")
        yield Case(f"{route} of an absent file", get(f"{route}/{SERVER_NAME}/absent"))
    yield Case("HEAD of scan of an infected file", Request("HEAD", f"{SCANNER}/scan/{infected}"))
    yield Case("HEAD of download of an infected file", Request("HEAD", f"{SCANNER}/download/{infected}"))


def answers(homeserver: Quirky) -> Iterator[Case]:
    """Answers of the homeserver other than a plain 200."""
    for status in (201, 203, 204, 206, 301, 304, 400, 401, 403, 404, 405, 410, 413, 429, 500, 501, 502, 503, 504):
        media_id = homeserver.add(quirks.error(status, "M_UNKNOWN"))
        yield from _both(f"a {status}", media_id)
    for status in (400, 401, 403, 404):
        for kind, body in (("list", ["M_UNKNOWN"]), ("text", "M_UNKNOWN"), ("number errcode", {"errcode": 1})):
            yield from _both(f"a {status} with a {kind}", homeserver.add(quirks.document(status, body)))
        page = Answer(status, (("Content-Type", "text/html"),), b"<p>")
        yield from _both(f"a {status} in HTML", homeserver.add(page))
    for status, errcode in (
        (400, "M_UNRECOGNIZED"),
        (401, "M_MISSING_TOKEN"),
        (401, "M_UNKNOWN_TOKEN"),
        (403, "M_FORBIDDEN"),
        (404, "M_UNRECOGNIZED"),
        (429, "M_LIMIT_EXCEEDED"),
        (504, "M_NOT_YET_UPLOADED"),
    ):
        yield from _both(f"a {status} {errcode}", homeserver.add(quirks.error(status, errcode)))
    data = specimens.clean(2000)
    packed = gzip.compress(data)
    named = (("Content-Type", "text/plain"), ("Content-Type", "text/html"))
    elsewhere = homeserver.add(Answer(200, (OCTETS,), data))
    moved = (("Location", f"/elsewhere/{elsewhere}"), OCTETS)
    for name, answer in (
        ("no content type", Answer(200, (), data)),
        ("two content types", Answer(200, named, data)),
        ("gzip", Answer(200, (OCTETS, ("Content-Encoding", "gzip")), packed)),
        ("an unknown encoding", Answer(200, (OCTETS, ("Content-Encoding", "rot13")), data)),
        ("a chunked body", Answer(200, (OCTETS,), data, ending="chunked")),
        ("a body cut short", Answer(200, (OCTETS,), data, ending="cut")),
        ("a reset", Answer(ending="reset")),
        ("a redirect", Answer(302, moved)),
        ("a lasting redirect", Answer(308, moved)),
        ("many headers", Answer(200, (OCTETS, *_headers()), data)),
    ):
        yield from _both(name, homeserver.add(answer), data)


def types(homeserver: Quirky) -> Iterator[Case]:
    """Types that may not pass."""
    for route in ("scan", "download", "thumbnail"):
        yield Case(f"{route} of a picture", get(f"{route}/{served(homeserver, GIF)}"), GIF)


def _both(name: str, media_id: str, data: bytes | None = None) -> Iterator[Case]:
    for route in ("scan", "download"):
        yield Case(f"{route}, homeserver answers {name}", get(f"{route}/{SERVER_NAME}/{media_id}"), data)


def _headers() -> list[tuple[str, str]]:
    return [
        ("Content-Disposition", "attachment; filename=a.bin"),
        ("Content-Security-Policy", "sandbox; default-src 'none'"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
        ("Cache-Control", "public,max-age=86400"),
        ("ETag", '"an-etag"'),
        ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ("Set-Cookie", "session=secret"),
        ("Server", "A homeserver"),
        ("X-Anything", "anything"),
        ("Connection", "X-Hop"),
        ("X-Hop", "hop"),
        ("Access-Control-Allow-Origin", "https://other.test"),
        ("Access-Control-Expose-Headers", "Synapse-Trace-Id"),
    ]

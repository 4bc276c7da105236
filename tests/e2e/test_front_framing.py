"""Rows 8 and 9 of the bypass catalogue through nginx and HAProxy: two framings in one request, and HTTP/2 that
turns into something else on its way to HTTP/1.1. The homeserver behind serves the infected file at every address."""

import pytest

from support import raw, specimens
from support.raw import status_of

MEDIA = "hs.test/abcDEF"
V1 = "/_matrix/client/v1/media"
PASSED = "/_matrix/client/versions"

SMUGGLED = raw.request("GET", "/_matrix/client/v3/smuggled")
END = "/_matrix/client/v3/end"
CHUNKED = b"0\r\n\r\n" + SMUGGLED
FRAMINGS = {
    "length and chunks": ([f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: chunked"], CHUNKED),
    "chunks and length": (["Transfer-Encoding: chunked", f"Content-Length: {len(CHUNKED)}"], CHUNKED),
    "two lengths": (["Content-Length: 0", f"Content-Length: {len(SMUGGLED)}"], SMUGGLED),
    "two lengths, longer first": ([f"Content-Length: {len(SMUGGLED)}", "Content-Length: 0"], SMUGGLED),
    "list of lengths": ([f"Content-Length: 0, {len(SMUGGLED)}"], SMUGGLED),
    "unknown coding": ([f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: gzip, chunked"], CHUNKED),
    "identity": ([f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: identity"], CHUNKED),
    "chunked twice": ([f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: chunked, chunked"], CHUNKED),
    "space before the colon": ([f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding : chunked"], CHUNKED),
    "vertical tab": ([f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: \x0bchunked"], CHUNKED),
    "folded line": ([f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding:", " chunked"], CHUNKED),
    "signed length": ([f"Content-Length: +{len(SMUGGLED)}"], SMUGGLED),
}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("target", ["/_matrix/media/v3/upload", "/_matrix/client/v3/logout"], ids=["media", "other"])
def test_no_request_is_smuggled_inside_a_body(send, homeserver, target, framing):
    headers, body = FRAMINGS[framing]
    # Not the last request of its connection, so that what follows would be read if it counted as a request.
    lines = [f"POST {target} HTTP/1.1", "Host: hs.test", "Authorization: Bearer any", *headers, "", ""]
    before = len(homeserver.seen)
    answer = send("\r\n".join(lines).encode("latin-1") + body + raw.request("GET", END))
    arrived = homeserver.targets()[before:]
    # A front proxy may take the inner request for one of the client's own, if it says so to everybody behind it: then
    # it has an answer of its own. What must not happen is that only the homeserver believes in it.
    assert arrived.count("/_matrix/client/v3/smuggled") <= answer.count(b"HTTP/1.1 ") - 1, answer


def test_infected_upload_is_refused_however_it_is_framed(send, homeserver):
    infected = homeserver.media
    chunked = f"{len(infected):x}\r\n".encode() + infected + b"\r\n0\r\n\r\n"
    framings = [
        ([f"Content-Length: {len(infected)}"], infected),
        (["Transfer-Encoding: chunked"], chunked),
        ([f"Content-Length: {len(infected)}", f"Content-Length: {len(infected)}"], infected),
        ([f"Content-Length: {len(chunked)}", "Transfer-Encoding: chunked"], chunked),
    ]
    for headers, body in framings:
        before = len(homeserver.seen)
        answer = send(raw.request("POST", "/_matrix/media/v3/upload", "Authorization: Bearer any", *headers, body=body))
        assert 400 <= status_of(answer) < 500, (headers, answer)
        assert [seen.body for seen in homeserver.seen[before:] if seen.method != "GET"] == [], headers


def pseudo(**changed: str) -> list[tuple[str, str]]:
    fields = {"method": "GET", "scheme": "https", "authority": "hs.test", "path": f"{V1}/download/{MEDIA}"} | changed
    return [(f":{name}", value) for name, value in fields.items()]


INJECTED = "x\r\n\r\nGET /_matrix/client/v3/smuggled HTTP/1.1\r\nHost: hs.test"
HEADER_BLOCKS = {
    "absolute path": pseudo(path=f"https://hs.test{V1}/download/{MEDIA}"),
    "path with a space": pseudo(path=f"{PASSED} HTTP/1.1\r\nX: {V1}"),
    "path with a line end": pseudo(path=f"{PASSED}\r\n\r\nGET {V1}/download/{MEDIA}"),
    "path without a slash": pseudo(path="x" + V1),
    "empty path": pseudo(path=""),
    "method with a space": pseudo(method=f"GET {PASSED} HTTP/1.1\r\nX:"),
    "lower-case method": pseudo(method="get"),
    "two paths": [*pseudo(path=PASSED), (":path", f"{V1}/download/{MEDIA}")],
    "pseudo-header at the end": [*pseudo()[:3], ("x", "y"), (":path", f"{V1}/download/{MEDIA}")],
    "unknown pseudo-header": [*pseudo(), (":x", "y")],
    "another host": [*pseudo(), ("host", "evil.test")],
    "line end in a value": [*pseudo(), ("x-a", INJECTED)],
    "line end in a name": [*pseudo(), (f"x-a: {INJECTED}", "y")],
    "upper-case name": [*pseudo(), ("X-A", "y")],
    "transfer coding": [*pseudo(method="POST"), ("transfer-encoding", "chunked")],
    "connection": [*pseudo(), ("connection", "upgrade"), ("upgrade", "h2c")],
}


@pytest.mark.parametrize("block", HEADER_BLOCKS.values(), ids=HEADER_BLOCKS.keys())
def test_no_header_block_of_http_2_brings_infected_media_or_a_second_request(h2, homeserver, block):
    before = len(homeserver.seen)
    answer = h2.ask(block)
    assert specimens.eicar() not in answer.body
    assert answer.status is None or 400 <= answer.status < 500, answer
    assert "/_matrix/client/v3/smuggled" not in homeserver.targets()[before:]


@pytest.mark.parametrize("length", ["1", "100000"], ids=["shorter", "longer"])
def test_length_that_the_http_2_body_does_not_have_is_refused(h2, homeserver, length):
    before = len(homeserver.seen)
    headers = raw.head("/_matrix/media/v3/upload", method="POST", token="any", headers={"content-length": length})
    answer = h2.ask(headers, body=specimens.clean(1000))
    assert answer.status is None or 400 <= answer.status < 500, answer
    assert [seen.body for seen in homeserver.seen[before:] if seen.method != "GET"] == []

"""Other servers' requests, signed as theirs are: what is clean goes out as Synapse wrote it, and no refusal makes them
give up on the whole server."""

import re

import pytest

from support import specimens, wire
from support.homeserver import upload

DOWNLOAD = "/_matrix/federation/v1/media/download"
THUMBNAIL = "/_matrix/federation/v1/media/thumbnail"

known_or_not = pytest.mark.parametrize("known", [False, True], ids=["scanned now", "verdict known"])


def signed(stack, target: str, base: str | None = None, **headers: str) -> wire.Reply:
    """The answer to a request with the homeserver's own signature, which it accepts."""
    authorization = stack.synapse.federation_authorization("GET", target)
    return wire.get(base or stack.url, target, headers=authorization | headers)


def shape(reply: wire.Reply) -> tuple[str, bytes]:
    """Content type and body with another boundary: Synapse makes a new one for each answer."""
    kind = reply.headers["Content-Type"]
    found = re.fullmatch(r"multipart/mixed; boundary=([0-9a-f]{32})", kind)
    assert found, f"not as Synapses read it, who take everything behind `boundary=` literally: {kind}"
    boundary = found[1].encode()
    assert reply.body.count(b"--" + boundary) == 3, reply.body[:300]
    return kind.replace(found[1], "B"), reply.body.replace(boundary, b"B")


@known_or_not
@pytest.mark.parametrize("size", [1, 65_536, 3 * specimens.MIB], ids=["1 byte", "64 KiB", "3 MiB"])
def test_clean_file_goes_out_byte_for_byte(stack, size, known):
    data = specimens.clean(size)[:size]
    media = upload(stack.synapse.url, stack.alice, data, content_type="text/plain", filename="notes.txt")
    target = f"{DOWNLOAD}/{media.media_id}"
    if known:
        assert signed(stack, target).status == 200
    direct, reply = signed(stack, target, stack.synapse.url), signed(stack, target)
    assert direct.status == reply.status == 200, reply
    assert data in reply.body
    assert shape(reply) == shape(direct)
    assert int(reply.headers["Content-Length"]) == len(reply.body)


@known_or_not
def test_infected_file_is_refused_with_404(stack, known):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    target = f"{DOWNLOAD}/{media.media_id}"
    if known:
        signed(stack, target)
    direct = signed(stack, target, stack.synapse.url)
    assert direct.status == 200 and specimens.eicar() in direct.body, "Synapse does not take the signature"
    reply = signed(stack, target)
    # 5xx, 429 or 401 would make a remote Synapse back off from all of this server for minutes,
    # and a 404 without JSON or with M_UNRECOGNIZED sends it to the legacy route.
    wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")
    assert specimens.eicar() not in reply.body


@pytest.mark.parametrize(
    "headers", [{"If-None-Match": "1"}, {"Range": "bytes=0-99"}, {"Accept-Encoding": "gzip"}], ids=str
)
def test_conditions_do_not_change_what_goes_out(stack, headers):
    data = specimens.clean()
    media = upload(stack.synapse.url, stack.alice, data)
    bad = upload(stack.synapse.url, stack.alice, specimens.infected())
    reply = signed(stack, f"{DOWNLOAD}/{media.media_id}", **headers)
    assert reply.status == 200 and data in reply.body, reply
    wire.assert_matrix_error(signed(stack, f"{DOWNLOAD}/{bad.media_id}", **headers), 404, "M_NOT_FOUND")


def test_thumbnail_of_a_clean_picture_is_the_one_synapse_makes(stack):
    media = upload(stack.synapse.url, stack.alice, specimens.png(), content_type="image/png")
    target = f"{THUMBNAIL}/{media.media_id}?width=32&height=32&method=crop"
    direct, reply = signed(stack, target, stack.synapse.url), signed(stack, target)
    assert direct.status == reply.status == 200, reply
    assert b"\x89PNG" in reply.body
    assert shape(reply) == shape(direct)


def test_missing_media_are_reported_as_synapse_reports_them(stack):
    for target in (f"{DOWNLOAD}/doesnotexist", f"{THUMBNAIL}/doesnotexist?width=32&height=32&method=crop"):
        direct, reply = signed(stack, target, stack.synapse.url), signed(stack, target)
        wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")
        assert reply.body == direct.body


@pytest.mark.parametrize("specimen", [specimens.clean, specimens.infected], ids=["clean", "infected"])
def test_request_that_nobody_signed_gets_synapse_s_refusal(stack, specimen):
    media = upload(stack.synapse.url, stack.alice, specimen())
    target = f"{DOWNLOAD}/{media.media_id}"
    signed(stack, target)
    for headers in ({}, stack.synapse.federation_authorization("GET", target + "x")):
        direct, reply = (wire.get(base, target, headers=headers) for base in (stack.synapse.url, stack.url))
        wire.assert_matrix_error(reply, 401, "M_UNAUTHORIZED")
        assert reply.body == direct.body


@pytest.mark.parametrize("unstable", ["org.matrix.msc3916", "org.matrix.msc3916.v2"])
@pytest.mark.parametrize("specimen", [specimens.clean, specimens.infected], ids=["clean", "infected"])
def test_unstable_federation_media_routes_are_refused(stack, unstable, specimen):
    media = upload(stack.synapse.url, stack.alice, specimen())
    for kind in ("download", "thumbnail"):
        reply = signed(stack, f"/_matrix/federation/unstable/{unstable}/media/{kind}/{media.media_id}")
        wire.assert_matrix_error(reply, 404, "M_UNRECOGNIZED")


def test_other_federation_routes_go_through(stack):
    target = "/_matrix/federation/v1/version"
    reply, direct = (wire.get(base, target) for base in (stack.url, stack.synapse.url))
    assert reply.status == direct.status == 200
    assert reply.body == direct.body

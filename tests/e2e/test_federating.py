"""Two real servers that federate, ours with Lazaret as its only door: the other one never has a reason to give up on
us, and never gets what is infected."""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support import specimens, wire
from support.attachments import decrypted, encrypted_file, mxc_of
from support.federation import V1, Federation
from support.homeserver import Mxc, upload
from support.processes import wait_until
from support.website import website

FEDERATION_DOWNLOAD = "/_matrix/federation/v1/media/download"
THUMBNAIL = "?width=32&height=32&method=crop"


def dimensions(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG"), picture[:16]
    return struct.unpack(">II", picture[16:24])


@pytest.fixture(autouse=True)
def on_speaking_terms(federation):
    """One test's failure is not the next one's."""
    if federation.back_off() > 0:
        federation.reset_back_off()


@contextmanager
def no_ill_will(federation: Federation) -> Iterator[None]:
    """Whatever happens in this block, their server goes on talking to ours as if nothing had been."""
    start = federation.theirs.log_size()
    yield
    # The table is written in the background after a failure, the log at once.
    ours = re.escape(federation.ours.server_name)
    assert re.findall(f"Connection to {ours} was unsuccessful.*", federation.theirs.log_since(start)) == []
    assert federation.back_off() == 0
    data = specimens.clean()
    media = upload(federation.lazaret.url, federation.bob, data)
    assert federation.fetch_from_afar(media).body == data, "a clean file does not get through at once"


def assert_asked_once_and_not_on_a_legacy_route(federation: Federation, media: Mxc) -> None:
    """A refusal that reads as "no such route" makes a Synapse try the routes of old."""
    asked = [line.partition("?")[0] for line in federation.ours.requests_naming(media.media_id)]
    assert asked == [f"GET {FEDERATION_DOWNLOAD}/{media.media_id}"]


@pytest.mark.parametrize("size", [1, 65_536, 20 * specimens.MIB], ids=["1 byte", "64 KiB", "20 MiB"])
def test_clean_file_reaches_a_remote_user_unchanged(federation, size):
    data = specimens.clean(size)[:size]
    media = upload(federation.lazaret.url, federation.bob, data, content_type="text/plain", filename="notes.txt")
    with no_ill_will(federation):
        reply = federation.fetch_from_afar(media)
    assert reply.status == 200, reply
    assert reply.body == data
    assert reply.headers.get_content_type() == "text/plain"
    assert "notes.txt" in reply.headers["Content-Disposition"]
    assert_asked_once_and_not_on_a_legacy_route(federation, media)


def test_remote_user_gets_a_thumbnail_of_a_clean_picture(federation):
    media = upload(federation.lazaret.url, federation.bob, specimens.png(), content_type="image/png")
    reply = federation.fetch_from_afar(media, kind="thumbnail", query=THUMBNAIL)
    assert reply.status == 200, reply
    assert dimensions(reply.body) == (32, 32)


def test_remote_user_decrypts_an_attachment_of_ours(federation):
    plaintext = specimens.clean(100_000)
    file = encrypted_file(federation.lazaret.url, federation.bob, plaintext)
    reply = federation.fetch_from_afar(mxc_of(file))
    assert reply.status == 200, reply
    assert decrypted(reply.body, file) == plaintext


INFECTED = {
    "small": specimens.infected,
    "at its end": lambda: specimens.clean(8 * specimens.MIB) + specimens.marker(),
    "in a picture": lambda: specimens.png() + specimens.marker(),
}


@pytest.mark.parametrize("specimen", INFECTED)
def test_remote_user_does_not_get_an_infected_file_and_their_server_bears_no_grudge(federation, specimen):
    data = INFECTED[specimen]()
    media = upload(federation.ours.url, federation.bob, data, content_type="image/png")
    with no_ill_will(federation):
        wire.assert_matrix_error(federation.fetch_from_afar(media), 404, "M_NOT_FOUND")
    assert_asked_once_and_not_on_a_legacy_route(federation, media)
    assert federation.theirs.files_holding(data[-60:]) == []


def test_refusal_of_a_known_infected_file_is_the_same_again(federation):
    media = upload(federation.ours.url, federation.bob, specimens.infected())
    with no_ill_will(federation):
        replies = [federation.fetch_from_afar(media) for _ in range(3)]
    for reply in replies:
        wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")
    assert len({reply.body for reply in replies}) == 1


def test_remote_user_gets_no_thumbnail_of_an_infected_picture(federation):
    media = upload(federation.ours.url, federation.bob, INFECTED["in a picture"](), content_type="image/png")
    with no_ill_will(federation):
        reply = federation.fetch_from_afar(media, kind="thumbnail", query=THUMBNAIL)
        wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")
    assert_asked_once_and_not_on_a_legacy_route(federation, media)


def test_media_that_is_not_there_are_not_found_from_afar(federation):
    with no_ill_will(federation):
        reply = federation.fetch_from_afar(Mxc(federation.ours.server_name, "doesnotexist"))
        wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")


def test_without_clamd_a_remote_user_gets_404_and_later_the_file(federation):
    data = specimens.clean()
    media = upload(federation.lazaret.url, federation.bob, data)
    fresh = specimens.clean()
    unscanned = upload(federation.ours.url, federation.bob, fresh)
    start = federation.theirs.log_size()
    with federation.clamd.stopped():
        wire.assert_matrix_error(federation.fetch_from_afar(unscanned), 404, "M_NOT_FOUND")
        assert federation.back_off() == 0
        event = federation.send_message(federation.theirs.url, federation.anna)
        federation.wait_for_message(federation.lazaret.url, federation.bob, event)
    federation.lazaret.wait_for_readiness(200, deadline=60)
    with no_ill_will(federation):
        assert federation.fetch_from_afar(unscanned).body == fresh
        assert federation.fetch_from_afar(media).body == data
    assert "was unsuccessful" not in federation.theirs.log_since(start)


def test_back_off_after_lazaret_was_away_ends_with_it(federation):
    data = specimens.clean()
    media = upload(federation.lazaret.url, federation.bob, data)
    with federation.lazaret.stopped():
        reply = federation.fetch_from_afar(media)
        assert reply.status == 502, reply
        # Without this the other tests' zero would mean nothing.
        wait_until("their server backs off", lambda: federation.back_off() > 0, deadline=10)
    federation.reset_back_off()
    with no_ill_will(federation):
        assert federation.fetch_from_afar(media).body == data


def test_messages_federate_both_ways_through_lazaret(federation):
    ours, theirs = federation.lazaret.url, federation.theirs.url
    federation.wait_for_message(theirs, federation.anna, federation.send_message(ours, federation.bob))
    federation.wait_for_message(ours, federation.bob, federation.send_message(theirs, federation.anna))


# Odd, and to be left alone all the same: whoever writes this in another way breaks the signature.
QUERIES = ["", "?", "?timeout_ms=20000", "?b=%7e&a=%2F+&a=&&%41=1", "?timeout_ms=1&x=a%20b;c=:@/?"]


@pytest.mark.parametrize("query", QUERIES)
def test_signed_request_of_another_server_reaches_ours_unchanged(federation, query):
    data = specimens.clean()
    media = upload(federation.lazaret.url, federation.bob, data)
    target = f"{FEDERATION_DOWNLOAD}/{media.media_id}{query}"
    headers = federation.theirs.federation_authorization("GET", target, federation.ours.server_name)
    reply = wire.get(federation.lazaret.url, target, headers=headers)
    assert reply.status == 200, reply
    assert data in reply.body


@pytest.mark.parametrize("change", [lambda t: t + "&x=1", lambda t: t.replace("2000", "3000")], ids=["more", "other"])
def test_changed_request_of_another_server_is_refused_as_our_homeserver_does(federation, change):
    media = upload(federation.lazaret.url, federation.bob, specimens.clean())
    target = f"{FEDERATION_DOWNLOAD}/{media.media_id}?timeout_ms=20000"
    headers = federation.theirs.federation_authorization("GET", target, federation.ours.server_name)
    reply = wire.get(federation.lazaret.url, change(target), headers=headers)
    direct = wire.get(federation.ours.url, change(target), headers=headers)
    wire.assert_matrix_error(reply, 401, "M_UNAUTHORIZED")
    assert reply.body == direct.body


def test_our_user_gets_clean_media_of_the_other_server(federation):
    data = specimens.clean(100_000)
    media = upload(federation.theirs.url, federation.anna, data)
    assert federation.fetch_at_home(media).body == data
    picture = upload(federation.theirs.url, federation.anna, specimens.png(), content_type="image/png")
    reply = federation.fetch_at_home(picture, kind="thumbnail", query=THUMBNAIL)
    assert reply.status == 200 and dimensions(reply.body) == (32, 32), reply


def test_our_user_is_refused_infected_media_of_the_other_server(federation):
    media = upload(federation.theirs.url, federation.anna, specimens.infected())
    for _attempt in ("fetched from afar", "known"):
        wire.assert_matrix_error(federation.fetch_at_home(media), 403, "M_FORBIDDEN")


def preview_picture(federation: Federation, page: str) -> Mxc:
    """The picture that a preview of this page shows, as media of our server."""
    reply = wire.get(federation.lazaret.url, f"{V1}/preview_url?url={page}", token=federation.bob.token)
    assert reply.status == 200, reply
    assert reply.json()["og:title"] == "A page", reply
    return Mxc.parse(reply.json()["og:image"])


def test_picture_of_a_clean_preview_is_seen_here_and_afar(federation):
    picture = specimens.png()
    with website(picture) as page:
        media = preview_picture(federation, page)
    assert federation.fetch_at_home(media).body == picture
    assert federation.fetch_from_afar(media).body == picture


def test_picture_of_an_infected_preview_is_seen_nowhere(federation):
    with website(INFECTED["in a picture"]()) as page:
        media = preview_picture(federation, page)
    wire.assert_matrix_error(federation.fetch_at_home(media), 403, "M_FORBIDDEN")
    with no_ill_will(federation):
        wire.assert_matrix_error(federation.fetch_from_afar(media), 404, "M_NOT_FOUND")

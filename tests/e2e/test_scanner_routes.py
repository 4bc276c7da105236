"""The scanner's own GET routes for media without encryption, as Matrix Content Scanner clients use them."""

import pytest

from support import specimens, wire
from support.attachments import SCANNER
from support.homeserver import upload

THUMBNAIL = "?width=32&height=32&method=crop"


def test_clean_media_is_scanned_and_downloaded(stack):
    data = specimens.clean(30_000)
    media = upload(stack.url, stack.alice, data)
    wire.assert_verdict(wire.get(stack.url, f"{SCANNER}/scan/{media.path}", token=stack.bob.token), clean=True)
    reply = wire.get(stack.url, f"{SCANNER}/download/{media.path}", token=stack.bob.token)
    assert reply.status == 200, reply
    assert reply.body == data
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


def test_infected_media_is_reported_and_its_download_refused(stack):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    wire.assert_verdict(wire.get(stack.url, f"{SCANNER}/scan/{media.path}", token=stack.bob.token), clean=False)
    refused = wire.get(stack.url, f"{SCANNER}/download/{media.path}", token=stack.bob.token)
    wire.assert_scanner_error(refused, 403, "MCS_MEDIA_NOT_CLEAN")


def test_download_of_infected_media_is_refused_without_a_scan_request_before(stack):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    refused = wire.get(stack.url, f"{SCANNER}/download/{media.path}", token=stack.bob.token)
    wire.assert_scanner_error(refused, 403, "MCS_MEDIA_NOT_CLEAN")


def test_thumbnail_of_a_clean_picture_is_the_one_synapse_makes(stack):
    media = upload(stack.url, stack.alice, specimens.png(), content_type="image/png")
    direct = wire.get(
        stack.synapse.url, f"/_matrix/client/v1/media/thumbnail/{media.path}{THUMBNAIL}", token=stack.bob.token
    )
    reply = wire.get(stack.url, f"{SCANNER}/thumbnail/{media.path}{THUMBNAIL}", token=stack.bob.token)
    assert reply.status == direct.status == 200, reply
    assert reply.body == direct.body


@pytest.mark.parametrize("route", ["scan", "download", "thumbnail"])
def test_port_in_the_server_name_is_taken_raw_and_encoded(stack, route):
    # Unknown remote media: what counts is that both spellings are understood and get the same answer.
    answers = {
        wire.get(stack.url, f"{SCANNER}/{route}/{server}/abc{THUMBNAIL}", token=stack.bob.token).status
        for server in ("localhost:1", "localhost%3A1")
    }
    assert len(answers) == 1 and answers <= {404, 502}, answers


@pytest.mark.parametrize("route", ["scan", "download"])
def test_missing_media_is_not_found(stack, route):
    reply = wire.get(stack.url, f"{SCANNER}/{route}/hs.test/doesnotexist", token=stack.bob.token)
    wire.assert_scanner_error(reply, 404, "M_NOT_FOUND")


def test_media_of_a_legacy_homeserver_is_read_without_a_token(legacy):
    data = specimens.clean()
    media = upload(legacy.url, legacy.alice, data)
    wire.assert_verdict(wire.get(legacy.url, f"{SCANNER}/scan/{media.path}"), clean=True)
    assert wire.get(legacy.url, f"{SCANNER}/download/{media.path}").body == data


def test_public_key_needs_no_token_and_stays_the_same(stack):
    first = wire.get(stack.url, f"{SCANNER}/public_key")
    assert first.status == 200
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert len(first.json()["public_key"]) == 43
    assert wire.get(stack.url, f"{SCANNER}/public_key").body == first.body


def test_preflight_is_answered_for_web_clients(stack):
    reply = wire.request(
        stack.url,
        "OPTIONS",
        f"{SCANNER}/scan_encrypted",
        headers={"Origin": "https://chat.test", "Access-Control-Request-Method": "POST"},
    )
    assert reply.status in (200, 204)
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]
    assert "authorization" in reply.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "nonsense", 404), ("POST", "public_key", 405), ("GET", "scan_encrypted", 405)],
)
def test_unknown_scanner_routes_and_methods_get_the_matrix_answer(stack, method, path, status):
    reply = wire.request(stack.url, method, f"{SCANNER}/{path}", token=stack.bob.token)
    wire.assert_matrix_error(reply, status, "M_UNRECOGNIZED")

"""clamd gone: nothing passes unscanned, nothing is called infected, and all is well again once it is back."""

import signal

import pytest

from support import specimens, wire
from support.attachments import SCANNER, ask_scanner, encrypted_file
from support.homeserver import try_upload, upload

DOWNLOAD = "/_matrix/client/v1/media/download"


def assert_try_later(reply: wire.Reply) -> None:
    wire.assert_matrix_error(reply, 503, "M_UNKNOWN")
    assert int(reply.headers["Retry-After"]) > 0


def assert_scanner_unavailable(reply: wire.Reply) -> None:
    """5xx: clients remember `clean: false` for good, while they ask again after a server error."""
    assert 500 <= reply.status < 600, reply
    wire.assert_scanner_error(reply, reply.status, "M_UNKNOWN")
    assert "clean" not in reply.json()


stopped_somehow = pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)


@stopped_somehow
def test_native_routes_say_try_later_without_clamd(fresh, how):
    data = specimens.clean()
    media = upload(fresh.synapse.url, fresh.alice, data)
    fresh.clamd.stop(how)
    assert_try_later(wire.get(fresh.url, f"{DOWNLOAD}/{media.path}", token=fresh.bob.token))

    unscanned = specimens.clean()
    assert_try_later(try_upload(fresh.url, fresh.alice, unscanned))
    assert fresh.synapse.files_holding(unscanned) == []


@stopped_somehow
def test_scanner_routes_never_call_a_file_infected_without_clamd(fresh, how):
    media = upload(fresh.synapse.url, fresh.alice, specimens.clean())
    file = encrypted_file(fresh.synapse.url, fresh.alice, specimens.clean())
    fresh.clamd.stop(how)
    for route in ("scan", "download"):
        assert_scanner_unavailable(wire.get(fresh.url, f"{SCANNER}/{route}/{media.path}", token=fresh.bob.token))
    for verb in ("scan_encrypted", "download_encrypted"):
        assert_scanner_unavailable(ask_scanner(fresh.url, fresh.bob, verb, file))


@pytest.fixture
def impatient(fresh, lazaret_with):
    """A Lazaret that waits for nobody, before a clamd that can be frozen."""
    settings = {"native": {"upload_timeout": "1s", "federation_timeout": "1s"}}
    return lazaret_with(fresh.synapse, settings, fresh.clamd)


def test_upload_that_is_not_scanned_in_time_gets_try_later(fresh, impatient):
    data = specimens.clean()
    with fresh.clamd.frozen():
        assert_try_later(try_upload(impatient.url, fresh.alice, data))
    assert fresh.synapse.files_holding(data) == []
    impatient.wait_for_readiness(200, deadline=60)
    upload(impatient.url, fresh.alice, data)


def test_other_server_that_cannot_be_answered_in_time_gets_404(fresh, impatient):
    data = specimens.clean()
    media = upload(fresh.synapse.url, fresh.alice, data)
    target = f"/_matrix/federation/v1/media/download/{media.media_id}"
    headers = fresh.synapse.federation_authorization("GET", target)
    with fresh.clamd.frozen():
        wire.assert_matrix_error(wire.get(impatient.url, target, headers=headers), 404, "M_NOT_FOUND")
    with fresh.synapse.frozen():
        wire.assert_matrix_error(wire.get(impatient.url, target, headers=headers), 404, "M_NOT_FOUND")
    impatient.wait_for_readiness(200, deadline=60)
    reply = wire.get(impatient.url, target, headers=headers)
    assert reply.status == 200 and data in reply.body, reply


def test_infected_file_does_not_pass_without_clamd(fresh):
    media = upload(fresh.synapse.url, fresh.alice, specimens.infected())
    fresh.clamd.stop()
    reply = wire.get(fresh.url, f"{DOWNLOAD}/{media.path}", token=fresh.bob.token)
    assert_try_later(reply)
    assert specimens.eicar() not in reply.body


def test_readiness_follows_clamd_and_liveness_does_not(fresh):
    fresh.clamd.stop()
    fresh.lazaret.wait_for_readiness(503, deadline=60)
    assert wire.get(fresh.lazaret.admin_url, "/livez").status == 200
    fresh.clamd.start()
    fresh.lazaret.wait_for_readiness(200, deadline=60)


@stopped_somehow
def test_service_returns_with_clamd_and_remembers_no_failure(fresh, how):
    clean, infected = specimens.clean(), specimens.infected()
    media = upload(fresh.synapse.url, fresh.alice, clean)
    bad = upload(fresh.synapse.url, fresh.alice, infected)
    file = encrypted_file(fresh.synapse.url, fresh.alice, clean + b"encrypted")
    fresh.clamd.stop(how)
    # Each of these fails once, so that a remembered failure would show below.
    assert_try_later(wire.get(fresh.url, f"{DOWNLOAD}/{media.path}", token=fresh.bob.token))
    assert_try_later(wire.get(fresh.url, f"{DOWNLOAD}/{bad.path}", token=fresh.bob.token))
    assert_scanner_unavailable(ask_scanner(fresh.url, fresh.bob, "scan_encrypted", file))

    process = fresh.lazaret.process.pid
    fresh.clamd.start()
    fresh.lazaret.wait_for_readiness(200, deadline=60)
    reply = wire.get(fresh.url, f"{DOWNLOAD}/{media.path}", token=fresh.bob.token)
    assert reply.status == 200 and reply.body == clean, reply
    wire.assert_matrix_error(wire.get(fresh.url, f"{DOWNLOAD}/{bad.path}", token=fresh.bob.token), 403, "M_FORBIDDEN")
    wire.assert_verdict(ask_scanner(fresh.url, fresh.bob, "scan_encrypted", file), clean=True)
    assert fresh.lazaret.process.pid == process and fresh.lazaret.process.poll() is None


def test_other_traffic_goes_on_without_clamd(fresh):
    fresh.clamd.stop()
    reply = wire.get(fresh.url, "/_matrix/client/v3/account/whoami", token=fresh.bob.token)
    assert reply.status == 200 and reply.json()["user_id"] == fresh.bob.mxid

"""SIGTERM: what is under way is finished, then the process goes."""

import hashlib
import signal

import pytest

from support import specimens, wire
from support.homeserver import upload
from support.processes import wait_until

# Far more than the kernel's socket buffers hold, so that the transfer cannot be over before the signal comes.
SIZE = 48 * specimens.MIB
EXIT_DEADLINE = 60


@pytest.mark.parametrize("warm", [False, True], ids=["scanned now", "verdict known"])
def test_download_under_way_is_finished_before_the_process_ends(fresh, warm):
    data = specimens.clean(SIZE)
    media = upload(fresh.synapse.url, fresh.alice, data)
    target = f"/_matrix/client/v1/media/download/{media.path}"
    if warm:
        assert wire.get(fresh.url, target, token=fresh.bob.token).body == data

    lazaret = fresh.lazaret
    with wire.open_reply(fresh.url, "GET", target, token=fresh.bob.token) as reply:
        assert reply.status == 200
        digest = hashlib.sha256(reply.read(64 * 1024))
        lazaret.process.send_signal(signal.SIGTERM)
        # Only once the process has noticed, is the rest of the transfer a test of anything.
        wait_until("shutdown begins", lambda: lazaret.readiness() != 200, deadline=15)
        assert lazaret.process.poll() is None, "gone with a download under way"
        while block := reply.read(1024 * 1024):
            digest.update(block)
    assert digest.digest() == hashlib.sha256(data).digest()
    assert lazaret.wait_for_exit(EXIT_DEADLINE) == 0


def test_idle_process_ends_at_once_and_cleanly(fresh):
    assert fresh.lazaret.stop(signal.SIGTERM, deadline=10) == 0


def test_new_connections_are_refused_after_the_end(fresh):
    fresh.lazaret.stop()
    with pytest.raises(ConnectionRefusedError):
        wire.get(fresh.url, "/_matrix/client/versions")


def test_spool_is_empty_after_the_end(fresh):
    data = specimens.clean(8 * specimens.MIB)
    media = upload(fresh.url, fresh.alice, data)
    target = f"/_matrix/client/v1/media/download/{media.path}"
    assert wire.get(fresh.url, target, token=fresh.bob.token).body == data
    fresh.lazaret.stop()
    assert list((fresh.lazaret.directory / "spool").iterdir()) == []

"""What a front proxy itself has to get right: bodies that stream, addresses that are true, doors that stay shut."""

import asyncio
import hashlib

import pytest

from support import raw, specimens, wire
from support.attachments import nio_client
from support.front import get_h1, get_h2, over_both
from support.homeserver import Mxc, upload

V1 = "/_matrix/client/v1/media"
PASSED = "/_matrix/client/versions"


def test_large_file_streams_in_and_out(front, stack):
    data = specimens.clean(20 * specimens.MIB)
    media = upload(front.url, stack.alice, data)
    for get in (get_h1, get_h2):
        reply = get(front, f"{V1}/download/{media.path}", token=stack.bob.token)
        assert hashlib.sha256(reply.body).digest() == hashlib.sha256(data).digest()
    left = [path for path in front.directory.rglob("*") if path.is_file() and path.stat().st_size >= specimens.MIB]
    assert left == [], "the front proxy keeps a copy of its own"


def test_large_upload_over_http_2_arrives(front, stack):
    data = specimens.clean(20 * specimens.MIB)
    with raw.H2Client(front.url, front.certificate) as client:
        headers = raw.head("/_matrix/media/v3/upload", method="POST", token=stack.alice.token)
        reply = client.ask(headers, body=data).reply()
    media = Mxc.parse(reply.json()["content_uri"])
    assert wire.get(stack.synapse.url, f"{V1}/download/{media.path}", token=stack.bob.token).body == data


def test_upload_beyond_the_limit_gets_our_own_413(front, stack):
    headers = {"Content-Length": str(101 * specimens.MIB), "Expect": "100-continue"}
    with wire.open_reply(
        front.url, "POST", "/_matrix/media/v3/upload", token=stack.alice.token, headers=headers
    ) as reply:
        wire.assert_matrix_error(wire.Reply(reply.status, reply.headers, reply.read()), 413, "M_TOO_LARGE")


def test_forwarding_headers_of_a_stranger_end_at_the_front_proxy(send, h2, homeserver):
    claims = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.test",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9;host=evil.test",
    }
    send(raw.request("GET", PASSED, *(f"{name}: {value}" for name, value in claims.items())))
    h2.get(PASSED, headers=claims)
    for seen in homeserver.seen[-2:]:
        assert seen.headers.get_all("X-Forwarded-For") == ["127.0.0.1"]
        assert seen.headers.get_all("X-Forwarded-Proto") == ["https"]
        assert seen.headers.get_all("Host") == ["hs.test"]
        assert not {"X-Forwarded-Host", "X-Real-IP", "Forwarded"} & set(seen.headers.keys()), seen.headers.items()


def test_tokens_stay_out_of_the_access_log(send, credulous_front):
    # HAProxy and nginx write the line once the request is over, and the second request after the first.
    send(raw.request("GET", f"{PASSED}?access_token=syt_secret"))
    send(raw.request("GET", "/_matrix/client/v3/after"))
    log = credulous_front.access_log.read_text()
    assert PASSED in log
    assert "syt_secret" not in log


def test_without_lazaret_web_clients_see_an_error_and_recover(fresh_front, fresh):
    fresh.lazaret.stop()
    reply = get_h2(fresh_front, "/_matrix/client/versions")
    assert reply.status in (502, 503)
    wire.assert_matrix_error(reply, reply.status, "M_UNKNOWN")
    fresh.lazaret.start()
    assert get_h2(fresh_front, "/_matrix/client/versions").status == 200


def test_synapse_sees_the_client_s_address_and_not_the_one_it_claims(front, stack):
    # The whole of 127.0.0.0/8 is this machine, so a client can have an address of its own.
    claims = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    marker = specimens.unique_tag().decode()
    reply = wire.get(
        front.url,
        f"/_matrix/client/v3/account/whoami?{marker}",
        token=stack.bob.token,
        headers=claims,
        source="127.0.0.77",
    )
    assert reply.status == 200
    lines = [line for line in stack.synapse.log.read_text().splitlines() if marker in line and "Processed" in line]
    assert len(lines) == 1, lines
    assert " 127.0.0.77 " in lines[0]
    assert "203.0.113.9" not in lines[0]


@over_both
@pytest.mark.parametrize("target", ["/", "/_synapse/admin/v1/server_version", "/_synapse/clients", "/health"])
def test_what_is_not_for_the_outside_is_not_there(front, get, target):
    wire.assert_matrix_error(get(front, target), 404, "M_UNRECOGNIZED")


@over_both
def test_matrix_and_synapse_s_own_pages_are_there(front, stack, get):
    versions = get(front, "/_matrix/client/versions")
    assert versions.body == wire.get(stack.synapse.url, "/_matrix/client/versions").body
    page = "/_synapse/client/pick_username/account_details"
    assert get(front, page).status == wire.get(stack.synapse.url, page).status


def test_sync_that_waits_for_a_message_gets_it(front, stack):
    async def conversation():
        # New devices: Synapse remembers the first sync of a device for two minutes.
        alice, bob = (nio_client(front.url, stack.synapse.login(user)) for user in (stack.alice, stack.bob))
        alice.ssl = bob.ssl = False
        try:
            room = await alice.room_create(invite=[stack.bob.mxid])
            await bob.join(room.room_id)
            first = await bob.sync(timeout=0, full_state=True)
            waiting = asyncio.create_task(bob.sync(timeout=20_000, since=first.next_batch))
            sent = await alice.room_send(room.room_id, "m.room.message", {"msgtype": "m.text", "body": "hello"})
            answer = await waiting
            # What others left behind, a presence for example, may come in an answer of its own before.
            while room.room_id not in answer.rooms.join:
                answer = await bob.sync(timeout=20_000, since=answer.next_batch)
            return sent.event_id, [event.event_id for event in answer.rooms.join[room.room_id].timeline.events]
        finally:
            await alice.close()
            await bob.close()

    event_id, received = asyncio.run(conversation())
    assert received == [event_id]

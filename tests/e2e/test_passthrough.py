"""Everything that is not media goes through as if nothing stood in between."""

import asyncio

import nio

from support import wire
from support.attachments import nio_client
from support.homeserver import User


def test_versions_are_synapse_s_own(stack):
    reply = wire.get(stack.url, "/_matrix/client/versions")
    direct = wire.get(stack.synapse.url, "/_matrix/client/versions")
    assert reply.status == direct.status == 200
    assert reply.body == direct.body


def test_nio_logs_in_sends_a_message_and_another_user_receives_it(stack):
    async def conversation():
        alice, bob = (nio.AsyncClient(stack.url, user.mxid) for user in (stack.alice, stack.bob))
        try:
            for client, user in ((alice, stack.alice), (bob, stack.bob)):
                reply = await client.login(user.password)
                assert isinstance(reply, nio.LoginResponse), reply
            room = await alice.room_create(invite=[stack.bob.mxid])
            assert isinstance(room, nio.RoomCreateResponse), room
            assert isinstance(await bob.join(room.room_id), nio.JoinResponse)
            first = await bob.sync(timeout=0, full_state=True)
            assert isinstance(first, nio.SyncResponse), first

            content = {"msgtype": "m.text", "body": "good morning"}
            # The sync waits at the server while the message is on its way.
            waiting = asyncio.create_task(bob.sync(timeout=20_000, since=first.next_batch))
            sent = await alice.room_send(room.room_id, "m.room.message", content)
            assert isinstance(sent, nio.RoomSendResponse), sent
            answer = await waiting
            assert isinstance(answer, nio.SyncResponse), answer
            return sent.event_id, answer.rooms.join[room.room_id].timeline.events
        finally:
            await alice.close()
            await bob.close()

    event_id, events = asyncio.run(conversation())
    assert [(event.event_id, event.body) for event in events] == [(event_id, "good morning")]


def test_logout_through_the_proxy_ends_the_device(stack):
    device = stack.synapse.login(stack.alice)

    async def leave(user: User):
        client = nio_client(stack.url, user)
        try:
            assert isinstance(await client.whoami(), nio.WhoamiResponse)
            return await client.logout()
        finally:
            await client.close()

    assert isinstance(asyncio.run(leave(device)), nio.LogoutResponse)
    reply = wire.get(stack.url, "/_matrix/client/v3/account/whoami", token=device.token)
    wire.assert_matrix_error(reply, 401, "M_UNKNOWN_TOKEN")


def test_unknown_route_gets_synapse_s_own_answer(stack):
    target = "/_matrix/client/v3/no/such/route"
    reply, direct = (wire.get(base, target, token=stack.bob.token) for base in (stack.url, stack.synapse.url))
    assert (reply.status, reply.body) == (direct.status, direct.body)


def test_media_config_still_names_an_upload_limit(stack):
    for target in ("/_matrix/client/v1/media/config", "/_matrix/media/v3/config"):
        reply = wire.get(stack.url, target, token=stack.bob.token)
        assert reply.status == 200, reply
        direct = wire.get(stack.synapse.url, target, token=stack.bob.token).json()["m.upload.size"]
        assert 0 < reply.json()["m.upload.size"] <= direct


def test_encoded_path_and_query_reach_synapse_unchanged(stack):
    target = "/_matrix/client/v3/directory/room/%23nowhere%3Ahs.test?via=a%2Fb"
    reply, direct = (wire.get(base, target, token=stack.bob.token) for base in (stack.url, stack.synapse.url))
    assert direct.status == 404
    assert (reply.status, reply.body) == (direct.status, direct.body)

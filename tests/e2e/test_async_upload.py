"""Uploads in two steps: an address first, the bytes later."""

import pytest

from support import specimens, wire
from support.homeserver import Mxc

CREATE = "/_matrix/media/v1/create"


@pytest.fixture
def reserved(stack) -> Mxc:
    reply = wire.post_json(stack.url, CREATE, {}, token=stack.alice.token)
    assert reply.status == 200, reply
    return Mxc.parse(reply.json()["content_uri"])


def put(base: str, media: Mxc, token: str, data: bytes) -> wire.Reply:
    return wire.request(base, "PUT", f"/_matrix/media/v3/upload/{media.path}", token=token, body=data)


def early_download(base: str, media: Mxc, token: str) -> wire.Reply:
    return wire.get(base, f"/_matrix/client/v1/media/download/{media.path}?timeout_ms=1", token=token)


def test_clean_bytes_arrive_at_the_reserved_address(stack, reserved):
    data = specimens.clean(40_000)
    wire.assert_matrix_error(early_download(stack.url, reserved, stack.bob.token), 504, "M_NOT_YET_UPLOADED")
    reply = put(stack.url, reserved, stack.alice.token, data)
    assert reply.status == 200, reply
    # The 504 from before must not have been remembered.
    assert early_download(stack.url, reserved, stack.bob.token).body == data


def test_infected_bytes_are_refused_and_leave_the_address_free(stack, reserved):
    infected, clean = specimens.infected(), specimens.clean()
    wire.assert_matrix_error(early_download(stack.url, reserved, stack.bob.token), 504, "M_NOT_YET_UPLOADED")
    wire.assert_matrix_error(put(stack.url, reserved, stack.alice.token, infected), 403, "M_FORBIDDEN")
    assert stack.synapse.files_holding(infected) == []
    # Asked of Synapse itself too, so that it is not the proxy's refusal that is seen here.
    for base in (stack.synapse.url, stack.url):
        wire.assert_matrix_error(early_download(base, reserved, stack.bob.token), 504, "M_NOT_YET_UPLOADED")

    assert put(stack.url, reserved, stack.alice.token, clean).status == 200
    assert early_download(stack.url, reserved, stack.bob.token).body == clean


def test_address_that_is_taken_stays_as_it_is(stack, reserved):
    data = specimens.clean()
    assert put(stack.url, reserved, stack.alice.token, data).status == 200
    again = put(stack.url, reserved, stack.alice.token, specimens.clean())
    wire.assert_matrix_error(again, 409, "M_CANNOT_OVERWRITE_MEDIA")
    assert early_download(stack.url, reserved, stack.bob.token).body == data


def test_only_the_creator_can_fill_the_address(stack, reserved):
    reply = put(stack.url, reserved, stack.bob.token, specimens.clean())
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert put(stack.url, reserved, stack.alice.token, specimens.clean()).status == 200

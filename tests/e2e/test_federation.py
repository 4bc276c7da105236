"""Other servers: nothing unscanned leaves by this door, and no answer makes them give up on the whole server."""

import pytest

from support import specimens, wire
from support.homeserver import upload

DOWNLOAD = "/_matrix/federation/v1/media/download"
THUMBNAIL = "/_matrix/federation/v1/media/thumbnail"


@pytest.mark.parametrize("specimen", [specimens.clean, specimens.infected], ids=["clean", "infected"])
def test_signed_federation_download_is_refused_with_404(stack, specimen):
    data = specimen()
    media = upload(stack.synapse.url, stack.alice, data)
    target = f"{DOWNLOAD}/{media.media_id}"
    headers = stack.synapse.federation_authorization("GET", target)
    direct = wire.get(stack.synapse.url, target, headers=headers)
    assert direct.status == 200 and data in direct.body, "Synapse does not take the signature: this proves nothing"

    reply = wire.get(stack.url, target, headers=headers)
    # 5xx, 429 or 401 would make a remote Synapse back off from all of this server for minutes,
    # and a 404 without JSON or with M_UNRECOGNIZED sends it to the legacy route.
    wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")
    assert data not in reply.body


def test_signed_federation_thumbnail_is_refused_with_404(stack):
    media = upload(stack.synapse.url, stack.alice, specimens.png(), content_type="image/png")
    target = f"{THUMBNAIL}/{media.media_id}?width=32&height=32&method=crop"
    headers = stack.synapse.federation_authorization("GET", target)
    direct = wire.get(stack.synapse.url, target, headers=headers)
    assert direct.status == 200 and b"PNG" in direct.body, "Synapse does not take the signature: this proves nothing"
    wire.assert_matrix_error(wire.get(stack.url, target, headers=headers), 404, "M_NOT_FOUND")


@pytest.mark.parametrize("unstable", ["org.matrix.msc3916", "org.matrix.msc3916.v2"])
def test_unstable_federation_media_routes_are_refused(stack, unstable):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    target = f"/_matrix/federation/unstable/{unstable}/media/download/{media.media_id}"
    headers = stack.synapse.federation_authorization("GET", target)
    assert wire.get(stack.url, target, headers=headers).status == 404


def test_other_federation_routes_go_through(stack):
    target = "/_matrix/federation/v1/version"
    reply, direct = (wire.get(base, target) for base in (stack.url, stack.synapse.url))
    assert reply.status == direct.status == 200
    assert reply.body == direct.body

"""Infected media without encryption: kept out on the way in, and held back whatever address names it."""

import asyncio
from collections.abc import Iterator

import nio
import pytest

from support import specimens, wire
from support.attachments import nio_client, nio_upload
from support.homeserver import Mxc, try_upload, upload

# One media item has many addresses; a scanner that knows only some of them protects nobody.
PREFIXES = [
    "/_matrix/client/v1/media/download",
    "/_matrix/media/v3/download",
    "/_matrix/media/r0/download",
    "/_matrix/media/v1/download",
]
SHAPES = {
    "plain": lambda mxc: mxc.path,
    "trailing slash": lambda mxc: f"{mxc.path}/",
    "file name": lambda mxc: f"{mxc.path}/report.pdf",
    "encoded media id": lambda mxc: f"{mxc.server}/%{ord(mxc.media_id[0]):02X}{mxc.media_id[1:]}",
    "wholly encoded media id": lambda mxc: f"{mxc.server}/" + "".join(f"%{ord(c):02x}" for c in mxc.media_id),
    "encoded server name": lambda mxc: mxc.path.replace(".", "%2E", 1),
}


@pytest.fixture(scope="module")
def planted(legacy) -> tuple[Mxc, bytes]:
    """An infected file that came into Synapse past the proxy, as remote media or an earlier upload would."""
    data = specimens.infected()
    return upload(legacy.synapse.url, legacy.alice, data), data


@pytest.mark.parametrize("specimen", [specimens.eicar, specimens.infected], ids=["EICAR itself", "EICAR and more"])
def test_infected_upload_is_refused_and_never_reaches_the_media_store(stack, specimen):
    data = specimen()
    before = stack.synapse.stored_files()
    wire.assert_matrix_error(try_upload(stack.url, stack.alice, data), 403, "M_FORBIDDEN")
    assert stack.synapse.stored_files() == before

    # The same search finds what is there: otherwise the line above would hold for any reason.
    upload(stack.synapse.url, stack.alice, data)
    (stored,) = stack.synapse.stored_files() - before
    assert stored.read_bytes() == data
    assert stored in stack.synapse.files_holding(data)


@pytest.mark.parametrize("prefix", ["v3", "r0", "v1"])
def test_infected_upload_is_refused_on_every_version_of_the_route(stack, prefix):
    data = specimens.infected()
    target = f"/_matrix/media/{prefix}/upload"
    reply = wire.request(stack.url, "POST", target, token=stack.alice.token, body=data)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert stack.synapse.files_holding(data) == []


def test_infected_upload_is_refused_for_nio(stack):
    data = specimens.infected()

    async def attempt():
        client = nio_client(stack.url, stack.alice)
        try:
            return (await nio_upload(client, data))[0]
        finally:
            await client.close()

    reply = asyncio.run(attempt())
    assert isinstance(reply, nio.UploadError), reply
    assert reply.status_code == "M_FORBIDDEN"
    assert stack.synapse.files_holding(data) == []


def test_infected_chunked_upload_is_refused(stack):
    data = specimens.infected()
    blocks: Iterator[bytes] = iter([data[:40], data[40:]])
    wire.assert_matrix_error(try_upload(stack.url, stack.alice, blocks, chunked=True), 403, "M_FORBIDDEN")
    assert stack.synapse.files_holding(data) == []


@pytest.mark.parametrize("content_type", ["image/png", "text/html", "application/x-www-form-urlencoded"])
def test_declared_type_does_not_hide_an_infected_upload(stack, content_type):
    data = specimens.infected()
    reply = try_upload(stack.url, stack.alice, data, content_type=content_type)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert stack.synapse.files_holding(data) == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_infected_download_is_refused_at_every_address(legacy, planted, prefix, shape):
    media, data = planted
    target = f"{prefix}/{SHAPES[shape](media)}"
    direct = wire.get(legacy.synapse.url, target, token=legacy.bob.token)
    assert direct.status == 200 and direct.body == data, "Synapse itself has nothing at this address"

    reply = wire.get(legacy.url, target, token=legacy.bob.token)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert specimens.eicar() not in reply.body


@pytest.mark.parametrize("prefix", PREFIXES[1:])
def test_infected_download_without_a_token_is_refused_on_legacy_routes(legacy, planted, prefix):
    media, data = planted
    target = f"{prefix}/{media.path}"
    assert wire.get(legacy.synapse.url, target).body == data
    wire.assert_matrix_error(wire.get(legacy.url, target), 403, "M_FORBIDDEN")


def test_refusal_names_no_signature(legacy, planted):
    media, _ = planted
    reply = wire.get(legacy.url, f"{PREFIXES[0]}/{media.path}", token=legacy.bob.token)
    assert reply.status == 403
    assert b"lazaret.test" not in reply.body.lower(), "the signature's name tells malware authors what to change"


@pytest.mark.parametrize("shape", SHAPES)
def test_infected_download_is_refused_with_authenticated_media(stack, shape):
    # Each address first meets this file itself: no verdict that another address earned can help.
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    reply = wire.get(stack.url, f"{PREFIXES[0]}/{SHAPES[shape](media)}", token=stack.bob.token)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")


def test_infected_download_is_refused_for_nio(stack):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())

    async def attempt():
        client = nio_client(stack.url, stack.bob)
        try:
            return await client.download(mxc=str(media))
        finally:
            await client.close()

    reply = asyncio.run(attempt())
    assert isinstance(reply, nio.DownloadError), reply
    assert reply.status_code == "M_FORBIDDEN"


def test_thumbnail_of_a_picture_that_is_known_as_infected_is_refused_for_nio(stack):
    picture = specimens.png() + specimens.marker()
    media = upload(stack.synapse.url, stack.alice, picture, content_type="image/png")

    async def attempt():
        client = nio_client(stack.url, stack.bob)
        try:
            await client.download(mxc=str(media))
            return await client.thumbnail(media.server, media.media_id, 32, 32)
        finally:
            await client.close()

    reply = asyncio.run(attempt())
    assert isinstance(reply, nio.ThumbnailError), reply
    # nio takes no errcode from where it expects a picture.
    assert reply.transport_response.status == 403


def test_head_of_an_infected_file_is_refused_too(stack):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    reply = wire.request(stack.url, "HEAD", f"{PREFIXES[0]}/{media.path}", token=stack.bob.token)
    assert reply.status == 403
    assert reply.body == b""


@pytest.mark.parametrize(
    "headers", [{"Range": "bytes=68-"}, {"If-None-Match": "1"}, {"Accept-Encoding": "gzip"}], ids=str
)
def test_conditional_and_partial_requests_do_not_get_around_the_scan(stack, headers):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    reply = wire.get(stack.url, f"{PREFIXES[0]}/{media.path}", token=stack.bob.token, headers=headers)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")


def test_signature_deep_inside_a_large_file_is_found(stack):
    data = specimens.clean(8 * specimens.MIB) + specimens.marker()
    media = upload(stack.synapse.url, stack.alice, data)
    reply = wire.get(stack.url, f"{PREFIXES[0]}/{media.path}", token=stack.bob.token)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")

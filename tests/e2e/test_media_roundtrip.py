"""Clean media: what goes in comes out, byte for byte."""

import asyncio
import hashlib

import nio
import pytest

from support import specimens, wire
from support.attachments import nio_client, nio_upload
from support.homeserver import try_upload, upload

V1 = "/_matrix/client/v1/media"


def test_nio_uploads_and_downloads_the_same_bytes(stack):
    data = specimens.clean(300_000)

    async def roundtrip():
        sender, reader = nio_client(stack.url, stack.alice), nio_client(stack.url, stack.bob)
        try:
            uploaded, _ = await nio_upload(sender, data)
            assert isinstance(uploaded, nio.UploadResponse), uploaded
            return uploaded.content_uri, await reader.download(mxc=uploaded.content_uri)
        finally:
            await sender.close()
            await reader.close()

    uri, downloaded = asyncio.run(roundtrip())
    assert isinstance(downloaded, nio.MemoryDownloadResponse), downloaded
    assert downloaded.body == data
    assert uri.startswith("mxc://hs.test/")


@pytest.mark.parametrize("size", [0, 1, 65_536, 20 * specimens.MIB], ids=["empty", "1 byte", "64 KiB", "20 MiB"])
def test_streamed_download_equals_the_upload(stack, size):
    data = specimens.clean(size)[:size]
    media = upload(stack.url, stack.alice, data)
    # The second time the verdict is known, which is another path through the proxy.
    for _attempt in ("scanned now", "verdict known"):
        digest, length = hashlib.sha256(), 0
        with wire.open_reply(stack.url, "GET", f"{V1}/download/{media.path}", token=stack.bob.token) as reply:
            assert reply.status == 200
            assert int(reply.headers["Content-Length"]) == size
            while block := reply.read(64 * 1024):
                digest.update(block)
                length += len(block)
        assert length == size
        assert digest.digest() == hashlib.sha256(data).digest()


def test_upload_arrives_in_synapse_unchanged(stack):
    data = specimens.clean(100_000)
    media = upload(stack.url, stack.alice, data, content_type="text/plain", filename="notes.txt")
    direct = wire.get(stack.synapse.url, f"{V1}/download/{media.path}", token=stack.alice.token)
    assert direct.body == data
    assert direct.headers.get_content_type() == "text/plain"
    assert "notes.txt" in direct.headers["Content-Disposition"]


def test_chunked_upload_works_although_synapse_refuses_it(stack):
    data = specimens.clean(200_000)
    blocks = [data[i : i + 10_000] for i in range(0, len(data), 10_000)]
    refused = try_upload(stack.synapse.url, stack.alice, iter(blocks), chunked=True)
    assert refused.status == 400, "Synapse takes chunked uploads by now: this test proves nothing any more"
    media = upload(stack.url, stack.alice, iter(blocks), chunked=True)
    assert wire.get(stack.synapse.url, f"{V1}/download/{media.path}", token=stack.alice.token).body == data


def test_download_keeps_the_headers_that_protect_the_reader(stack):
    media = upload(stack.url, stack.alice, specimens.clean(), content_type="image/png", filename="cat.png")
    target = f"{V1}/download/{media.path}"
    direct = wire.get(stack.synapse.url, target, token=stack.bob.token)
    reply = wire.get(stack.url, target, token=stack.bob.token)
    for name in ("Content-Type", "Content-Disposition", "Content-Security-Policy", "Cross-Origin-Resource-Policy"):
        assert reply.headers[name] == direct.headers[name], name
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


def test_head_answers_like_get_without_a_body(stack):
    media = upload(stack.url, stack.alice, specimens.clean(5000))
    reply = wire.request(stack.url, "HEAD", f"{V1}/download/{media.path}", token=stack.bob.token)
    assert reply.status == 200
    assert reply.body == b""


@pytest.mark.parametrize("size", [32, 200], ids=["smaller", "larger than the original"])
def test_thumbnail_of_a_clean_picture_passes(stack, size):
    picture = specimens.png(64, 64)
    media = upload(stack.url, stack.alice, picture, content_type="image/png")
    target = f"{V1}/thumbnail/{media.path}?width={size}&height={size}&method=scale"
    direct = wire.get(stack.synapse.url, target, token=stack.bob.token)
    reply = wire.get(stack.url, target, token=stack.bob.token)
    assert direct.status == reply.status == 200, reply
    assert reply.headers.get_content_type() == direct.headers.get_content_type()
    assert reply.body == direct.body


def test_nio_gets_the_thumbnail_that_synapse_makes(stack):
    media = upload(stack.url, stack.alice, specimens.png(64, 64), content_type="image/png")

    async def thumbnail(base: str):
        client = nio_client(base, stack.bob)
        try:
            return await client.thumbnail(media.server, media.media_id, 32, 32)
        finally:
            await client.close()

    reply, direct = (asyncio.run(thumbnail(base)) for base in (stack.url, stack.synapse.url))
    assert isinstance(reply, nio.ThumbnailResponse), reply
    assert (reply.body, reply.content_type) == (direct.body, direct.content_type)
    assert reply.body.startswith(b"\x89PNG")


def test_missing_media_is_reported_as_synapse_reports_it(stack):
    target = f"{V1}/download/hs.test/doesnotexist"
    direct = wire.get(stack.synapse.url, target, token=stack.bob.token)
    reply = wire.get(stack.url, target, token=stack.bob.token)
    wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")
    assert reply.body == direct.body

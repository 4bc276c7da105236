"""nginx and HAProxy in front, as `deploy/` ships them: everything that holds at Lazaret's own door holds at theirs."""

import asyncio
import http.client

import nio
import pytest

from support import raw, specimens, wire
from support.attachments import SCANNER, ask_scanner, encrypted_file, nio_client, nio_upload, with_other_key
from support.credulous import Credulous
from support.front import get_h1, get_h2, over_both
from support.homeserver import Mxc, try_upload, upload
from support.lazaret import Lazaret
from test_async_upload import early_download, put
from test_infected_plain import PREFIXES, SHAPES
from test_outage import assert_try_later

V1 = "/_matrix/client/v1/media"
FEDERATION = "/_matrix/federation/v1/media/download"


@pytest.fixture(scope="module")
def planted(legacy) -> Mxc:
    """An infected file that came into Synapse past the proxy."""
    return upload(legacy.synapse.url, legacy.alice, specimens.infected())


# Acceptance 1: every address of media, and both ways.


@over_both
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_infected_download_is_refused_at_every_address(legacy_front, legacy, planted, get, prefix, shape):
    reply = get(legacy_front, f"{prefix}/{SHAPES[shape](planted)}", token=legacy.bob.token)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert specimens.eicar() not in reply.body


@pytest.mark.parametrize("specimen", [specimens.eicar, specimens.infected], ids=["EICAR itself", "EICAR and more"])
@pytest.mark.parametrize("version", ["v3", "r0", "v1"])
def test_infected_upload_is_refused_and_never_reaches_the_media_store(front, stack, version, specimen):
    before = stack.synapse.stored_files()
    target = f"/_matrix/media/{version}/upload"
    reply = wire.request(front.url, "POST", target, token=stack.alice.token, body=specimen())
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert stack.synapse.stored_files() == before


def test_infected_upload_over_http_2_is_refused(front, stack):
    data = specimens.infected()
    headers = raw.head("/_matrix/media/v3/upload", method="POST", token=stack.alice.token)
    with raw.H2Client(front.url, front.certificate) as client:
        reply = client.ask(headers, body=data).reply()
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")
    assert stack.synapse.files_holding(data) == []


def signed_get(stack, base: str, media: Mxc) -> wire.Reply:
    target = f"{FEDERATION}/{media.media_id}"
    return wire.get(base, target, headers=stack.synapse.federation_authorization("GET", target))


def test_infected_federation_download_is_refused_with_404_on_the_federation_port(front, stack):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    assert signed_get(stack, stack.synapse.url, media).status == 200
    wire.assert_matrix_error(signed_get(stack, front.federation_url, media), 404, "M_NOT_FOUND")


def test_clean_federation_download_passes_the_federation_port(front, stack):
    data = specimens.clean()
    media = upload(front.url, stack.alice, data)
    direct = signed_get(stack, stack.synapse.url, media)
    reply = signed_get(stack, front.federation_url, media)
    assert reply.status == direct.status == 200, reply
    assert data in reply.body
    # Any change to path or query breaks the signature.
    target = f"{FEDERATION}/{media.media_id}"
    headers = stack.synapse.federation_authorization("GET", target)
    assert wire.get(front.federation_url, f"{target}?x", headers=headers).status == 401


# Clean media is the same on the way in and out.


@over_both
def test_clean_upload_comes_back_byte_for_byte(front, stack, get):
    data = specimens.clean(300_000)
    media = upload(front.url, stack.alice, data, content_type="text/plain", filename="notes.txt")
    for _attempt in ("scanned now", "verdict known"):
        reply = get(front, f"{V1}/download/{media.path}", token=stack.bob.token)
        assert reply.status == 200
        assert reply.body == data
        assert reply.headers.get_content_type() == "text/plain"
        assert "notes.txt" in reply.headers["Content-Disposition"]


def test_nio_uploads_thumbnails_and_downloads(front, stack):
    picture = specimens.png()

    async def roundtrip():
        client = nio_client(front.url, stack.alice)
        client.ssl = False
        try:
            uploaded, _ = await nio_upload(client, picture, content_type="image/png")
            assert isinstance(uploaded, nio.UploadResponse), uploaded
            media = Mxc.parse(uploaded.content_uri)
            thumbnail = await client.thumbnail(media.server, media.media_id, 32, 32)
            return await client.download(mxc=uploaded.content_uri), thumbnail
        finally:
            await client.close()

    downloaded, thumbnail = asyncio.run(roundtrip())
    assert downloaded.body == picture
    assert isinstance(thumbnail, nio.ThumbnailResponse), thumbnail
    assert thumbnail.body.startswith(b"\x89PNG")


# Acceptance 2 and 3: encrypted attachments, and keys that do not fit.


def test_encrypted_attachment_is_judged_by_its_plaintext(front, stack):
    infected = encrypted_file(front.url, stack.alice, specimens.infected())
    wire.assert_verdict(ask_scanner(front.url, stack.bob, "scan_encrypted", infected, sealed=True), clean=False)
    refused = ask_scanner(front.url, stack.bob, "download_encrypted", infected)
    wire.assert_scanner_error(refused, 403, "MCS_MEDIA_NOT_CLEAN")
    clean = encrypted_file(front.url, stack.alice, specimens.clean())
    assert ask_scanner(front.url, stack.bob, "download_encrypted", clean).status == 200


@pytest.mark.parametrize("wrong_first", [True, False], ids=["wrong key first", "right key first"])
def test_wrong_key_does_not_unlock_an_infected_attachment(front, stack, wrong_first):
    right = encrypted_file(front.url, stack.alice, specimens.infected())
    for file in [with_other_key(right), right] if wrong_first else [right, with_other_key(right), right]:
        verdict = ask_scanner(front.url, stack.bob, "scan_encrypted", file)
        wire.assert_verdict(verdict, clean=file is not right)


# Acceptance 6: whose token it is.


def test_known_verdict_opens_nothing_to_a_bad_token(front, stack):
    data = specimens.clean()
    media = upload(front.url, stack.alice, data)
    target = f"{V1}/download/{media.path}"
    device = stack.synapse.login(stack.bob)
    assert get_h2(front, target, token=stack.alice.token).body == data
    assert get_h2(front, target, token=device.token).body == data
    stack.synapse.logout(device)
    wire.assert_matrix_error(get_h2(front, target, token=device.token), 401, "M_UNKNOWN_TOKEN")
    wire.assert_matrix_error(get_h2(front, target), 401, "M_MISSING_TOKEN")


# Acceptance 8: other bytes under a known address.


@over_both
def test_bytes_that_change_under_a_known_address_do_not_arrive_whole(front_kind, clamd, certificate, workdir, get):
    first = specimens.clean(400_000)
    second = first[: -len(specimens.marker())] + specimens.marker()
    directory = workdir / f"changing-{front_kind.__name__}-{get.__name__}"
    target = f"{V1}/download/hs.test/changing"
    with Credulous(first).serving() as homeserver:
        lazaret = Lazaret(directory, homeserver, clamd)
        front = front_kind(directory / "front", lazaret.url.removeprefix("http://"), certificate)
        try:
            lazaret.start()
            front.start()
            assert get(front, target, token="any").body == first
            assert get(front, target, token="any").body == first
            homeserver.media = second
            try:
                answer = get(front, target, token="any")
            except (AssertionError, http.client.IncompleteRead, ConnectionError):
                # Cut off: over HTTP/2 the stream is reset, over HTTP/1.1 the length is not reached.
                pass
            else:
                wire.assert_matrix_error(answer, 403, "M_FORBIDDEN")
        finally:
            front.stop()
            lazaret.stop()


# Acceptance 9 and 10: ways to ask for less, and framing.


@over_both
@pytest.mark.parametrize(
    "headers", [{"Range": "bytes=68-"}, {"If-None-Match": "1"}, {"Accept-Encoding": "gzip"}], ids=str
)
def test_conditional_and_partial_requests_do_not_get_around_the_scan(front, stack, get, headers):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    reply = get(front, f"{V1}/download/{media.path}", token=stack.bob.token, headers=headers)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")


@over_both
def test_conditional_and_partial_requests_get_what_lazaret_gives(front, stack, get):
    data = specimens.clean(5000)
    media = upload(front.url, stack.alice, data)
    target = f"{V1}/download/{media.path}"
    for headers in ({}, {"Range": "bytes=10-19"}, {"If-None-Match": "1"}, {"Accept-Encoding": "gzip"}):
        reply = get(front, target, token=stack.bob.token, headers=headers)
        own = wire.get(stack.url, target, token=stack.bob.token, headers=headers)
        assert (reply.status, reply.body) == (own.status, own.body), headers
        for name in ("ETag", "Content-Range", "Content-Encoding", "Cache-Control", "Access-Control-Allow-Origin"):
            assert reply.headers[name] == own.headers[name], (headers, name)
    tag = {"If-None-Match": own.headers["ETag"]}
    assert get(front, target, token=stack.bob.token, headers=tag).status == 304


@pytest.mark.parametrize(("specimen", "status"), [(specimens.clean, 200), (specimens.infected, 403)])
def test_head_answers_like_get_without_a_body(front, stack, specimen, status):
    media = upload(stack.synapse.url, stack.alice, specimen())
    reply = wire.request(front.url, "HEAD", f"{V1}/download/{media.path}", token=stack.bob.token)
    assert (reply.status, reply.body) == (status, b"")


def test_chunked_upload_works_and_an_infected_one_is_refused(front, stack):
    data = specimens.clean(200_000)
    blocks = [data[i : i + 10_000] for i in range(0, len(data), 10_000)]
    media = upload(front.url, stack.alice, iter(blocks), chunked=True)
    assert wire.get(stack.synapse.url, f"{V1}/download/{media.path}", token=stack.alice.token).body == data
    infected = specimens.infected()
    reply = try_upload(front.url, stack.alice, iter([infected[:40], infected[40:]]), chunked=True)
    wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")


# Acceptance 11: no engine.


def test_without_an_engine_clients_are_told_to_try_later_and_servers_that_there_is_nothing(fresh_front, fresh):
    data = specimens.clean()
    media = upload(fresh.synapse.url, fresh.alice, data)
    fresh.clamd.stop()
    for get in (get_h1, get_h2):
        assert_try_later(get(fresh_front, f"{V1}/download/{media.path}", token=fresh.bob.token))
    assert_try_later(try_upload(fresh_front.url, fresh.alice, specimens.clean()))
    wire.assert_matrix_error(signed_get(fresh, fresh_front.federation_url, media), 404, "M_NOT_FOUND")
    scanner = wire.get(fresh_front.url, f"{SCANNER}/scan/{media.path}", token=fresh.bob.token)
    wire.assert_scanner_error(scanner, 503, "M_UNKNOWN")

    fresh.clamd.start()
    fresh.lazaret.wait_for_readiness(200, deadline=60)
    assert get_h2(fresh_front, f"{V1}/download/{media.path}", token=fresh.bob.token).body == data


# Acceptance 13: an address first, the bytes later.


def test_reserved_address_stays_free_after_an_infected_upload(front, stack):
    reply = wire.post_json(front.url, "/_matrix/media/v1/create", {}, token=stack.alice.token)
    media = Mxc.parse(reply.json()["content_uri"])
    clean = specimens.clean()
    wire.assert_matrix_error(early_download(front.url, media, stack.bob.token), 504, "M_NOT_YET_UPLOADED")
    wire.assert_matrix_error(put(front.url, media, stack.alice.token, specimens.infected()), 403, "M_FORBIDDEN")
    wire.assert_matrix_error(early_download(front.url, media, stack.bob.token), 504, "M_NOT_YET_UPLOADED")
    assert put(front.url, media, stack.alice.token, clean).status == 200
    assert early_download(front.url, media, stack.bob.token).body == clean

"""Who may read what is Synapse's decision alone: a verdict in the cache opens nothing, and tells nothing."""

import pytest

from support import specimens, wire
from support.attachments import SCANNER, ask_scanner, encrypted_file
from support.homeserver import try_upload, upload

V1 = "/_matrix/client/v1/media"
THUMBNAIL = "?width=32&height=32&method=crop"


@pytest.fixture(params=[specimens.clean, specimens.infected], ids=["clean", "infected"])
def judged(stack, request):
    """A plain file whose verdict is in the cache, because bob asked for it."""
    media = upload(stack.synapse.url, stack.alice, request.param())
    target = f"{V1}/download/{media.path}"
    hits = stack.lazaret.metric("lazaret_cache_lookups_total", result="hit")
    first = wire.get(stack.url, target, token=stack.bob.token)
    second = wire.get(stack.url, target, token=stack.bob.token)
    assert first.status == second.status
    assert stack.lazaret.metric("lazaret_cache_lookups_total", result="hit") > hits, "the verdict is not in the cache"
    return media


@pytest.fixture
def revoked(stack) -> str:
    """The token of a device that has logged out."""
    device = stack.synapse.login(stack.bob)
    stack.synapse.logout(device)
    return device.token


@pytest.fixture(params=["revoked", "unknown", "missing"])
def bad_token(request, revoked) -> tuple[str | None, str]:
    """A token that opens nothing, and Synapse's word for it."""
    return {
        "revoked": (revoked, "M_UNKNOWN_TOKEN"),
        "unknown": ("syt_bm9ib2R5_nobody", "M_UNKNOWN_TOKEN"),
        "missing": (None, "M_MISSING_TOKEN"),
    }[request.param]


@pytest.mark.parametrize("target", ["download/{}", "download/{}/file.bin", "thumbnail/{}" + THUMBNAIL])
def test_native_route_gives_synapse_s_own_refusal_for_a_bad_token(stack, judged, bad_token, target):
    token, errcode = bad_token
    target = f"{V1}/{target.format(judged.path)}"
    direct = wire.get(stack.synapse.url, target, token=token)
    reply = wire.get(stack.url, target, token=token)
    wire.assert_matrix_error(reply, 401, errcode)
    assert (reply.status, reply.body) == (direct.status, direct.body)


@pytest.mark.parametrize("route", ["scan", "download", "thumbnail"])
def test_scanner_route_refuses_an_unknown_token_before_any_verdict(stack, judged, revoked, route):
    for token in (revoked, "syt_bm9ib2R5_nobody"):
        reply = wire.get(stack.url, f"{SCANNER}/{route}/{judged.path}{THUMBNAIL}", token=token)
        wire.assert_scanner_error(reply, 401, "M_UNKNOWN_TOKEN")


@pytest.mark.parametrize("route", ["scan", "download", "thumbnail"])
def test_scanner_route_without_a_token_gives_neither_verdict_nor_bytes(stack, judged, route):
    reply = wire.get(stack.url, f"{SCANNER}/{route}/{judged.path}{THUMBNAIL}")
    # Without a token the scanner asks on the legacy routes, as its clients of old expect,
    # and there Synapse hides media of today.
    wire.assert_scanner_error(reply, 404, "M_NOT_FOUND")


@pytest.mark.parametrize("verb", ["scan_encrypted", "download_encrypted"])
@pytest.mark.parametrize("specimen", [specimens.clean, specimens.infected], ids=["clean", "infected"])
def test_cached_verdict_of_an_attachment_is_kept_from_a_bad_token(stack, revoked, verb, specimen):
    file = encrypted_file(stack.url, stack.alice, specimen())
    first = ask_scanner(stack.url, stack.bob, verb, file)
    assert first.status in (200, 403), first
    for token in (revoked, "syt_bm9ib2R5_nobody"):
        reply = wire.post_json(stack.url, f"{SCANNER}/{verb}", {"file": file}, token=token)
        wire.assert_scanner_error(reply, 401, "M_UNKNOWN_TOKEN")
    without = wire.post_json(stack.url, f"{SCANNER}/{verb}", {"file": file})
    wire.assert_scanner_error(without, 404, "M_NOT_FOUND")


def test_another_user_s_good_token_gets_the_bytes_by_the_known_verdict(stack):
    data = specimens.clean()
    media = upload(stack.synapse.url, stack.alice, data)
    target = f"{V1}/download/{media.path}"
    assert wire.get(stack.url, target, token=stack.alice.token).body == data
    hits = stack.lazaret.metric("lazaret_cache_lookups_total", result="hit")
    assert wire.get(stack.url, target, token=stack.bob.token).body == data
    assert stack.lazaret.metric("lazaret_cache_lookups_total", result="hit") > hits


def test_refused_token_does_not_keep_a_good_one_out(stack, revoked):
    data = specimens.clean()
    media = upload(stack.synapse.url, stack.alice, data)
    target = f"{V1}/download/{media.path}"
    assert wire.get(stack.url, target, token=revoked).status == 401
    assert wire.get(stack.url, target, token=stack.bob.token).body == data


@pytest.mark.parametrize("route", ["upload", "create"])
def test_upload_routes_give_synapse_s_own_refusal_for_a_bad_token(stack, bad_token, route):
    token, errcode = bad_token
    target = {"upload": "/_matrix/media/v3/upload", "create": "/_matrix/media/v1/create"}[route]
    reply = wire.request(stack.url, "POST", target, token=token, body=b"{}")
    direct = wire.request(stack.synapse.url, "POST", target, token=token, body=b"{}")
    wire.assert_matrix_error(reply, 401, errcode)
    assert reply.body == direct.body


def test_address_that_is_remembered_opens_nothing_after_logout(stack):
    media = upload(stack.synapse.url, stack.alice, specimens.clean())
    target = f"{V1}/download/{media.path}"
    device = stack.synapse.login(stack.bob)
    tag = wire.get(stack.url, target, token=device.token).headers["ETag"]
    assert wire.get(stack.url, target, token=device.token, headers={"If-None-Match": tag}).status == 304
    stack.synapse.logout(device)
    for headers in ({}, {"If-None-Match": tag}, {"Range": "bytes=0-9"}):
        reply = wire.get(stack.url, target, token=device.token, headers=headers)
        wire.assert_matrix_error(reply, 401, "M_UNKNOWN_TOKEN")


@pytest.mark.parametrize("specimen", [specimens.clean, specimens.infected], ids=["clean", "infected"])
def test_upload_with_a_bad_token_is_refused_before_it_is_scanned(stack, bad_token, specimen):
    token, errcode = bad_token
    data = specimen()
    scans = stack.lazaret.metric("lazaret_media_bytes_total", direction="upload")
    reply = wire.request(stack.url, "POST", "/_matrix/media/v3/upload", token=token, body=data)
    wire.assert_matrix_error(reply, 401, errcode)
    assert stack.lazaret.metric("lazaret_media_bytes_total", direction="upload") == scans
    assert stack.synapse.files_holding(data) == []


def test_upload_with_a_bad_token_is_refused_before_its_body_has_come(stack, bad_token):
    token, errcode = bad_token
    connection = wire.connect(stack.url)
    connection.putrequest("POST", "/_matrix/media/v3/upload")
    connection.putheader("Content-Length", "1000000")
    if token:
        connection.putheader("Authorization", f"Bearer {token}")
    connection.endheaders(b"the first bytes, and never the others")
    with connection.getresponse() as response:
        reply = wire.Reply(response.status, response.headers, response.read())
    connection.close()
    wire.assert_matrix_error(reply, 401, errcode)


def test_guest_reads_what_is_clean_and_nothing_else(stack):
    guest = stack.synapse.register_guest()
    data = specimens.clean()
    media = upload(stack.synapse.url, stack.alice, data)
    bad = upload(stack.synapse.url, stack.alice, specimens.infected())
    assert wire.get(stack.url, f"{V1}/download/{media.path}", token=guest.token).body == data
    wire.assert_matrix_error(wire.get(stack.url, f"{V1}/download/{bad.path}", token=guest.token), 403, "M_FORBIDDEN")
    refused, direct = (try_upload(base, guest, specimens.clean()) for base in (stack.url, stack.synapse.url))
    wire.assert_matrix_error(refused, 403, "M_GUEST_ACCESS_FORBIDDEN")
    assert refused.body == direct.body


@pytest.mark.parametrize("specimen", [specimens.clean, specimens.infected], ids=["clean", "infected"])
@pytest.mark.parametrize("known", [False, True], ids=["unknown", "verdict known"])
def test_quarantine_of_synapse_counts_at_once_and_until_it_is_lifted(stack, moderator, known, specimen):
    data = specimen()
    media = upload(stack.synapse.url, stack.alice, data)
    targets = [f"{V1}/download/{media.path}", f"{V1}/download/{media.path}/file.bin"]
    if known:
        assert {wire.get(stack.url, target, token=stack.bob.token).status for target in targets} <= {200, 403}
    stack.synapse.set_quarantine(moderator, media, True)
    for target in targets:
        direct = wire.get(stack.synapse.url, target, token=stack.bob.token)
        reply = wire.get(stack.url, target, token=stack.bob.token)
        wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")
        assert reply.body == direct.body
    stack.synapse.set_quarantine(moderator, media, False)
    after = wire.get(stack.url, targets[0], token=stack.bob.token)
    if specimen is specimens.clean:
        assert after.status == 200 and after.body == data, after
    else:
        wire.assert_matrix_error(after, 403, "M_FORBIDDEN")


def test_quarantine_counts_for_who_has_a_copy_already(stack, moderator):
    media = upload(stack.synapse.url, stack.alice, specimens.clean())
    target = f"{V1}/download/{media.path}"
    tag = wire.get(stack.url, target, token=stack.bob.token).headers["ETag"]
    stack.synapse.set_quarantine(moderator, media, True)
    for headers in ({"If-None-Match": tag}, {"If-None-Match": "1"}, {"Range": "bytes=0-9"}):
        reply = wire.get(stack.url, target, token=stack.bob.token, headers=headers)
        wire.assert_matrix_error(reply, 404, "M_NOT_FOUND")


def test_moderator_who_reads_past_the_quarantine_does_not_read_past_the_scan(stack, moderator):
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    stack.synapse.set_quarantine(moderator, media, True)
    target = f"{V1}/download/{media.path}?admin_unsafely_bypass_quarantine=true"
    assert wire.get(stack.synapse.url, target, token=moderator.token).status == 200
    wire.assert_matrix_error(wire.get(stack.url, target, token=moderator.token), 403, "M_FORBIDDEN")

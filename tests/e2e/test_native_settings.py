"""What operators can set about the homeserver's own routes, against a real homeserver."""

import pytest

from support import specimens, wire
from support.attachments import ask_scanner, encrypted_file, mxc_of
from support.homeserver import try_upload, upload

V1 = "/_matrix/client/v1/media"
LEGACY = [f"/_matrix/media/{version}" for version in ("v3", "r0", "v1")]
THUMBNAIL = "?width=32&height=32&method=crop"
CONFIGS = [f"{V1}/config", *(f"{prefix}/config" for prefix in LEGACY)]


@pytest.mark.parametrize("target", CONFIGS)
def test_upload_limit_is_lowered_to_ours_where_it_is_smaller(stack, lazaret_with, target):
    lazaret = lazaret_with(stack.synapse, {"limits": {"max_media_bytes": "1MiB"}})
    direct = wire.get(stack.synapse.url, target, token=stack.bob.token)
    reply = wire.get(lazaret.url, target, token=stack.bob.token)
    assert direct.json()["m.upload.size"] == 100 * specimens.MIB
    assert reply.status == 200, reply
    assert reply.json() == direct.json() | {"m.upload.size": specimens.MIB}
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


def test_upload_up_to_the_lowered_limit_is_taken_and_a_larger_one_is_not(stack, lazaret_with):
    lazaret = lazaret_with(stack.synapse, {"limits": {"max_media_bytes": "1MiB"}})
    upload(lazaret.url, stack.alice, specimens.clean(specimens.MIB))
    before = stack.synapse.stored_files()
    reply = try_upload(lazaret.url, stack.alice, specimens.clean(specimens.MIB + 1))
    wire.assert_matrix_error(reply, 413, "M_TOO_LARGE")
    assert stack.synapse.stored_files() == before


@pytest.fixture
def closed(legacy, lazaret_with):
    """A Lazaret with the legacy routes closed but for two icons, clean and infected, in front of a Synapse that would
    serve everything on them."""
    picture = specimens.png()
    clean = upload(legacy.synapse.url, legacy.alice, picture, content_type="image/png")
    infected = upload(legacy.synapse.url, legacy.alice, specimens.infected(), content_type="image/png")
    settings = {"native": {"legacy_media": "deny", "legacy_icons": [str(clean), str(infected)]}}
    return lazaret_with(legacy.synapse, settings), picture, clean, infected


@pytest.mark.parametrize("prefix", LEGACY)
def test_closed_legacy_routes_serve_nothing(legacy, closed, prefix):
    lazaret, *_ = closed
    picture = specimens.png()
    media = upload(legacy.synapse.url, legacy.alice, picture, content_type="image/png")
    targets = [
        f"{prefix}/download/{media.path}",
        f"{prefix}/download/{media.path}/cat.png",
        f"{prefix}/download/{media.path}?allow_remote=false&timeout_ms=20000&allow_redirect=true",
        f"{prefix}/thumbnail/{media.path}{THUMBNAIL}",
    ]
    for target in targets:
        for token in (None, legacy.bob.token):
            assert wire.get(legacy.synapse.url, target, token=token).status == 200
            wire.assert_matrix_error(wire.get(lazaret.url, target, token=token), 404, "M_NOT_FOUND")
    assert wire.get(lazaret.url, f"{V1}/download/{media.path}", token=legacy.bob.token).body == picture


@pytest.mark.parametrize("prefix", LEGACY)
def test_icon_of_a_login_page_is_spared_and_scanned_all_the_same(closed, prefix):
    lazaret, picture, clean, infected = closed
    assert wire.get(lazaret.url, f"{prefix}/download/{clean.path}").body == picture
    assert wire.get(lazaret.url, f"{prefix}/thumbnail/{clean.path}{THUMBNAIL}").status == 200
    wire.assert_matrix_error(wire.get(lazaret.url, f"{prefix}/download/{infected.path}"), 403, "M_FORBIDDEN")


ADMIN_TARGETS = [
    "/_synapse/admin/v1/server_version",
    "/_synapse/admin/v1/register",
    "/_synapse/admin/v2/users?from=0",
    "/_synapse/admin",
]


@pytest.mark.parametrize("target", ADMIN_TARGETS)
def test_admin_api_is_not_reached_through_the_proxy(stack, moderator, target):
    for token in (None, moderator.token):
        wire.assert_matrix_error(wire.get(stack.url, target, token=token), 404, "M_UNRECOGNIZED")


def test_admin_api_is_reached_once_the_deny_list_is_empty(stack, moderator, lazaret_with):
    lazaret = lazaret_with(stack.synapse, {"native": {"deny": []}})
    reply, direct = (
        wire.get(base, ADMIN_TARGETS[0], token=moderator.token) for base in (lazaret.url, stack.synapse.url)
    )
    assert reply.status == direct.status == 200, reply
    assert reply.body == direct.body


REFUSALS = [
    ("forbidden", 403, "M_FORBIDDEN"),
    ("not_found", 404, "M_NOT_FOUND"),
    ("safety", 400, "ORG.MATRIX.MSC4387_SAFETY"),
]


@pytest.mark.parametrize(("word", "status", "errcode"), REFUSALS)
def test_refusal_reads_as_it_is_set(stack, lazaret_with, word, status, errcode):
    lazaret = lazaret_with(stack.synapse, {"native": {"refusal": word}})
    media = upload(stack.synapse.url, stack.alice, specimens.infected())
    for _attempt in ("scanned now", "verdict known"):
        reply = wire.get(lazaret.url, f"{V1}/download/{media.path}", token=stack.bob.token)
        wire.assert_matrix_error(reply, status, errcode)


@pytest.mark.parametrize("is_clean", [True, False], ids=["clean", "infected"])
def test_ciphertext_waits_for_a_clean_scan_with_its_key_where_that_is_required(stack, lazaret_with, is_clean):
    lazaret = lazaret_with(stack.synapse, {"policy": {"opaque_media": "require_scanned"}})
    # Of a known type: what a key opens to noise says nothing of the key.
    plaintext = specimens.png() + (b"" if is_clean else specimens.marker())
    file = encrypted_file(stack.synapse.url, stack.alice, plaintext)
    target = f"{V1}/download/{mxc_of(file).path}"
    wire.assert_matrix_error(wire.get(lazaret.url, target, token=stack.bob.token), 403, "M_FORBIDDEN")
    wire.assert_verdict(ask_scanner(lazaret.url, stack.bob, "scan_encrypted", file), clean=is_clean)
    reply = wire.get(lazaret.url, target, token=stack.bob.token)
    if is_clean:
        assert reply.status == 200, reply
        assert reply.body == wire.get(stack.synapse.url, target, token=stack.bob.token).body
    else:
        wire.assert_matrix_error(reply, 403, "M_FORBIDDEN")


def test_ciphertext_is_refused_where_that_is_the_policy(stack, lazaret_with):
    lazaret = lazaret_with(stack.synapse, {"policy": {"opaque_media": "deny"}})
    file = encrypted_file(stack.synapse.url, stack.alice, specimens.clean(40_000))
    target = f"{V1}/download/{mxc_of(file).path}"
    wire.assert_matrix_error(wire.get(lazaret.url, target, token=stack.bob.token), 403, "M_FORBIDDEN")
    text = specimens.unique_tag()
    media = upload(stack.synapse.url, stack.alice, text, content_type="text/plain")
    assert wire.get(lazaret.url, f"{V1}/download/{media.path}", token=stack.bob.token).body == text

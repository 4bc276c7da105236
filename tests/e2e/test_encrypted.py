"""End-to-end-encrypted attachments: judged by their plaintext, handed out as ciphertext, bound to their key."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import specimens, wire
from support.attachments import (
    SCANNER,
    ask_scanner,
    decrypted,
    encrypted_file,
    mxc_of,
    nio_encrypted_file,
    public_key,
    seal,
    unpadded,
    with_other_key,
)

VERBS = ["scan_encrypted", "download_encrypted"]

sealed_or_not = pytest.mark.parametrize("sealed", [False, True], ids=["file", "encrypted_body"])


def assert_blocked(stack, file: dict, *, sealed: bool = False) -> None:
    wire.assert_verdict(ask_scanner(stack.url, stack.bob, "scan_encrypted", file, sealed=sealed), clean=False)
    refused = ask_scanner(stack.url, stack.bob, "download_encrypted", file, sealed=sealed)
    wire.assert_scanner_error(refused, 403, "MCS_MEDIA_NOT_CLEAN")


def assert_noise_looks_clean(stack, file: dict) -> None:
    """Noise has no signature. The tests about wrong keys prove something only as long as this is the answer."""
    wire.assert_verdict(ask_scanner(stack.url, stack.bob, "scan_encrypted", file), clean=True)


@sealed_or_not
def test_clean_attachment_made_by_nio_passes(stack, sealed):
    plaintext = specimens.clean(50_000)
    file = asyncio.run(nio_encrypted_file(stack.url, stack.alice, plaintext))
    wire.assert_verdict(ask_scanner(stack.url, stack.bob, "scan_encrypted", file, sealed=sealed), clean=True)

    reply = ask_scanner(stack.url, stack.bob, "download_encrypted", file, sealed=sealed)
    assert reply.status == 200, reply
    assert reply.body != plaintext
    assert decrypted(reply.body, file) == plaintext


@sealed_or_not
def test_infected_attachment_made_by_nio_is_blocked(stack, sealed):
    file = asyncio.run(nio_encrypted_file(stack.url, stack.alice, specimens.infected()))
    assert_blocked(stack, file, sealed=sealed)


@sealed_or_not
def test_download_encrypted_scans_by_itself(stack, sealed):
    file = encrypted_file(stack.url, stack.alice, specimens.infected())
    refused = ask_scanner(stack.url, stack.bob, "download_encrypted", file, sealed=sealed)
    wire.assert_scanner_error(refused, 403, "MCS_MEDIA_NOT_CLEAN")


def test_infected_plaintext_is_recognised_again_under_a_new_key(stack):
    plaintext = specimens.infected()
    for _sending in ("first", "second"):
        assert_blocked(stack, encrypted_file(stack.url, stack.alice, plaintext))


def test_large_clean_attachment_comes_back_whole(stack):
    plaintext = specimens.clean(12 * specimens.MIB)
    file = encrypted_file(stack.url, stack.alice, plaintext)
    for _attempt in ("scanned now", "verdict known"):
        reply = ask_scanner(stack.url, stack.bob, "download_encrypted", file)
        assert reply.status == 200, reply
        assert decrypted(reply.body, file) == plaintext


def test_empty_attachment_is_clean(stack):
    file = encrypted_file(stack.url, stack.alice, b"")
    wire.assert_verdict(ask_scanner(stack.url, stack.bob, "scan_encrypted", file), clean=True)


def test_encrypted_body_wins_over_file(stack):
    clean = encrypted_file(stack.url, stack.alice, specimens.clean())
    infected = encrypted_file(stack.url, stack.alice, specimens.infected())
    body = seal(public_key(stack.url), json.dumps({"file": infected}).encode())
    document = {"file": clean, "encrypted_body": body}
    reply = wire.post_json(stack.url, f"{SCANNER}/scan_encrypted", document, token=stack.bob.token)
    wire.assert_verdict(reply, clean=False)


def undecryptable_bodies(base: str, file: dict) -> dict[str, dict]:
    document = json.dumps({"file": file}).encode()
    good = seal(public_key(base), document)
    flipped = "A" if good["ciphertext"][0] != "A" else "B"
    return {
        "sealed for another key": seal(unpadded(bytes(31) + b"\x09"), document),
        "changed ciphertext": good | {"ciphertext": flipped + good["ciphertext"][1:]},
        "shortened ciphertext": good | {"ciphertext": unpadded(b"not a whole block")},
        "changed mac": good | {"mac": unpadded(bytes(8))},
        "not base64": good | {"ciphertext": "!!!"},
        "not JSON inside": seal(public_key(base), b"neither JSON nor anything"),
    }


@pytest.mark.parametrize("verb", VERBS)
def test_every_undecryptable_encrypted_body_gets_the_same_answer(stack, verb):
    file = encrypted_file(stack.url, stack.alice, specimens.clean())
    answers = set()
    for name, body in undecryptable_bodies(stack.url, file).items():
        reply = wire.post_json(stack.url, f"{SCANNER}/{verb}", {"encrypted_body": body}, token=stack.bob.token)
        assert reply.status == 403, f"{name}: {reply}"
        wire.assert_scanner_error(reply, 403, "MCS_BAD_DECRYPTION")
        answers.add(reply.body)
    # Answers that differ tell an attacker which step failed, and so, bit by bit, the attachment key.
    assert len(answers) == 1, answers


@pytest.mark.parametrize("verb", VERBS)
def test_changed_ciphertext_hash_is_a_decryption_failure(stack, verb):
    file = encrypted_file(stack.url, stack.alice, specimens.clean())
    wrong = file | {"hashes": {"sha256": unpadded(bytes(32))}}
    reply = ask_scanner(stack.url, stack.bob, verb, wrong)
    wire.assert_scanner_error(reply, 400, "MCS_MEDIA_FAILED_TO_DECRYPT")


@pytest.mark.parametrize("verb", VERBS)
def test_body_that_is_not_json_is_malformed(stack, verb):
    reply = wire.request(stack.url, "POST", f"{SCANNER}/{verb}", token=stack.bob.token, body=b"{")
    wire.assert_scanner_error(reply, 400, "MCS_MALFORMED_JSON")


def test_wrong_key_before_the_right_one_does_not_unlock_an_infected_file(stack):
    file = encrypted_file(stack.url, stack.alice, specimens.infected())
    assert_noise_looks_clean(stack, with_other_key(file))
    assert_blocked(stack, file)


def test_wrong_key_after_the_right_one_does_not_unlock_an_infected_file(stack):
    file = encrypted_file(stack.url, stack.alice, specimens.infected())
    assert_blocked(stack, file)
    assert_noise_looks_clean(stack, with_other_key(file))
    assert_blocked(stack, file)


def test_wrong_and_right_key_at_the_same_time_keep_their_own_verdicts(stack):
    file = encrypted_file(stack.url, stack.alice, specimens.infected())
    keys = [file if number % 2 else with_other_key(file) for number in range(16)]
    with ThreadPoolExecutor(len(keys)) as together:
        replies = list(together.map(lambda key: ask_scanner(stack.url, stack.bob, "scan_encrypted", key), keys))
    for key, reply in zip(keys, replies, strict=True):
        wire.assert_verdict(reply, clean=key is not file)


def test_keyless_download_does_not_unlock_an_infected_attachment(stack):
    file = encrypted_file(stack.url, stack.alice, specimens.infected())
    target = f"/_matrix/client/v1/media/download/{mxc_of(file).path}"
    # Without the key the ciphertext is noise, so the homeserver's own route has nothing to object to.
    assert wire.get(stack.url, target, token=stack.bob.token).status == 200
    assert_blocked(stack, file)

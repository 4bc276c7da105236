"""Clients as they are in the field, in encrypted rooms and in browsers, with the scanner's routes beside their own."""

import json
from collections.abc import Callable, Iterator

import pytest

from support import js, specimens
from support.attachments import SCANNER, encrypted_file, public_key, request_body, unpadded
from support.browser import Browser
from support.homeserver import User, upload
from support.rooms import Client, JsClient, NioClient

CLIENTS = {"nio": NioClient, "js": JsClient}

VERBS = ("scan_encrypted", "download_encrypted")

every_verb = pytest.mark.parametrize("verb", VERBS)
sealed_or_not = pytest.mark.parametrize("sealed", [False, True], ids=["file", "encrypted_body"])
every_sender = pytest.mark.parametrize("sender", CLIENTS, ids="from_{}".format)
every_reader = pytest.mark.parametrize("reader", CLIENTS, ids="to_{}".format)


@pytest.fixture
def message(stack) -> Iterator[Callable[..., tuple[Client, dict]]]:
    """Lets a new device of Alice's send a file to one of Bob's in a room of theirs; Bob's client, and what it got."""
    clients: list[Client] = []

    def log_in(kind: str, user) -> Client:
        clients.append(CLIENTS[kind](stack.url, stack.synapse.login(user)))
        return clients[-1]

    def send(sender: str, reader: str, plaintext: bytes) -> tuple[Client, dict]:
        alice, bob = log_in(sender, stack.alice), log_in(reader, stack.bob)
        room = alice.create_room(stack.bob.mxid)
        bob.join(room)
        alice.send(room, stack.bob.mxid, plaintext)
        return bob, bob.read(room)

    yield send
    for client in clients:
        client.close()


@every_reader
@every_sender
def test_file_in_an_encrypted_room_is_scanned_fetched_and_read(stack, message, sender, reader):
    plaintext = specimens.clean(100_000)
    bob, file = message(sender, reader, plaintext)
    for sealed in (False, True):
        body = request_body(stack.url, file, sealed=sealed)
        status, verdict = bob.ask("scan_encrypted", body)
        assert (status, json.loads(verdict)) == (200, {"clean": True, "info": "File is clean"})
        status, ciphertext = bob.ask("download_encrypted", body)
        assert status == 200, ciphertext[:300]
        assert bob.decrypt(ciphertext, file) == plaintext


@every_sender
def test_infected_file_in_an_encrypted_room_is_reported_and_kept_back(stack, message, sender):
    bob, file = message(sender, "nio", specimens.infected())
    for sealed in (False, True):
        body = request_body(stack.url, file, sealed=sealed)
        status, verdict = bob.ask("scan_encrypted", body)
        assert (status, json.loads(verdict)["clean"]) == (200, False)
        status, refusal = bob.ask("download_encrypted", body)
        assert (status, json.loads(refusal)["reason"]) == (403, "MCS_MEDIA_NOT_CLEAN")


# A page of another origin. JSON and a token each make the browser ask first whether it may send them.


def post(page: Browser, base: str, user: User, verb: str, body: dict, *, function: str = "byFetch", **more) -> dict:
    request = {
        "url": f"{base}{SCANNER}/{verb}",
        "method": "POST",
        "token": user.token,
        "headers": {"Content-Type": "application/json"},
        "text": json.dumps(body),
    }
    return page.call(function, request | more)


def assert_readable(result: dict, status: int, reason: str) -> None:
    assert (result.get("status"), result.get("type")) == (status, "application/json"), result
    assert result["json"].keys() == {"reason", "info"}
    assert result["json"]["reason"] == reason


def test_browser_asks_first_and_is_allowed(page, stack, lazaret_with):
    # At an address of its own, since browsers remember what they were allowed.
    lazaret = lazaret_with(stack.synapse, {})
    file = encrypted_file(stack.url, stack.alice, specimens.clean())
    scan = post(page, lazaret.url, stack.bob, "scan_encrypted", {"file": file})
    assert (scan.get("status"), scan["json"]["clean"]) == (200, True), scan
    assert lazaret.metric("lazaret_requests_total", route="preflight") == 1


@sealed_or_not
def test_page_gets_verdicts_and_ciphertext_that_it_can_decrypt(page, stack, sealed):
    plaintext = specimens.clean(20_000)
    file = encrypted_file(stack.url, stack.alice, plaintext)
    body = request_body(stack.url, file, sealed=sealed)
    scan = post(page, stack.url, stack.bob, "scan_encrypted", body)
    assert (scan.get("status"), scan.get("json")) == (200, {"clean": True, "info": "File is clean"}), scan
    fetched = post(page, stack.url, stack.bob, "download_encrypted", body, function="attachment", file=file)
    assert fetched.get("status") == 200, fetched
    assert js.decoded(fetched) == plaintext


@every_verb
def test_page_can_tell_why_it_gets_nothing(page, stack, verb):
    file = encrypted_file(stack.url, stack.alice, specimens.clean())
    missing = file | {"url": "mxc://hs.test/doesnotexist"}
    changed = file | {"hashes": {"sha256": unpadded(bytes(32))}}
    envelope = {"ciphertext": "AAAA", "mac": "AAAA", "ephemeral": "AAAA"}
    answers = [
        ({"file": missing}, 404, "M_NOT_FOUND"),
        ({"file": changed}, 400, "MCS_MEDIA_FAILED_TO_DECRYPT"),
        ({"encrypted_body": envelope}, 403, "MCS_BAD_DECRYPTION"),
        ({"file": {}}, 400, "MCS_MALFORMED_JSON"),
    ]
    for body, status, reason in answers:
        assert_readable(post(page, stack.url, stack.bob, verb, body), status, reason)
    nobody = post(page, stack.url, stack.bob, verb, {"file": file}, token="syt_bm9ib2R5_nobody")
    assert_readable(nobody, 401, "M_UNKNOWN_TOKEN")


def test_page_reads_the_public_key(page, stack):
    key = page.call("byFetch", {"url": f"{stack.url}{SCANNER}/public_key"})
    assert (key.get("status"), key.get("json")) == (200, {"public_key": public_key(stack.url)}), key


@pytest.mark.parametrize("verdict", ["clean", "infected"])
def test_page_asks_about_media_without_encryption(page, stack, verdict):
    data = specimens.clean() if verdict == "clean" else specimens.infected()
    media = upload(stack.synapse.url, stack.alice, data)
    routes = (f"{stack.url}{SCANNER}/{route}/{media.path}" for route in ("scan", "download"))
    scan, download = (page.call("byFetch", {"url": url, "token": stack.bob.token}) for url in routes)
    assert (scan.get("status"), scan["json"]["clean"]) == (200, verdict == "clean"), scan
    if verdict == "clean":
        assert (download.get("status"), download["size"]) == (200, len(data)), download
    else:
        assert_readable(download, 403, "MCS_MEDIA_NOT_CLEAN")


def test_page_is_told_to_try_later_while_nothing_can_be_scanned(page, fresh):
    file = encrypted_file(fresh.url, fresh.alice, specimens.clean())
    fresh.clamd.stop()
    for verb in VERBS:
        assert_readable(post(page, fresh.url, fresh.bob, verb, {"file": file}), 503, "M_UNKNOWN")

"""What the security team writes takes effect on media of a real homeserver: at once, without a restart and without a scan."""

import json
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
import yaml

from support import specimens, wire
from support.attachments import ask_scanner, encrypted_file, mxc_of
from support.homeserver import try_upload, upload
from support.lazaret import Lazaret, binary
from support.processes import REPOSITORY, wait_until

POLICIES = REPOSITORY / "policies"
DOWNLOAD = "/_matrix/client/v1/media/download"


class Rules:
    """A policy directory, and the Lazaret that it is of."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.write({"version": 1})

    def write(self, document: dict) -> None:
        """As an editor does that is careful."""
        text = self.directory / ".rules.yaml.new"
        text.write_text(yaml.safe_dump(document, sort_keys=False))
        text.rename(self.directory / "rules.yaml")

    @property
    def settings(self) -> dict:
        return {"policy": {"dir": str(self.directory), "reload_interval": "100ms"}}


@pytest.fixture
def rules(tmp_path) -> Rules:
    directory = tmp_path / "policies"
    directory.mkdir()
    return Rules(directory)


def reload(lazaret: Lazaret) -> wire.Reply:
    return wire.request(lazaret.admin_url, "POST", "/reload")


def fetch(lazaret: Lazaret, user, media, **options) -> wire.Reply:
    return wire.get(lazaret.url, f"{DOWNLOAD}/{media.path}", token=user.token, **options)


def picture() -> bytes:
    """One that nobody has seen before."""
    return specimens.png()


def block(kind: str, **more) -> dict:
    return {"version": 1, "rules": [{"id": "no-such-type", "match": {"type": kind}, "action": "block", **more}]}


def cli(lazaret: Lazaret, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(binary()), "policy", *arguments, "--config", str(lazaret.config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_changed_policy_refuses_and_lets_through_again_without_a_restart_and_without_a_scan(
    stack, lazaret_with, rules
):
    lazaret = lazaret_with(stack.synapse, rules.settings)
    data = picture()
    media = upload(lazaret.url, stack.alice, data)
    assert fetch(lazaret, stack.bob, media).body == data
    scans = lazaret.metric("lazaret_scans_total")

    rules.write(block("image/png", reason={"en": "No pictures here", "fr": "Pas d'images ici"}))
    assert reload(lazaret).status == 200
    refused = fetch(lazaret, stack.bob, media, headers={"Accept-Language": "fr-FR, en;q=0.5"})
    wire.assert_matrix_error(refused, 403, "M_FORBIDDEN")
    assert refused.json()["error"] == "Pas d'images ici"
    assert "no-such-type" not in refused.body.decode(), "which rule it was is for logs"
    wire.assert_matrix_error(try_upload(lazaret.url, stack.alice, data), 403, "M_FORBIDDEN")

    rules.write({"version": 1})
    assert reload(lazaret).status == 200
    assert fetch(lazaret, stack.bob, media).body == data
    assert lazaret.metric("lazaret_scans_total") == scans
    blocked = lazaret.metric("lazaret_policy_decisions_total", rule="no-such-type", action="block")
    assert blocked in (0, 2), "a rule that is gone may be gone from the metrics"


def test_a_changed_file_acts_by_itself_and_a_broken_one_does_not(stack, lazaret_with, rules):
    lazaret = lazaret_with(stack.synapse, rules.settings)
    media = upload(lazaret.url, stack.alice, picture())

    rules.write(block("image/png"))
    wait_until("the rule acts", lambda: fetch(lazaret, stack.bob, media).status == 403, 20)

    rules.write({"version": 1, "rules": [{"id": "x", "match": {"grup": "image"}, "action": "block"}]})
    wait_until(
        "the mistake is told",
        lambda: lazaret.metric("lazaret_reloads_total", what="policy", outcome="failed") > 0,
        20,
    )
    assert fetch(lazaret, stack.bob, media).status == 403, "the set from before is in force"
    reply = reload(lazaret)
    assert reply.status == 500
    assert "rules.yaml:5:5" in reply.body.decode() and "did you mean `group`?" in reply.body.decode(), reply
    assert lazaret.is_ready()


def test_a_shadow_rule_only_counts(stack, lazaret_with, rules):
    rules.write(block("image/png", mode="shadow"))
    lazaret = lazaret_with(stack.synapse, rules.settings)
    data = picture()
    media = upload(lazaret.url, stack.alice, data)
    assert fetch(lazaret, stack.bob, media).body == data
    labels = {"rule": "no-such-type", "mode": "shadow", "action": "block"}
    assert lazaret.metric("lazaret_policy_decisions_total", **labels, direction="upload") == 1
    assert lazaret.metric("lazaret_policy_decisions_total", **labels, direction="download") == 1
    report = json.loads(cli(lazaret, "shadow", "--json").stdout)
    assert "no-such-type" in json.dumps(report)


def test_an_exception_lets_a_false_positive_through_until_its_time(stack, lazaret_with, rules):
    lazaret = lazaret_with(stack.synapse, rules.settings)
    data = specimens.infected()
    media = upload(stack.synapse.url, stack.alice, data)
    assert fetch(lazaret, stack.bob, media).status == 403
    scans = lazaret.metric("lazaret_scans_total")

    until = datetime.now(UTC) + timedelta(seconds=6)
    rules.write(
        {
            "version": 1,
            "exceptions": [
                {
                    "id": "our-own-tool",
                    "from": ["infected"],
                    "match": {"detections": "*Lazaret.Test.*"},
                    "reason": "we know it",
                    "author": "security@example.org",
                    "until": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            ],
        }
    )
    assert reload(lazaret).status == 200
    assert fetch(lazaret, stack.bob, media).body == data
    assert lazaret.metric("lazaret_policy_exceptions_used_total", exception="our-own-tool") == 1
    unscanned = {"reason": "infected", "rule": "our-own-tool", "direction": "download"}
    assert lazaret.metric("lazaret_unscanned_delivered_total", **unscanned) == 1
    assert lazaret.metric("lazaret_unscanned_delivered_bytes_total", **unscanned) == len(data)

    wait_until("the exception is over", lambda: fetch(lazaret, stack.bob, media).status == 403, 30)
    assert datetime.now(UTC) >= until - timedelta(seconds=1)
    assert lazaret.metric("lazaret_scans_total") == scans, "nothing was scanned again"
    wait_until("that is told", lambda: lazaret.metric("lazaret_policy_exceptions", state="expired") == 1, 20)


def zipped(**files: bytes) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return target.getvalue()


def program() -> bytes:
    """The head of a program for Windows, and no program."""
    head = bytearray(b"MZ" + bytes(58) + (64).to_bytes(4, "little"))
    return bytes(head + b"PE\0\0" + b"\x64\x86" + bytes(400) + specimens.unique_tag())


def strict(lazaret_with, synapse) -> Lazaret:
    return lazaret_with(synapse, {"policy": {"dir": str(POLICIES / "strict.yaml")}})


def test_the_strict_policy_is_an_allow_list(stack, lazaret_with):
    lazaret = strict(lazaret_with, stack.synapse)
    tag = specimens.unique_tag()
    for name, data in {
        "photo.png": picture(),
        "notes.txt": b"to whom it may concern " + tag,
        "photos.zip": zipped(photo__png=picture(), notes__txt=tag),
    }.items():
        reply = try_upload(lazaret.url, stack.alice, data, filename=name)
        assert reply.status == 200, (name, reply)
    for name, data in {
        "setup.exe": program(),
        "photo.png": program(),
        "run.sh": b"#!/bin/sh\nexit 0\n# " + tag,
        "page.html": b"<!doctype html><title>x</title>" + tag,
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>" + tag + b"</script></svg>",
        "tools.zip": zipped(setup__exe=program()),
        "nested.zip": zipped(tools__zip=zipped(setup__exe=program())),
        "book.png": b"%PDF-1.4\n" + tag,
        "gpj.\u202eexe.txt": b"to whom it may concern, again " + tag,
    }.items():
        reply = try_upload(lazaret.url, stack.alice, data, filename=name)
        assert reply.status == 403, (name, reply)


def test_under_the_strict_policy_an_attachment_passes_once_it_was_scanned(stack, lazaret_with):
    lazaret = strict(lazaret_with, stack.synapse)
    file = encrypted_file(lazaret.url, stack.alice, picture())
    assert fetch(lazaret, stack.bob, mxc_of(file)).status == 403
    assert ask_scanner(lazaret.url, stack.bob, "scan_encrypted", file).json()["clean"] is True
    assert fetch(lazaret, stack.bob, mxc_of(file)).status == 200

    forbidden = encrypted_file(lazaret.url, stack.alice, program())
    reply = ask_scanner(lazaret.url, stack.bob, "download_encrypted", forbidden)
    assert (reply.status, reply.json()["reason"]) == (403, "MCS_MIME_TYPE_FORBIDDEN"), reply
    assert fetch(lazaret, stack.bob, mxc_of(forbidden)).status == 403


def test_the_security_team_sees_why_and_what_would_be(stack, lazaret_with, rules, tmp_path):
    lazaret = lazaret_with(stack.synapse, rules.settings)
    media = upload(lazaret.url, stack.alice, picture())
    assert fetch(lazaret, stack.bob, media).status == 200
    harder = tmp_path / "harder"
    harder.mkdir()
    (harder / "rules.yaml").write_text(yaml.safe_dump(block("image/png")))

    def replayed() -> str:
        return cli(lazaret, "replay", "--since", "1h", "--policy", str(harder)).stdout

    wait_until("what was asked for is in the store", lambda: "no-such-type" in replayed(), 20)
    assert fetch(lazaret, stack.bob, media).status == 200, "a replay changes nothing"

    rules.write(block("image/png"))
    assert reload(lazaret).status == 200
    explained = cli(lazaret, "explain", "--mxc", str(media))
    assert explained.returncode == 0 and "no-such-type" in explained.stdout, explained


@pytest.mark.parametrize("policy", ["default.yaml", "strict.yaml", "mcs-compatible.yaml"])
def test_the_shipped_policies_pass_their_cases(policy):
    for tool in ("check", "test"):
        done = subprocess.run(
            [str(binary()), "policy", tool, str(POLICIES / policy)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done

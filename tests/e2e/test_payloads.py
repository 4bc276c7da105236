"""What the libraries in the field make, opened by Lazaret: attachments and sealed request bodies of each of them."""

import json
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import specimens, wire
from support.attachments import SCANNER, public_key, unpadded
from support.homeserver import upload
from support.lazaret import binary
from support.payloads import (
    MAKERS,
    SEALERS,
    encrypted_by_each,
    flipped,
    libolm,
    padded,
    run,
    sealed_by_each,
    sealed_by_libolm,
    with_address,
)

VERBS = ("scan_encrypted", "download_encrypted")
KINDS = ("clean", "infected")
OPEN = "file"

every_maker = pytest.mark.parametrize("maker", MAKERS)
every_sealer = pytest.mark.parametrize("sealer", SEALERS)
every_way = pytest.mark.parametrize("sealer", [OPEN, *SEALERS])
every_verb = pytest.mark.parametrize("verb", VERBS)


@dataclass(frozen=True)
class Attachment:
    ciphertext: bytes
    file: dict


def ask(stack, verb: str, document: dict) -> wire.Reply:
    return wire.post_json(stack.url, f"{SCANNER}/{verb}", document, token=stack.bob.token)


@pytest.fixture(scope="module")
def attachments(stack) -> dict[tuple[str, str], Attachment]:
    """By maker and kind; all of them lie in the homeserver."""
    plaintexts = {"clean": specimens.clean(50_000), "infected": specimens.infected()}
    made = {}
    for kind, plaintext in plaintexts.items():
        for maker, (ciphertext, information) in encrypted_by_each(plaintext).items():
            file = with_address(information, upload(stack.url, stack.alice, ciphertext))
            made[maker, kind] = Attachment(ciphertext, file)
    return made


@pytest.fixture(scope="module")
def bodies(stack, attachments) -> dict[tuple[str, str, str], dict]:
    """Requests about them, by maker, kind and sealer."""
    documents = [{"file": attachment.file} for attachment in attachments.values()]
    made = dict(zip(((*names, OPEN) for names in attachments), documents, strict=True))
    for sealer, envelopes in sealed_by_each(public_key(stack.url), documents).items():
        for names, envelope in zip(attachments, envelopes, strict=True):
            made[*names, sealer] = {"encrypted_body": envelope}
    return made


@every_way
@every_maker
def test_clean_attachment_passes_unchanged(stack, attachments, bodies, maker, sealer):
    body = bodies[maker, "clean", sealer]
    wire.assert_verdict(ask(stack, "scan_encrypted", body), clean=True)
    reply = ask(stack, "download_encrypted", body)
    assert reply.status == 200, reply
    assert reply.body == attachments[maker, "clean"].ciphertext


@every_way
@every_maker
def test_infected_attachment_is_reported_and_kept_back(stack, bodies, maker, sealer):
    body = bodies[maker, "infected", sealer]
    wire.assert_verdict(ask(stack, "scan_encrypted", body), clean=False)
    wire.assert_scanner_error(ask(stack, "download_encrypted", body), 403, "MCS_MEDIA_NOT_CLEAN")


@every_maker
def test_base64_of_an_attachment_is_taken_with_and_without_padding(stack, attachments, maker):
    file = attachments[maker, "infected"].file
    for spell in (padded, lambda text: text.rstrip("=")):
        spelt = file | {
            "iv": spell(file["iv"]),
            "hashes": {"sha256": spell(file["hashes"]["sha256"])},
            "key": file["key"] | {"k": spell(file["key"]["k"])},
        }
        wire.assert_verdict(ask(stack, "scan_encrypted", {"file": spelt}), clean=False)


@every_sealer
@every_verb
def test_base64_of_an_envelope_is_taken_with_and_without_padding(stack, bodies, sealer, verb):
    envelope = bodies["nio", "infected", sealer]["encrypted_body"]
    assert not any(member.endswith("=") for member in envelope.values()), "all libraries send it unpadded"
    spelt = {name: padded(member) for name, member in envelope.items()}
    assert spelt["mac"].endswith("=") and spelt["ephemeral"].endswith("=")
    unpadded_answer, padded_answer = (ask(stack, verb, {"encrypted_body": each}) for each in (envelope, spelt))
    assert told(unpadded_answer) == told(padded_answer)
    assert "MCS_BAD_DECRYPTION" not in str(padded_answer)


def told(reply: wire.Reply) -> tuple:
    """Everything that an answer tells but the time."""
    return reply.status, tuple(item for item in reply.headers.items() if item[0].lower() != "date"), reply.body


def broken(envelope: dict) -> dict[str, dict]:
    """One bit flipped at the begin, in the middle and at the end of the parts; CBC turns each into another failure."""
    changes = {}
    for member in ("ciphertext", "mac"):
        text = envelope[member]
        size = len(text) * 3 // 4
        for at in (0, size // 2, size - 17, size - 1):
            if at >= 0:
                changes[f"{member}, byte {at}"] = envelope | {member: flipped(text, at)}
    return changes


@pytest.fixture(scope="module")
def useless(bodies) -> dict[str, dict]:
    """Envelopes of every library that nobody can open, or that hold nothing to be used, by what is wrong."""
    for_another = sealed_by_each(unpadded(secrets.token_bytes(31) + b"\x09"), [bodies["nio", "clean", OPEN]])
    envelopes = {f"{sealer}, sealed for another key": made[0] for sealer, made in for_another.items()}
    for sealer in SEALERS:
        good = bodies["nio", "clean", sealer]["encrypted_body"]
        envelopes |= {f"{sealer}, {what}": envelope for what, envelope in broken(good).items()}
    return envelopes


def test_every_useless_envelope_gets_the_same_answer_whoever_made_it(stack, useless):
    answers: dict[tuple, list[str]] = {}
    for what, envelope in useless.items():
        for verb in VERBS:
            reply = ask(stack, verb, {"encrypted_body": envelope})
            assert reply.status == 403, f"{what}: {reply}"
            wire.assert_scanner_error(reply, 403, "MCS_BAD_DECRYPTION")
            answers.setdefault(told(reply), []).append(f"{verb}: {what}")
    assert len(useless) == len(SEALERS) * 8
    assert len(answers) == 1, answers


def test_published_key_is_the_one_libolm_derives_from_the_secret(stack):
    secret = (stack.lazaret.directory / "request_secret").read_text().strip()
    (result,) = run({"step": "public_key", "secret": secret})
    assert result["public_key"] == public_key(stack.url)


@dataclass(frozen=True)
class Pickle:
    """A key that libolm keeps, as the first scanners had it, in a folder with what opens it."""

    directory: Path
    public_key: str

    def migrate(self, phrase: str = "phrase") -> subprocess.CompletedProcess:
        """Runs the import into `secrets` in that folder, with the pickle's key from this file."""
        arguments = ["--pickle", "pickle", "--pickle-key-file", phrase, "--output", "secrets"]
        command = [str(binary()), "migrate", "pickle", *arguments]
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def pickle(workdir) -> Pickle:
    directory = Path(tempfile.mkdtemp(prefix="pck-", dir=workdir))
    decryption, phrase = libolm().pk.PkDecryption(), secrets.token_urlsafe(20)
    (directory / "pickle").write_bytes(decryption.pickle(phrase))
    (directory / "phrase").write_text(f"{phrase}\n")
    (directory / "other phrase").write_text(f"{phrase}x\n")
    return Pickle(directory, decryption.public_key)


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside the present secret"])
def test_envelopes_for_an_imported_libolm_pickle_open(stack, attachments, lazaret_with, pickle, beside):
    target = pickle.directory / "secrets"
    if beside:
        shutil.copy(stack.lazaret.directory / "request_secret", target)
    process = pickle.migrate()
    assert process.returncode == 0, process.stderr
    assert (pickle.directory / "phrase").read_text().strip() not in process.stdout + process.stderr

    lazaret = lazaret_with(stack.synapse, {"crypto": {"request_secret_path": str(target)}})
    published = public_key(stack.url) if beside else pickle.public_key
    assert public_key(lazaret.url) == published
    for key in {published, pickle.public_key}:
        for kind in KINDS:
            body = {"encrypted_body": sealed_by_libolm(key, json.dumps({"file": attachments["nio", kind].file}))}
            reply = wire.post_json(lazaret.url, f"{SCANNER}/scan_encrypted", body, token=stack.bob.token)
            wire.assert_verdict(reply, clean=kind == "clean")


def test_libolm_pickle_is_not_imported_with_another_key(pickle):
    process = pickle.migrate("other phrase")
    assert process.returncode == 1, process
    assert "pickle" in process.stderr
    assert not (pickle.directory / "secrets").exists()

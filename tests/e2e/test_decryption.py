"""The engine is given what other implementations decipher an attachment to, and nothing where those disagree."""

import random
import secrets
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import specimens, wire
from support.attachments import ask_scanner
from support.counter_mode import BLOCK, Vector, blocks, by_each, by_openssl, by_pycryptodome, by_webcrypto, vector
from support.homeserver import upload
from support.lazaret import Lazaret
from support.recorder import Recorder, recording

ALL = 2**64 - 1
KIB = 1024

# Around a block, around the pieces in which files are read and streamed, and around what is spooled to disk.
SMALL = [0, 1, 2, 15, 16, 17, 31, 32, 33, 255, 4097]
LARGE = [near * KIB + more for near in (64, 256, 1024) for more in (-1, 0, 1)] + [1024 * KIB + 3, 2048 * KIB + 7]

# How the engine gets the plaintext: as a descriptor of a memory file, as what is in that, or deciphered on its way.
DESCRIPTOR, STREAM, WITHOUT_MEMORY = WAYS = ("descriptor", "stream", "without_memory")


class Reading:
    """A Lazaret whose engine's view is recorded."""

    def __init__(self, stack, lazaret: Lazaret, recorder: Recorder):
        self.stack, self.lazaret, self.recorder = stack, lazaret, recorder

    def ask(self, verb: str, vectors: list[Vector]) -> list[wire.Reply]:
        """Puts the ciphertexts into the homeserver, then asks about several at once."""

        def one(each: Vector) -> wire.Reply:
            media = upload(self.stack.synapse.url, self.stack.alice, each.ciphertext)
            return ask_scanner(self.lazaret.url, self.stack.bob, verb, each.file(media))

        with ThreadPoolExecutor(8) as together:
            return list(together.map(one, vectors))


@pytest.fixture
def reading(stack, clamd, workdir, lazaret_with) -> Iterator[Callable[..., Reading]]:
    """Starts one by which the engine gets things in this way."""
    with ExitStack() as recorders:

        def start(way: str = DESCRIPTOR) -> Reading:
            path = Path(tempfile.mkdtemp(prefix="rec-", dir=workdir)) / "clamd.sock"
            recorder = recorders.enter_context(recording(clamd, None if way == STREAM else path))
            settings = {
                "clamd": {"backends": [{"address": recorder.address}]},
                "limits": {"memory_bytes": 0} if way == WITHOUT_MEMORY else {},
            }
            return Reading(stack, lazaret_with(stack.synapse, settings), recorder)

        yield start


@pytest.fixture(scope="module")
def noise() -> random.Random:
    """Other vectors in each run; their names have size and counter, and nothing hangs on key or content."""
    return random.Random(secrets.randbits(64))


def edges(noise: random.Random) -> list[Vector]:
    """Counters at the borders of 32, 64 and 128 bits that no file here gets over, and two carries that all agree on."""
    fitting = [
        vector(noise, size, high=high, low=2**64 - max(blocks(size), 1))
        for size in (0, 1, 16, 17, 32, 33, 64 * KIB + 1)
        for high in (0, ALL, None)
    ]
    carrying = [vector(noise, 100, low=low) for low in (0, 2**32 - 1, 2**32 - 7, 2**63 - 1, 0xFFFF_FFFF_FFFF)]
    return [*fitting, *carrying, vector(noise, 33, high=ALL, low=0), vector(noise, 33, high=0, low=0)]


def wrapping(noise: random.Random) -> list[Vector]:
    """The last block is the first, or one of the first, to be past the end of a 64-bit counter."""
    short = [vector(noise, size, low=2**64 - blocks(size) + 1) for size in (17, 31, 32, 33, 4097, 64 * KIB + 1)]
    early = [vector(noise, 4 * KIB, low=ALL), vector(noise, 17, high=0, low=ALL)]
    # Here a 128-bit counter wraps as well.
    return [*short, *early, vector(noise, 17, high=ALL, low=ALL), vector(noise, 64 * KIB, high=ALL, low=ALL - 5)]


def assert_same(vectors: list[Vector], expected: list[bytes], got: list[bytes | None], whose: str) -> None:
    """Compares without printing megabytes."""
    differing = [each.name for each, one, other in zip(vectors, expected, got, strict=True) if one != other]
    assert not differing, f"{whose} differs on: {differing}"


@pytest.fixture(scope="module")
def agreed(noise) -> tuple[list[Vector], list[bytes]]:
    """Vectors and what all the others decipher them to."""
    of_clients = [vector(noise, size, low=0) for size in SMALL + LARGE]
    of_old_clients = [vector(noise, size) for size in [*SMALL, 64 * KIB + 1, 1024 * KIB + 3]]
    vectors = of_clients + of_old_clients + edges(noise)
    others = by_each(vectors)
    expected = others.pop("pycryptodome")
    for whose, plaintexts in others.items():
        assert_same(vectors, expected, plaintexts, whose)
    return vectors, expected


@pytest.mark.parametrize("way", WAYS)
def test_engine_is_given_what_every_other_implementation_deciphers(reading, agreed, way):
    vectors, expected = agreed
    lazaret = reading(way)
    for reply in lazaret.ask("scan_encrypted", vectors):
        wire.assert_verdict(reply, clean=True)
    recorder = lazaret.recorder
    given = set(recorder.by_descriptor() if way == DESCRIPTOR else recorder.by_stream())
    if way == WITHOUT_MEMORY:
        given.add(b"")  # for which there is room in no memory at all, so it comes by descriptor
    assert_same(vectors, expected, [each if each in given else None for each in expected], "what the engine was given")


@pytest.mark.parametrize("way", WAYS)
def test_ciphertext_comes_back_as_it_was(reading, noise, way):
    vectors = [vector(noise, size) for size in (0, 1, 17, 64 * KIB + 1, 1024 * KIB + 3)]
    replies = reading(way).ask("download_encrypted", vectors)
    for each, reply in zip(vectors, replies, strict=True):
        assert reply.status == 200, f"{each.name}: {reply}"
        assert reply.body == each.ciphertext, each.name


def test_counter_that_wraps_is_refused_because_readers_differ_on_it(reading, noise):
    vectors = wrapping(noise)
    plaintexts = by_each(vectors)
    wide = plaintexts.pop("webcrypto, 128 bits")
    narrow = plaintexts.pop("webcrypto, 64 bits")
    for whose, others in plaintexts.items():
        assert_same(vectors, wide, others, whose)
    assert all(one != other for one, other in zip(wide, narrow, strict=True)), "these vectors do not tell readers apart"

    lazaret = reading()
    answers = set()
    for verb in ("scan_encrypted", "download_encrypted"):
        for reply in lazaret.ask(verb, vectors):
            wire.assert_scanner_error(reply, 400, "MCS_MEDIA_FAILED_TO_DECRYPT")
            answers.add(reply.body)
    assert len(answers) == 1, answers
    given = set(lazaret.recorder.scanned())
    assert not given & {*wide, *narrow}, "a verdict on this would be one on half of the readers' file"


def published(ciphertext: str) -> Vector:
    """A vector with the key 00..1f that deciphers to 32 times `A`, in one of the two families."""
    return Vector("published", bytes(range(32)), b"\x11" * 8 + b"\xff" * 8, bytes.fromhex(ciphertext))


# The second block is that of a 64-bit counter, or of one of 128 bits; all agree on the first.
FIRST = "899f205ba32b13573c57c7713ec782a0"
NARROW = published(FIRST + "65d6125378d0335e483bda32ae11600c")
WIDE = published(FIRST + "5c69c7645a39d5dc24599e585a0caac4")
SHORT = published(FIRST)


def test_published_wrap_is_refused_both_ways_and_its_first_block_accepted(reading):
    text = b"A" * 32
    assert by_webcrypto([NARROW], bits=64) == by_webcrypto([WIDE], bits=128) == [text]
    assert by_pycryptodome(WIDE) == by_openssl(WIDE) == text

    lazaret = reading()
    for reply in lazaret.ask("scan_encrypted", [NARROW, WIDE]):
        wire.assert_scanner_error(reply, 400, "MCS_MEDIA_FAILED_TO_DECRYPT")
    (reply,) = lazaret.ask("scan_encrypted", [SHORT])
    wire.assert_verdict(reply, clean=True)
    given = lazaret.recorder.scanned()
    assert text[:BLOCK] in given and text not in given


def test_malware_that_half_of_the_readers_find_behind_a_wrap_is_not_passed(reading, noise):
    malware = specimens.clean(10 * BLOCK) + specimens.marker()
    before_wrap = vector(noise, len(malware), low=2**64 - 10)
    (narrow,) = by_webcrypto([before_wrap.holding(malware)], bits=64)
    wide = by_pycryptodome(before_wrap.holding(malware))
    # Enciphering and deciphering are the same: each of these holds the malware for one family, noise for the other.
    for ciphertext in (narrow, wide):
        replies = reading().ask("download_encrypted", [before_wrap.holding(ciphertext)])
        wire.assert_scanner_error(replies[0], 400, "MCS_MEDIA_FAILED_TO_DECRYPT")


def test_malware_up_to_the_last_block_before_a_wrap_is_found(reading, noise):
    malware = specimens.clean(10 * BLOCK) + specimens.marker()
    fitting = vector(noise, len(malware), low=2**64 - blocks(len(malware)))
    (reply,) = reading().ask("scan_encrypted", [fitting.holding(by_pycryptodome(fitting.holding(malware)))])
    wire.assert_verdict(reply, clean=False)

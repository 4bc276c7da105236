"""Files to send. Infected ones exist in memory only, so that no scanner trips over this repository."""

import hashlib
import itertools
import random
import struct
import zlib

from .processes import REPOSITORY

SIGNATURES = REPOSITORY / "samples" / "clamd" / "lazaret-test.ndb"
MIB = 1024 * 1024

_serial = itertools.count()


def _signature(name: str) -> bytes:
    """The bytes behind one line of the test signature database, which stores them in hexadecimal."""
    for line in SIGNATURES.read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return bytes.fromhex(fields[3])
    raise LookupError(f"{SIGNATURES} has no signature {name}")


def eicar() -> bytes:
    """The standard antivirus test file, all 68 bytes of it and nothing else."""
    return _signature("Lazaret.Test.EICAR")


def marker() -> bytes:
    """Bytes that the test database detects at any place in a file, where EICAR only counts at the start."""
    return _signature("Lazaret.Test.Marker")


def unique_tag() -> bytes:
    """Bytes that occur nowhere else in this run, to tell one test's file from every other's."""
    return hashlib.sha256(f"specimen {next(_serial)}".encode()).hexdigest().encode()


def infected() -> bytes:
    """A detected file with a digest of its own, so that no other test has taught the cache about it."""
    return eicar() + b"\r\n" + unique_tag()


def clean(size: int = 4096) -> bytes:
    """Harmless bytes with a digest of their own; text comes first, so that nobody sees a file type in the noise."""
    head = b"lazaret test file " + unique_tag() + b"\n"
    filler = random.Random(head).randbytes(max(0, size - len(head)))
    return head + filler


def png(width: int = 64, height: int = 64) -> bytes:
    """A valid PNG of random colours; homeservers make thumbnails of it."""
    noise = random.Random(unique_tag())
    rows = b"".join(b"\x00" + noise.randbytes(3 * width) for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

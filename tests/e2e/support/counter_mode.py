"""AES-256-CTR vectors, and what others decipher them to: pycryptodome, OpenSSL's command and Node's WebCrypto."""

import base64
import hashlib
import random
import subprocess
from dataclasses import dataclass, replace

from Crypto.Cipher import AES

from . import js
from .attachments import unpadded
from .homeserver import Mxc
from .processes import executable

BLOCK = 16


@dataclass(frozen=True)
class Vector:
    name: str
    key: bytes
    counter: bytes
    ciphertext: bytes

    def holding(self, ciphertext: bytes) -> "Vector":
        """Key and counter with another ciphertext."""
        return replace(self, ciphertext=ciphertext)

    def file(self, media: Mxc) -> dict:
        """The `file` member of an event about this ciphertext."""
        k = base64.urlsafe_b64encode(self.key).decode().rstrip("=")
        return {
            "v": "v2",
            "url": str(media),
            "key": {"kty": "oct", "alg": "A256CTR", "ext": True, "key_ops": ["encrypt", "decrypt"], "k": k},
            "iv": unpadded(self.counter),
            "hashes": {"sha256": unpadded(hashlib.sha256(self.ciphertext).digest())},
        }


def vector(noise: random.Random, size: int, *, high: int | None = None, low: int | None = None) -> Vector:
    """A random ciphertext of this size, which deciphers to something as random. What is not given of the two halves of
    the counter block is random as well."""
    high, low = (noise.getrandbits(64) if half is None else half for half in (high, low))
    counter = high.to_bytes(8, "big") + low.to_bytes(8, "big")
    return Vector(f"{size} bytes from {counter.hex()}", noise.randbytes(32), counter, noise.randbytes(size))


def blocks(size: int) -> int:
    return -(-size // BLOCK)


def by_pycryptodome(each: Vector) -> bytes:
    return AES.new(each.key, AES.MODE_CTR, nonce=b"", initial_value=each.counter).decrypt(each.ciphertext)


def by_openssl(each: Vector) -> bytes:
    arguments = ["enc", "-d", "-aes-256-ctr", "-K", each.key.hex(), "-iv", each.counter.hex()]
    return subprocess.run(
        [executable("openssl"), *arguments], input=each.ciphertext, capture_output=True, timeout=30, check=True
    ).stdout


def by_webcrypto(vectors: list[Vector], *, bits: int) -> list[bytes]:
    """With so many bits of the block counting: clients have 64, where the others of this module have all 128."""
    request = [
        {
            "key": js.encoded(each.key),
            "counter": js.encoded(each.counter),
            "length": bits,
            "data": js.encoded(each.ciphertext),
        }
        for each in vectors
    ]
    return [base64.b64decode(plaintext) for plaintext in js.node("webcrypto.mjs", request)]


def by_each(vectors: list[Vector]) -> dict[str, list[bytes]]:
    """The plaintexts in the order of the vectors, by the name of who deciphered them."""
    return {
        "pycryptodome": [by_pycryptodome(each) for each in vectors],
        "openssl": [by_openssl(each) for each in vectors],
        "webcrypto, 128 bits": by_webcrypto(vectors, bits=128),
        "webcrypto, 64 bits": by_webcrypto(vectors, bits=64),
    }

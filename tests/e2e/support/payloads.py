"""Attachments and sealed request bodies, each made by the libraries that clients in the field use."""

import base64
import json

import pytest
from nio.crypto.attachments import encrypt_attachment

from . import js
from .attachments import seal
from .homeserver import Mxc
from .processes import INSTALL

try:
    import olm
except ImportError:
    olm = None

# Who encrypts an attachment: bots, Element Web, and Element X together with matrix-js-sdk.
MAKERS = ("nio", "matrix_encrypt_attachment", "rust_sdk")

# Who seals a request body: libolm in C, the same for browsers, and vodozemac.
SEALERS = ("libolm", "libolm_js", "vodozemac")


def libolm():
    """python-olm, which brings libolm along. Beyond Python 3.12 there is no wheel of it."""
    if olm is None:
        pytest.fail(f"python-olm is missing: {INSTALL}, with Python 3.12 or older", pytrace=False)
    return olm


def run(*steps: dict) -> list[dict]:
    return js.node("payloads.mjs", list(steps), str(js.node_modules()))


def encrypted_by_each(plaintext: bytes) -> dict[str, tuple[bytes, dict]]:
    """Ciphertext and the information that goes into the event, without its address, by maker."""
    in_node = [maker for maker in MAKERS if maker != "nio"]
    results = run(*({"step": maker, "data": js.encoded(plaintext)} for maker in in_node))
    made = {maker: (js.decoded(it, "ciphertext"), it["file"]) for maker, it in zip(in_node, results, strict=True)}
    return made | {"nio": encrypt_attachment(plaintext)}


def with_address(file: dict, media: Mxc) -> dict:
    """What the event has; the Rust SDK's part leaves it to the caller to say that it is version 2."""
    return {"v": "v2"} | file | {"url": str(media)}


def sealed_by_libolm(key: str, plaintext: str) -> dict:
    message = libolm().pk.PkEncryption(key).encrypt(plaintext)
    return {"ciphertext": message.ciphertext, "mac": message.mac, "ephemeral": message.ephemeral_key}


def sealed_by_each(key: str, documents: list[dict]) -> dict[str, list[dict]]:
    """An `encrypted_body` for each document, in their order, by sealer."""
    texts = [json.dumps(document) for document in documents]
    return {
        "libolm": [sealed_by_libolm(key, text) for text in texts],
        "libolm_js": run(*({"step": "seal", "key": key, "plaintext": text} for text in texts)),
        "vodozemac": [seal(key, text.encode()) for text in texts],
    }


def padded(text: str) -> str:
    return text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)


def flipped(text: str, at: int) -> str:
    """One bit of one byte behind this base64 is another."""
    data = bytearray(base64.b64decode(padded(text)))
    data[at] ^= 1
    return base64.b64encode(data).decode().rstrip("=")

"""Runs the Matrix Content Scanner 1.4.1 from its source package.

Its compiled module comes from a git repository and needs a Rust compiler. Here the same functions are made of the
vodozemac and pycryptodome packages; texts of cryptographic errors are therefore not those of the original.
"""

import base64
import hashlib
import runpy
import sys
from types import ModuleType

from Crypto.Cipher import AES
from vodozemac import Curve25519SecretKey, Message, PkDecryption


class CryptoHandler:
    def __init__(self, request_secret: bytes):
        self._decryption = PkDecryption.from_key(Curve25519SecretKey.from_bytes(request_secret))
        self.public_key = self._decryption.public_key.to_base64()

    def decrypt_body(self, ciphertext: str, mac: str, ephemeral: str) -> str:
        return self._decryption.decrypt(Message.from_base64(ciphertext, mac, ephemeral)).decode()


def _bytes(text: str, length: int, foreign: str = "-_") -> bytes:
    """What base64 stands for, padded or not; `foreign` are the characters of the other alphabet."""
    if any(character in foreign for character in text):
        raise ValueError("a character of the other alphabet")
    text = text.rstrip("=").replace("-", "+").replace("_", "/")
    data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if len(data) != length:
        raise ValueError(f"{len(data)} bytes instead of {length}")
    return data


def decrypt_attachment(body: bytes, file: dict) -> bytes:
    key = _bytes(file["key"]["k"], 32, foreign="+/")
    iv = _bytes(file["iv"], 16)
    if hashlib.sha256(body).digest() != _bytes(file["hashes"]["sha256"], 32):
        raise ValueError("hash mismatch")
    return AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=iv).decrypt(body)


def _module() -> ModuleType:
    crypto = ModuleType("crypto")
    crypto.CryptoHandler = CryptoHandler
    crypto.decrypt_attachment = decrypt_attachment
    module = ModuleType("matrix_content_scanner.mcs_rust")
    module.crypto = crypto
    module.reset_logging_config = lambda: None
    module.get_rust_file_digest = lambda: ""
    return module


if __name__ == "__main__":
    sys.modules["matrix_content_scanner.mcs_rust"] = _module()
    runpy.run_module("matrix_content_scanner.mcs", run_name="__main__", alter_sys=True)

"""End-to-end-encrypted attachments as real clients make them, and the scanner requests that belong to them."""

import base64
import io
import json

import nio
from nio.crypto.attachments import decrypt_attachment, encrypt_attachment
from vodozemac import Curve25519PublicKey, PkEncryption

from . import wire
from .homeserver import Mxc, User, upload

SCANNER = "/_matrix/media_proxy/unstable"

# nio would retry refusals without end.
_NO_RETRIES = nio.AsyncClientConfig(max_limit_exceeded=0, max_timeouts=0, request_timeout=60)


def nio_client(base: str, user: User) -> nio.AsyncClient:
    """A client that is logged in already; use it with `async with closing(...)`."""
    client = nio.AsyncClient(base, user.mxid, device_id=user.device, config=_NO_RETRIES)
    client.restore_login(user.mxid, user.device, user.token)
    return client


async def nio_upload(
    client: nio.AsyncClient, data: bytes, *, encrypt: bool = False, content_type: str = "application/octet-stream"
):
    """nio's reply and, for an encrypted upload, the decryption information."""
    return await client.upload(
        lambda _rate_limited, _timeouts: io.BytesIO(data),
        content_type=content_type,
        filename="file.bin",
        encrypt=encrypt,
        filesize=len(data),
    )


async def nio_encrypted_file(base: str, user: User, plaintext: bytes) -> dict:
    """Encrypts and uploads with nio; the result is the `file` member that goes into the event."""
    client = nio_client(base, user)
    try:
        reply, keys = await nio_upload(client, plaintext, encrypt=True)
    finally:
        await client.close()
    assert isinstance(reply, nio.UploadResponse), reply
    return keys | {"url": reply.content_uri}


def encrypted_file(base: str, user: User, plaintext: bytes) -> dict:
    """The same without a client object, for tests that are about something else than nio."""
    ciphertext, keys = encrypt_attachment(plaintext)
    return keys | {"url": str(upload(base, user, ciphertext))}


def with_other_key(file: dict) -> dict:
    """The same ciphertext and hash under a key that decrypts it to noise."""
    _, other = encrypt_attachment(b"")
    return file | {"key": other["key"], "iv": other["iv"]}


def decrypted(ciphertext: bytes, file: dict) -> bytes:
    return decrypt_attachment(ciphertext, file["key"]["k"], file["hashes"]["sha256"], file["iv"])


def mxc_of(file: dict) -> Mxc:
    return Mxc.parse(file["url"])


def unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def seal(public_key: str, plaintext: bytes) -> dict:
    """An `encrypted_body`: hides the attachment key from whoever terminates TLS in front of the scanner."""
    message = PkEncryption.from_key(Curve25519PublicKey.from_base64(public_key)).encrypt(plaintext)
    return {
        "ciphertext": unpadded(message.ciphertext),
        "mac": unpadded(message.mac),
        "ephemeral": unpadded(message.ephemeral_key),
    }


def public_key(base: str) -> str:
    reply = wire.get(base, f"{SCANNER}/public_key")
    assert reply.status == 200, reply
    return reply.json()["public_key"]


def request_body(base: str, file: dict, *, sealed: bool) -> dict:
    document = {"file": file}
    if not sealed:
        return document
    return {"encrypted_body": seal(public_key(base), json.dumps(document).encode())}


def ask_scanner(base: str, user: User, verb: str, file: dict, *, sealed: bool = False) -> wire.Reply:
    """POSTs to `scan_encrypted` or `download_encrypted`."""
    return wire.post_json(base, f"{SCANNER}/{verb}", request_body(base, file, sealed=sealed), token=user.token)

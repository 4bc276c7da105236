"""What both scanners are asked: descriptions of attachments, in clear and sealed, right and wrong."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator

from nio.crypto.attachments import encrypt_attachment
from vodozemac import Curve25519SecretKey

from .. import specimens
from ..attachments import SCANNER, seal, unpadded, with_other_key
from .cases import OCTETS, Body, Case, Request
from .quirks import SERVER_NAME, Answer, Quirky


def post(verb: str, body: Body | bytes, **options) -> Request:
    make = body if callable(body) else lambda _key: body
    headers = {"Content-Type": "application/json"} | options.pop("headers", {})
    return Request("POST", f"{SCANNER}/{verb}", body=make, headers=headers, **options)


def _attachment(homeserver: Quirky, plaintext: bytes) -> tuple[dict, bytes]:
    """The description of an attachment that the homeserver has, and its ciphertext."""
    ciphertext, keys = encrypt_attachment(plaintext)
    media_id = homeserver.add(Answer(200, (OCTETS,), ciphertext))
    return keys | {"url": f"mxc://{SERVER_NAME}/{media_id}"}, ciphertext


def _changed(file: dict, path: str, value: object) -> dict:
    """`file` with the member at `path` set; with `...` it is left out."""
    head, _, rest = path.partition(".")
    result = dict(file)
    if rest:
        result[head] = _changed(file[head], rest, value)
    elif value is ...:
        del result[head]
    else:
        result[head] = value
    return result


def _text(document: object) -> bytes:
    return json.dumps(document).encode()


def described_by(file: dict) -> Body:
    return lambda _key: _text({"file": file})


def sealed_by(file: dict) -> Body:
    return lambda key: _text({"encrypted_body": seal(key, _text({"file": file}))})


def attachment_body(homeserver: Quirky, plaintext: bytes) -> bytes:
    """Describes an attachment that the homeserver has from now on."""
    file, _ = _attachment(homeserver, plaintext)
    return _text({"file": file})


def described(homeserver: Quirky) -> Iterator[Case]:
    """Attachments described in clear."""
    for verb in ("scan_encrypted", "download_encrypted"):
        file, ciphertext = _attachment(homeserver, specimens.clean(2000))
        infected, _ = _attachment(homeserver, specimens.infected())
        body = _text({"file": file})
        yield Case(f"{verb} of a clean attachment", post(verb, body), ciphertext)
        yield Case(f"{verb} of an infected attachment", post(verb, _text({"file": infected})))
        yield Case(f"{verb} with another key", post(verb, _text({"file": with_other_key(file)})), ciphertext)
        yield Case(
            f"{verb} of an infected attachment with another key", post(verb, _text({"file": with_other_key(infected)}))
        )
        yield Case(f"{verb} as text/plain", post(verb, body, headers={"Content-Type": "text/plain"}), ciphertext)
        yield Case(f"{verb} in chunks", post(verb, body, chunked=True), ciphertext)
        yield Case(f"{verb} without a token", post(verb, body, token=None), ciphertext)
        absent = _changed(file, "url", f"mxc://{SERVER_NAME}/absent")
        yield Case(f"{verb} of an absent attachment", post(verb, _text({"file": absent})))
        wrong = _changed(file, "hashes.sha256", unpadded(hashlib.sha256(b"other").digest()))
        yield Case(f"{verb} with a wrong hash", post(verb, _text({"file": wrong})))


def malformed(homeserver: Quirky) -> Iterator[Case]:
    """Bodies that are no description of an attachment."""
    file, _ = _attachment(homeserver, specimens.clean(2000))
    good = _text({"file": file})
    for name, body in (
        ("nothing", b""),
        ("no JSON", b"{"),
        ("no UTF-8", b'{"file": "\xff"}'),
        ("a BOM", b"\xef\xbb\xbf" + good),
        ("a list", b"[]"),
        ("a text", b'"file"'),
        ("null", b"null"),
        ("an empty object", b"{}"),
        ("two documents", good + good),
        ("NaN", good[:-1] + b', "x": NaN}'),
        ("a file twice", good[:-1] + b', "file": {}}'),
        ("a file that is null", b'{"file": null}'),
        ("a file that is a list", b'{"file": []}'),
        ("100 levels", b'{"x": %s%s, %s' % (b"[" * 100, b"]" * 100, good[1:])),
        ("100 KB more", good[:-1] + b', "x": "%s"}' % (b"a" * 100_000)),
        ("2 MB more", good[:-1] + b', "x": "%s"}' % (b"a" * 2_000_000)),
    ):
        yield Case(f"body is {name}", post("scan_encrypted", body))


def members(homeserver: Quirky) -> Iterator[Case]:
    """Members that are absent, of another type, or of another value."""
    file, _ = _attachment(homeserver, specimens.clean(2000))
    media_id = file["url"].rpartition("/")[2]
    key, iv, digest = file["key"]["k"], file["iv"], file["hashes"]["sha256"]
    changes = [(f"no {path}", path, ...) for path in ("v", "url", "iv", "hashes", "hashes.sha256", "key", "key.k",
                                                     "key.alg", "key.kty", "key.ext", "key.key_ops")]  # fmt: skip
    changes += [(f"number as {path}", path, 1) for path in ("url", "iv", "hashes", "hashes.sha256", "key", "key.k")]
    changes += [
        ("v of v1", "v", "v1"),
        ("alg of A128CTR", "key.alg", "A128CTR"),
        ("kty of RSA", "key.kty", "RSA"),
        *((f"ext of {value!r}", "key.ext", value) for value in (1, False, "true", None)),
        ("key_ops the other way", "key.key_ops", ["decrypt", "encrypt"]),
        ("key_ops with more", "key.key_ops", ["encrypt", "decrypt", "sign"]),
        ("key_ops of decrypt alone", "key.key_ops", ["decrypt"]),
        ("key_ops of numbers", "key.key_ops", [1]),
        ("key_ops of text", "key.key_ops", "encrypt decrypt"),
        ("k padded", "key.k", key + "="),
        ("k in the other alphabet", "key.k", base64.b64encode(b"\xff" * 32).decode().rstrip("=")),
        ("k too short", "key.k", key[:-6]),
        ("k no base64", "key.k", "*" * 43),
        ("iv padded", "iv", iv + "=="),
        ("iv too short", "iv", iv[:-6]),
        ("iv too long", "iv", unpadded(bytes(17))),
        ("iv no base64", "iv", "*" * 22),
        ("iv with a counter", "iv", unpadded(bytes([255] * 16))),
        ("hash padded", "hashes.sha256", digest + "="),
        ("hash too short", "hashes.sha256", digest[:-6]),
        ("hash no base64", "hashes.sha256", "*" * 43),
        ("hash of another kind too", "hashes.sha512", "abc"),
        ("mimetype beside", "mimetype", "image/png"),
        ("url in capitals", "url", f"MXC://{SERVER_NAME}/{media_id}"),
        ("url of https", "url", f"https://{SERVER_NAME}/{media_id}"),
        ("url without a scheme", "url", f"{SERVER_NAME}/{media_id}"),
        ("url with a fragment", "url", f"{file['url']}#auto"),
        ("url with a query", "url", f"{file['url']}?a=b"),
        ("url with a slash", "url", f"{file['url']}/"),
        ("url with a third segment", "url", f"{file['url']}/a"),
        ("url of a server alone", "url", f"mxc://{SERVER_NAME}"),
        ("url with dots", "url", "mxc://../preview_url"),
        ("url with encoded dots", "url", "mxc://%2E%2E/preview_url"),
        ("url with a port", "url", f"mxc://{SERVER_NAME}:8448/{media_id}"),
        ("url of nothing", "url", ""),
    ]
    for name, path, value in changes:
        yield Case(f"file with {name}", post("scan_encrypted", _text({"file": _changed(file, path, value)})))
    dotted = _text({"file": _changed(file, "url", "mxc://../preview_url")})
    yield Case("download_encrypted with url with dots", post("download_encrypted", dotted))


def _flipped(sealed: dict, member: str) -> dict:
    raw = bytearray(base64.b64decode(sealed[member] + "=="))
    raw[-1] ^= 1
    return sealed | {member: unpadded(bytes(raw))}


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def sealed(homeserver: Quirky) -> Iterator[Case]:
    """Attachments described in an envelope, and envelopes that do not open."""
    file, ciphertext = _attachment(homeserver, specimens.clean(2000))
    infected, _ = _attachment(homeserver, specimens.infected())
    good, bad = _text({"file": file}), _text({"file": infected})
    for verb in ("scan_encrypted", "download_encrypted"):
        yield _envelope(f"{verb} sealed", good, verb=verb, file=ciphertext)
        yield _envelope(f"{verb} sealed, infected", bad, verb=verb)
    yield _envelope("sealed with padding", good, lambda it: {name: _padded(text) for name, text in it.items()})
    yield _envelope("sealed with more members", good, lambda it: it | {"x": 1})
    yield _envelope("sealed for another key", good, key=Curve25519SecretKey().public_key().to_base64())
    for member in ("ciphertext", "mac", "ephemeral"):
        yield _envelope(f"envelope with a flipped {member}", good, lambda it, m=member: _flipped(it, m))
        yield _envelope(f"envelope without {member}", good, lambda it, m=member: _changed(it, m, ...))
        yield _envelope(f"envelope with a number as {member}", good, lambda it, m=member: it | {m: 1})
        if member != "ciphertext":
            yield _envelope(f"envelope with no base64 as {member}", good, lambda it, m=member: it | {m: "****"})
        yield _envelope(f"envelope with an empty {member}", good, lambda it, m=member: it | {m: ""})
    for name, envelope in (("text", "x"), ("list", []), ("number", 1), ("empty object", {}), ("false", False)):
        yield _envelope(f"envelope that is a {name}", good, lambda _it, e=envelope: e)
    for name, plaintext in (("no JSON", b"{"), ("no UTF-8", b"\xff"), ("a list", b"[]"), ("nothing", b""),
                            ("no file", b"{}"), ("another v", _text({"file": file | {"v": "v1"}})),
                            ("dots", _text({"file": file | {"url": "mxc://../preview_url"}}))):  # fmt: skip
        yield _envelope(f"sealed content is {name}", plaintext)
    yield _envelope("sealed with a file beside", good, beside={"file": infected})
    yield _envelope("sealed with a malformed file beside", good, beside={"file": 1})
    yield _envelope("no envelope but null", good, lambda _it: None, beside={"file": file})


def forms(_homeserver: Quirky) -> Iterator[Case]:
    """Files that are not uploaded yet."""
    for name, data in (("a clean file", specimens.clean(2000)), ("an infected file", specimens.infected())):
        part = b'--x\r\nContent-Disposition: form-data; name="body"; filename="a"\r\n\r\n%s\r\n--x--\r\n' % data
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        yield Case(f"scan_file of {name}", post("scan_file", part, headers=headers))


def poison(_homeserver: Quirky) -> Iterator[Case]:
    """A ciphertext of no whole blocks: libolm, on which old scanners are built, writes beyond its memory."""
    yield _envelope("envelope with no base64 as ciphertext", b"{}", lambda it: it | {"ciphertext": "****"})


def _envelope(
    name: str,
    plaintext: bytes,
    change: Callable[[dict], object] = lambda it: it,
    *,
    verb: str = "scan_encrypted",
    key: str | None = None,
    beside: dict | None = None,
    file: bytes | None = None,
) -> Case:
    """The plaintext sealed, for `key` or for the scanner; `change` breaks the envelope, `beside` stands next to it."""

    def body(public_key: str) -> bytes:
        envelope = change(seal(key or public_key, plaintext))
        return _text({"encrypted_body": envelope} | (beside or {}))

    return Case(name, post(verb, body), file)

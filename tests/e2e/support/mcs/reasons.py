"""Why Lazaret answers differently, in the order in which the reasons are tried."""

from .deviations import Deviation
from .reasons_fetching import ADDRESSES, ASKING, HOMESERVER
from .words import BROKEN, CLEAN, CRASH, JSON, MALFORMED, ROUTING, SERVED, UNDECRYPTABLE, VIRUS

ROUTES = [
    Deviation(
        "a route without a medium is that route with a malformed address",
        cases="(scan|download|thumbnail) (of nothing|without anything)",
        mcs=ROUTING,
        lazaret=MALFORMED,
    ),
    Deviation("files can be asked about before they are uploaded", cases="scan_file of .*", mcs=ROUTING),
    Deviation(
        "names of routes are taken as they are written",
        cases="scan with an encoded letter",
        mcs=CLEAN,
        lazaret=ROUTING,
    ),
]

HEADERS = [
    Deviation("does not say what it is made with", aspect="header server", mcs="Python/.*", lazaret="-"),
    Deviation(
        "tells browsers, for every answer, what a homeserver may have left out",
        aspect="header (cross-origin-resource-policy|content-security-policy|x-content-type-options)",
        mcs="-",
    ),
    Deviation("answers of its own are not for caches", aspect="header cache-control", mcs="-", lazaret="no-store"),
    Deviation(
        "CORS on every answer: a redirect and what breaks off have none in MCS",
        cases="public_key with two slashes before|.* (gzip|a chunked body)|envelope with no base64 as ciphertext",
        aspect="header access-control-.*",
        mcs="-",
    ),
    Deviation(
        "JSON is UTF-8 without saying so",
        aspect="header content-type",
        mcs="application/json; charset=utf-8",
        lazaret="application/json",
    ),
    Deviation(
        "what has no body has no type",
        cases="OPTIONS of .*",
        aspect="header content-type",
        mcs="application/octet-stream",
        lazaret="-",
    ),
    Deviation(
        "of the homeserver's headers only those go on that are listed: no cookies, no validators, no hop-by-hop ones",
        cases="download, homeserver answers (many headers|an unknown encoding)",
        aspect="header (set-cookie|etag|last-modified|x-anything|x-hop|server|content-encoding)",
        lazaret="-",
    ),
    Deviation(
        "the time for which clients keep media has a limit, so this header is written anew",
        aspect="header cache-control",
        mcs="public,max-age=86400",
        lazaret="public, max-age=86400",
    ),
    Deviation("says when to try again", aspect="header retry-after", mcs="-", lazaret=r"\d+", strict=False),
]

TYPES = [
    Deviation(
        "1.0.8 has no list of types that may not pass, and no answer MCS_MIME_TYPE_FORBIDDEN",
        cases="(scan|download|thumbnail) of a picture",
        mcs=SERVED,
        lazaret="403 reason=MCS_MIME_TYPE_FORBIDDEN info=File type: image/gif not allowed",
        version="1.0.8",
    ),
]

BODIES = [
    Deviation(
        "another text for the same 400: no value of the request is repeated",
        cases="(body|file) .*",
        mcs=JSON,
        lazaret=JSON,
    ),
    Deviation(
        "not UTF-8 is an error of the client; MCS fails on it",
        cases="body is no UTF-8",
        mcs=CRASH,
        lazaret=JSON,
        strict=False,
    ),
    Deviation("NaN is no JSON; MCS fails on it", cases="body is NaN", mcs=CRASH, lazaret=JSON),
    Deviation(
        "a body that is too large is told so; MCS fails on it",
        cases="body is 2 MB more",
        mcs=CRASH,
        lazaret="413 reason=MCS_MALFORMED_JSON .*",
        strict=False,
    ),
    Deviation(
        "another text for the same 400: not told what is wrong with the key, the IV or the hash",
        cases="(file|.*encrypted) with .*",
        mcs=UNDECRYPTABLE,
        lazaret=UNDECRYPTABLE,
    ),
    Deviation(
        "1.0.8 fails on a hash of odd length",
        cases="file with hash too short",
        mcs=CRASH,
        lazaret=UNDECRYPTABLE,
        version="1.0.8",
    ),
    Deviation(
        "1.0.8 takes no padded base64 in envelopes",
        cases="sealed with padding",
        mcs=UNDECRYPTABLE,
        lazaret=CLEAN,
        version="1.0.8",
    ),
    Deviation(
        "a key is taken in both alphabets of base64",
        cases="file with k in the other alphabet",
        mcs=UNDECRYPTABLE,
        lazaret=CLEAN,
        version="1.4.1",
    ),
    Deviation(
        "keys, IVs and hashes are checked before anybody is asked",
        cases="file with (k|iv|hash) .*",
        aspect="asked",
        lazaret="nothing",
    ),
    Deviation(
        "a counter that would wrap is refused: clients disagree on how it does",
        cases="file with iv with a counter",
        mcs=CLEAN,
        lazaret=UNDECRYPTABLE,
    ),
]

ENVELOPES = [
    Deviation(
        "one answer for whatever is wrong with an envelope or in it; MCS tells which, and so decrypts for attackers",
        cases="(envelope|sealed) .*",
        mcs=BROKEN,
        lazaret="403 reason=MCS_BAD_DECRYPTION info=The encrypted body could not be decrypted",
        strict=False,
    ),
    Deviation(
        "strict_mcs has the status of MCS, and still one answer for whatever is wrong with an envelope",
        cases="(envelope|sealed) .*",
        mcs=BROKEN,
        lazaret="400 reason=MCS_MEDIA_FAILED_TO_DECRYPT info=The encrypted body could not be decrypted",
        strict=True,
    ),
]

OUTAGES = [
    Deviation(
        "cannot scan is 503, not infected",
        cases=".* without an engine",
        mcs=VIRUS,
        lazaret="503 reason=M_UNKNOWN info=The file could not be scanned; try again later",
        strict=False,
    ),
    Deviation(
        "cannot scan is 503, not 500",
        cases=".* without a script",
        mcs=CRASH,
        lazaret="503 reason=M_UNKNOWN .*",
        strict=False,
    ),
    Deviation(
        "for strict_mcs all that cannot be scanned is infected; MCS tells an absent script from one that fails",
        cases=".* without a script",
        mcs=CRASH,
        lazaret=VIRUS,
        strict=True,
    ),
    Deviation(
        "cannot scan is not remembered as infected",
        cases=".* after an outage",
        mcs=VIRUS,
        lazaret=SERVED,
    ),
]

REASONS = [*ROUTES, *HEADERS, *TYPES, *ADDRESSES, *ASKING, *HOMESERVER, *ENVELOPES, *BODIES, *OUTAGES]

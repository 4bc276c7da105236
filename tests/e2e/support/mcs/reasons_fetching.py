"""Why Lazaret asks the homeserver for something else, or makes something else of its answer."""

from .deviations import Deviation
from .words import ADDRESS, CLEAN, CRASH, FAILED, MALFORMED, SERVED, UPSTREAM

ADDRESSES = [
    Deviation(
        "addresses are checked before anybody is asked: traversal, and what no medium is called",
        cases=ADDRESS,
        mcs=f"404 reason=M_NOT_FOUND info=File not found|{SERVED}",
        lazaret=MALFORMED,
    ),
    Deviation(
        "an address that is refused is not asked for",
        cases=ADDRESS,
        aspect="asked",
        mcs="/_matrix/.*",
        lazaret="nothing",
    ),
    Deviation(
        "a colon in a server name is encoded",
        cases="download of .*|file with url with a port",
        aspect="asked",
        mcs=".*(:8448|:1)/.*",
        lazaret=".*%3A(8448|1)/.*",
    ),
    Deviation(
        "the fragment of an mxc URI is no part of the address",
        cases="file with url with a fragment",
        aspect="answer|asked",
        mcs="404 .*|.*%23auto.*",
        lazaret=CLEAN + "|[^#%]*",
    ),
]

ASKING = [
    Deviation(
        "a connection that breaks off is not tried again",
        cases="(scan|download), homeserver answers a reset",
        aspect="asked",
        mcs=r"(\S+)( \[.*\])?, \1( \[.*\])?",
        lazaret="[^,]*",
    ),
    Deviation(
        "the homeserver is asked on each request whether this caller may have the medium; MCS answers from memory",
        aspect="asked",
        mcs="nothing",
        lazaret="/_matrix/.*",
    ),
    Deviation(
        "what MCS remembers is served to everybody, with or without a right to it",
        cases="(scan|download) of known guarded media with (no|a wrong) token",
        mcs=SERVED,
        lazaret="401 reason=M_(MISSING|UNKNOWN)_TOKEN .*",
        version="1.4.1",
    ),
    Deviation(
        "what MCS remembers is served while the homeserver cannot be asked",
        cases=".* of known media, without a homeserver",
        mcs=SERVED,
        lazaret=FAILED + "Failed to reach the remote server",
    ),
    Deviation(
        "1.0.8 sends no token, and knows only the routes that take none",
        aspect="asked",
        mcs="/_matrix/media/v3/download/.*",
        lazaret=r"/_matrix/client/v1/media/download/.* \[Bearer .*",
        version="1.0.8",
    ),
    Deviation(
        "1.0.8 asks for the whole file in place of a thumbnail",
        cases="thumbnail .*",
        aspect="asked",
        mcs="/_matrix/media/v3/download/.*",
        lazaret=r"/_matrix/client/v1/media/thumbnail/.* \[Bearer .*",
        version="1.0.8",
    ),
    Deviation(
        "1.0.8 cannot fetch what needs a token",
        cases="(scan|download) of (known )?guarded media with the right token",
        mcs=UPSTREAM,
        lazaret=SERVED,
        version="1.0.8",
    ),
    Deviation(
        "1.0.8 has no answer of its own for a token that is missing or unknown",
        cases=".*(guarded media|Bearer|401 M_).*",
        mcs=UPSTREAM,
        lazaret="401 reason=M_(MISSING|UNKNOWN)_TOKEN .*",
        version="1.0.8",
    ),
    Deviation(
        "1.0.8 goes to the old routes even if the client has a token",
        cases="(scan|download) with a token of an? (r0|v3) server",
        mcs=SERVED,
        lazaret="404 reason=M_NOT_FOUND .*",
        version="1.0.8",
    ),
    Deviation(
        "redirects are not asked for on the old routes",
        aspect="asked",
        mcs="/_matrix/media/v3/.*",
        lazaret=r"/_matrix/media/v3/.*\?allow_redirect=false.*",
    ),
    Deviation(
        "redirects are followed only to hosts of the configuration, and without the client's token",
        cases="(scan|download), homeserver answers a (lasting )?redirect",
        aspect="answer|asked",
        mcs=f"{SERVED}|.*/elsewhere/.*",
        lazaret=f"{UPSTREAM}|/_matrix/.*",
    ),
]

HOMESERVER = [
    Deviation(
        "an error without an object is an error like others; MCS fails on it",
        cases=".*homeserver answers a 40[01] with a (list|text)",
        mcs=CRASH,
        lazaret=UPSTREAM,
    ),
    Deviation(
        "MCS takes an answer that has no body but a type for a broken one",
        cases=".*homeserver answers a (204|304)",
        mcs=FAILED + "Failed to reach the remote server",
        lazaret=UPSTREAM,
    ),
    Deviation(
        "not told how many types there were",
        cases=".*homeserver answers (no content type|two content types)",
        mcs=FAILED + "The remote server responded with an invalid amount of Content-Type headers",
        lazaret=UPSTREAM,
    ),
    Deviation(
        "lengths and encodings are those of the body that is sent; MCS passes on those of another",
        cases="download, homeserver answers (gzip|a chunked body)",
        mcs="broken: .*",
        lazaret="200 the file",
    ),
    Deviation(
        "what is encoded in an unknown way cannot be vouched for",
        cases=".*homeserver answers an unknown encoding",
        mcs=SERVED,
        lazaret=UPSTREAM,
    ),
]

"""What both scanners are asked while something that they need is away, and afterwards."""

from collections.abc import Iterator
from dataclasses import replace

from .. import specimens
from .bodies import attachment_body, post
from .cases import Case, get, served
from .quirks import Quirky


def without_engine(homeserver: Quirky) -> Iterator[Case]:
    """No engine to scan with."""
    for route in ("scan", "download", "thumbnail"):
        yield Case(f"{route} without an engine", get(f"{route}/{served(homeserver, specimens.clean(2000))}"))
    for verb in ("scan_encrypted", "download_encrypted"):
        body = attachment_body(homeserver, specimens.clean(2000))
        yield Case(f"{verb} without an engine", post(verb, body))


def without_script(homeserver: Quirky) -> Iterator[Case]:
    """MCS cannot start what scans."""
    for route in ("scan", "download"):
        yield Case(f"{route} without a script", get(f"{route}/{served(homeserver, specimens.clean(2000))}"))


def after(cases: list[Case]) -> list[Case]:
    """The same once the engine is back."""
    return [replace(case, name=case.name.replace("without an engine", "after an outage")) for case in cases]


def known(homeserver: Quirky) -> list[Case]:
    """Media that were served before the homeserver went away."""
    data = specimens.clean(2000)
    path = served(homeserver, data)
    body = attachment_body(homeserver, data)
    return [
        Case("scan of known media", get(f"scan/{path}")),
        Case("download of known media", get(f"download/{path}"), data),
        Case("scan_encrypted of known media", post("scan_encrypted", body)),
        Case("download_encrypted of known media", post("download_encrypted", body)),
    ]


def without_homeserver(homeserver: Quirky, known: list[Case]) -> Iterator[Case]:
    """No homeserver to ask."""
    for route in ("scan", "download"):
        yield Case(f"{route} without a homeserver", get(f"{route}/{served(homeserver, b'new')}"))
    yield Case(
        "scan_encrypted without a homeserver", post("scan_encrypted", attachment_body(homeserver, specimens.clean(9)))
    )
    for case in known:
        yield replace(case, name=f"{case.name}, without a homeserver")

"""Asks both scanners the same, and says in which respects their answers differ."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass

from .. import wire
from .cases import Case, Request
from .quirks import Quirky

# Say nothing (Date), or follow from the body and the connection (the others).
_IGNORED = {"date", "content-length", "connection", "keep-alive", "transfer-encoding"}
_ABSENT = "-"


@dataclass(frozen=True)
class Scanner:
    """One of the two, with the key that it publishes."""

    name: str
    url: str
    public_key: str


@dataclass(frozen=True)
class Difference:
    """`aspect` is "answer", "asked" (of the homeserver) or "header" with its name; `mcs` and `lazaret` what it was."""

    case: str
    aspect: str
    mcs: str
    lazaret: str


@dataclass(frozen=True)
class Outcome:
    answer: str
    headers: dict[str, str]
    asked: str

    def aspects(self) -> dict[str, str]:
        return {"answer": self.answer, "asked": self.asked} | {f"header {k}": v for k, v in self.headers.items()}


def differences(case: Case, mcs: Scanner, lazaret: Scanner, homeserver: Quirky) -> Iterator[Difference]:
    """Puts one case to both; sealed for the same key, the very same bytes. Another answer may have another type."""
    body = case.request.body and case.request.body(mcs.public_key)
    theirs = _outcome(case, mcs, body, homeserver).aspects()
    if case.request.body and lazaret.public_key != mcs.public_key:
        body = case.request.body(lazaret.public_key)
    ours = _outcome(case, lazaret, body, homeserver).aspects()
    for aspect in theirs | ours:
        their, our = theirs.get(aspect, _ABSENT), ours.get(aspect, _ABSENT)
        if their != our and not (aspect == "header content-type" and theirs["answer"] != ours["answer"]):
            yield Difference(case.name, aspect, their, our)


def _outcome(case: Case, scanner: Scanner, body: bytes | None, homeserver: Quirky) -> Outcome:
    for earlier in case.request.before:
        _ask(scanner, earlier, None)
    start = len(homeserver.asked)
    try:
        reply = _ask(scanner, case.request, body)
        answer = _described(case, reply)
        headers = _headers(reply)
    except (http.client.HTTPException, ConnectionError, ValueError) as broken:
        answer, headers = f"broken: {type(broken).__name__}", {}
    asked = ", ".join(str(asked) for asked in homeserver.asked[start:])
    return Outcome(answer, headers, asked or "nothing")


def _ask(scanner: Scanner, request: Request, body: bytes | None) -> wire.Reply:
    sent = iter([body]) if request.chunked else body
    return wire.request(
        scanner.url,
        request.method,
        request.target,
        token=request.token,
        # A body that is shorter than said shows at once.
        headers=request.headers | {"Connection": "close"},
        body=sent,
        chunked=request.chunked,
    )


def _described(case: Case, reply: wire.Reply) -> str:
    return f"{reply.status} {_content(case, reply.body)}".strip()


def _content(case: Case, body: bytes) -> str:
    if body == case.file and body:
        return "the file"
    try:
        document = json.loads(body)
    except ValueError:
        return f"{len(body)} other bytes" if body else ""
    return " ".join(f"{name}={value}" for name, value in document.items())


def _headers(reply: wire.Reply) -> dict[str, str]:
    names = {name.lower() for name in reply.headers} - _IGNORED
    return {name: ", ".join(reply.headers.get_all(name)) for name in names}

"""Differences and their reasons: each difference has to have one, and each reason has to be found."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .compare import Difference


@dataclass(frozen=True)
class Deviation:
    """A reason, and the differences that it explains: all four are regular expressions for the whole of the text.

    `version` is the one MCS in which it shows, `strict` the `compat.strict_mcs` with which it does; None for any.
    """

    why: str
    cases: str = ".*"
    aspect: str = "answer"
    mcs: str = ".*"
    lazaret: str = ".*"
    version: str | None = None
    strict: bool | None = None

    def applies(self, version: str, strict: bool) -> bool:
        return self.version in (None, version) and self.strict in (None, strict)

    def explains(self, difference: Difference) -> bool:
        pairs = (
            (self.cases, difference.case),
            (self.aspect, difference.aspect),
            (self.mcs, difference.mcs),
            (self.lazaret, difference.lazaret),
        )
        return all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs)


def sort_out(
    found: Iterable[Difference], reasons: Iterable[Deviation], version: str, strict: bool
) -> tuple[dict[Deviation, list[Difference]], list[Difference]]:
    """The differences by their reason, which is the first that fits, and those without one."""
    explained = {deviation: [] for deviation in reasons if deviation.applies(version, strict)}
    unexplained = []
    for difference in found:
        reason = next((deviation for deviation in explained if deviation.explains(difference)), None)
        (unexplained if reason is None else explained[reason]).append(difference)
    return explained, unexplained

"""Puts the same requests to the Matrix Content Scanner (MCS) and to Lazaret; prints every difference with its reason.

Both stand in front of the same homeserver, which misbehaves on demand, and have the same clamd scan. Ends with 1 if a
difference has no reason in support/mcs/reasons.py, or if a reason there is found nowhere. Made ready by tests/run.sh;
then: target/e2e-venv/bin/python tests/e2e/mcs_diff.py [--mcs VERSION]
"""

import argparse
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.attachments import public_key
from support.clamd import Clamd
from support.lazaret import Lazaret, binary
from support.mcs import bodies, cases, outages
from support.mcs.cases import Case
from support.mcs.compare import Difference, Scanner, differences
from support.mcs.deviations import sort_out
from support.mcs.quirks import Quirky
from support.mcs.reasons import REASONS
from support.mcs.service import VERSIONS, Mcs
from support.processes import Service

CALM = (
    cases.routes,
    cases.addresses,
    cases.tokens,
    cases.verdicts,
    cases.answers,
    cases.types,
    bodies.described,
    bodies.malformed,
    bodies.members,
    bodies.sealed,
    bodies.forms,
)


@contextmanager
def running(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.stop()


class Comparison:
    """Both scanners, what they need, and the differences found so far."""

    def __init__(self, directory: Path, version: str, strict: bool, services: ExitStack):
        self.homeserver = Quirky()
        self.clamd = services.enter_context(running(Clamd(directory / "clamd")))
        with self.homeserver.serving():
            pass
        self.mcs = Mcs(directory / "mcs", version, self.homeserver.url, self.clamd)
        services.enter_context(running(self.mcs))
        settings = self.mcs.settings_for_lazaret(binary()) | {"compat": {"strict_mcs": strict}}
        self.lazaret = Lazaret(directory / "lazaret", self.homeserver, self.clamd, settings=settings)
        with self.homeserver.serving():
            services.enter_context(running(self.lazaret))
        self.scanners = [Scanner(it.name, it.url, public_key(it.url)) for it in (self.mcs, self.lazaret)]
        self.names: set[str] = set()
        self.found: list[Difference] = []

    def put(self, asked: Iterable[Case]) -> None:
        for case in asked:
            assert case.name not in self.names, f"two cases are called {case.name}"
            self.names.add(case.name)
            self.found.extend(differences(case, *self.scanners, self.homeserver))

    def put_all(self) -> None:
        with self.homeserver.serving():
            for group in CALM:
                self.put(group(self.homeserver))
            self.put(bodies.poison(self.homeserver))
            self.mcs.restart()
            known = outages.known(self.homeserver)
            self.put(known)
            missed = list(outages.without_engine(self.homeserver))
            with self.clamd.stopped():
                self.put(missed)
                with self.mcs.without_script():
                    self.put(outages.without_script(self.homeserver))
            self.lazaret.wait_for_readiness(200, deadline=60)
            self.put(outages.after(missed))
        self.put(outages.without_homeserver(self.homeserver, known))


def compare(version: str, strict: bool, directory: Path) -> Comparison:
    with ExitStack() as services:
        comparison = Comparison(directory, version, strict, services)
        comparison.put_all()
    return comparison


def _table(found: Iterable[Difference]) -> Iterator[str]:
    """One block for the cases that differ in the same way."""
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for it in found:
        alike[it.aspect, it.mcs, it.lazaret].append(it.case)
    for (aspect, mcs, lazaret), names in alike.items():
        yield f"  {aspect}: {'; '.join(names)}"
        yield f"      MCS      {mcs}"
        yield f"      Lazaret  {lazaret}"


def report(version: str, strict: bool, directory: Path) -> bool:
    """Prints the table; whether all is explained and every explanation is needed."""
    comparison = compare(version, strict, directory)
    explained, unexplained = sort_out(comparison.found, REASONS, version, strict)
    unused = [deviation for deviation, found in explained.items() if not found]
    for deviation, found in explained.items():
        if found:
            print(f"\n{deviation.why} ({len(found)})", *_table(found), sep="\n")
    if unexplained:
        print("\nWITHOUT A REASON", *_table(unexplained), sep="\n")
    if unused:
        print("\nREASONS THAT EXPLAIN NOTHING", *(f"  {deviation}" for deviation in unused), sep="\n")
    cases, differing = len(comparison.names), len({it.case for it in comparison.found})
    print(f"\nMCS {version}{', strict_mcs' if strict else ''}: {cases} requests, ", end="")
    print(f"{len(comparison.found)} differences in {differing} of them, ", end="")
    print(f"{len(unexplained)} without a reason, {len(unused)} reasons that explain nothing")
    return not unexplained and not unused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mcs", metavar="VERSION", choices=VERSIONS, default=VERSIONS[0], help=f"of {VERSIONS}")
    parser.add_argument("--strict", action="store_true", help="with compat.strict_mcs")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="mcs-", dir="/tmp"))
    try:
        return 0 if report(arguments.mcs, arguments.strict, directory) else 1
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    sys.exit(main())

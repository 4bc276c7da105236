"""The running pieces: Synapse, clamd and Lazaret between them, shared by the whole session where a test allows it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.processes import INSTALL, Service

try:
    import nio.crypto.attachments  # noqa: F401  (needs the e2e extra, whose absence would only show mid-run)
    import synapse  # noqa: F401
    from support.clamd import Clamd
    from support.homeserver import Synapse, User
    from support.lazaret import Lazaret
except ImportError as missing:
    raise pytest.UsageError(f"{missing}. Please {INSTALL}") from missing


@dataclass(frozen=True)
class Stack:
    """One homeserver with its scanner and its proxy. `alice` and `bob` have their accounts on this homeserver."""

    synapse: Synapse
    clamd: Clamd
    lazaret: Lazaret
    alice: User
    bob: User

    @property
    def url(self) -> str:
        return self.lazaret.url


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what the servers said last below a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for service in Service.running:
            report.sections.append((f"end of {service.log}", service.log_tail()))


@contextmanager
def _running(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        code = service.stop()
    # A crash in the middle of the session would otherwise only show as strange failures of later tests.
    assert code in (0, None), f"{service.name} ended with {code}:\n{service.log_tail()}"


@pytest.fixture(scope="session")
def workdir() -> Iterator[Path]:
    """A short path, since a Unix socket lies in it. LAZARET_E2E_KEEP=1 keeps it for a look at the logs."""
    path = Path(tempfile.mkdtemp(prefix="lzt-", dir="/tmp"))
    yield path
    if os.environ.get("LAZARET_E2E_KEEP") == "1":
        print(f"\nlogs and configuration are in {path}")
    else:
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def clamd(workdir: Path) -> Iterator[Clamd]:
    with _running(Clamd(workdir / "clamd")) as service:
        yield service


@contextmanager
def _stack(directory: Path, clamd: Clamd, *, authenticated_media: bool) -> Iterator[Stack]:
    homeserver = Synapse(directory / "synapse", authenticated_media=authenticated_media)
    with ExitStack() as services:
        services.enter_context(_running(homeserver))
        lazaret = Lazaret(directory / "lazaret", homeserver, clamd)
        services.enter_context(_running(lazaret))
        yield Stack(homeserver, clamd, lazaret, homeserver.register("alice"), homeserver.register("bob"))


@pytest.fixture(scope="session")
def stack(workdir: Path, clamd: Clamd) -> Iterator[Stack]:
    """Synapse as it comes: media needs a token."""
    with _stack(workdir / "main", clamd, authenticated_media=True) as running:
        yield running


@pytest.fixture(scope="session")
def legacy(workdir: Path, clamd: Clamd) -> Iterator[Stack]:
    """Synapse with `enable_authenticated_media: false`: the routes without a token serve new media too."""
    with _stack(workdir / "legacy", clamd, authenticated_media=False) as running:
        yield running


@pytest.fixture
def fresh(stack: Stack, workdir: Path) -> Iterator[Stack]:
    """A Lazaret and a clamd of the test's own, to be stopped at will, in front of the shared Synapse."""
    directory = Path(tempfile.mkdtemp(prefix="own-", dir=workdir))
    with ExitStack() as services:
        own_clamd = Clamd(directory / "clamd")
        services.enter_context(_running(own_clamd))
        own_lazaret = Lazaret(directory / "lazaret", stack.synapse, own_clamd)
        services.enter_context(_running(own_lazaret))
        yield Stack(stack.synapse, own_clamd, own_lazaret, stack.alice, stack.bob)

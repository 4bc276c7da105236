"""The running pieces: Synapse, clamd and Lazaret between them, shared by the whole session where a test allows it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.processes import INSTALL, Service, free_port

try:
    import nio.crypto.attachments  # noqa: F401  (needs the e2e extra, whose absence would only show mid-run)
    import selenium  # noqa: F401
    import synapse  # noqa: F401
    from support import raw
    from support.browser import Browser, browser
    from support.certificate import Certificate, self_signed
    from support.clamd import Clamd
    from support.credulous import Credulous
    from support.federation import FEDERATING, Federation
    from support.front import FrontProxy, Haproxy, Nginx
    from support.homeserver import Synapse, User
    from support.lazaret import Lazaret
    from support.specimens import infected
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
def moderator(stack: Stack) -> User:
    """May use Synapse's admin API."""
    return stack.synapse.register("moderator", admin=True)


@pytest.fixture(scope="session")
def legacy(workdir: Path, clamd: Clamd) -> Iterator[Stack]:
    """Synapse with `enable_authenticated_media: false`: the routes without a token serve new media too."""
    with _stack(workdir / "legacy", clamd, authenticated_media=False) as running:
        yield running


@pytest.fixture(scope="session")
def federation(workdir: Path, certificate: Certificate) -> Iterator[Federation]:
    """Two homeservers with a room in common. Ours has Lazaret as its public side, theirs has none; clamd and Lazaret
    are its own, to be stopped at will, as long as they are started again."""
    directory = workdir / "federation"
    our_port, their_port = free_port(), free_port()
    ours = Synapse(directory / "ours", server_name=f"localhost:{our_port}", settings=FEDERATING)
    theirs = Synapse(
        directory / "theirs", server_name=f"localhost:{their_port}", certificate=certificate, settings=FEDERATING
    )
    clamd = Clamd(directory / "clamd")
    lazaret = Lazaret(directory / "lazaret", ours, clamd, port=our_port, certificate=certificate)
    with ExitStack() as services:
        for service in (clamd, ours, theirs, lazaret):
            services.enter_context(_running(service))
        yield Federation.between(ours, lazaret, clamd, theirs)


@pytest.fixture
def lazaret_with(clamd: Clamd, workdir: Path) -> Iterator[Callable[..., Lazaret]]:
    """Starts a Lazaret with settings of the test's own in front of a shared homeserver."""
    with ExitStack() as services:

        def start(homeserver: Synapse, settings: dict, scanner: Clamd = clamd) -> Lazaret:
            directory = Path(tempfile.mkdtemp(prefix="set-", dir=workdir))
            return services.enter_context(_running(Lazaret(directory, homeserver, scanner, settings=settings)))

        yield start


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


@pytest.fixture(scope="session")
def certificate(workdir: Path) -> Certificate:
    return self_signed(workdir / "certificate")


@pytest.fixture(scope="session", params=[Nginx, Haproxy], ids=["nginx", "haproxy"])
def front_kind(request) -> type[FrontProxy]:
    return request.param


@contextmanager
def _front(kind: type[FrontProxy], directory: Path, lazaret: Lazaret, certificate: Certificate) -> Iterator[FrontProxy]:
    with _running(kind(directory, lazaret.url.removeprefix("http://"), certificate)) as service:
        yield service


@pytest.fixture(scope="session")
def front(front_kind, stack: Stack, certificate: Certificate) -> Iterator[FrontProxy]:
    """The front proxy before the shared stack."""
    with _front(front_kind, stack.lazaret.directory / f"front-{front_kind.__name__}", stack.lazaret, certificate) as it:
        yield it


@pytest.fixture(scope="session")
def legacy_front(front_kind, legacy: Stack, certificate: Certificate) -> Iterator[FrontProxy]:
    with _front(
        front_kind, legacy.lazaret.directory / f"front-{front_kind.__name__}", legacy.lazaret, certificate
    ) as it:
        yield it


@pytest.fixture
def fresh_front(front_kind, fresh: Stack, certificate: Certificate) -> Iterator[FrontProxy]:
    with _front(front_kind, fresh.lazaret.directory / "front", fresh.lazaret, certificate) as it:
        yield it


@pytest.fixture(scope="session")
def credulous(workdir: Path, clamd: Clamd) -> Iterator[tuple[Credulous, Lazaret]]:
    """A homeserver that gives an infected file at every address, and the Lazaret before it."""
    with Credulous(infected()).serving() as homeserver:
        with _running(Lazaret(workdir / "credulous", homeserver, clamd)) as lazaret:
            yield homeserver, lazaret


@pytest.fixture(scope="session")
def credulous_front(front_kind, credulous, certificate: Certificate) -> Iterator[FrontProxy]:
    _, lazaret = credulous
    with _front(front_kind, lazaret.directory / f"front-{front_kind.__name__}", lazaret, certificate) as it:
        yield it


@pytest.fixture
def homeserver(credulous) -> Credulous:
    return credulous[0]


@pytest.fixture
def send(credulous_front, certificate: Certificate) -> Callable[[bytes], bytes]:
    """Sends raw bytes on HTTP/1.1 to the credulous homeserver's front proxy."""
    return lambda request: raw.exchange(credulous_front.url, certificate, request)


@pytest.fixture
def h2(credulous_front, certificate: Certificate) -> Iterator[raw.H2Client]:
    """The same for HTTP/2."""
    with raw.H2Client(credulous_front.url, certificate) as client:
        yield client


@pytest.fixture(scope="session")
def page(workdir: Path) -> Iterator[Browser]:
    """A page of another origin in Chromium."""
    with browser(workdir / "browser") as running:
        yield running

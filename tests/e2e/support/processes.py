"""Child processes: starting, waiting until they serve, stopping."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
INSTALL = "run `tests/run.sh`, which installs what the suite needs"

T = TypeVar("T")


_given_ports: set[int] = set()


def free_port() -> int:
    """A loopback port that nothing listens on, and that was not given to anyone before: it is free again when this returns, and
    the system may offer it once more before whoever has it listens there."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given_ports:
            _given_ports.add(port)
            return port


def wait_until(what: str, check: Callable[[], T], deadline: float) -> T:
    """The first truthy answer of `check`, asked again and again for at most `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {deadline:.0f} s", pytrace=False)
        time.sleep(0.05)


def executable(name: str, *elsewhere: str) -> str:
    """The path of a program; a missing one fails the test, since a skipped check reads like a passed one."""
    search = os.pathsep.join([os.environ.get("PATH", ""), *elsewhere])
    found = shutil.which(name, path=search)
    if found is None:
        pytest.fail(f"{name} is not installed: {INSTALL}", pytrace=False)
    return found


class Service:
    """One child process with its own folder and its output in a log file there."""

    running: ClassVar[list["Service"]] = []

    def __init__(self, name: str, directory: Path):
        self.name = name
        self.directory = directory
        self.log = directory / f"{name}.out"
        self.process: subprocess.Popen | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def start(self, deadline: float) -> None:
        assert self.process is None, f"{self.name} is already running"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        Service.running.append(self)
        wait_until(f"{self.name} becomes ready", self._ready_or_dead, deadline)

    def _ready_or_dead(self) -> bool:
        code = self.process.poll()
        if code is not None:
            self._forget()
            pytest.fail(f"{self.name} ended with {code} at start:\n{self.log_tail()}", pytrace=False)
        return self.is_ready()

    def stop(self, how: signal.Signals = signal.SIGTERM, deadline: float = 30) -> int | None:
        """Ends the process and gives its exit code, or None if it was not running."""
        if self.process is None:
            return None
        self.process.send_signal(how)
        return self.wait_for_exit(deadline)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Alive and silent for the time of this block: connections to it are made, and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Away for the time of this block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def wait_for_exit(self, deadline: float) -> int:
        process = self.process
        try:
            return process.wait(deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"{self.name} did not end within {deadline:.0f} s:\n{self.log_tail()}", pytrace=False)
        finally:
            self._forget()

    def _forget(self) -> None:
        self.process = None
        if self in Service.running:
            Service.running.remove(self)

    def log_size(self) -> int:
        """Where the log ends now; `log_since` reads on from there."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_since(self, start: int) -> str:
        with self.log.open("rb") as stream:
            stream.seek(start)
            return stream.read().decode(errors="replace")

    def log_tail(self, lines: int = 30) -> str:
        if not self.log.exists():
            return "(no output)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

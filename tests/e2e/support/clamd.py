"""A real clamd, run with the sample configuration and a database of two test signatures."""

import shutil
import signal
import socket
from pathlib import Path

from .processes import REPOSITORY, Service, executable, wait_until

SAMPLES = REPOSITORY / "samples" / "clamd"


class Clamd(Service):
    """`directory` has to lie under /tmp, where Debian's AppArmor profile lets clamd in, and be short for the socket."""

    def __init__(self, directory: Path):
        super().__init__("clamd", directory)
        self.socket = directory / "clamd.sock"
        self.database = directory / "db"
        self.database.mkdir()
        shutil.copy(SAMPLES / "lazaret-test.ndb", self.database)
        template = (SAMPLES / "clamd.conf").read_text()
        settings = template.replace("@DIR@", str(directory)).replace("@DB@", str(self.database))
        self.config = directory / "clamd.conf"
        self.config.write_text(settings)

    def command(self) -> list[str]:
        return [executable("clamd", "/usr/sbin", "/usr/local/sbin"), "--config-file", str(self.config)]

    def start(self, deadline: float = 60) -> None:
        super().start(deadline)

    def is_ready(self) -> bool:
        try:
            return self.ask(b"zPING\0") == b"PONG\0"
        except OSError:
            return False

    def ask(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(command)
            reply = b""
            while block := connection.recv(4096):
                reply += block
            return reply

    def scan(self, data: bytes) -> bytes:
        """What clamd itself says of these bytes."""
        chunk = len(data).to_bytes(4, "big") + data
        return self.ask(b"zINSTREAM\0" + chunk + bytes(4))

    def learn(self, name: str, needle: bytes, specimen: bytes) -> None:
        """Adds a signature to the running clamd; `specimen` is what it has to be found in before this returns."""
        with (self.database / "learned.ndb").open("a") as signatures:
            signatures.write(f"{name}:0:*:{needle.hex()}\n")
        assert self.ask(b"zRELOAD\0") == b"RELOADING\0"
        wait_until(f"clamd knows {name}", lambda: b"FOUND" in self.scan(specimen), deadline=30)

    def kill(self) -> None:
        """Ends it the hard way, which leaves a stale socket behind."""
        self.stop(signal.SIGKILL)

"""The Matrix Content Scanner of PyPI, run as its operators run it."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from .. import wire
from ..attachments import SCANNER
from ..clamd import Clamd
from ..processes import INSTALL, REPOSITORY, Service, executable, free_port

VENV = REPOSITORY / "target" / "mcs-venv"
LAUNCHER = Path(__file__).with_name("launcher.py")
VERSIONS = ["1.0.8", "1.4.1"]

# Types of files that are to be refused; 1.0.8 has no such setting.
BLOCKED = ["image/gif"]


def _python() -> str:
    path = VENV / "bin" / "python"
    if not path.exists():
        pytest.fail(f"{path} is not there: {INSTALL}", pytrace=False)
    return str(path)


class Mcs(Service):
    """In front of the homeserver at `homeserver`; its script asks the same clamd as Lazaret."""

    def __init__(self, directory: Path, version: str, homeserver: str, clamd: Clamd):
        super().__init__("mcs", directory)
        assert version in VERSIONS, f"there is no MCS {version} here, but {VERSIONS}"
        self.version = version
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.pickle = directory / "pickle"
        self.pickle_key = directory / "pickle_key"
        self.request_secret = directory / "request_secret"
        (directory / "temp").mkdir()
        self.script = self._script(clamd)
        self.config = directory / "mcs.yaml"
        document = {
            "web": {"host": "127.0.0.1", "port": self.port},
            "scan": {"script": str(self.script), "temp_directory": str(directory / "temp")},
            "download": {"base_homeserver_url": homeserver},
            "crypto": self._crypto(),
        }
        if version != "1.0.8":
            document["scan"]["blocked_mimetypes"] = BLOCKED
        self.config.write_text(yaml.safe_dump(document, sort_keys=False))

    def _crypto(self) -> dict:
        if self.version == "1.4.1":
            self.request_secret.write_text(base64.b64encode(os.urandom(32)).decode())
            return {"request_secret_path": str(self.request_secret)}
        self.pickle_key.write_text("the key of the pickle")
        return {"pickle_path": str(self.pickle), "pickle_key": self.pickle_key.read_text()}

    def _script(self, clamd: Clamd) -> Path:
        """Exits with 0 for clean, 1 for infected, 2 if clamd cannot be asked."""
        script = self.directory / "scan.sh"
        scan = f"{executable('clamdscan')} --config-file={clamd.config} --fdpass --no-summary"
        script.write_text(f'#!/bin/sh\nexec {scan} "$1"\n')
        script.chmod(0o755)
        return script

    def command(self) -> list[str]:
        if self.version == "1.0.8":
            return [_python(), "-m", "matrix_content_scanner.mcs", "-c", str(self.config)]
        source = VENV / f"matrix_content_scanner-{self.version}" / "src"
        return ["/usr/bin/env", f"PYTHONPATH={source}", _python(), str(LAUNCHER), "-c", str(self.config)]

    def start(self, deadline: float = 30) -> None:
        super().start(deadline)

    def settings_for_lazaret(self, lazaret: Path) -> dict:
        """What makes Lazaret, whose program is at this path, publish the same key and refuse the same types."""
        if self.version == "1.0.8":
            arguments = ["--pickle", self.pickle, "--pickle-key-file", self.pickle_key, "--output", self.request_secret]
            subprocess.run([lazaret, "migrate", "pickle", *arguments], check=True, stdout=subprocess.DEVNULL)
        return {
            "crypto": {"request_secret_path": str(self.request_secret)},
            "policy": {"blocked_mimetypes": BLOCKED},
        }

    def restart(self) -> None:
        """Also if it has crashed meanwhile."""
        if self.process.poll() is None:
            self.stop()
        else:
            self._forget()
        self.start()

    @contextmanager
    def without_script(self) -> Iterator[None]:
        """What it is to scan with is not there for the time of this block."""
        hidden = self.script.rename(self.script.with_suffix(".away"))
        try:
            yield
        finally:
            hidden.rename(self.script)

    def is_ready(self) -> bool:
        try:
            return wire.get(self.url, f"{SCANNER}/public_key").status == 200
        except OSError:
            return False

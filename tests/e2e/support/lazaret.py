"""The program under test, run as an operator runs it: a YAML file and `lazaret serve`."""

import os
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from . import wire
from .certificate import Certificate
from .clamd import Clamd
from .homeserver import Synapse
from .processes import REPOSITORY, Service, free_port, wait_until


def binary() -> Path:
    path = Path(os.environ.get("LAZARET_BIN") or REPOSITORY / "target" / "debug" / "lazaret").resolve()
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not there: run `cargo build`, or `tests/run.sh`, which builds it", pytrace=False)
    return path


def _merged(base: dict, changes: dict) -> dict:
    """`base` with `changes`, section by section."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


class Lazaret(Service):
    """In front of `synapse`. `settings` are in the words of the configuration file and come on top of what every test
    needs; `certificate` makes the public side speak TLS, `port` says where it is, if somebody has to know before."""

    def __init__(
        self,
        directory: Path,
        synapse: Synapse,
        clamd: Clamd,
        *,
        settings: dict | None = None,
        port: int | None = None,
        certificate: Certificate | None = None,
    ):
        super().__init__("lazaret", directory)
        public, admin = port or free_port(), free_port()
        scheme, host = ("https", "localhost") if certificate else ("http", "127.0.0.1")
        self.url = f"{scheme}://{host}:{public}"
        self.admin_url = f"http://127.0.0.1:{admin}"
        (directory / "spool").mkdir()
        document = {
            "listen": f"127.0.0.1:{public}",
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "homeserver": {"url": synapse.url},
            "clamd": {"backends": [{"address": f"unix:{clamd.socket}"}]},
            "cache": {"path": f"{directory}/verdicts", "secret_path": f"{directory}/cache_secret"},
            "crypto": {"request_secret_path": f"{directory}/request_secret"},
            "spool": {"dir": f"{directory}/spool"},
        }
        if certificate:
            document["tls"] = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
        self.config = directory / "lazaret.yaml"
        self.config.write_text(yaml.safe_dump(_merged(document, settings or {}), sort_keys=False))

    def command(self) -> list[str]:
        return [str(binary()), "serve", "--config", str(self.config)]

    def start(self, deadline: float = 30) -> None:
        super().start(deadline)

    def is_ready(self) -> bool:
        return self.readiness() == 200

    def readiness(self) -> int | None:
        """The status of /readyz, None while nothing answers there."""
        try:
            return wire.get(self.admin_url, "/readyz").status
        except OSError:
            return None

    def wait_for_readiness(self, status: int | None, deadline: float) -> None:
        wait_until(f"/readyz answers {status}", lambda: self.readiness() == status, deadline)

    def forget_verdicts(self) -> None:
        """What an operator does after a change of signatures that nobody could have noticed."""
        reply = wire.request(self.admin_url, "POST", "/epoch/bump")
        assert reply.status == 200, reply

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all samples of a metric that carry these labels; 0 if there is none yet."""
        text = wire.get(self.admin_url, "/metrics").body.decode()
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

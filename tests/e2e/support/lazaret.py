"""The program under test, run as an operator runs it: a YAML file and `lazaret serve`."""

import os
import textwrap
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from . import wire
from .clamd import Clamd
from .homeserver import Synapse
from .processes import REPOSITORY, Service, free_port, wait_until


def binary() -> Path:
    path = Path(os.environ.get("LAZARET_BIN") or REPOSITORY / "target" / "debug" / "lazaret").resolve()
    if not os.access(path, os.X_OK):
        pytest.fail(f"{path} is not there: run `cargo build`, or `tests/run.sh`, which builds it", pytrace=False)
    return path


class Lazaret(Service):
    def __init__(self, directory: Path, synapse: Synapse, clamd: Clamd):
        super().__init__("lazaret", directory)
        public, admin = free_port(), free_port()
        self.url = f"http://127.0.0.1:{public}"
        self.admin_url = f"http://127.0.0.1:{admin}"
        (directory / "spool").mkdir()
        self.config = directory / "lazaret.yaml"
        self.config.write_text(
            textwrap.dedent(f"""\
                listen: 127.0.0.1:{public}
                admin: {{listen: 127.0.0.1:{admin}}}
                homeserver: {{url: "{synapse.url}"}}
                clamd: {{backends: [{{address: "unix:{clamd.socket}"}}]}}
                cache: {{store: memory}}
                crypto: {{request_secret_path: {directory}/request_secret}}
                spool: {{dir: {directory}/spool}}
                """)
        )

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

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all samples of a metric that carry these labels; 0 if there is none yet."""
        text = wire.get(self.admin_url, "/metrics").body.decode()
        samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

"""nginx and HAProxy as `deploy/` ships them: only the addresses, the paths and the user are those of the test."""

import os
import signal
from pathlib import Path

import pytest

from . import raw, wire
from .certificate import Certificate
from .processes import REPOSITORY, Service, executable, free_port

DEPLOY = REPOSITORY / "deploy"


class FrontProxy(Service):
    """A front proxy with the shipped configuration, in front of the Lazaret at `address` (host and port)."""

    shipped: Path

    def __init__(self, name: str, directory: Path, address: str, certificate: Certificate):
        super().__init__(name, directory)
        self.certificate = certificate
        self.ports = {"client": free_port(), "federation": free_port()}
        self.url, self.federation_url = (f"https://127.0.0.1:{port}" for port in self.ports.values())
        self.config = directory / self.shipped.name
        settings = self.shipped.read_text()
        for placeholder, value in self.substitutions(address).items():
            # One that is gone would leave the test with the operator's ports and paths.
            assert placeholder in settings, f"{self.shipped} has no {placeholder!r}"
            settings = settings.replace(placeholder, value)
        self.config.write_text(settings)

    def substitutions(self, address: str) -> dict[str, str]:
        raise NotImplementedError

    def start(self, deadline: float = 30) -> None:
        super().start(deadline)

    def is_ready(self) -> bool:
        try:
            return all(wire.get(url, "/").status == 404 for url in (self.url, self.federation_url))
        except OSError:
            return False


class Nginx(FrontProxy):
    shipped = DEPLOY / "nginx.conf"

    def __init__(self, directory: Path, address: str, certificate: Certificate):
        super().__init__("nginx", directory, address, certificate)

    def substitutions(self, address: str) -> dict[str, str]:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in kinds)
        return {
            "user www-data;": "user root;" if os.geteuid() == 0 else "",
            "/run/nginx.pid": f"{self.directory}/nginx.pid",
            "/var/log/nginx/": f"{self.directory}/",
            "http {\n": "http {\n" + folders,
            "127.0.0.1:8090": address,
            "/etc/lazaret/tls/fullchain.pem": str(self.certificate.certificate),
            "/etc/lazaret/tls/privkey.pem": str(self.certificate.key),
            "listen [::]:443 ssl http2;": "",
            "listen [::]:8448 ssl http2;": "",
            "listen 443 ssl": f"listen 127.0.0.1:{self.ports['client']} ssl",
            "listen 8448 ssl": f"listen 127.0.0.1:{self.ports['federation']} ssl",
        }

    def command(self) -> list[str]:
        program = executable("nginx", "/usr/sbin", "/usr/local/sbin")
        return [program, "-p", str(self.directory), "-c", str(self.config), "-g", "daemon off;"]

    @property
    def access_log(self) -> Path:
        return self.directory / "access.log"


class Haproxy(FrontProxy):
    shipped = DEPLOY / "haproxy.cfg"

    def __init__(self, directory: Path, address: str, certificate: Certificate):
        super().__init__("haproxy", directory, address, certificate)

    def substitutions(self, address: str) -> dict[str, str]:
        combined = self.directory / "combined.pem"
        combined.write_bytes(self.certificate.certificate.read_bytes() + self.certificate.key.read_bytes())
        return {
            "user haproxy\n": "\n",
            "group haproxy\n": "\n",
            "127.0.0.1:8090": address,
            "/etc/lazaret/tls/combined.pem": str(combined),
            "bind :::443 v4v6": f"bind 127.0.0.1:{self.ports['client']}",
            "bind :::8448 v4v6": f"bind 127.0.0.1:{self.ports['federation']}",
        }

    def command(self) -> list[str]:
        return [executable("haproxy", "/usr/sbin", "/usr/local/sbin"), "-db", "-f", str(self.config)]

    def stop(self, how: signal.Signals = signal.SIGUSR1, deadline: float = 30) -> int | None:
        """By its own signal for a gentle end, since SIGTERM is not one to it."""
        return super().stop(how, deadline)

    @property
    def access_log(self) -> Path:
        return self.log


def get_h1(front: FrontProxy, target: str, **options) -> wire.Reply:
    return wire.get(front.url, target, **options)


def get_h2(front: FrontProxy, target: str, **options) -> wire.Reply:
    with raw.H2Client(front.url, front.certificate) as client:
        return client.get(target, **options)


over_both = pytest.mark.parametrize("get", [get_h1, get_h2], ids=["http/1.1", "http/2"])

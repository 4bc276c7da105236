"""A real Synapse on SQLite, with everything a test needs to act as its users, its disk and its federation key."""

import hashlib
import hmac
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from signedjson.key import read_signing_keys
from signedjson.sign import sign_json

from . import wire
from .certificate import Certificate
from .processes import Service, free_port

SERVER_NAME = "hs.test"

# Far above what the suite sends: a rate limit would show up as an unrelated failure.
_UNLIMITED = {"per_second": 10000, "burst_count": 10000}
_RATE_LIMITS = {
    "rc_message": _UNLIMITED,
    "rc_registration": _UNLIMITED,
    "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED, "failed_attempts": _UNLIMITED},
    "rc_joins": {"local": _UNLIMITED, "remote": _UNLIMITED},
    "rc_invites": {"per_room": _UNLIMITED, "per_user": _UNLIMITED, "per_issuer": _UNLIMITED},
    "rc_media_create": _UNLIMITED,
    "rc_room_creation": _UNLIMITED,
}

_LOGGING = {
    "version": 1,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "disable_existing_loggers": False,
}


@dataclass(frozen=True)
class User:
    mxid: str
    password: str
    token: str
    device: str


@dataclass(frozen=True)
class Mxc:
    """The address of one media item."""

    server: str
    media_id: str

    @classmethod
    def parse(cls, uri: str) -> "Mxc":
        server, _, media_id = uri.removeprefix("mxc://").partition("/")
        assert uri.startswith("mxc://") and server and media_id, f"not an mxc URI: {uri}"
        return cls(server, media_id)

    @property
    def path(self) -> str:
        return f"{self.server}/{self.media_id}"

    def __str__(self) -> str:
        return f"mxc://{self.path}"


class Synapse(Service):
    """With `authenticated_media` off, media can also be read on the legacy routes, which take no token.

    A server that is to federate has a `server_name` of the form localhost:PORT, and either listens on that port itself,
    with this `certificate`, or has somebody in front of it who does. `settings` come on top of the configuration.
    """

    def __init__(
        self,
        directory: Path,
        *,
        authenticated_media: bool = True,
        server_name: str = SERVER_NAME,
        certificate: Certificate | None = None,
        settings: dict | None = None,
    ):
        super().__init__("synapse", directory)
        self.authenticated_media = authenticated_media
        self.server_name = server_name
        self.certificate = certificate
        self.settings = settings or {}
        self.secret = "registration secret of the end-to-end tests"
        self.media_store = directory / "media_store"
        self.port, self.gzip_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # The same server, where it compresses answers for whoever asks for that.
        self.gzip_url = f"http://127.0.0.1:{self.gzip_port}"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "synapse.app.homeserver", "-c", "generated.yaml", "-c", "overrides.json"]

    def start(self, deadline: float = 90) -> None:
        if not (self.directory / "generated.yaml").exists():
            self._generate()
        super().start(deadline)

    def is_ready(self) -> bool:
        try:
            return wire.get(self.url, "/health").status == 200
        except OSError:
            return False

    def _generate(self) -> None:
        """Lets Synapse write its own configuration and keys, then says what differs in a second file."""
        arguments = ["--generate-config", "--report-stats=no", "-H", self.server_name, "-c", "generated.yaml"]
        subprocess.run(
            [sys.executable, "-m", "synapse.app.homeserver", *arguments],
            cwd=self.directory,
            check=True,
            capture_output=True,
        )
        (self.directory / "logging.json").write_text(json.dumps(_LOGGING))
        overrides = {
            "listeners": self._listeners(),
            "database": {"name": "sqlite3", "args": {"database": str(self.directory / "homeserver.db")}},
            "pid_file": str(self.directory / "homeserver.pid"),
            "log_config": str(self.directory / "logging.json"),
            "media_store_path": str(self.media_store),
            "registration_shared_secret": self.secret,
            "enable_authenticated_media": self.authenticated_media,
            "max_upload_size": "100M",
            "allow_guest_access": True,
            # Passwords of the tests need no protection, and every login costs as much time as this says.
            "bcrypt_rounds": 4,
            "trusted_key_servers": [],
            "report_stats": False,
        }
        if self.certificate:
            overrides["tls_certificate_path"] = str(self.certificate.certificate)
            overrides["tls_private_key_path"] = str(self.certificate.key)
        settings = overrides | _RATE_LIMITS | self.settings
        (self.directory / "overrides.json").write_text(json.dumps(settings))

    def _listeners(self) -> list[dict]:
        def listener(port: int, **options) -> dict:
            resources = [{"names": ["client", "federation"], "compress": options.pop("compress", False)}]
            common = {"bind_addresses": ["127.0.0.1"], "type": "http", "tls": False, "x_forwarded": True}
            return common | {"port": port, "resources": resources} | options

        listeners = [listener(self.port), listener(self.gzip_port, compress=True)]
        if self.certificate:
            public = int(self.server_name.rpartition(":")[2])
            listeners.append(listener(public, tls=True, x_forwarded=False))
        return listeners

    def register(self, name: str, *, admin: bool = False) -> User:
        """Makes a user by the shared-secret registration API and gives them a first device."""
        password = f"password of {name}"
        endpoint = "/_synapse/admin/v1/register"
        nonce = wire.get(self.url, endpoint).json()["nonce"]
        signed = "\0".join([nonce, name, password, "admin" if admin else "notadmin"]).encode()
        mac = hmac.new(self.secret.encode(), signed, hashlib.sha1).hexdigest()
        document = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
        reply = wire.post_json(self.url, endpoint, document)
        assert reply.status == 200, reply
        body = reply.json()
        return User(body["user_id"], password, body["access_token"], body["device_id"])

    def register_guest(self) -> User:
        reply = wire.post_json(self.url, "/_matrix/client/v3/register?kind=guest", {})
        assert reply.status == 200, reply
        body = reply.json()
        return User(body["user_id"], "", body["access_token"], body["device_id"])

    def login(self, user: User) -> User:
        """A further device of the same user, with a token of its own."""
        document = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user.mxid},
            "password": user.password,
        }
        reply = wire.post_json(self.url, "/_matrix/client/v3/login", document)
        assert reply.status == 200, reply
        body = reply.json()
        return User(user.mxid, user.password, body["access_token"], body["device_id"])

    def logout(self, device: User) -> None:
        reply = wire.post_json(self.url, "/_matrix/client/v3/logout", {}, token=device.token)
        assert reply.status == 200, reply

    def set_quarantine(self, moderator: User, media: Mxc, quarantined: bool) -> None:
        """Puts a file into Synapse's own quarantine, or takes it out again."""
        verb = "quarantine" if quarantined else "unquarantine"
        target = f"/_synapse/admin/v1/media/{verb}/{media.path}"
        reply = wire.post_json(self.url, target, {}, token=moderator.token)
        assert reply.status == 200, reply
        information = wire.get(self.url, f"/_synapse/admin/v1/media/{media.path}", token=moderator.token).json()
        assert bool(information["media_info"]["quarantined_by"]) == quarantined, information

    def files_holding(self, needle: bytes) -> list[Path]:
        """The files of the media store in which these bytes occur."""
        files = (path for path in self.media_store.rglob("*") if path.is_file())
        return [path for path in files if needle in path.read_bytes()]

    def stored_files(self) -> set[Path]:
        return {path for path in self.media_store.rglob("*") if path.is_file()}

    def requests_naming(self, what: str) -> list[str]:
        """Method and target of the requests it has answered whose target has this in it, in order."""
        return [line for line in re.findall(r'"([A-Z]+ /\S*) HTTP/', self.log_since(0)) if what in line]

    def federation_authorization(self, method: str, target: str, destination: str | None = None) -> dict[str, str]:
        """The headers with which this server asks another one, or itself, for something; signed with its own key."""
        destination = destination or self.server_name
        with (self.directory / f"{self.server_name}.signing.key").open() as stream:
            key = read_signing_keys(stream)[0]
        document = {"method": method, "uri": target, "origin": self.server_name, "destination": destination}
        signatures = sign_json(document, self.server_name, key)["signatures"][self.server_name]
        ((key_id, signature),) = signatures.items()
        fields = f'origin="{self.server_name}",destination="{destination}",key="{key_id}",sig="{signature}"'
        return {"Authorization": f"X-Matrix {fields}"}


def upload(base: str, user: User, data: bytes, *, content_type: str = "application/octet-stream", **options) -> Mxc:
    """Uploads through `base` and expects that to work."""
    reply = try_upload(base, user, data, content_type=content_type, **options)
    assert reply.status == 200, reply
    return Mxc.parse(reply.json()["content_uri"])


def try_upload(
    base: str,
    user: User,
    data,
    *,
    content_type: str = "application/octet-stream",
    filename: str = "file.bin",
    **options,
) -> wire.Reply:
    target = f"/_matrix/media/v3/upload?filename={quote(filename)}"
    return wire.request(
        base, "POST", target, token=user.token, body=data, headers={"Content-Type": content_type}, **options
    )

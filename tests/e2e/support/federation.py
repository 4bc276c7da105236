"""Two homeservers that talk to each other, and what the remote one thinks of ours."""

import secrets
from dataclasses import dataclass
from urllib.parse import quote

from . import wire
from .clamd import Clamd
from .homeserver import Mxc, Synapse, User
from .lazaret import Lazaret
from .processes import wait_until

# Servers named localhost:PORT, with certificates that nobody signed, and pages to preview on loopback too.
FEDERATING = {
    "federation_verify_certificates": False,
    "federation_ip_range_blacklist": [],
    "ip_range_blacklist": [],
    "url_preview_enabled": True,
    "url_preview_ip_range_blacklist": [],
}

V1 = "/_matrix/client/v1/media"


@dataclass(frozen=True)
class Federation:
    """`bob` has his account on `ours`, which is reached through `lazaret` alone; `anna` and `admin` have theirs on
    `theirs`. Bob and Anna are in `room`."""

    ours: Synapse
    lazaret: Lazaret
    clamd: Clamd
    bob: User
    theirs: Synapse
    anna: User
    admin: User
    room: str

    @classmethod
    def between(cls, ours: Synapse, lazaret: Lazaret, clamd: Clamd, theirs: Synapse) -> "Federation":
        bob, anna, admin = ours.register("bob"), theirs.register("anna"), theirs.register("admin", admin=True)
        creation = {"preset": "private_chat", "invite": [anna.mxid]}
        created = wire.post_json(lazaret.url, "/_matrix/client/v3/createRoom", creation, token=bob.token)
        assert created.status == 200, created
        room = created.json()["room_id"]
        joined = wire.post_json(theirs.url, f"/_matrix/client/v3/rooms/{quote(room)}/join", {}, token=anna.token)
        assert joined.status == 200, joined
        federation = cls(ours, lazaret, clamd, bob, theirs, anna, admin, room)
        # Only with its first message does their server make an entry for ours in its table `destinations`.
        event = federation.send_message(theirs.url, anna)
        federation.wait_for_message(lazaret.url, bob, event)
        return federation

    def fetch_from_afar(self, media: Mxc, *, kind: str = "download", query: str = "") -> wire.Reply:
        """What Anna gets from her server for media of whichever."""
        return wire.get(self.theirs.url, f"{V1}/{kind}/{media.path}{query}", token=self.anna.token)

    def fetch_at_home(self, media: Mxc, *, kind: str = "download", query: str = "") -> wire.Reply:
        """What Bob gets through Lazaret."""
        return wire.get(self.lazaret.url, f"{V1}/{kind}/{media.path}{query}", token=self.bob.token)

    def send_message(self, base: str, sender: User) -> str:
        """The identity of the new message."""
        target = f"/_matrix/client/v3/rooms/{quote(self.room)}/send/m.room.message/{secrets.token_hex(8)}"
        body = b'{"msgtype":"m.text","body":"good morning"}'
        reply = wire.request(base, "PUT", target, token=sender.token, body=body)
        assert reply.status == 200, reply
        return reply.json()["event_id"]

    def wait_for_message(self, base: str, reader: User, event: str) -> None:
        target = f"/_matrix/client/v3/rooms/{quote(self.room)}/event/{quote(event)}"

        def arrived() -> bool:
            return wire.get(base, target, token=reader.token).status == 200

        wait_until(f"{event} reaches {reader.mxid}", arrived, deadline=30)

    def _about_ours(self, method: str, action: str = "") -> wire.Reply:
        target = f"/_synapse/admin/v1/federation/destinations/{quote(self.ours.server_name)}{action}"
        return wire.request(self.theirs.url, method, target, token=self.admin.token, body=b"{}")

    def back_off(self) -> int:
        """How long their server will not talk to ours, in milliseconds: the entry in its table `destinations`."""
        reply = self._about_ours("GET")
        assert reply.status == 200, reply
        return reply.json()["retry_interval"]

    def reset_back_off(self) -> None:
        reply = self._about_ours("POST", "/reset_connection")
        assert reply.status == 200, reply

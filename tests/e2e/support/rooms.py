"""Clients that talk in encrypted rooms, all of it through Lazaret: matrix-nio, and matrix-js-sdk in a Node process."""

import asyncio
import json
import subprocess
from collections.abc import Coroutine
from typing import Protocol

import nio
from nio.crypto.attachments import decrypt_attachment
from nio.store import SqliteMemoryStore

from . import js
from .attachments import SCANNER, nio_upload
from .homeserver import User
from .processes import executable

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}


class Client(Protocol):
    """One device, whose keys are in the homeserver when it has been made."""

    def create_room(self, invite: str) -> str:
        """An encrypted one."""

    def join(self, room: str) -> None: ...

    def send(self, room: str, reader: str, plaintext: bytes) -> None:
        """Encrypts a file, uploads it and tells the room, once the reader is in there."""

    def read(self, room: str) -> dict:
        """The `file` of the other's message, out of its encrypted event."""

    def ask(self, verb: str, body: dict) -> tuple[int, bytes]:
        """A request to the scanner with the client's own HTTP: status and body."""

    def decrypt(self, ciphertext: bytes, file: dict) -> bytes: ...

    def close(self) -> None: ...


class NioClient:
    def __init__(self, base: str, user: User):
        config = nio.AsyncClientConfig(
            store=SqliteMemoryStore, max_limit_exceeded=0, max_timeouts=0, request_timeout=60
        )
        self._loop = asyncio.new_event_loop()
        self._client = self._run(self._start(base, user, config))

    def _run(self, work: Coroutine):
        return self._loop.run_until_complete(asyncio.wait_for(work, 60))

    @staticmethod
    async def _start(base: str, user: User, config: nio.AsyncClientConfig) -> nio.AsyncClient:
        client = nio.AsyncClient(base, user.mxid, device_id=user.device, store_path=".", config=config)
        client.restore_login(user.mxid, user.device, user.token)
        await client.sync()
        uploaded = await client.keys_upload()
        assert isinstance(uploaded, nio.KeysUploadResponse), uploaded
        return client

    def create_room(self, invite: str) -> str:
        state = [{"type": "m.room.encryption", "state_key": "", "content": ENCRYPTION}]
        created = self._run(self._client.room_create(invite=[invite], initial_state=state))
        assert isinstance(created, nio.RoomCreateResponse), created
        return created.room_id

    def join(self, room: str) -> None:
        joined = self._run(self._client.join(room))
        assert isinstance(joined, nio.JoinResponse), joined

    def send(self, room: str, reader: str, plaintext: bytes) -> None:
        self._run(self._send(room, reader, plaintext))

    async def _send(self, room: str, reader: str, plaintext: bytes) -> None:
        while room not in self._client.rooms or reader not in self._client.rooms[room].users:
            await self._client.sync(timeout=10_000)
        if self._client.should_query_keys:
            await self._client.keys_query()
        reply, keys = await nio_upload(self._client, plaintext, encrypt=True)
        assert isinstance(reply, nio.UploadResponse), reply
        content = {"msgtype": "m.file", "body": "file.bin", "file": keys | {"url": reply.content_uri}}
        sent = await self._client.room_send(room, "m.room.message", content, ignore_unverified_devices=True)
        assert isinstance(sent, nio.RoomSendResponse), sent

    def read(self, room: str) -> dict:
        return self._run(self._read(room))

    async def _read(self, room: str) -> dict:
        while True:
            synced = await self._client.sync(timeout=10_000)
            joined = synced.rooms.join.get(room)
            for event in joined.timeline.events if joined else []:
                if isinstance(event, nio.RoomEncryptedFile):
                    assert event.decrypted
                    return event.source["content"]["file"]

    def ask(self, verb: str, body: dict) -> tuple[int, bytes]:
        return self._run(self._ask(verb, body))

    async def _ask(self, verb: str, body: dict) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._client.access_token}", "Content-Type": "application/json"}
        async with await self._client.send("POST", f"{SCANNER}/{verb}", json.dumps(body), headers) as reply:
            return reply.status, await reply.read()

    def decrypt(self, ciphertext: bytes, file: dict) -> bytes:
        return decrypt_attachment(ciphertext, file["key"]["k"], file["hashes"]["sha256"], file["iv"])

    def close(self) -> None:
        self._run(self._client.close())
        self._loop.close()


class JsClient:
    def __init__(self, base: str, user: User):
        who = {"baseUrl": base, "userId": user.mxid, "deviceId": user.device, "accessToken": user.token}
        self._process = subprocess.Popen(
            [executable("node"), str(js.SCRIPTS / "room.mjs"), str(js.node_modules()), json.dumps(who)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._step("start")
        except BaseException:
            self.close()
            raise

    def _step(self, step: str, **parameters) -> dict:
        self._process.stdin.write(json.dumps({"step": step, **parameters}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"matrix-js-sdk ended at {step}"
        result = json.loads(line)
        assert "error" not in result, f"{step}: {result['error']}"
        return result

    def create_room(self, invite: str) -> str:
        return self._step("create_room", invite=invite, encryption=ENCRYPTION)["room"]

    def join(self, room: str) -> None:
        self._step("join", room=room)

    def send(self, room: str, reader: str, plaintext: bytes) -> None:
        self._step("send", room=room, reader=reader, data=js.encoded(plaintext))

    def read(self, room: str) -> dict:
        event = self._step("read", room=room)
        assert event["type"] == "m.room.encrypted", event
        return event["file"]

    def ask(self, verb: str, body: dict) -> tuple[int, bytes]:
        reply = self._step("ask", verb=verb, body=body)
        return reply["status"], js.decoded(reply)

    def decrypt(self, ciphertext: bytes, file: dict) -> bytes:
        return js.decoded(self._step("decrypt", data=js.encoded(ciphertext), file=file))

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

// matrix-js-sdk in an encrypted room: reads one step a line as JSON, and writes what came of it as a line. Bytes are
// base64. First argument: the folder that has node_modules; second: who it is, as JSON.
import { Console } from "node:console";
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.argv[2]}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => silent };

// Debian's Node, version 18, lacks it; the SDK takes it for granted.
globalThis.crypto ??= webcrypto;

// The SDK's cryptography talks to the console, and standard output is for results.
globalThis.console = new Console(process.stderr);

const { createClient, ClientEvent, MatrixEventEvent } = await load("matrix-js-sdk");
const attachments = await load("matrix-encrypt-attachment");

const bytes = (base64) => Uint8Array.from(Buffer.from(base64, "base64")).buffer;
const base64 = (buffer) => Buffer.from(buffer).toString("base64");

const client = createClient({ ...JSON.parse(process.argv[3]), logger: silent });

// The first truthy answer, asked for again whenever there is news.
function until(check) {
    return new Promise((resolve, reject) => {
        const look = () => Promise.resolve(check()).then((answer) => answer && resolve(answer), reject);
        client.on(ClientEvent.Sync, look);
        client.on(MatrixEventEvent.Decrypted, look);
        look();
    });
}

function received(room) {
    const events = client.getRoom(room)?.getLiveTimeline().getEvents() ?? [];
    const isTheirs = (event) => event.isEncrypted() && event.getSender() !== client.getUserId();
    return events.find((event) => isTheirs(event) && event.getContent().file);
}

async function areKeysPublished() {
    const [user, device] = [client.getUserId(), client.getDeviceId()];
    const devices = await client.getCrypto().getUserDeviceInfo([user], true);
    return devices.get(user)?.has(device);
}

const STEPS = {
    async start() {
        await client.initRustCrypto({ useIndexedDB: false });
        await client.startClient();
        await until(() => client.isInitialSyncComplete());
        await until(areKeysPublished);
    },
    async create_room({ invite, encryption }) {
        const initial_state = [{ type: "m.room.encryption", state_key: "", content: encryption }];
        return { room: (await client.createRoom({ invite: [invite], initial_state })).room_id };
    },
    async join({ room }) {
        await client.joinRoom(room);
    },
    async send({ room, reader, data }) {
        await until(() => client.getRoom(room)?.getMember(reader)?.membership === "join");
        await until(() => client.getCrypto().isEncryptionEnabledInRoom(room));
        const { data: ciphertext, info } = await attachments.encryptAttachment(bytes(data));
        const { content_uri } = await client.uploadContent(new Blob([ciphertext]), { type: "application/octet-stream" });
        await client.sendMessage(room, { msgtype: "m.file", body: "file.bin", file: { ...info, url: content_uri } });
    },
    async read({ room }) {
        const event = await until(() => received(room));
        return { type: event.getWireType(), file: event.getContent().file };
    },
    async ask({ verb, body }) {
        const headers = { "Authorization": `Bearer ${client.getAccessToken()}`, "Content-Type": "application/json" };
        const url = `${client.baseUrl}/_matrix/media_proxy/unstable/${verb}`;
        const reply = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
        return { status: reply.status, data: base64(await reply.arrayBuffer()) };
    },
    async decrypt({ data, file }) {
        return { data: base64(await attachments.decryptAttachment(bytes(data), file)) };
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const { step, ...parameters } = JSON.parse(line);
    const result = await STEPS[step](parameters).catch((error) => ({ error: String(error.stack ?? error) }));
    process.stdout.write(`${JSON.stringify(result ?? {})}\n`);
}
client.stopClient();
process.exit(0);

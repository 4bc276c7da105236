// A web client's own libraries, driven by the tests: reads a list of steps as JSON from standard input, writes what
// came of each as JSON to standard output. Bytes are base64. First argument: the folder that has node_modules.
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.argv[2]}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, getChild: () => silent };

// Debian's Node, version 18, lacks it; the SDK takes it for granted.
globalThis.crypto ??= webcrypto;

const { createClient } = await load("matrix-js-sdk");
const attachments = await load("matrix-encrypt-attachment");

const bytes = (base64) => Uint8Array.from(Buffer.from(base64, "base64")).buffer;
const base64 = (buffer) => Buffer.from(buffer).toString("base64");

// What a client gets to see of a reply that is not the SDK's business: media are fetched by plain `fetch`.
async function seen(reply) {
    const type = reply.headers.get("content-type");
    const isJson = type?.startsWith("application/json") ?? false;
    return { status: reply.status, type, ...(isJson ? { json: await reply.json() } : { data: base64(await reply.arrayBuffer()) }) };
}

const authorized = (client, extra = {}) => ({ Authorization: `Bearer ${client.getAccessToken()}`, ...extra });

async function download(client, url) {
    return seen(await fetch(url, { headers: authorized(client) }));
}

const STEPS = {
    async login(client, { mxid, password }) {
        const identifier = { type: "m.id.user", user: mxid };
        const reply = await client.loginRequest({ type: "m.login.password", identifier, password });
        client.setAccessToken(reply.access_token);
        return { user_id: (await client.whoami()).user_id };
    },
    async upload(client, { data, type }) {
        const reply = await client.uploadContent(new Blob([bytes(data)]), { type, name: "file.bin" });
        return { mxc: reply.content_uri };
    },
    async upload_encrypted(client, { data }) {
        const { data: ciphertext, info } = await attachments.encryptAttachment(bytes(data));
        const reply = await client.uploadContent(new Blob([ciphertext]), { type: "application/octet-stream" });
        return { file: { ...info, url: reply.content_uri } };
    },
    download: (client, { mxc }) => download(client, client.mxcUrlToHttp(mxc, undefined, undefined, undefined, false, true, true)),
    thumbnail: (client, { mxc }) => download(client, client.mxcUrlToHttp(mxc, 32, 32, "crop", false, true, true)),
    async download_and_decrypt(client, { file }) {
        const reply = await STEPS.download(client, { mxc: file.url });
        return { plaintext: base64(await attachments.decryptAttachment(bytes(reply.data), file)) };
    },
    async scanner(client, { verb, file }) {
        const url = `${client.baseUrl}/_matrix/media_proxy/unstable/${verb}`;
        const headers = authorized(client, { "Content-Type": "application/json" });
        const reply = await seen(await fetch(url, { method: "POST", headers, body: JSON.stringify({ file }) }));
        if (reply.data === undefined) return reply;
        return { status: reply.status, plaintext: base64(await attachments.decryptAttachment(bytes(reply.data), file)) };
    },
    config: (client) => client.getMediaConfig(true),
};

async function run(client, { step, ...parameters }) {
    try {
        return await STEPS[step](client, parameters);
    } catch (error) {
        const { name, errcode, httpStatus, message, data } = error;
        return { error: { name, errcode, httpStatus, message, data } };
    }
}

const { base, token, steps } = JSON.parse(await text(process.stdin));
const client = createClient({ baseUrl: base, accessToken: token, logger: silent });
const results = [];
for (const step of steps) results.push(await run(client, step));
process.stdout.write(JSON.stringify(results));

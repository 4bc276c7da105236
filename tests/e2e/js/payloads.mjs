// The cryptography of web clients alone: libolm's own JavaScript build, which Tchap Web seals request bodies with,
// matrix-encrypt-attachment and the Rust SDK's build for matrix-js-sdk. Steps as in client.mjs; bytes are base64.
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(`${process.argv[2]}/package.json`);

// Debian's Node, version 18, lacks it.
globalThis.crypto ??= webcrypto;

const Olm = require("@matrix-org/olm");
const attachments = require("matrix-encrypt-attachment");
const rust = require("@matrix-org/matrix-sdk-crypto-wasm");

const bytes = (base64) => Uint8Array.from(Buffer.from(base64, "base64"));
const base64 = (buffer) => Buffer.from(buffer).toString("base64");

const STEPS = {
    async matrix_encrypt_attachment({ data }) {
        const { data: ciphertext, info } = await attachments.encryptAttachment(bytes(data).buffer);
        return { ciphertext: base64(ciphertext), file: info };
    },
    async rust_sdk({ data }) {
        const attachment = rust.Attachment.encrypt(bytes(data));
        return { ciphertext: base64(attachment.encryptedData), file: JSON.parse(attachment.mediaEncryptionInfo) };
    },
    async seal({ key, plaintext }) {
        const encryption = new Olm.PkEncryption();
        encryption.set_recipient_key(key);
        const { ciphertext, mac, ephemeral } = encryption.encrypt(plaintext);
        return { ciphertext, mac, ephemeral };
    },
    public_key: async ({ secret }) => ({ public_key: new Olm.PkDecryption().init_with_private_key(bytes(secret)) }),
};

await Promise.all([Olm.init(), rust.initAsync()]);
const results = [];
for (const { step, ...parameters } of JSON.parse(await text(process.stdin))) results.push(await STEPS[step](parameters));
process.stdout.write(JSON.stringify(results));

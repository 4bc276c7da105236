// Deciphers AES-CTR vectors with WebCrypto: a list as JSON from standard input, the plaintexts as JSON to standard
// output. Bytes are base64; `length` says how many bits of the counter block count, the others stay as they are.
import { webcrypto } from "node:crypto";
import { text } from "node:stream/consumers";

const bytes = (base64) => Buffer.from(base64, "base64");

async function decipher({ key, counter, length, data }) {
    const secret = await webcrypto.subtle.importKey("raw", bytes(key), "AES-CTR", false, ["decrypt"]);
    const algorithm = { name: "AES-CTR", counter: bytes(counter), length };
    return Buffer.from(await webcrypto.subtle.decrypt(algorithm, secret, bytes(data))).toString("base64");
}

const vectors = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(await Promise.all(vectors.map(decipher))));

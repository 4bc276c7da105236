//! The scanner API on encrypted attachments: what opens them, and what a verdict under one key is worth under another.

mod access;
mod bodies;
mod envelope;
mod keys;
mod material;
mod verdicts;

use base64::{Engine as _, prelude::*};
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, pk_encryption::PkEncryption};

use crate::harness::{App, CLEAN, Homeserver, INFECTED, Sealed, Stored, seal};

const SCAN: &str = "/_matrix/media_proxy/unstable/scan_encrypted";
const DOWNLOAD: &str = "/_matrix/media_proxy/unstable/download_encrypted";

/// A key in base64 that is easily recognised where it must not be.
const KEY: &str = "RecognisableKeyTextRecognisableKeyTextAAAAA";

/// Encrypts a file as `mxc://hs.test/{id}` and puts it there.
fn put(homeserver: &Homeserver, plaintext: &[u8], id: &str, key: u8) -> Sealed {
    let sealed = seal(plaintext, id, key);
    homeserver.put_media(id, &Stored::media(&sealed.ciphertext));
    sealed
}

/// A value with one member replaced, or removed if there is nothing in its place.
fn edited(value: &Value, pointer: &str, replacement: Option<Value>) -> Value {
    let mut value = value.clone();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let object = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match replacement {
        Some(replacement) => object.insert(member.to_owned(), replacement),
        None => object.remove(member),
    };
    value
}

/// A request body with a file in clear.
fn with_file(file: &Value) -> Vec<u8> {
    json!({"file": file}).to_string().into_bytes()
}

async fn public_key(app: &App) -> Curve25519PublicKey {
    let key = app.client.get("/_matrix/media_proxy/unstable/public_key").await.json();
    Curve25519PublicKey::from_base64(key["public_key"].as_str().unwrap()).unwrap()
}

/// An `encrypted_body` as clients make it.
fn envelope(key: Curve25519PublicKey, text: &[u8]) -> Value {
    let message = PkEncryption::from_key(key).encrypt(text).unwrap();
    let [ciphertext, mac] = [&message.ciphertext, &message.mac].map(|bytes| BASE64_STANDARD_NO_PAD.encode(bytes));
    json!({"ciphertext": ciphertext, "mac": mac, "ephemeral": message.ephemeral_key.to_base64()})
}

/// A request body with its file in an envelope.
fn with_envelope(key: Curve25519PublicKey, file: &Value) -> Vec<u8> {
    json!({"encrypted_body": envelope(key, &with_file(file))}).to_string().into_bytes()
}

async fn assert_clean(app: &App, body: &[u8], ciphertext: &[u8], what: &str) {
    let scan = app.post(SCAN, body).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, CLEAN), "{what}");
    let download = app.post(DOWNLOAD, body).await;
    assert_eq!(download.status, 200, "{what}: {download:?}");
    assert!(download.body == ciphertext, "{what}: the exact ciphertext comes back");
}

async fn assert_infected(app: &App, body: &[u8], what: &str) {
    let scan = app.post(SCAN, body).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, INFECTED), "{what}");
    let download = app.post(DOWNLOAD, body).await;
    let refusal = json!({"reason": "MCS_MEDIA_NOT_CLEAN", "info": "***VIRUS DETECTED***"});
    assert_eq!((download.status.as_u16(), download.json()), (403, refusal), "{what}");
}

/// Asserts the same error of both routes, and that it repeats nothing of the key.
async fn assert_refused(app: &App, body: &[u8], status: u16, reason: &str, what: &str) {
    for route in [SCAN, DOWNLOAD] {
        let answer = app.post(route, body).await;
        assert_eq!(answer.status.as_u16(), status, "{route}: {what}: {answer:?}");
        answer.assert_scanner_error(status, reason);
        assert!(!answer.text().contains("Recognisable"), "{route}: {what}: {answer:?}");
    }
}

async fn assert_malformed(app: &App, body: &[u8], what: &str) {
    assert_refused(app, body, 400, "MCS_MALFORMED_JSON", what).await;
}

/// A request body whose character `@` is a byte that is in no UTF-8 text.
fn not_utf8(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if byte == b'@' { 0xff } else { byte }).collect()
}

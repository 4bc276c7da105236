//! Request bodies of the scanner API, well-formed and less so.

use base64::{Engine as _, prelude::*};
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, pk_encryption::PkEncryption};

use super::{App, Client, Homeserver, Sealed, Stored, path, seal};

/// A key in base64 that is easily recognised where it must not be.
pub const RECOGNISABLE: &str = "RecognisableKeyTextRecognisableKeyTextAAAAA";

/// The key that an application publishes.
pub async fn public_key(app: &App) -> Curve25519PublicKey {
    published_key(&app.client).await
}

/// The key that whoever is asked publishes.
pub async fn published_key(client: &Client) -> Curve25519PublicKey {
    let key = client.get(&path("public_key")).await.json();
    Curve25519PublicKey::from_base64(key["public_key"].as_str().unwrap()).unwrap()
}

/// An `encrypted_body` as clients make it.
pub fn envelope(key: Curve25519PublicKey, text: &[u8]) -> Value {
    let message = PkEncryption::from_key(key).encrypt(text).unwrap();
    let [ciphertext, mac] = [&message.ciphertext, &message.mac].map(|bytes| BASE64_STANDARD_NO_PAD.encode(bytes));
    json!({"ciphertext": ciphertext, "mac": mac, "ephemeral": message.ephemeral_key.to_base64()})
}

/// Encrypts a file as `mxc://hs.test/{id}` and puts it there.
pub fn put_sealed(homeserver: &Homeserver, plaintext: &[u8], id: &str, key: u8) -> Sealed {
    let sealed = seal(plaintext, id, key);
    homeserver.put_media(id, &Stored::media(&sealed.ciphertext));
    sealed
}

/// A request body with a file in clear.
pub fn with_file(file: &Value) -> Vec<u8> {
    json!({"file": file}).to_string().into_bytes()
}

/// A request body with its file in an envelope.
pub fn with_envelope(key: Curve25519PublicKey, file: &Value) -> Vec<u8> {
    json!({"encrypted_body": envelope(key, &with_file(file))}).to_string().into_bytes()
}

/// A value with one member replaced, or removed if there is nothing in its place.
pub fn edited(value: &Value, pointer: &str, replacement: Option<Value>) -> Value {
    let mut value = value.clone();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let object = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match replacement {
        Some(replacement) => object.insert(member.to_owned(), replacement),
        None => object.remove(member),
    };
    value
}

/// An envelope with other bytes in a member.
pub fn with_member(envelope: &Value, member: &str, change: impl FnOnce(&mut Vec<u8>)) -> Value {
    let mut bytes = BASE64_STANDARD_NO_PAD.decode(envelope[member].as_str().unwrap()).unwrap();
    change(&mut bytes);
    edited(envelope, &format!("/{member}"), Some(json!(BASE64_STANDARD_NO_PAD.encode(bytes))))
}

/// A text whose character `@` is a byte that is in no UTF-8 text.
pub fn not_utf8(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if byte == b'@' { 0xff } else { byte }).collect()
}

/// The boundary of [`form`].
pub const BOUNDARY: &str = "the-boundary";

/// The content type of [`form`].
pub const FORM: &str = "multipart/form-data; boundary=the-boundary";

/// A form with these parts.
pub fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, content) in parts {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n");
        form.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    form.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
    form
}

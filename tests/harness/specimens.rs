//! Harmless media with known verdicts, made in memory so that no antivirus trips over a checkout.

use aes::Aes256;
use base64::{Engine as _, prelude::*};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The EICAR test file.
pub fn eicar() -> Vec<u8> {
    BASE64_STANDARD
        .decode("WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=")
        .unwrap()
}

/// Text that the sample signatures find anywhere in a file of `len` bytes; here it is at the end.
pub fn marker(len: usize) -> Vec<u8> {
    let marker = BASE64_STANDARD.decode("TEFaQVJFVC1NQVJLRVItOGMxZjBlNWQ3YQ==").unwrap();
    let mut file: Vec<u8> = (0..len - marker.len()).map(|i| u8::try_from(i % 251).unwrap()).collect();
    file.extend(marker);
    file
}

/// Text in gzip in gzip, deeper than clamd looks (its limit is 17 levels).
pub fn nested_gzip() -> Vec<u8> {
    BASE64_STANDARD.decode(include_str!("../../samples/specimens/nested-gzip.b64").replace('\n', "")).unwrap()
}

/// A zip archive with a password.
pub fn encrypted_zip() -> Vec<u8> {
    BASE64_STANDARD.decode(include_str!("../../samples/specimens/encrypted-zip.b64").replace('\n', "")).unwrap()
}

/// An attachment as a client encrypts it.
pub struct Sealed {
    pub ciphertext: Vec<u8>,
    /// The `EncryptedFile` of its event.
    pub file: Value,
}

impl Sealed {
    /// The request body with the file in clear.
    pub fn body(&self) -> Vec<u8> {
        json!({"file": self.file}).to_string().into_bytes()
    }

    /// The same ciphertext with another key.
    pub fn with_key(&self, key: u8) -> Self {
        let mut file = self.file.clone();
        file["key"]["k"] = json!(BASE64_URL_SAFE_NO_PAD.encode([key; 32]));
        Self { ciphertext: self.ciphertext.clone(), file }
    }
}

/// Encrypts `plaintext` under a key made of `key`, as `mxc://hs.test/{id}`.
pub fn seal(plaintext: &[u8], id: &str, key: u8) -> Sealed {
    let (secret, iv) = ([key; 32], [[key; 8], [0; 8]].concat());
    let mut ciphertext = plaintext.to_vec();
    Ctr128BE::<Aes256>::new_from_slices(&secret, &iv).unwrap().apply_keystream(&mut ciphertext);
    let file = json!({
        "v": "v2",
        "url": format!("mxc://hs.test/{id}"),
        "key": {"kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"], "k": BASE64_URL_SAFE_NO_PAD.encode(secret)},
        "iv": BASE64_STANDARD_NO_PAD.encode(&iv),
        "hashes": {"sha256": BASE64_STANDARD_NO_PAD.encode(Sha256::digest(&ciphertext))},
    });
    Sealed { ciphertext, file }
}

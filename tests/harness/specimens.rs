//! Harmless media with known verdicts, made in memory so that no antivirus trips over a checkout.

use aes::Aes256;
use base64::{Engine as _, prelude::*};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The beginning of a PNG image.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

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

/// A gzip file of `content`, not compressed, with a comment in its header.
pub fn gzip(content: &[u8], comment: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).expect("one block");
    let mut file = b"\x1f\x8b\x08\x10\0\0\0\0\0\xff".to_vec();
    file.extend([comment, b"\0\x01"].concat());
    file.extend([len.to_le_bytes(), (!len).to_le_bytes()].concat());
    file.extend(content);
    file.extend([crc32(content).to_le_bytes(), u32::from(len).to_le_bytes()].concat());
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
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

    /// Other ciphertext with the same key.
    pub fn with_ciphertext(&self, ciphertext: &[u8]) -> Self {
        let mut file = self.file.clone();
        file["hashes"]["sha256"] = json!(BASE64_STANDARD_NO_PAD.encode(Sha256::digest(ciphertext)));
        Self { ciphertext: ciphertext.to_vec(), file }
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
    let mut iv = [key; 16];
    iv[8..].fill(0);
    encrypt(plaintext, id, [key; 32], iv)
}

/// The same as `mxc://hs.test/m`, with a counter that begins at any block.
pub fn seal_from(plaintext: &[u8], iv: [u8; 16]) -> Sealed {
    encrypt(plaintext, "m", [1; 32], iv)
}

fn encrypt(plaintext: &[u8], id: &str, secret: [u8; 32], iv: [u8; 16]) -> Sealed {
    let mut ciphertext = plaintext.to_vec();
    Ctr128BE::<Aes256>::new_from_slices(&secret, &iv).unwrap().apply_keystream(&mut ciphertext);
    let file = json!({
        "v": "v2",
        "url": format!("mxc://hs.test/{id}"),
        "key": {"kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"], "k": BASE64_URL_SAFE_NO_PAD.encode(secret)},
        "iv": BASE64_STANDARD_NO_PAD.encode(iv),
        "hashes": {"sha256": BASE64_STANDARD_NO_PAD.encode(Sha256::digest(&ciphertext))},
    });
    Sealed { ciphertext, file }
}

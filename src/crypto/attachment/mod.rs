//! Encrypted attachments: AES-256-CTR, with a SHA-256 over the ciphertext.
//!
//! The [`EncryptedFile`](https://spec.matrix.org/v1.16/client-server-api/#extensions-to-mroommessage-msgtypes) of an event
//! is checked more strictly than clients do, wherever clients differ from each other: what two readers decrypt to two
//! plaintexts is refused. The hash is checked before the first byte is decrypted, because CTR mode is malleable.

use std::collections::BTreeSet;

use aes::Aes256;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::encoding;
use crate::{
    json,
    media::{MalformedMedia, MediaRef},
    spool::Digest,
};

/// The `file` member as a client sent it. Unknown members are allowed at every level; a known one that is given twice is
/// refused, because parsers differ on which of the two counts.
#[derive(Deserialize)]
pub struct EncryptedFile {
    v: String,
    url: Option<String>,
    #[serde(deserialize_with = "json::member")]
    key: JsonWebKey,
    iv: Zeroizing<String>,
    #[serde(deserialize_with = "json::member")]
    hashes: Hashes,
}

#[derive(Deserialize)]
struct JsonWebKey {
    kty: String,
    alg: String,
    ext: bool,
    key_ops: BTreeSet<String>,
    k: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Hashes {
    sha256: String,
}

/// Why an `EncryptedFile` is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentError {
    /// A member has a value that no version 2 attachment has.
    #[error("`{0}` is not that of a version 2 attachment")]
    Schema(&'static str),
    /// The address is no `mxc://` URI.
    #[error(transparent)]
    Media(#[from] MalformedMedia),
    /// Key, IV or hash are not base64 of the right length.
    #[error("key, iv or hash is malformed")]
    Material,
}

/// Why a ciphertext is not decrypted with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// The ciphertext is not the one that the event describes.
    #[error("the hash of the ciphertext does not match")]
    Hash,
    /// The 64-bit counter would wrap. Half of the implementations carry into the upper half of the block there and half
    /// do not, so scanner and reader would see two plaintexts.
    #[error("the counter wraps within the file")]
    CounterWrap,
}

/// An encrypted attachment: where it lies and how it is opened.
#[derive(Debug)]
pub struct Attachment {
    /// The address of its ciphertext.
    pub media: MediaRef,
    /// What opens it.
    pub key: AttachmentKey,
}

impl TryFrom<EncryptedFile> for Attachment {
    type Error = AttachmentError;

    fn try_from(file: EncryptedFile) -> Result<Self, AttachmentError> {
        file.check()?;
        let media = MediaRef::from_mxc(file.url.as_deref().ok_or(AttachmentError::Schema("url"))?)?;
        Ok(Self { media, key: AttachmentKey::try_from(file)? })
    }
}

/// What opens an attachment that has no address yet.
impl TryFrom<EncryptedFile> for AttachmentKey {
    type Error = AttachmentError;

    fn try_from(file: EncryptedFile) -> Result<Self, AttachmentError> {
        file.check()?;
        Self::decode(&file).ok_or(AttachmentError::Material)
    }
}

impl EncryptedFile {
    fn check(&self) -> Result<(), AttachmentError> {
        let checks = [
            ("v", self.v == "v2"),
            ("key.kty", self.key.kty == "oct"),
            ("key.alg", self.key.alg == "A256CTR"),
            ("key.ext", self.key.ext),
            ("key.key_ops", ["encrypt", "decrypt"].iter().all(|op| self.key.key_ops.contains(*op))),
        ];
        let broken = checks.into_iter().find(|(_, holds)| !holds);
        broken.map_or(Ok(()), |(member, _)| Err(AttachmentError::Schema(member)))
    }
}

/// Key, initial counter block and the hash of the ciphertext they belong to. Wiped on drop; prints nothing.
#[derive(Clone)]
pub struct AttachmentKey {
    key: Zeroizing<[u8; 32]>,
    iv: Zeroizing<[u8; 16]>,
    sha256: Digest,
}

impl AttachmentKey {
    /// Takes the raw parts of a key.
    pub fn new(key: [u8; 32], iv: [u8; 16], sha256: Digest) -> Self {
        Self { key: Zeroizing::new(key), iv: Zeroizing::new(iv), sha256 }
    }

    fn decode(file: &EncryptedFile) -> Option<Self> {
        let sha256 = *encoding::decode(&file.hashes.sha256)?;
        Some(Self { key: encoding::decode(&file.key.k)?, iv: encoding::decode(&file.iv)?, sha256 })
    }

    /// Checks that this key belongs to a ciphertext of `len` bytes with this digest, and that every reader decrypts it
    /// to the same plaintext. To be asked before [`AttachmentKey::decryptor`].
    pub fn check(&self, digest: &Digest, len: u64) -> Result<(), DecryptError> {
        if !bool::from(self.sha256.ct_eq(digest)) {
            return Err(DecryptError::Hash);
        }
        let counter = u64::from_be_bytes(*self.iv.last_chunk().expect("16 bytes hold 8"));
        let last_block = len.div_ceil(16).saturating_sub(1);
        counter.checked_add(last_block).map(|_| ()).ok_or(DecryptError::CounterWrap)
    }

    /// A decryptor at the start of the ciphertext.
    pub fn decryptor(&self) -> Decryptor {
        self.decryptor_at(0)
    }

    /// A decryptor at a place in the ciphertext.
    pub fn decryptor_at(&self, at: u64) -> Decryptor {
        let mut keystream = Ctr128BE::<Aes256>::new((&*self.key).into(), (&*self.iv).into());
        keystream.seek(at);
        Decryptor(keystream)
    }

    /// True if the counter begins at zero below a random half, as all clients have it begin today. Whoever may choose all
    /// of it can have any ciphertext begin as they like.
    pub fn counts_from_zero(&self) -> bool {
        self.iv[8..].iter().all(|byte| *byte == 0)
    }

    /// Key and initial counter, from which the cache derives the name of (ciphertext, key).
    pub fn material(&self) -> Zeroizing<[u8; 48]> {
        let mut all = Zeroizing::new([0; 48]);
        all[..32].copy_from_slice(&*self.key);
        all[32..].copy_from_slice(&*self.iv);
        all
    }
}

impl std::fmt::Debug for AttachmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AttachmentKey(..)")
    }
}

/// Decrypts consecutive pieces of a ciphertext in place. How it is cut into pieces does not matter.
pub struct Decryptor(Ctr128BE<Aes256>);

impl Decryptor {
    /// Decrypts the next piece. A piece past 2^128 blocks cannot occur: [`AttachmentKey::check`] came first.
    pub fn apply(&mut self, piece: &mut [u8]) {
        self.0.apply_keystream(piece);
    }
}

#[cfg(test)]
mod tests;

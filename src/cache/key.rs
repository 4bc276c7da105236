//! Names of what is cached: HMAC-SHA-256 under a deployment secret.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::spool::Digest;

/// The name of a plaintext or of an attachment. Without the secret it tells nothing of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key([u8; 32]);

impl Key {
    /// The name itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same, to be written down.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// A name that was written down, as bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A name that was written down, as [`Display`](fmt::Display) does it.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = digit(2 * at).filter(|_| is_hex)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A reader of media, told from others and not by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reader(pub u64);

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Makes keys.
#[derive(Clone)]
pub struct KeyRing(Zeroizing<[u8; 32]>);

impl KeyRing {
    /// A secret of this process: enough for a store that ends with it.
    pub fn ephemeral() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret)?;
        Ok(Self(secret))
    }

    /// With a secret that outlives the process.
    pub(super) fn with(secret: Zeroizing<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// The identity of a plaintext.
    pub fn plaintext(&self, digest: &Digest) -> Key {
        self.name(&[b"plaintext", digest])
    }

    /// The name of a ciphertext together with the key and counter that open it. A wrong key is another name.
    pub fn attachment(&self, ciphertext: &Digest, material: &[u8; 48]) -> Key {
        self.name(&[b"attachment", ciphertext, material])
    }

    /// The name of an address.
    pub fn location(&self, address: &str) -> Key {
        self.name(&[b"location", address.as_bytes()])
    }

    /// The name of what keys opened a medium to, given the identity of the medium as it is.
    pub fn openings(&self, ciphertext: Key) -> Key {
        self.name(&[b"openings", &ciphertext.0])
    }

    /// The name of how often a plaintext was asked for, and who was given it.
    pub fn usage(&self, identity: Key) -> Key {
        self.name(&[b"usage", &identity.0])
    }

    /// The name of what is known of the time when a plaintext, now known to be infected, was given out as clean.
    pub fn exposure(&self, identity: Key) -> Key {
        self.name(&[b"exposure", &identity.0])
    }

    /// The name of the blame that a plaintext has for what became of engines.
    pub fn blame(&self, identity: Key) -> Key {
        self.name(&[b"blame", &identity.0])
    }

    /// The name of the right to scan a plaintext with engines of this set-up.
    pub fn lease(&self, identity: Key, setup: &str) -> Key {
        self.name(&[b"lease", &identity.0, setup.as_bytes()])
    }

    /// The name of something that there is one of.
    pub fn single(&self, what: &str) -> Key {
        self.name(&[b"single", what.as_bytes()])
    }

    /// Who comes with this credential.
    pub fn reader(&self, credential: &[u8]) -> Reader {
        let name = self.name(&[b"reader", credential]).0;
        Reader(u64::from_be_bytes(*name.first_chunk().expect("longer than that")))
    }

    /// Binds what is kept to its name and to the secret: nobody else can make it, change it, or move it elsewhere.
    pub(super) fn seal(&self, key: Key, content: &[u8]) -> [u8; 16] {
        let name = self.name(&[b"seal", &key.0, content]).0;
        *name.first_chunk().expect("longer than that")
    }

    /// All parts but the first, which keeps the uses apart, have a fixed length, or one does not and is the last.
    fn name(&self, parts: &[&[u8]]) -> Key {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("any length of key is taken");
        for part in parts {
            mac.update(part);
        }
        Key(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_is_another_attachment_and_no_attachment_is_a_plaintext() {
        let ring = KeyRing(Zeroizing::new([1; 32]));
        let name = ring.attachment(&[2; 32], &[3; 48]);
        assert_eq!(name, ring.attachment(&[2; 32], &[3; 48]));
        assert_ne!(name, ring.attachment(&[2; 32], &[4; 48]));
        assert_ne!(name, ring.attachment(&[4; 32], &[3; 48]));
        assert_ne!(name, ring.plaintext(&[2; 32]));
        assert_ne!(name, KeyRing(Zeroizing::new([9; 32])).attachment(&[2; 32], &[3; 48]), "depends on the secret");
    }

    #[test]
    fn what_is_written_of_a_name_leads_to_it() {
        let name = KeyRing(Zeroizing::new([1; 32])).plaintext(&[2; 32]);
        assert_eq!(Key::parse(&name.to_string()), Some(name));
        for text in ["", "00", &"+1".repeat(32), &"é".repeat(32), &"0".repeat(63), &"0".repeat(65)] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }
}

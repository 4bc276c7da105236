//! Names of what is cached: HMAC-SHA-256 under a deployment secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::spool::Digest;

/// The name of a plaintext or of an attachment. Without the secret it tells nothing of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The name itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes keys.
pub struct KeyRing(Zeroizing<[u8; 32]>);

impl KeyRing {
    /// A secret of this process: enough for a store that ends with it.
    pub fn ephemeral() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret)?;
        Ok(Self(secret))
    }

    /// The identity of a plaintext.
    pub fn plaintext(&self, digest: &Digest) -> Key {
        self.mac(&[b"plaintext", digest])
    }

    /// The name of a ciphertext together with the key and counter that open it. A wrong key is another name.
    pub fn attachment(&self, ciphertext: &Digest, material: &[u8; 48]) -> Key {
        self.mac(&[b"attachment", ciphertext, material])
    }

    /// The name of an address.
    pub fn location(&self, address: &str) -> Key {
        self.mac(&[b"location", address.as_bytes()])
    }

    /// The name of what keys opened a medium to, given the identity of the medium as it is.
    pub fn openings(&self, ciphertext: Key) -> Key {
        self.mac(&[b"openings", &ciphertext.0])
    }

    /// All parts but the first, which keeps the uses apart, have a fixed length, or there is one.
    fn mac(&self, parts: &[&[u8]]) -> Key {
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
}

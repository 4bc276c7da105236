//! Opening envelopes.

use serde::Deserialize;
use vodozemac::{
    Curve25519PublicKey, Curve25519SecretKey,
    pk_encryption::{Message, PkDecryption},
};
use zeroize::Zeroizing;

use super::secrets::Secrets;

/// Bytes of a MAC. Fewer would be taken, too, and then one MAC could be right under several secrets.
const MAC: usize = 8;

/// The `encrypted_body` member as a client sent it.
#[derive(Deserialize)]
pub struct EncryptedBody {
    pub(super) ciphertext: String,
    pub(super) mac: String,
    pub(super) ephemeral: String,
}

/// The envelope could not be opened; why is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encrypted body could not be opened")]
pub struct BadEnvelope;

/// All secrets, the current one first.
pub(super) struct Ring(Vec<PkDecryption>);

impl Ring {
    pub(super) fn new(secrets: &Secrets) -> Self {
        let key = |secret: &[u8; 32]| PkDecryption::from_key(Curve25519SecretKey::from_slice(secret));
        Self(secrets.iter().map(key).collect())
    }

    /// The published one, in unpadded base64.
    pub(super) fn public_key(&self) -> String {
        self.0[0].public_key().to_base64()
    }

    pub(super) fn public_keys(&self) -> Vec<Curve25519PublicKey> {
        self.0.iter().map(PkDecryption::public_key).collect()
    }

    /// The MAC is one of the key and of nothing else, so it opens under the one secret that the envelope was made for. All
    /// are tried, also after that one, so that the time does not tell which it was.
    pub(super) fn open(&self, body: &EncryptedBody) -> Result<Zeroizing<Vec<u8>>, BadEnvelope> {
        // vodozemac refuses the padding that some clients send.
        let [ciphertext, mac, ephemeral] =
            [&body.ciphertext, &body.mac, &body.ephemeral].map(|text| text.trim_end_matches('='));
        let message = Message::from_base64(ciphertext, mac, ephemeral).map_err(|_| BadEnvelope)?;
        if message.mac.len() != MAC {
            return Err(BadEnvelope);
        }
        let opened: Vec<_> = self.0.iter().map(|key| key.decrypt(&message).map(Zeroizing::new)).collect();
        opened.into_iter().find_map(Result::ok).ok_or(BadEnvelope)
    }
}

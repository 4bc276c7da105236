//! Request bodies encrypted to the scanner's public key: Olm's `PkEncryption`, as the scanner API's `encrypted_body`.
//!
//! The scheme authenticates nothing (libolm computes its MAC over the empty string), so what comes out is attacker's
//! text, and every way in which opening can fail must look the same to the sender: telling a bad padding from bad JSON
//! would make us a decryption oracle.
//!
//! There may be several secrets: the current one, whose public key is published, and older ones, or those of replicas,
//! that only open. They can be replaced while requests go on.

mod ring;
pub mod secrets;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use serde::Deserialize;
use zeroize::Zeroizing;

use self::ring::Ring;
pub use self::ring::{BadEnvelope, EncryptedBody};
use self::secrets::{SecretError, Secrets};

/// `crypto` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File with the 32-byte secret in base64, as the Matrix Content Scanner keeps it; further lines are secrets that
    /// only open. Created (mode 0600) if missing.
    pub request_secret_path: PathBuf,
    /// Time between two looks at this file.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { request_secret_path: "/etc/lazaret/request_secret".into(), reload_interval: Duration::from_mins(1) }
    }
}

/// Opens envelopes with the deployment's secrets.
pub struct EnvelopeKeys {
    path: PathBuf,
    ring: RwLock<Arc<Ring>>,
    /// What was last said of the file, if it cannot be used. Locked while the file is read, so that of two readers the
    /// later one wins.
    complaint: Mutex<Option<String>>,
}

/// What a look at the file found.
#[derive(Debug)]
pub struct Look {
    /// Something else than before.
    pub changed: bool,
    /// The secrets in force, or why those before stay in force.
    pub outcome: Result<InForce, SecretError>,
}

/// The secrets in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// How many they are.
    pub secrets: usize,
    /// The public key of the current one.
    pub public_key: String,
}

impl EnvelopeKeys {
    /// Reads the secrets, or creates one.
    pub fn load_or_create(config: &Config) -> Result<Self, SecretError> {
        let secrets = Secrets::load_or_create(&config.request_secret_path)?;
        let path = config.request_secret_path.clone();
        Ok(Self { path, ring: RwLock::new(Arc::new(Ring::new(&secrets))), complaint: Mutex::default() })
    }

    /// Reads the secrets again, and has them replace the old ones if they are others. Blocks on the disk.
    pub fn look(&self) -> Look {
        // A poisoned complaint is at worst repeated.
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = Secrets::read(&self.path).map(|secrets| self.take_over(Ring::new(&secrets)));
        let now = outcome.as_ref().err().map(ToString::to_string);
        let changed = matches!(outcome, Ok((true, _))) || now.is_some() && *complaint != now;
        *complaint = now;
        Look { changed, outcome: outcome.map(|(_, in_force)| in_force) }
    }

    fn take_over(&self, new: Ring) -> (bool, InForce) {
        let in_force = InForce { secrets: new.public_keys().len(), public_key: new.public_key() };
        let changed = self.ring().public_keys() != new.public_keys();
        if changed {
            *self.ring.write().expect("no panic while held") = Arc::new(new);
        }
        (changed, in_force)
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().expect("no panic while held"))
    }

    /// The public key in unpadded base64, as `/public_key` publishes it.
    pub fn public_key(&self) -> String {
        self.ring().public_key()
    }

    /// Opens an envelope.
    pub fn open(&self, body: &EncryptedBody) -> Result<Zeroizing<Vec<u8>>, BadEnvelope> {
        self.ring().open(body)
    }
}

#[cfg(test)]
mod tests;

//! Request bodies encrypted to the scanner's public key: Olm's `PkEncryption`, as the scanner API's `encrypted_body`.
//!
//! The scheme authenticates nothing (libolm computes its MAC over the empty string), so what comes out is attacker's
//! text, and every way in which opening can fail must look the same to the sender: telling a bad padding from bad JSON
//! would make us a decryption oracle.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use vodozemac::{
    Curve25519SecretKey,
    pk_encryption::{Message, PkDecryption},
};
use zeroize::Zeroizing;

use super::encoding;

/// `crypto` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File with the 32-byte secret in base64, as the Matrix Content Scanner keeps it. Created (mode 0600) if missing.
    pub request_secret_path: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { request_secret_path: "/etc/lazaret/request_secret".into() }
    }
}

/// Why the secret could not be had. Names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the request secret {0}")]
    Read(PathBuf, #[source] io::Error),
    /// The file cannot be created.
    #[error("there is no request secret at {0} and it cannot be created; set crypto.request_secret_path")]
    Create(PathBuf, #[source] io::Error),
    /// The file holds something else.
    #[error("{0} does not hold 32 bytes in base64")]
    Malformed(PathBuf),
}

/// The `encrypted_body` member as a client sent it.
#[derive(Deserialize)]
pub struct EncryptedBody {
    ciphertext: String,
    mac: String,
    ephemeral: String,
}

/// The envelope could not be opened; why is nobody's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the encrypted body could not be opened")]
pub struct BadEnvelope;

/// Opens envelopes with the deployment's secret.
pub struct EnvelopeKey(PkDecryption);

impl EnvelopeKey {
    /// Reads the secret, or creates one.
    pub fn load_or_create(config: &Config) -> Result<Self, SecretError> {
        let path = &config.request_secret_path;
        match Self::load(path) {
            Err(SecretError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            other => other,
        }
    }

    /// Reads the secret.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| SecretError::Read(path.to_owned(), error))?;
        let secret = encoding::decode(text.trim()).ok_or_else(|| SecretError::Malformed(path.to_owned()))?;
        Ok(Self::new(&secret))
    }

    fn create(path: &Path) -> Result<Self, SecretError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|error| SecretError::Create(path.to_owned(), error.into()))?;
        match write_new(path, &secret) {
            Ok(()) => Ok(Self::new(&secret)),
            // Another process was faster; both must publish the same key.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            Err(error) => Err(SecretError::Create(path.to_owned(), error)),
        }
    }

    fn new(secret: &[u8; 32]) -> Self {
        Self(PkDecryption::from_key(Curve25519SecretKey::from_slice(secret)))
    }

    /// The public key in unpadded base64, as `/public_key` publishes it.
    pub fn public_key(&self) -> String {
        self.0.public_key().to_base64()
    }

    /// Opens an envelope.
    pub fn open(&self, body: &EncryptedBody) -> Result<Zeroizing<Vec<u8>>, BadEnvelope> {
        // vodozemac refuses the padding that some clients send.
        let [ciphertext, mac, ephemeral] =
            [&body.ciphertext, &body.mac, &body.ephemeral].map(|text| text.trim_end_matches('='));
        let message = Message::from_base64(ciphertext, mac, ephemeral).map_err(|_| BadEnvelope)?;
        self.0.decrypt(&message).map(Zeroizing::new).map_err(|_| BadEnvelope)
    }
}

/// Writes the secret to a file that did not exist. Written beside and renamed into place without replacing, so that
/// neither a crash nor a second process starting at once leaves half a secret or two.
fn write_new(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut file = tempfile::Builder::new()
        .make_in(dir, |path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))?;
    let text = Zeroizing::new(BASE64_STANDARD.encode(secret) + "\n");
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use vodozemac::{Curve25519PublicKey, pk_encryption::PkEncryption};

    use super::*;

    fn config(dir: &tempfile::TempDir) -> Config {
        Config { request_secret_path: dir.path().join("new/request_secret") }
    }

    fn seal(key: &EnvelopeKey, text: &[u8]) -> EncryptedBody {
        let public = Curve25519PublicKey::from_base64(&key.public_key()).unwrap();
        let message = PkEncryption::from_key(public).encrypt(text).unwrap();
        let [ciphertext, mac] = [&message.ciphertext, &message.mac].map(|bytes| encoding::encode(bytes));
        EncryptedBody { ciphertext, mac, ephemeral: message.ephemeral_key.to_base64() }
    }

    #[test]
    fn a_missing_secret_is_created_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir);
        let first = EnvelopeKey::load_or_create(&config).unwrap();
        let mode = std::fs::metadata(&config.request_secret_path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(EnvelopeKey::load_or_create(&config).unwrap().public_key(), first.public_key());
        assert_eq!(std::fs::read_dir(dir.path().join("new")).unwrap().count(), 1, "no half-written file is left");
    }

    #[test]
    fn a_secret_that_is_something_else_is_named_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "too short").unwrap();
        let error = EnvelopeKey::load_or_create(&Config { request_secret_path: path.clone() }).err().unwrap();
        assert_eq!(error.to_string(), format!("{} does not hold 32 bytes in base64", path.display()));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "too short");
    }

    #[test]
    fn padded_and_unpadded_envelopes_open() {
        let dir = tempfile::tempdir().unwrap();
        let key = EnvelopeKey::load_or_create(&config(&dir)).unwrap();
        let mut body = seal(&key, b"{}");
        assert_eq!(**key.open(&body).unwrap(), *b"{}");
        body.ciphertext += "==";
        body.mac += "=";
        body.ephemeral += "=";
        assert_eq!(**key.open(&body).unwrap(), *b"{}");
    }

    #[test]
    fn a_broken_envelope_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let key = EnvelopeKey::load_or_create(&config(&dir)).unwrap();
        let breaks: [fn(&mut EncryptedBody); 3] =
            [|b| b.mac = "AAAAAAAAAAA".into(), |b| b.ephemeral = "x".into(), |b| b.ciphertext.clear()];
        for broken in breaks {
            let mut body = seal(&key, b"{}");
            broken(&mut body);
            assert_eq!(key.open(&body).err(), Some(BadEnvelope));
        }
    }
}

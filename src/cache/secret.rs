//! The file with the secret that names what is kept.

use std::{
    io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::key::KeyRing;
use crate::files;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or made.
    #[error("cannot read or create cache.secret_path {0}")]
    File(PathBuf, #[source] io::Error),
    /// Something else is in it.
    #[error(
        "cache.secret_path {0}: not 32 bytes in base64; to have a new secret made, and all verdicts forgotten, move it away"
    )]
    Malformed(PathBuf),
    /// There is no randomness.
    #[error("no randomness for cache.secret_path")]
    Random(#[from] getrandom::Error),
}

/// Reads the secret that is there.
pub fn load(path: &Path) -> Result<KeyRing, SecretError> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| SecretError::File(path.to_owned(), error))?;
    parse(&text).ok_or_else(|| SecretError::Malformed(path.to_owned()))
}

impl KeyRing {
    /// With the secret of a file, which is made if there is none.
    pub fn of_file(path: &Path) -> Result<Self, SecretError> {
        load_or_create(path)
    }
}

/// Reads the secret, or makes one.
pub(super) fn load_or_create(path: &Path) -> Result<KeyRing, SecretError> {
    match load(path) {
        Err(SecretError::File(_, error)) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *secret)?;
            let text = Zeroizing::new(format!("{}\n", STANDARD_NO_PAD.encode(*secret)));
            match files::create(path, text.as_bytes(), 0o600) {
                // Another process was first, or this is a link to nowhere.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
                created => {
                    created.map(|()| KeyRing::with(secret)).map_err(|error| SecretError::File(path.to_owned(), error))
                }
            }
        }
        loaded => loaded,
    }
}

fn parse(text: &str) -> Option<KeyRing> {
    let mut secret = Zeroizing::new([0; 32]);
    let text = text.trim().trim_end_matches('=');
    let length = STANDARD_NO_PAD.decode_slice(text, &mut *secret).ok()?;
    (length == secret.len()).then(|| KeyRing::with(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let name = |ring: KeyRing| ring.plaintext(&[1; 32]);
        let made = name(load_or_create(&path).unwrap());
        assert_eq!(name(load_or_create(&path).unwrap()), made);
        std::fs::remove_file(&path).unwrap();
        assert_ne!(name(load_or_create(&path).unwrap()), made);
    }

    #[test]
    fn a_link_to_nowhere_is_an_error_that_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(matches!(load_or_create(&path), Err(SecretError::File(named, _)) if named == path));
        assert!(!dir.path().join("nowhere").exists());
    }

    #[test]
    fn what_is_no_secret_is_neither_used_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for text in ["", "c2hvcnQ", "not base64!", &"A".repeat(44)] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(load_or_create(&path), Err(SecretError::Malformed(_))), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}

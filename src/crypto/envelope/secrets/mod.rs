//! The file with the secrets.
//!
//! One secret in base64 is the format of the Matrix Content Scanner. Here a file may have several, one a line, the current
//! one first; blank lines and those that begin with `#` say nothing. The same secret twice counts once, so that the files
//! of replicas can be joined.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use vodozemac::{Curve25519PublicKey, Curve25519SecretKey};
use zeroize::Zeroizing;

use crate::{crypto::encoding, files};

/// Most secrets of a file: each costs time on every request that has an envelope.
pub const MAX_SECRETS: usize = 8;

/// One secret.
pub type Secret = Zeroizing<[u8; 32]>;

/// Why secrets could not be had. Names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the request secret {0}")]
    Read(PathBuf, #[source] io::Error),
    /// The file cannot be created.
    #[error("there is no request secret at {0} and it cannot be created; set crypto.request_secret_path")]
    Create(PathBuf, #[source] io::Error),
    /// The file cannot be changed. It is as it was.
    #[error("cannot change the request secret {0}")]
    Change(PathBuf, #[source] io::Error),
    /// A line holds something else.
    #[error("{0}, line {1}: not 32 bytes in base64")]
    Malformed(PathBuf, usize),
    /// No line holds a secret.
    #[error("{0} holds no secret: no line with 32 bytes in base64")]
    Empty(PathBuf),
    /// There are too many.
    #[error("{0} holds more than {MAX_SECRETS} secrets; remove the last ones, which are the oldest")]
    TooMany(PathBuf),
}

/// Secrets, the current one first. There is at least one.
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Reads the secrets, or creates one.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretError> {
        match Self::read(path) {
            Err(SecretError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => create(path, &fresh(path)?),
            other => other,
        }
    }

    /// Reads the secrets.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        Self::parse(&read_text(path)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SecretError> {
        let mut secrets: Vec<Secret> = Vec::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| holds_secret(line)) {
            let secret = encoding::decode(line.trim()).ok_or_else(|| SecretError::Malformed(path.into(), number))?;
            if !secrets.contains(&secret) {
                secrets.push(secret);
            }
        }
        match secrets.len() {
            0 => Err(SecretError::Empty(path.into())),
            1..=MAX_SECRETS => Ok(Self(secrets)),
            _ => Err(SecretError::TooMany(path.into())),
        }
    }

    /// All of them, the current one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.0.iter().map(|secret| &**secret)
    }

    /// Their public keys in unpadded base64, the current one first.
    pub fn public_keys(&self) -> Vec<String> {
        self.iter().map(public_key).collect()
    }
}

/// The public key of a secret in unpadded base64.
pub fn public_key(secret: &[u8; 32]) -> String {
    Curve25519PublicKey::from(&Curve25519SecretKey::from_slice(secret)).to_base64()
}

/// Where a secret is put among those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all others: its public key is published.
    Current,
    /// Behind all others: it only opens.
    Older,
}

/// Puts a fresh secret before those of the file, of which only the first `keep` stay.
pub fn rotate(path: &Path, keep: Option<usize>) -> Result<Secrets, SecretError> {
    add(path, &fresh(path)?, Place::Current, keep.unwrap_or(usize::MAX))
}

/// Puts a secret into the file, which is created if it is not there. One that is there already is not moved back.
pub fn import(path: &Path, secret: &Secret, place: Place) -> Result<Secrets, SecretError> {
    let there = match Secrets::read(path) {
        Err(SecretError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => create(path, secret)?,
        other => other?,
    };
    let in_place = there.0[0] == *secret || place == Place::Older && there.0.contains(secret);
    if in_place { Ok(there) } else { add(path, secret, place, usize::MAX) }
}

/// What is wrong with the file's mode.
pub fn exposed(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    let says = || format!("{} is open to others than its owner (mode {mode:04o}); chmod 0600", path.display());
    (mode & 0o066 != 0).then(says)
}

fn add(path: &Path, secret: &Secret, place: Place, keep: usize) -> Result<Secrets, SecretError> {
    let changing = |error| SecretError::Change(path.into(), error);
    let _others_wait = files::lock(path).map_err(|error| SecretError::Read(path.into(), error))?;
    let old = read_text(path)?;
    Secrets::parse(&old, path)?;
    let line = to_line(secret);
    let mut new = Zeroizing::new(String::with_capacity(old.len() + line.len() + 1));
    if place == Place::Current {
        new.push_str(&line);
    }
    let mut left = keep;
    for line in old.lines() {
        if holds_secret(line) {
            let Some(rest) = left.checked_sub(1) else { continue };
            left = rest;
        }
        new.push_str(line);
        new.push('\n');
    }
    if place == Place::Older {
        new.push_str(&line);
    }
    let secrets = Secrets::parse(&new, path)?;
    files::replace(path, new.as_bytes()).map_err(changing)?;
    Ok(secrets)
}

/// Creates the file, and the folder that it is in.
fn create(path: &Path, secret: &Secret) -> Result<Secrets, SecretError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    match made.and_then(|()| files::create(path, to_line(secret).as_bytes(), 0o600)) {
        Ok(()) => Ok(Secrets(vec![secret.clone()])),
        // Another process was faster; both must publish the same key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Secrets::read(path),
        Err(error) => Err(SecretError::Create(path.into(), error)),
    }
}

fn fresh(path: &Path) -> Result<Secret, SecretError> {
    let mut secret = Secret::new([0; 32]);
    getrandom::fill(&mut *secret).map_err(|error| SecretError::Create(path.into(), error.into()))?;
    Ok(secret)
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| SecretError::Read(path.into(), error))
}

fn to_line(secret: &Secret) -> Zeroizing<String> {
    Zeroizing::new(BASE64_STANDARD.encode(**secret) + "\n")
}

fn holds_secret(line: &str) -> bool {
    !line.trim().is_empty() && !line.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests;

//! How entries are written where others could change them: on a disk, on a server.
//!
//! ```text
//! seal (16 bytes) │ version (1) │ expiry (4, seconds since 1970, 0 for never) │ entry, as its version says
//! ```
//!
//! The seal is made under the deployment secret and covers all that follows and the name under which it is kept. So nobody who can
//! write to the store can make a verdict, change one or give it to other bytes. Whoever can may still bring back what was
//! there before, or take it away.
//!
//! A new version gets a module of its own and the number after; those that were released stay readable, and become new as they
//! are written. Version 1 was not. What comes from a newer version is not there for an older one.

mod v2;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use subtle::ConstantTimeEq;

use super::{
    entry::Entry,
    key::{Key, KeyRing},
};

/// The version that is written.
const VERSION: u8 = 2;

const SEAL: usize = 16;
const HEAD: usize = SEAL + 1 + 4;

/// Writes and reads entries under one secret.
#[derive(Clone)]
pub struct Codec {
    ring: KeyRing,
    ttl: Duration,
}

/// Why something is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// It was not made under this secret, or not for this name, or it was damaged.
    #[error("the seal is wrong")]
    Seal,
    /// It was made by a version that is not known here.
    #[error("version {0} is not known")]
    Version(u8),
    /// It is not what its version says.
    #[error("malformed")]
    Malformed,
}

impl Codec {
    /// Under the secret of `ring`; entries live no longer than `ttl`.
    pub fn new(ring: KeyRing, ttl: Duration) -> Self {
        Self { ring, ttl }
    }

    /// Writes an entry that is put `now`.
    pub fn encode(&self, key: Key, entry: &Entry, now: SystemTime) -> Vec<u8> {
        let expiry = entry.expires(self.ttl, now).map_or(0, |at| seconds(at).max(1));
        let mut bytes = vec![0; SEAL];
        bytes.push(VERSION);
        bytes.extend_from_slice(&expiry.to_be_bytes());
        self.sealed(key, v2::write(entry, bytes))
    }

    /// Seals what stands after the place of the seal; without such a place there is nothing to seal.
    pub fn sealed(&self, key: Key, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some((place, content)) = bytes.split_at_mut_checked(SEAL) {
            place.copy_from_slice(&self.ring.seal(key, content));
        }
        bytes
    }

    /// Reads an entry; `None` if it has expired.
    pub fn decode(&self, key: Key, bytes: &[u8], now: SystemTime) -> Result<Option<Entry>, CodecError> {
        let (seal, content) = bytes.split_at_checked(SEAL).ok_or(CodecError::Seal)?;
        if !bool::from(self.ring.seal(key, content).ct_eq(seal)) {
            return Err(CodecError::Seal);
        }
        let (version, body) = (content.first().ok_or(CodecError::Malformed)?, bytes.get(HEAD..));
        if *version != VERSION {
            return Err(CodecError::Version(*version));
        }
        let body = body.ok_or(CodecError::Malformed)?;
        if expiry(bytes).is_some_and(|at| at <= now) {
            return Ok(None);
        }
        v2::read(body).map(Some).ok_or(CodecError::Malformed)
    }
}

/// When what was written expires, whoever wrote it; `None` for never.
pub fn expiry(bytes: &[u8]) -> Option<SystemTime> {
    let seconds = bytes.get(SEAL + 1..HEAD)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))?;
    (seconds > 0).then(|| UNIX_EPOCH + Duration::from_secs(seconds.into()))
}

fn seconds(time: SystemTime) -> u32 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

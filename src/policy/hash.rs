//! Digests in rules, and what they are called where nobody is to learn them.

use std::fmt;

/// How a digest is called where policies are asked: what is stored of media is named under a secret, so that it tells nobody which
/// files they were. Lists of digests are named in the same way as they are loaded, and compared by name.
pub type Naming = dyn Fn(&[u8; 32]) -> Hash + Send + Sync;

/// The name of a SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The digest itself, where there is no secret.
    pub fn plain(digest: &[u8; 32]) -> Self {
        Self(*digest)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

//! What an engine is given to look at: exact bytes that can be read again and again.

use std::{fmt, io, pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};

use crate::spool::{Descriptor, Spool};

/// Deciphers consecutive pieces of a ciphertext in place, from its start.
pub type Keystream = Box<dyn FnMut(&mut [u8]) + Send>;

/// The bytes of a medium as its reader will see them.
#[derive(Clone)]
pub enum Plaintext {
    /// Held in a spool, which may be on disk for plain media and is in memory for attachments.
    Held(Arc<Spool>),
    /// Deciphered on the way to the engine, because memory has no room for it.
    Keyed {
        /// The spooled ciphertext.
        ciphertext: Arc<Spool>,
        /// Makes a keystream for one reading.
        keystream: Arc<dyn Fn() -> Keystream + Send + Sync>,
    },
}

impl Plaintext {
    /// Length in bytes; ciphertexts are as long as their plaintext.
    pub fn len(&self) -> u64 {
        self.spool().len()
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spool behind it, whose id names the scan.
    pub fn spool(&self) -> &Arc<Spool> {
        match self {
            Self::Held(spool) | Self::Keyed { ciphertext: spool, .. } => spool,
        }
    }

    /// A descriptor whose file is exactly the plaintext, if there is one.
    pub fn descriptor(&self) -> io::Result<Option<Descriptor<'_>>> {
        match self {
            Self::Held(spool) => spool.descriptor(),
            Self::Keyed { .. } => Ok(None),
        }
    }

    /// The first `max` bytes or fewer: never more than one piece holds.
    pub async fn head(&self, max: usize) -> io::Result<Bytes> {
        let first = pin!(self.stream()).try_next().await?.unwrap_or_default();
        Ok(first.slice(..max.min(first.len())))
    }

    /// The bytes from the start, in pieces.
    pub fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let decipher: Keystream = match self {
            Self::Held(_) => Box::new(|_| ()),
            Self::Keyed { keystream, .. } => keystream(),
        };
        self.spool().stream_through(decipher)
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({}, {} bytes)", self.spool().id(), self.len())
    }
}

//! A body that is being written.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::{Place, Spool, Spooler, memory};
use crate::limits::Charge;

/// Bytes gathered before they are written to disk, so that a write on a blocking thread is worth its way.
const WRITE_SIZE: usize = 128 * 1024;

/// Why a body could not be spooled.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It is longer than allowed.
    #[error("the body is larger than the limit")]
    TooLarge,
    /// No room left for it among the others.
    #[error("the spool is full")]
    Full,
    /// The file system failed.
    #[error("the spool cannot be written")]
    Io(#[source] io::Error),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(error),
        }
    }
}

/// A body that is being written and hashed. Dropping it gives everything back.
pub struct Filling {
    spooler: Arc<Spooler>,
    max: u64,
    /// Largest body to be held in memory.
    threshold: u64,
    place: Growing,
    charge: Charge,
    charged: u64,
    len: u64,
    hash: Sha256,
}

enum Growing {
    Heap(Vec<u8>),
    /// The file, and bytes on their way to it.
    Disk(Arc<File>, Vec<u8>),
}

impl Filling {
    /// A body that is expected to become larger than memory takes goes to disk from its first byte, and one that is not
    /// gets its memory at once; an expectation that proves wrong does no harm.
    pub(super) fn begin(spooler: Arc<Spooler>, max: u64, expected: Option<u64>) -> Self {
        let (mut charge, hash) = (spooler.memory.open(), Sha256::new());
        let fits = |len: &u64| *len <= spooler.threshold.min(max);
        let threshold = if expected.is_some_and(|len| !fits(&len)) { 0 } else { spooler.threshold };
        let reserved = expected.filter(fits).filter(|len| charge.grow(memory::charged(*len))).unwrap_or(0);
        let place = Growing::Heap(Vec::with_capacity(usize::try_from(reserved).unwrap_or(0)));
        Self { spooler, max, threshold, place, charge, charged: memory::charged(reserved), len: 0, hash }
    }

    /// Appends bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let len = self.len + bytes.len() as u64;
        if len > self.max {
            return Err(SpoolError::TooLarge);
        }
        if matches!(self.place, Growing::Heap(_)) && !self.stays_in_memory(len) {
            self.move_to_disk().await?;
        }
        self.len = len;
        self.hash.update(bytes);
        match &mut self.place {
            Growing::Heap(body) => body.extend_from_slice(bytes),
            Growing::Disk(_, pending) => {
                if !self.charge.grow(bytes.len() as u64) {
                    return Err(SpoolError::Full);
                }
                pending.extend_from_slice(bytes);
                if pending.len() >= WRITE_SIZE {
                    self.flush().await?;
                }
            }
        }
        Ok(())
    }

    /// Completes the body.
    pub async fn finish(mut self) -> Result<Spool, SpoolError> {
        self.flush().await?;
        let Self { place, charge, len, hash, .. } = self;
        let place = match place {
            Growing::Heap(mut body) => {
                // What was charged is the length, not what a growing vector reserves.
                body.shrink_to_fit();
                Place::Heap(body.into())
            }
            Growing::Disk(file, _) => {
                Place::Disk(Arc::into_inner(file).ok_or_else(|| io::Error::other("a write is still under way"))?)
            }
        };
        Ok(Spool { id: Ulid::generate(), place, len, digest: hash.finalize().into(), charge })
    }

    /// True, and charged, if a body of `len` bytes may still be in memory.
    fn stays_in_memory(&mut self, len: u64) -> bool {
        let wanted = memory::charged(len);
        let stays = len <= self.threshold && self.charge.grow(wanted.saturating_sub(self.charged));
        if stays {
            self.charged = self.charged.max(wanted);
        }
        stays
    }

    async fn move_to_disk(&mut self) -> Result<(), SpoolError> {
        let mut charge = self.spooler.disk.open();
        if !charge.grow(self.len) {
            return Err(SpoolError::Full);
        }
        let dir = self.spooler.dir.clone();
        let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(dir)).await.map_err(io::Error::from)??;
        let begun = Growing::Disk(Arc::new(file), Vec::new());
        if let (Growing::Heap(body), Growing::Disk(_, pending)) =
            (std::mem::replace(&mut self.place, begun), &mut self.place)
        {
            *pending = body;
        }
        self.charge = charge;
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), SpoolError> {
        let Growing::Disk(file, pending) = &mut self.place else { return Ok(()) };
        if pending.is_empty() {
            return Ok(());
        }
        let (bytes, into) = (std::mem::take(pending), Arc::clone(file));
        let write = move || (&*into).write_all(&bytes).map(|()| bytes);
        let mut written = tokio::task::spawn_blocking(write).await.map_err(io::Error::from)??;
        written.clear();
        written.shrink_to(WRITE_SIZE);
        *pending = written;
        Ok(())
    }
}

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
    /// Largest body to be held on the heap.
    threshold: u64,
    above: Above,
    place: Growing,
    charge: Charge,
    charged: u64,
    len: u64,
    hash: Sha256,
}

/// Where a body goes that the heap does not take.
#[derive(Clone, Copy, PartialEq)]
enum Above {
    Disk,
    Memory,
}

enum Growing {
    Heap(Vec<u8>),
    /// A memory file.
    Memory(Ulid, File),
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
        let charged = memory::charged(reserved);
        Self { spooler, max, threshold, above: Above::Disk, place, charge, charged, len: 0, hash }
    }

    /// As [`Filling::begin`], for what must not touch a disk: where memory has no room, there is none.
    pub(super) fn begin_in_memory(spooler: Arc<Spooler>, max: u64, expected: Option<u64>) -> Self {
        Self { above: Above::Memory, ..Self::begin(spooler, max, expected) }
    }

    /// Appends bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let len = self.len + bytes.len() as u64;
        if len > self.max {
            return Err(SpoolError::TooLarge);
        }
        if self.above == Above::Memory {
            self.make_room(len)?;
        } else if matches!(self.place, Growing::Heap(_)) && !self.stays_on_heap(len) {
            self.move_to_disk().await?;
        }
        self.len = len;
        self.hash.update(bytes);
        match &mut self.place {
            Growing::Heap(body) => body.extend_from_slice(bytes),
            Growing::Memory(_, file) => file.write_all(bytes)?,
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
        let mut id = Ulid::generate();
        let place = match place {
            Growing::Heap(mut body) => {
                // What was charged is the length, not what a growing vector reserves.
                body.shrink_to_fit();
                Place::Heap(body.into())
            }
            Growing::Memory(name, file) => {
                memory::seal(&file)?;
                id = name;
                Place::Memory(file)
            }
            Growing::Disk(file, _) => {
                Place::Disk(Arc::into_inner(file).ok_or_else(|| io::Error::other("a write is still under way"))?)
            }
        };
        Ok(Spool { id, place, len, digest: hash.finalize().into(), charge })
    }

    /// True, and charged, if a body of `len` bytes may still be on the heap.
    fn stays_on_heap(&mut self, len: u64) -> bool {
        len <= self.threshold && self.pay_for(len)
    }

    /// True, and charged, if memory has room for a body of `len` bytes.
    fn pay_for(&mut self, len: u64) -> bool {
        let wanted = memory::charged(len);
        let paid = self.charge.grow(wanted.saturating_sub(self.charged));
        if paid {
            self.charged = self.charged.max(wanted);
        }
        paid
    }

    /// Memory for a body of `len` bytes: a file above what the heap takes, which grows without being copied.
    fn make_room(&mut self, len: u64) -> Result<(), SpoolError> {
        if !self.pay_for(len) {
            return Err(SpoolError::Full);
        }
        if len > self.threshold
            && let Growing::Heap(body) = &self.place
        {
            let id = Ulid::generate();
            let mut file = memory::create(id)?;
            file.write_all(body)?;
            self.place = Growing::Memory(id, file);
        }
        Ok(())
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

//! A body that is being written.

use std::{
    fs::File,
    io::{self, Seek, Write},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use super::{Spool, Spooler, Tier, memory};
use crate::limits::Charge;

/// Bytes gathered before they are written to disk, so that a write on a blocking thread is worth its way.
const WRITE_SIZE: usize = 256 * 1024;

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
    id: Ulid,
    file: Arc<File>,
    tier: Tier,
    charge: Charge,
    charged: u64,
    len: u64,
    hash: Sha256,
    /// Bytes on their way to disk.
    pending: Vec<u8>,
}

impl Filling {
    pub(super) fn begin(spooler: Arc<Spooler>, max: u64) -> io::Result<Self> {
        let id = Ulid::generate();
        let file = Arc::new(memory::create(id)?);
        let charge = spooler.memory.open();
        let (hash, pending) = (Sha256::new(), Vec::new());
        Ok(Self { spooler, max, id, file, tier: Tier::Memory, charge, charged: 0, len: 0, hash, pending })
    }

    /// Appends bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        let len = self.len + bytes.len() as u64;
        if len > self.max {
            return Err(SpoolError::TooLarge);
        }
        if self.tier == Tier::Memory && !self.stays_in_memory(len) {
            self.move_to_disk().await?;
        }
        if self.tier == Tier::Disk && !self.charge.grow(bytes.len() as u64) {
            return Err(SpoolError::Full);
        }
        self.len = len;
        self.hash.update(bytes);
        match self.tier {
            Tier::Memory => (&*self.file).write_all(bytes)?,
            Tier::Disk => {
                self.pending.extend_from_slice(bytes);
                if self.pending.len() >= WRITE_SIZE {
                    self.flush().await?;
                }
            }
        }
        Ok(())
    }

    /// Completes the body.
    pub async fn finish(mut self) -> Result<Spool, SpoolError> {
        self.flush().await?;
        let Self { id, file, tier, charge, len, hash, .. } = self;
        let file = Arc::into_inner(file).ok_or_else(|| io::Error::other("a write is still under way"))?;
        if tier == Tier::Memory {
            memory::seal(&file)?;
        }
        Ok(Spool { id, file, len, digest: hash.finalize().into(), tier, _charge: charge })
    }

    /// True, and charged, if a body of `len` bytes may still be in memory.
    fn stays_in_memory(&mut self, len: u64) -> bool {
        let wanted = memory::charged(len);
        let stays = len <= self.spooler.threshold && self.charge.grow(wanted - self.charged);
        if stays {
            self.charged = wanted;
        }
        stays
    }

    async fn move_to_disk(&mut self) -> Result<(), SpoolError> {
        let mut charge = self.spooler.disk.open();
        if !charge.grow(self.len) {
            return Err(SpoolError::Full);
        }
        let (dir, memory) = (self.spooler.dir.clone(), Arc::clone(&self.file));
        let copy = move || -> io::Result<File> {
            let mut disk = tempfile::tempfile_in(dir)?;
            let mut memory = &*memory;
            memory.rewind()?;
            io::copy(&mut memory, &mut disk)?;
            Ok(disk)
        };
        self.file = Arc::new(tokio::task::spawn_blocking(copy).await.map_err(io::Error::from)??);
        (self.tier, self.charge) = (Tier::Disk, charge);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SpoolError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let (pending, file) = (std::mem::take(&mut self.pending), Arc::clone(&self.file));
        let write = move || (&*file).write_all(&pending).map(|()| pending);
        self.pending = tokio::task::spawn_blocking(write).await.map_err(io::Error::from)??;
        self.pending.clear();
        Ok(())
    }
}

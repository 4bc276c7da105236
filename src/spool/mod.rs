//! Bounded bodies: hashed while they are written, in memory while small, in an unlinked file when not, read as often as
//! needed.
//!
//! Small bodies are on the heap, since most are served from a known verdict and are never scanned; one that is scanned is
//! copied into a sealed memory file for as long as a local clamd has its descriptor. Large ones are in a file, and that
//! file's descriptor is what clamd scans and what the client is served from. Plaintext of attachments is in a sealed
//! memory file whatever its size, and so is a file that may be encrypted after it was scanned. Memory and disk are two
//! budgets; a small body that finds no memory left goes to disk, a body that finds no disk left is refused. A spool
//! directory on tmpfs is memory too, but is charged as disk.

mod fill;
mod gunzip;
mod memory;

use std::{
    fs::File,
    io::{self, Write},
    ops::Range,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::fs::FileExt,
    },
    path::PathBuf,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use futures_util::{Stream, stream};
use prometheus::{PullingGauge, Registry};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use ulid::Ulid;

pub use self::{
    fill::{Filling, SpoolError},
    gunzip::{GunzipError, gunzip},
};
use crate::limits::{ByteBudget, Charge};

/// Bytes read from a spool at a time.
const READ_SIZE: usize = 64 * 1024;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// `spool` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory for bodies above `memory_threshold`; files in it have no name. Created if missing.
    pub dir: PathBuf,
    /// Largest body held in memory, in bytes.
    pub memory_threshold: ByteSize,
    /// Bytes that all bodies on disk may take together.
    pub max_bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self { dir: "/var/lib/lazaret/spool".into(), memory_threshold: ByteSize::mib(1), max_bytes: ByteSize::gib(8) }
    }
}

/// Makes spools within the two budgets.
#[derive(Debug)]
pub struct Spooler {
    dir: PathBuf,
    threshold: u64,
    memory: Arc<ByteBudget>,
    disk: Arc<ByteBudget>,
}

impl Spooler {
    /// Prepares the directory and proves that it can hold an unnamed file, so that a wrong path is found at start.
    pub fn open(config: &Config, memory_bytes: ByteSize) -> io::Result<Self> {
        std::fs::create_dir_all(&config.dir)?;
        tempfile::tempfile_in(&config.dir)?;
        Ok(Self {
            dir: config.dir.clone(),
            threshold: config.memory_threshold.as_u64(),
            memory: ByteBudget::new(memory_bytes.as_u64()),
            disk: ByteBudget::new(config.max_bytes.as_u64()),
        })
    }

    /// Registers gauges of the bytes in use.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let gauge = |name, help, budget: &Arc<ByteBudget>| {
            let budget = Arc::clone(budget);
            PullingGauge::new(name, help, Box::new(move || budget.used() as f64))
        };
        let memory = gauge("lazaret_spool_memory_bytes", "Bytes of media held in memory.", &self.memory)?;
        let disk = gauge("lazaret_spool_disk_bytes", "Bytes of media held in unnamed files.", &self.disk)?;
        registry.register(Box::new(memory))?;
        registry.register(Box::new(disk))
    }

    /// A directory that is for us alone, for files that are no media. It goes with what is given.
    pub fn scratch(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix("scratch-").tempdir_in(&self.dir)
    }

    /// Starts a body of at most `max` bytes, `expected` to have so many.
    pub fn begin(self: &Arc<Self>, max: u64, expected: Option<u64>) -> Filling {
        Filling::begin(Arc::clone(self), max, expected)
    }

    /// As [`Spooler::begin`], for a body that must not touch a disk: it is [`SpoolError::Full`] where memory has no room.
    pub fn begin_in_memory(self: &Arc<Self>, max: u64, expected: Option<u64>) -> Filling {
        Filling::begin_in_memory(Arc::clone(self), max, expected)
    }

    /// An empty charge on the memory budget, for what is held elsewhere.
    pub fn charge(&self) -> Charge {
        self.memory.open()
    }

    /// Bytes that may be held in memory and on disk.
    pub fn room(&self) -> (u64, u64) {
        (self.memory.total(), self.disk.total())
    }

    /// A few bytes on disk, outside any budget: specimens.
    pub fn specimen_on_disk(&self, bytes: &[u8]) -> io::Result<Spool> {
        let mut file = tempfile::tempfile_in(&self.dir)?;
        file.write_all(bytes)?;
        Ok(Spool { place: Place::Disk(file), ..Spool::of(bytes) })
    }

    /// Holds a body of `len` bytes in memory whatever its size: for what must not touch a disk. `write` is called once
    /// with the file to fill; it blocks. `Ok(None)` if the memory budget has no room.
    pub fn hold_in_memory(
        &self,
        len: u64,
        write: impl FnOnce(&mut File) -> io::Result<Digest>,
    ) -> io::Result<Option<Spool>> {
        let mut charge = self.memory.open();
        if !charge.grow(memory::charged(len)) {
            return Ok(None);
        }
        let id = Ulid::generate();
        let mut file = memory::create(id)?;
        let digest = write(&mut file)?;
        memory::seal(&file)?;
        Ok(Some(Spool { id, place: Place::Memory(file), len, digest, charge }))
    }
}

/// Where a body lies.
#[derive(Debug)]
enum Place {
    /// Small: read and served without a system call.
    Heap(Bytes),
    /// A sealed memory file.
    Memory(File),
    /// A file without a name.
    Disk(File),
}

/// A complete body that no longer changes.
#[derive(Debug)]
pub struct Spool {
    id: Ulid,
    place: Place,
    len: u64,
    digest: Digest,
    charge: Charge,
}

/// A descriptor whose file is exactly a body.
pub enum Descriptor<'a> {
    /// The spool's own, sealed.
    Own(BorrowedFd<'a>),
    /// The spool's file, opened once more: an engine that a file has taken over must not be able to change what was
    /// hashed and will be served.
    ReadOnly(File),
    /// That of a sealed copy in memory, paid for by the budget.
    Copy(File, Charge),
}

impl AsFd for Descriptor<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => *fd,
            Self::ReadOnly(file) | Self::Copy(file, _) => file.as_fd(),
        }
    }
}

impl Spool {
    /// A few bytes in memory, outside any budget: specimens.
    pub fn of(bytes: &[u8]) -> Self {
        let charge = ByteBudget::new(u64::MAX).open();
        let (digest, place) = (Sha256::digest(bytes).into(), Place::Heap(Bytes::copy_from_slice(bytes)));
        Self { id: Ulid::generate(), place, len: bytes.len() as u64, digest, charge }
    }

    /// `head` and then nothing but zeros, `len` bytes in all, in a memory file that takes no memory for the zeros, and
    /// outside any budget: specimens. Its digest is not that of its bytes.
    pub fn sparse(head: &[u8], len: u64) -> io::Result<Self> {
        let id = Ulid::generate();
        let mut file = memory::create(id)?;
        file.write_all(head)?;
        file.set_len(len)?;
        memory::seal(&file)?;
        Ok(Self { id, place: Place::Memory(file), len, ..Self::of(head) })
    }

    /// A random name. clamd sees it as the name of the memfd, so that its log can be joined with ours without naming a medium.
    pub fn id(&self) -> Ulid {
        self.id
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True if it takes room on disk rather than in memory.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.place, Place::Disk(_))
    }

    /// SHA-256 of all bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The bytes from the start, in pieces.
    pub fn stream(self: &Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        self.stream_through(|_| ())
    }

    /// The bytes from the start, in pieces that `change` may alter on their way.
    pub fn stream_through<F>(self: &Arc<Self>, change: F) -> impl Stream<Item = io::Result<Bytes>> + Send + use<F>
    where
        F: FnMut(&mut [u8]) + Send,
    {
        self.pieces(0..self.len, change)
    }

    /// The bytes of a range, in pieces.
    pub fn stream_range(self: &Arc<Self>, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        self.pieces(range, |_| ())
    }

    fn pieces<F>(
        self: &Arc<Self>,
        range: Range<u64>,
        change: F,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + use<F>
    where
        F: FnMut(&mut [u8]) + Send,
    {
        stream::try_unfold((Arc::clone(self), range, change), |(spool, mut range, mut change)| async move {
            let mut piece = spool.read_piece(range.start).await?;
            piece.truncate(usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX));
            change(&mut piece);
            range.start += piece.len() as u64;
            Ok((!piece.is_empty()).then(|| (piece.freeze(), (spool, range, change))))
        })
    }

    /// The whole body, if it is on the heap.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.place {
            Place::Heap(bytes) => Some(bytes),
            Place::Memory(_) | Place::Disk(_) => None,
        }
    }

    /// A descriptor to pass to an engine on this machine. `Ok(None)` if the memory budget has no room for the copy that
    /// a body on the heap needs.
    pub fn descriptor(&self) -> io::Result<Option<Descriptor<'_>>> {
        let bytes = match &self.place {
            Place::Memory(file) => return Ok(Some(Descriptor::Own(file.as_fd()))),
            Place::Disk(file) => return Ok(reopen_to_read(file).ok().map(Descriptor::ReadOnly)),
            Place::Heap(bytes) => bytes,
        };
        let mut charge = self.charge.sibling();
        if !charge.grow(memory::charged(self.len)) {
            return Ok(None);
        }
        let mut file = memory::create(self.id)?;
        file.write_all(bytes)?;
        memory::seal(&file)?;
        Ok(Some(Descriptor::Copy(file, charge)))
    }

    /// The piece that starts at `at`; empty at the end. Memory is always there; reads of a file may wait for the disk and
    /// so leave the async threads.
    pub async fn read_piece(self: &Arc<Self>, at: u64) -> io::Result<BytesMut> {
        match self.place {
            Place::Heap(_) | Place::Memory(_) => self.read_piece_blocking(at),
            Place::Disk(_) => {
                let spool = Arc::clone(self);
                tokio::task::spawn_blocking(move || spool.read_piece_blocking(at)).await?
            }
        }
    }

    /// As [`Spool::read_piece`], for callers on a blocking thread.
    pub fn read_piece_blocking(&self, at: u64) -> io::Result<BytesMut> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(READ_SIZE).min(READ_SIZE);
        let mut piece = BytesMut::zeroed(left);
        self.read_at_blocking(at, &mut piece)?;
        Ok(piece)
    }

    /// Fills `piece` with the bytes at `at`, as far as there are any, and says how many.
    pub fn read_at_blocking(&self, at: u64, piece: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
        match &self.place {
            Place::Heap(bytes) => {
                let begin = bytes.len().min(usize::try_from(at).unwrap_or(usize::MAX));
                piece[..left].copy_from_slice(&bytes[begin..begin + left]);
            }
            Place::Memory(file) | Place::Disk(file) => file.read_exact_at(&mut piece[..left], at)?,
        }
        Ok(left)
    }
}

/// Files without a name can be opened through the descriptors that the kernel shows.
fn reopen_to_read(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests;

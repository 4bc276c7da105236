//! Bounded bodies: hashed while they are written, in memory while small, in an unlinked file when not, read as often as
//! needed.
//!
//! A body in memory is a sealed memfd, so a finished [`Spool`] always is one file descriptor: the same one that a local
//! clamd scans and that the client is served from. Memory and disk are two budgets; a small body that finds no memory
//! left goes to disk, a body that finds no disk left is refused. A spool directory on tmpfs is memory too, but is
//! charged as disk.

mod fill;
mod memory;

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd},
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
use ulid::Ulid;

pub use self::fill::{Filling, SpoolError};
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

    /// Starts a body of at most `max` bytes.
    pub fn begin(self: &Arc<Self>, max: u64) -> io::Result<Filling> {
        Filling::begin(Arc::clone(self), max)
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
        Ok(Some(Spool { id, file, len, digest, tier: Tier::Memory, _charge: charge }))
    }
}

/// Where a body lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Memory,
    Disk,
}

/// A complete body that no longer changes.
#[derive(Debug)]
pub struct Spool {
    id: Ulid,
    file: File,
    len: u64,
    digest: Digest,
    tier: Tier,
    _charge: Charge,
}

impl Spool {
    /// A few bytes in memory, outside any budget: specimens.
    pub fn of(bytes: &[u8]) -> io::Result<Self> {
        let id = Ulid::generate();
        let mut file = memory::create(id)?;
        file.write_all(bytes)?;
        memory::seal(&file)?;
        let charge = ByteBudget::new(0).open();
        let digest = Sha256::digest(bytes).into();
        Ok(Self { id, file, len: bytes.len() as u64, digest, tier: Tier::Memory, _charge: charge })
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
        stream::try_unfold((Arc::clone(self), 0, change), |(spool, at, mut change)| async move {
            let mut piece = spool.read_piece(at).await?;
            change(&mut piece);
            let next = at + piece.len() as u64;
            Ok((!piece.is_empty()).then(|| (piece.freeze(), (spool, next, change))))
        })
    }

    /// The piece that starts at `at`; empty at the end. Pages of a memfd are always there; reads of a file may wait for
    /// the disk and so leave the async threads.
    pub async fn read_piece(self: &Arc<Self>, at: u64) -> io::Result<BytesMut> {
        match self.tier {
            Tier::Memory => self.read_piece_blocking(at),
            Tier::Disk => {
                let spool = Arc::clone(self);
                tokio::task::spawn_blocking(move || spool.read_piece_blocking(at)).await?
            }
        }
    }

    /// As [`Spool::read_piece`], for callers on a blocking thread.
    pub fn read_piece_blocking(&self, at: u64) -> io::Result<BytesMut> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(READ_SIZE);
        let mut piece = BytesMut::zeroed(left.min(READ_SIZE));
        self.file.read_exact_at(&mut piece, at)?;
        Ok(piece)
    }
}

impl AsFd for Spool {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    fn spooler(threshold: u64, memory: u64, disk: u64) -> (tempfile::TempDir, Arc<Spooler>) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            dir: dir.path().join("made/on/demand"),
            memory_threshold: ByteSize(threshold),
            max_bytes: ByteSize(disk),
        };
        let spooler = Spooler::open(&config, ByteSize(memory)).unwrap();
        (dir, Arc::new(spooler))
    }

    async fn fill(spooler: &Arc<Spooler>, body: &[u8], piece: usize) -> Result<Arc<Spool>, SpoolError> {
        let mut filling = spooler.begin(1 << 20)?;
        for chunk in body.chunks(piece) {
            filling.write(chunk).await?;
        }
        Ok(Arc::new(filling.finish().await?))
    }

    async fn read(spool: &Arc<Spool>) -> Vec<u8> {
        spool
            .stream()
            .try_fold(Vec::new(), |mut all, b| async move {
                all.extend_from_slice(&b);
                Ok(all)
            })
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn bodies_on_both_tiers_read_back_as_written() {
        let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 20);
        let body: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
        for (len, tier) in [(0, Tier::Memory), (10_000, Tier::Memory), (10_001, Tier::Disk), (700_000, Tier::Disk)] {
            let spool = fill(&spooler, &body[..len], 4_321).await.unwrap();
            assert_eq!((spool.tier, spool.len()), (tier, len as u64));
            assert_eq!(read(&spool).await, body[..len]);
            assert_eq!(spool.digest()[..], Sha256::digest(&body[..len])[..]);
        }
        assert_eq!((spooler.memory.used(), spooler.disk.used()), (0, 0), "charges are given back");
    }

    #[tokio::test]
    async fn a_small_body_goes_to_disk_when_memory_is_used_up() {
        let (_dir, spooler) = spooler(10_000, 8_192, 1 << 20);
        let first = fill(&spooler, &[1; 8_000], 500).await.unwrap();
        let second = fill(&spooler, &[2; 8_000], 500).await.unwrap();
        assert_eq!((first.tier, second.tier), (Tier::Memory, Tier::Disk));
        assert_eq!(read(&second).await, [2; 8_000]);
    }

    #[tokio::test]
    async fn a_full_disk_budget_and_an_overlong_body_are_told_apart() {
        let (_dir, spooler) = spooler(0, 0, 50_000);
        assert!(matches!(fill(&spooler, &vec![0; 60_000], 1000).await, Err(SpoolError::Full)));
        assert!(matches!(fill(&spooler, &vec![0; (1 << 20) + 1], 1 << 21).await, Err(SpoolError::TooLarge)));
        assert_eq!(spooler.disk.used(), 0);
    }

    #[tokio::test]
    async fn a_finished_memory_body_can_no_longer_be_changed() {
        let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 20);
        let spool = fill(&spooler, b"sealed", 6).await.unwrap();
        assert!(spool.file.write_at(b"X", 0).is_err());
        assert!(spool.file.set_len(0).is_err());
    }

    #[test]
    fn the_spool_directory_holds_no_names() {
        let (dir, spooler) = spooler(0, 0, 1 << 20);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _spool = runtime.block_on(fill(&spooler, &[7; 9_000], 9_000)).unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("made/on/demand")).unwrap().count(), 0);
    }
}

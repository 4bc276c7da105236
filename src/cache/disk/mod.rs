//! Entries in a file of this process, with [redb](https://docs.rs/redb).
//!
//! ```text
//! get ─► what is on its way ─► slots, newest first        (threads for blocking work, few at a time)
//! put ─► queue ─► one writer: merges, writes, commits     (a thread of its own; a commit outlives a power failure)
//! ```
//!
//! | module | |
//! |---|---|
//! | [`layout`] | which slots there are; pure |
//! | [`slots`] | how entries lie in the file |
//! | [`mod@file`] | opened, in use, damaged, set aside |
//! | [`shelf`] | the file while it is open |
//! | [`queue`], [`writer`] | what waits, and who writes it |
//!
//! A file that fails is closed and opened again, after pauses, for as long as it fails. One that is damaged is set aside
//! for an empty one. What is read is believed for its seal alone, so damage that nothing else notices is a miss.

mod file;
mod layout;
mod metrics;
mod queue;
mod shelf;
mod slots;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    sync::{
        Arc, RwLock,
        mpsc::{Receiver, channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use prometheus::Registry;
use tokio::{sync::Semaphore, task::spawn_blocking};

use self::{
    file::{Fault, Opener, Place},
    layout::Limits,
    metrics::Metrics,
    queue::Queue,
    shelf::Shelf,
    slots::Snapshot,
    writer::Writer,
};
use super::{
    CacheError,
    codec::Codec,
    config::{Config, OnCorruption},
    entry::Entry,
    key::{Key, KeyRing},
    store::{Cursor, Page, Stats, StoreError, VerdictStore},
};

/// Threads that may read at a time. A disk that hangs keeps these and no others.
const READERS: usize = 4;

/// How long the end waits for what is still to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Keeps entries in a file.
pub struct DiskStore {
    shelf: Arc<Shelf>,
    queue: Arc<Queue>,
    readers: Arc<Semaphore>,
    /// Says nothing; is closed once the writer has ended.
    ended: std::sync::Mutex<Receiver<()>>,
}

impl DiskStore {
    /// Opens the file of a configuration, or makes it.
    pub async fn open(config: &Config, ring: &KeyRing, registry: &Registry) -> Result<Self, CacheError> {
        Self::open_by(Arc::new(file::database), config, ring, registry).await
    }

    async fn open_by(opener: Opener, config: &Config, ring: &KeyRing, registry: &Registry) -> Result<Self, CacheError> {
        let limits =
            Limits { entries: config.disk.max_entries.get(), bytes: config.disk.max_bytes.as_u64(), ttl: config.ttl };
        let shelf = Arc::new(Shelf {
            place: Place { path: config.path.clone(), opener },
            on_corruption: config.disk.on_corruption,
            limits,
            codec: Codec::new(ring.clone(), config.ttl),
            marker: ring.single("secret"),
            metrics: Metrics::register(registry)?,
            opened: RwLock::default(),
        });
        let file = Arc::clone(&shelf);
        let outcome = spawn_blocking(move || file.open(0)).await;
        outcome.expect("panics are caught").map_err(|fault| cannot_open(config, &fault))?;
        Self::start(shelf).map_err(|error| CacheError::Open(format!("no thread for the verdict store: {error}")))
    }

    fn start(shelf: Arc<Shelf>) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = Writer { shelf: Arc::clone(&shelf), queue: Arc::clone(&queue), openings: 0 };
        let (ends, ended) = channel();
        let end = queue::End(Arc::clone(&queue));
        thread::Builder::new().name("verdict-store".to_owned()).spawn(move || {
            let _ends = (ends, end);
            writer.run();
        })?;
        Ok(Self { shelf, queue, readers: Arc::new(Semaphore::new(READERS)), ended: ended.into() })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Snapshot) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        // It stays with the thread, which nobody can take back from a disk that hangs.
        let place = Arc::clone(&self.readers).acquire_owned().await.expect("never closed");
        let Some(opened) = self.shelf.opened() else { return Err(StoreError::Failed(self.queue.trouble())) };
        let number = opened.number;
        let reading = move || {
            let _place = place;
            opened.read(work)
        };
        let outcome = spawn_blocking(reading).await.map_err(|error| StoreError::Failed(error.to_string()))?;
        outcome.map_err(|fault| {
            let why = fault.why();
            self.queue.report(number, fault);
            StoreError::Failed(why)
        })
    }

    async fn fetch(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        // Before the file is looked at, or what is written in between would be in neither.
        let on_its_way = self.queue.on_its_way(key);
        let found = self.read(move |snapshot| snapshot.find(&key)).await?;
        let is_old = found.as_ref().is_some_and(|found| found.is_old);
        let there = found.and_then(|found| self.decode(key, &found.content));
        if is_old && there.is_some() {
            self.queue.touch(key);
        }
        let (entry, now) = (on_its_way.seen(key, there), SystemTime::now());
        Ok(entry.filter(|entry| entry.expires(self.shelf.limits.ttl, now).is_none_or(|at| at > now)))
    }

    fn decode(&self, key: Key, content: &[u8]) -> Option<Entry> {
        self.shelf.codec.decode(key, content, SystemTime::now()).unwrap_or_else(|_| {
            self.shelf.metrics.unreadable.inc();
            None
        })
    }

    async fn part(&self, from: Option<Cursor>) -> Result<Page, StoreError> {
        if from.is_none() {
            self.written().await?;
        }
        let (entries, next) = self.read(move |snapshot| snapshot.walk(from.as_ref())).await?;
        let decode = |(key, content): (Key, Vec<u8>)| Some((key, self.decode(key, &content)?));
        Ok(Page { entries: entries.into_iter().filter_map(decode).collect(), next })
    }

    async fn written(&self) -> Result<(), StoreError> {
        let gone = |_| Err(StoreError::Failed("the store is closed".to_owned()));
        self.queue.flush().await.unwrap_or_else(gone)
    }
}

fn cannot_open(config: &Config, fault: &Fault) -> CacheError {
    let path = config.path.display();
    CacheError::Open(match fault {
        Fault::InUse => format!(
            "cache.path {path}: another process has it open; give each process a file of its own, or let them share \
             verdicts with `cache.store: redis`"
        ),
        Fault::Damaged { why, .. } => format!(
            "cache.path {path} is damaged or no store of verdicts: {why}; move it away to begin with an empty one, or have that done by \
             `cache.disk.on_corruption: start_empty`"
        ),
        Fault::Full(why) | Fault::Refused(why) => format!("cannot open or create cache.path {path}: {why}"),
    })
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.queue.close();
        let ended = self.ended.get_mut().expect("no panic while held").recv_timeout(LAST_WORDS);
        if matches!(ended, Err(std::sync::mpsc::RecvTimeoutError::Timeout)) {
            tracing::warn!("the verdict store could not be written to the end");
        }
    }
}

impl VerdictStore for DiskStore {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        self.fetch(key).boxed()
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(self.queue.put(key, entry)).boxed()
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(self.queue.remove(key)).boxed()
    }

    fn walk(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.part(from).boxed()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(self.queue.clear()).boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Stats, StoreError>> {
        let Metrics { entries, bytes, .. } = &self.shelf.metrics;
        let whole = |gauge: &prometheus::IntGauge| u64::try_from(gauge.get()).unwrap_or_default();
        ready(Ok(Stats { entries: whole(entries), bytes: whole(bytes) })).boxed()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.written().boxed()
    }
}

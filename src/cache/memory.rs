//! Entries in memory, bounded by weight, the least used ones given up first.

use std::{
    mem::size_of,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use moka::{Expiry, ops::compute::Op, sync::Cache};

use super::{
    entry::{Blame, Entry, Exposure, Opened, Usage},
    key::Key,
    store::{Cursor, Page, Stats, StoreError, VerdictStore},
};
use crate::verdict::{Provenance, Record, Verdict};

/// What moka itself spends on an entry: its bookkeeping was measured at about this.
const OVERHEAD: usize = 160;

/// Keeps entries in memory.
pub struct MemoryStore(Cache<Key, Entry>);

/// Entries expire by themselves, and all after some time.
struct Lifetimes {
    ttl: Duration,
    longest: Duration,
}

impl Lifetimes {
    fn of(&self, entry: &Entry) -> Duration {
        let now = SystemTime::now();
        let expires = entry.expires_near(self.ttl, now);
        expires.map_or(self.longest, |at| at.duration_since(now).unwrap_or_default().min(self.longest))
    }
}

impl Expiry<Key, Entry> for Lifetimes {
    fn expire_after_create(&self, _: &Key, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(self.of(entry))
    }

    fn expire_after_update(&self, _: &Key, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(self.of(entry))
    }
}

impl MemoryStore {
    /// Of so many bytes. Entries live as long as they say given `ttl`, and no longer than `longest`.
    pub fn new(max_bytes: u64, ttl: Duration, longest: Duration) -> Self {
        let weigh = |_: &Key, entry: &Entry| u32::try_from(weight(entry)).unwrap_or(u32::MAX);
        let builder = Cache::builder().max_capacity(max_bytes).weigher(weigh);
        Self(builder.expire_after(Lifetimes { ttl, longest }).support_invalidation_closures().build())
    }

    /// As [`VerdictStore::get`], at once.
    pub(super) fn peek(&self, key: Key) -> Option<Entry> {
        self.0.get(&key)
    }

    /// As [`VerdictStore::put`], at once. `there` is what is known to be there if it is not here.
    pub(super) fn merge(&self, key: Key, entry: Entry, there: Option<Entry>) {
        self.0.entry(key).and_upsert_with(|here| {
            let old = here.map(moka::Entry::into_value).or(there);
            Entry::merged(old, entry)
        });
    }

    /// The same for what this process says just now, see [`Entry::merged_near`].
    pub(super) fn merge_own(&self, key: Key, entry: Entry, there: Option<Entry>) {
        self.0.entry(key).and_upsert_with(|here| {
            let old = match (here.map(moka::Entry::into_value), there) {
                (Some(here), Some(there)) => Some(Entry::merged(Some(here), there)),
                (here, there) => here.or(there),
            };
            Entry::merged_near(old, entry)
        });
    }

    /// Forgets an entry if it is this record.
    pub(super) fn forget_record(&self, key: Key, record: &Arc<Record>) {
        self.0.entry(key).and_compute_with(|here| match here.map(moka::Entry::into_value) {
            Some(Entry::Record(here)) if Arc::ptr_eq(&here, record) => Op::Remove,
            _ => Op::Nop,
        });
    }

    /// As [`VerdictStore::remove`], at once.
    pub(super) fn forget(&self, key: Key) {
        self.0.invalidate(&key);
    }

    /// As [`VerdictStore::clear`], at once.
    pub(super) fn forget_all(&self) {
        self.0.invalidate_entries_if(|_, entry| !entry.is_single()).expect("closures are supported");
    }

    /// All of them.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Key, Entry)> {
        self.0.iter().map(|(key, entry)| (*key, entry))
    }

    /// Entries and bytes.
    pub(super) fn size(&self) -> Stats {
        Stats { entries: self.0.entry_count(), bytes: self.0.weighted_size() }
    }
}

fn weight(entry: &Entry) -> usize {
    let own = match entry {
        Entry::Identity(_) | Entry::Located(_) => 0,
        Entry::Opened(opened) => size_of::<Opened>() + (opened.clean.len() + opened.infected.len()) * size_of::<Key>(),
        Entry::Record(record) => weight_of_record(record),
        Entry::Usage(usage) => {
            let readers = usage.served.as_ref().map_or(0, |served| served.readers.len());
            size_of::<Usage>() + 2 * readers * size_of::<u64>()
        }
        Entry::Exposure(exposure) => {
            size_of::<Exposure>() + exposure.detection.0.len() + 2 * exposure.served.readers.len() * size_of::<u64>()
        }
        Entry::Blame(Blame { record, .. }) => record.as_deref().map_or(0, weight_of_record),
        Entry::Epochs(_) => 4096,
        Entry::Overrides(overrides) => overrides.weight(),
    };
    OVERHEAD + size_of::<Key>() + size_of::<Entry>() + own
}

fn weight_of_record(record: &Record) -> usize {
    let Provenance { backend, version, epoch, .. } = &record.provenance;
    let texts = backend.len() + version.len() + epoch.setup.len() + epoch.state.len();
    let detection = match &record.verdict {
        Verdict::Clean(_) => 0,
        Verdict::Infected { detection: text } | Verdict::Incomplete { why: text } | Verdict::Opaque { why: text } => {
            text.0.len()
        }
    };
    size_of::<Record>() + texts + detection
}

impl VerdictStore for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        ready(Ok(self.peek(key))).boxed()
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'_, Result<(), StoreError>> {
        self.merge(key, entry, None);
        ready(Ok(())).boxed()
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        self.forget(key);
        ready(Ok(())).boxed()
    }

    fn walk(&self, _from: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>> {
        let entries = self.entries().collect();
        ready(Ok(Page { entries, next: None })).boxed()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.forget_all();
        ready(Ok(())).boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Stats, StoreError>> {
        self.0.run_pending_tasks();
        ready(Ok(self.size())).boxed()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::KeyRing;

    #[test]
    fn the_store_stays_within_its_bytes() {
        let store = MemoryStore::new(64 * 1024, Duration::from_hours(1), Duration::from_hours(1));
        let ring = KeyRing::ephemeral().unwrap();
        for i in 0..10_000 {
            let key = ring.location(&i.to_string());
            store.merge(key, Entry::Identity(key), None);
        }
        store.0.run_pending_tasks();
        let Stats { entries, bytes } = store.size();
        assert!(bytes <= 64 * 1024 && entries > 0, "{bytes} bytes, {entries} entries");
    }
}

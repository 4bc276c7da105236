//! Verdicts in memory, bounded by weight, the least used ones given up first.

use std::{mem::size_of, sync::Arc};

use futures_util::future::{BoxFuture, ready};
use moka::sync::Cache;

use super::{Config, Located, Opened, VerdictStore, key::Key};
use crate::verdict::{Provenance, Record, Verdict};

/// What moka itself spends on an entry: its bookkeeping was measured at about this.
const OVERHEAD: usize = 160;

#[derive(Clone)]
enum Entry {
    Record(Arc<Record>),
    Identity(Key),
    Located(Located),
    Opened(Arc<Opened>),
}

pub(super) struct MemoryStore(Cache<Key, Entry>);

impl MemoryStore {
    pub(super) fn new(config: &Config) -> Self {
        let weigh = |_: &Key, entry: &Entry| u32::try_from(weight(entry)).unwrap_or(u32::MAX);
        let builder = Cache::builder().max_capacity(config.max_bytes.as_u64()).weigher(weigh);
        Self(builder.time_to_live(config.ttl).build())
    }
}

fn weight(entry: &Entry) -> usize {
    let fixed = OVERHEAD + size_of::<Key>() + size_of::<Entry>();
    match entry {
        Entry::Identity(_) | Entry::Located(_) => fixed,
        Entry::Opened(opened) => {
            fixed + size_of::<Opened>() + (opened.clean.len() + opened.infected.len()) * size_of::<Key>()
        }
        Entry::Record(record) => {
            let Provenance { backend, version, epoch, .. } = &record.provenance;
            let texts = backend.len() + version.len() + epoch.0.len();
            let detection = match &record.verdict {
                Verdict::Clean(_) => 0,
                Verdict::Infected { detection: text }
                | Verdict::Incomplete { why: text }
                | Verdict::Opaque { why: text } => text.0.len(),
            };
            fixed + size_of::<Record>() + texts + detection
        }
    }
}

impl VerdictStore for MemoryStore {
    fn record(&self, identity: Key) -> BoxFuture<'_, Option<Arc<Record>>> {
        let found = match self.0.get(&identity) {
            Some(Entry::Record(record)) => Some(record),
            _ => None,
        };
        Box::pin(ready(found))
    }

    fn put_record(&self, identity: Key, record: Arc<Record>) -> BoxFuture<'_, ()> {
        self.0.insert(identity, Entry::Record(record));
        Box::pin(ready(()))
    }

    fn identity(&self, attachment: Key) -> BoxFuture<'_, Option<Key>> {
        let found = match self.0.get(&attachment) {
            Some(Entry::Identity(identity)) => Some(identity),
            _ => None,
        };
        Box::pin(ready(found))
    }

    fn put_identity(&self, attachment: Key, identity: Key) -> BoxFuture<'_, ()> {
        self.0.insert(attachment, Entry::Identity(identity));
        Box::pin(ready(()))
    }

    fn location(&self, location: Key) -> BoxFuture<'_, Option<Located>> {
        let found = match self.0.get(&location) {
            Some(Entry::Located(located)) => Some(located),
            _ => None,
        };
        Box::pin(ready(found))
    }

    fn put_location(&self, location: Key, located: Located) -> BoxFuture<'_, ()> {
        self.0.insert(location, Entry::Located(located));
        Box::pin(ready(()))
    }

    fn forget_location(&self, location: Key) {
        self.0.invalidate(&location);
    }

    fn openings(&self, ciphertext: Key) -> BoxFuture<'_, Option<Opened>> {
        let found = match self.0.get(&ciphertext) {
            Some(Entry::Opened(opened)) => Some((*opened).clone()),
            _ => None,
        };
        Box::pin(ready(found))
    }

    fn add_opening(&self, ciphertext: Key, plaintext: Key, infected: bool) -> BoxFuture<'_, ()> {
        self.0.entry(ciphertext).and_upsert_with(|entry| {
            let opened = match entry.map(moka::Entry::into_value) {
                Some(Entry::Opened(opened)) => Arc::unwrap_or_clone(opened),
                _ => Opened::default(),
            };
            Entry::Opened(Arc::new(opened.with(plaintext, infected)))
        });
        Box::pin(ready(()))
    }

    fn entries(&self) -> u64 {
        self.0.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;
    use crate::cache::key::KeyRing;

    #[test]
    fn the_store_stays_within_its_bytes() {
        let store = MemoryStore::new(&Config { max_bytes: ByteSize::kib(64), ..Config::default() });
        let ring = KeyRing::ephemeral().unwrap();
        let keys: Vec<Key> = (0..10_000_u32)
            .map(|i| {
                let mut digest = [0; 32];
                digest[..4].copy_from_slice(&i.to_be_bytes());
                ring.plaintext(&digest)
            })
            .collect();
        for key in &keys {
            store.0.insert(*key, Entry::Identity(*key));
        }
        store.0.run_pending_tasks();
        assert!(store.0.weighted_size() <= 64 * 1024 && store.entries() > 0, "{}", store.0.weighted_size());
    }
}

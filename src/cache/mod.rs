//! The verdict cache.
//!
//! Verdicts are kept by content, never by address. What is kept:
//!
//! | key | leads to |
//! |---|---|
//! | identity of a plaintext | [`Record`]: facts, verdict, where it came from |
//! | (ciphertext, key) of an attachment | identity of its plaintext |
//! | address of a medium | [`Located`]: identity and length of what was there |
//! | identity of a ciphertext | [`Opened`]: identities of what keys opened it to, if the policy asks for it |
//! | identity of a plaintext | [`entry::Usage`]: how often it was asked for, and who was given it |
//! | identity of a plaintext | [`entry::Exposure`]: that it was given out as clean and found infected later |
//! | – | [`epochs::Registry`]: the order in which signatures came into use |
//! | – | [`overrides::Overrides`]: what the security team says in place of engines |
//!
//! Keys are HMACs under a secret ([`key::KeyRing`]), so that a store reveals no file hash, no attachment key, no address and no
//! user; what lies outside of the process is sealed under the same secret ([`codec`]). Engine trouble and anything that policy
//! decided are never kept.
//!
//! ```text
//! VerdictCache ─► memory ─► guard (deadline, circuit breaker) ─► disk │ redis
//! ```

pub mod codec;
mod config;
mod disk;
pub mod entry;
pub mod epochs;
#[cfg(test)]
pub(crate) mod far;
mod guard;
pub mod key;
mod memory;
mod open;
pub mod overrides;
mod redis;
pub mod secret;
pub mod seen;
pub mod store;
mod tiered;
pub mod usage;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt, stream};
use prometheus::IntCounterVec;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub use self::{
    config::{Config, DiskConfig, OnCorruption, RedisConfig, RedisMode, StoreKind},
    disk::DiskStore,
    entry::{Entry, Located, Opened, Usage},
    memory::MemoryStore,
    redis::{Claim, Lease, Leases, RedisStore, Turn},
    secret::SecretError,
    seen::Seen,
    store::{StoreError, VerdictStore},
};
use self::{
    key::{Key, KeyRing, Reader},
    tiered::Tiered,
    usage::UsageLog,
};
use crate::verdict::{Currency, Record};

/// How often it is looked whether verdicts were proven.
const SETTLE: Duration = Duration::from_millis(200);

/// Uses of media that are brought to the store at a time.
const AT_ONCE: usize = 16;

/// What look-ups end with.
const RESULTS: [&str; 4] = ["hit", "miss", "stale", "foreign"];

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// There is no secret to name things by.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The store cannot be opened.
    #[error("{0}")]
    Open(String),
    /// Metrics clash.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// A store, asked with regard to epochs, and counted.
pub struct VerdictCache {
    store: Arc<dyn VerdictStore>,
    /// The same, if it is more than memory.
    tiered: Option<Arc<Tiered>>,
    leases: Option<Leases>,
    ring: KeyRing,
    usage: UsageLog,
    lookups: IntCounterVec,
}

impl VerdictCache {
    /// Names what is kept.
    pub fn keys(&self) -> &KeyRing {
        &self.ring
    }

    /// Keeps those who share the store from scanning the same at a time; `None` if nobody does.
    pub fn leases(&self) -> Option<&Leases> {
        self.leases.as_ref()
    }

    /// The store itself.
    pub fn store(&self) -> &dyn VerdictStore {
        &*self.store
    }

    /// True if other processes use the store, too.
    pub fn is_shared(&self) -> bool {
        self.tiered.as_ref().is_some_and(|tiered| tiered.is_shared())
    }

    /// What keeps the store from working, if anything does.
    pub fn trouble(&self) -> Option<String> {
        self.tiered.as_ref()?.trouble()
    }

    /// Verdicts that wait for proof before they are put anywhere else.
    pub fn waiting(&self) -> usize {
        self.tiered.as_ref().map_or(0, |tiered| tiered.waiting())
    }

    /// What is in memory and may not be in the store behind it.
    pub fn near(&self) -> Vec<(Key, Entry)> {
        self.tiered.as_ref().map_or_else(Vec::new, |tiered| tiered.entries_near())
    }

    /// Look-ups so far, by result.
    pub fn lookups(&self) -> Vec<(&'static str, u64)> {
        RESULTS.map(|result| (result, self.lookups.with_label_values(&[result]).get())).to_vec()
    }

    /// Does what is to be done beside requests, until `stop`; then writes what remains.
    pub async fn watch(&self, stop: CancellationToken) {
        let Some(tiered) = &self.tiered else {
            stop.cancelled().await;
            return;
        };
        let mut ticks = interval(SETTLE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let settling = async {
            loop {
                ticks.tick().await;
                tiered.settle().await;
            }
        };
        let _stopped = stop.run_until_cancelled(settling).await;
        if let Err(error) = tiered.flush().await {
            tracing::warn!(%error, "the verdict store could not be written to the end");
        }
    }

    /// The record of a plaintext and how current it is, counted.
    pub async fn look_up(
        &self,
        identity: Key,
        currency: impl Fn(&Record) -> Currency,
    ) -> Option<(Arc<Record>, Currency)> {
        let found = self.record(identity).await.map(|record| {
            let currency = currency(&record);
            (record, currency)
        });
        let result = match found {
            None => "miss",
            Some((_, Currency::Current)) => "hit",
            Some((_, Currency::Stale)) => "stale",
            Some((_, Currency::Foreign)) => "foreign",
        };
        self.lookups.with_label_values(&[result]).inc();
        found
    }

    /// Notes that a plaintext was asked for, how, and who was given it, or told that it is clean, if anyone was.
    pub fn note_use(&self, identity: Key, reader: Option<Reader>, seen: Option<&Seen>) {
        self.usage.note(identity, SystemTime::now(), reader, seen);
    }

    /// How often a plaintext was asked for, and who was given it, as far as that is known here.
    pub async fn usage(&self, identity: Key) -> Option<Usage> {
        let stored = match self.get(self.ring.usage(identity)).await {
            Some(Entry::Usage(usage)) => Some(usage),
            _ => None,
        };
        match (stored, self.usage.noted(identity)) {
            (Some(stored), Some(noted)) => Some(stored.and(&noted)),
            (stored, noted) => noted.or_else(|| stored.map(Arc::unwrap_or_clone)),
        }
    }

    /// Brings to the store what was noted of uses. Gives what was given out since the last time.
    pub async fn flush_usage(&self) -> Vec<Key> {
        let put = async |(identity, noted): (Key, Usage)| {
            let was_served = noted.served.is_some();
            let entry = Entry::Usage(Arc::new(noted.clone()));
            if let Err(error) = self.store.put(self.ring.usage(identity), entry).await {
                tracing::debug!(%error, "uses of a medium are noted for later");
                self.usage.put_back(identity, noted);
            }
            was_served.then_some(identity)
        };
        let puts = stream::iter(self.usage.take()).map(put).buffer_unordered(AT_ONCE);
        puts.filter_map(futures_util::future::ready).collect().await
    }

    /// The entry of that name. A store that fails has none.
    pub async fn get(&self, key: Key) -> Option<Entry> {
        let found = self.store.get(key).await;
        found.inspect_err(|error| tracing::debug!(%error, "the verdict store has no answer")).ok().flatten()
    }

    /// Brings an entry together with what is there. With a store that fails, nothing happens; then it is false.
    pub async fn put(&self, key: Key, entry: Entry) -> bool {
        let put = self.store.put(key, entry).await;
        put.inspect_err(|error| tracing::debug!(%error, "the verdict store takes nothing")).is_ok()
    }

    /// Forgets the entry of that name.
    pub async fn forget(&self, key: Key) {
        let removed = self.store.remove(key).await;
        drop(removed.inspect_err(|error| tracing::debug!(%error, "the verdict store forgets nothing")));
    }

    /// The record of a plaintext.
    pub async fn record(&self, identity: Key) -> Option<Arc<Record>> {
        match self.get(identity).await? {
            Entry::Record(record) => Some(record),
            _ => None,
        }
    }

    /// The same, with regard to what others have put since, as far as they can be asked.
    pub async fn latest(&self, identity: Key) -> Option<Arc<Record>> {
        match &self.tiered {
            Some(tiered) => match tiered.latest(identity).await {
                Some(Entry::Record(record)) => Some(record),
                _ => None,
            },
            None => self.record(identity).await,
        }
    }

    /// Keeps a record; false if that failed.
    pub async fn keep(&self, identity: Key, record: Arc<Record>) -> bool {
        self.put(identity, Entry::Record(record)).await
    }

    /// The plaintext that an attachment decrypts to, if it was decrypted before.
    pub async fn identity(&self, attachment: Key) -> Option<Key> {
        match self.get(attachment).await? {
            Entry::Identity(identity) => Some(identity),
            _ => None,
        }
    }

    /// Keeps which plaintext an attachment decrypts to.
    pub async fn keep_identity(&self, attachment: Key, identity: Key) {
        self.put(attachment, Entry::Identity(identity)).await;
    }

    /// What was found at an address.
    pub async fn location(&self, location: Key) -> Option<Located> {
        match self.get(location).await? {
            Entry::Located(located) => Some(located),
            _ => None,
        }
    }

    /// Keeps what was found at an address.
    pub async fn keep_location(&self, location: Key, located: Located) {
        self.put(location, Entry::Located(located)).await;
    }

    /// Forgets an address, soon.
    pub fn forget_location(&self, location: Key) {
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            let removed = store.remove(location).await;
            drop(removed.inspect_err(|error| tracing::debug!(%error, "an address was not forgotten")));
        });
    }

    /// What keys opened a ciphertext to.
    pub async fn openings(&self, ciphertext: Key) -> Option<Arc<Opened>> {
        match self.get(ciphertext).await? {
            Entry::Opened(opened) => Some(opened),
            _ => None,
        }
    }

    /// Keeps that a key opened a ciphertext to a plaintext, and whether something was found in that.
    pub async fn keep_opening(&self, ciphertext: Key, plaintext: Key, infected: bool) {
        self.put(ciphertext, Entry::Opened(Arc::new(Opened::default().with(plaintext, infected)))).await;
    }
}

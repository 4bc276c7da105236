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
//!
//! Keys are HMACs under a secret ([`key::KeyRing`]), so that a store reveals no file hash and no attachment key. Engine
//! trouble and anything that policy decided are never kept. A record counts only while its engine would say the same
//! today. A store that fails is a miss.

pub mod key;
mod memory;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytesize::ByteSize;
use futures_util::future::BoxFuture;
use prometheus::{IntCounterVec, Opts, PullingGauge, Registry};
use serde::Deserialize;

use self::{key::Key, memory::MemoryStore};
use crate::verdict::Record;

/// `cache` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where verdicts are kept.
    pub store: StoreKind,
    /// File of the `disk` store.
    pub path: PathBuf,
    /// Server of the `redis` store.
    pub redis: RedisConfig,
    /// Memory that the `memory` store may take, in bytes.
    pub max_bytes: ByteSize,
    /// Longest life of a verdict, whatever its epoch.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
}

/// The stores that `cache.store` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In this process, gone when it ends.
    Memory,
    /// In a file. Not available yet: stands in for `memory`, with a warning.
    Disk,
    /// In Redis or Valkey. Not available yet: stands in for `memory`, with a warning.
    Redis,
}

/// `cache.redis` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Address of the server.
    pub url: String,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { url: "redis://127.0.0.1:6379".to_owned() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreKind::Memory,
            path: "/var/lib/lazaret/verdicts".into(),
            redis: RedisConfig::default(),
            max_bytes: ByteSize::mib(32),
            ttl: Duration::from_hours(168),
        }
    }
}

impl Config {
    /// What the operator should know of these settings.
    pub fn warning(&self) -> Option<String> {
        match self.store {
            StoreKind::Memory => None,
            StoreKind::Disk | StoreKind::Redis => Some(format!(
                "cache.store: {} is not available in this version; verdicts are kept in memory and forgotten at restart",
                format!("{:?}", self.store).to_lowercase()
            )),
        }
    }
}

/// What was found at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Identity of the bytes.
    pub identity: Key,
    /// Their number.
    pub len: u64,
}

/// What keys opened a ciphertext to: identities of plaintexts, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Those in which nothing was found.
    pub clean: Vec<Key>,
    /// Those in which something was found. They have a place of their own, so that no number of others hides one.
    pub infected: Vec<Key>,
}

impl Opened {
    /// Plaintexts of each kind that are remembered of one ciphertext. An honest one has one.
    const MOST: usize = 4;

    /// Adds what one more key opened it to.
    #[must_use]
    pub fn with(mut self, plaintext: Key, infected: bool) -> Self {
        for known in [&mut self.clean, &mut self.infected] {
            known.retain(|known| *known != plaintext);
        }
        let kind = if infected { &mut self.infected } else { &mut self.clean };
        let surplus = (kind.len() + 1).saturating_sub(Self::MOST);
        kind.drain(..surplus);
        kind.push(plaintext);
        self
    }
}

/// Keeps records and aliases by key. Implementations never make a wrong answer of a failure: they forget.
pub trait VerdictStore: Send + Sync {
    /// The record of a plaintext.
    fn record(&self, identity: Key) -> BoxFuture<'_, Option<Arc<Record>>>;

    /// Keeps a record.
    fn put_record(&self, identity: Key, record: Arc<Record>) -> BoxFuture<'_, ()>;

    /// The plaintext that an attachment decrypts to.
    fn identity(&self, attachment: Key) -> BoxFuture<'_, Option<Key>>;

    /// Keeps which plaintext an attachment decrypts to.
    fn put_identity(&self, attachment: Key, identity: Key) -> BoxFuture<'_, ()>;

    /// What was found at an address.
    fn location(&self, location: Key) -> BoxFuture<'_, Option<Located>>;

    /// Keeps what was found at an address.
    fn put_location(&self, location: Key, located: Located) -> BoxFuture<'_, ()>;

    /// Forgets an address; may happen later.
    fn forget_location(&self, location: Key);

    /// What keys opened a ciphertext to.
    fn openings(&self, ciphertext: Key) -> BoxFuture<'_, Option<Opened>>;

    /// Adds to what keys opened a ciphertext to, as [`Opened::with`] and in one step: of two at a time, none is lost.
    fn add_opening(&self, ciphertext: Key, plaintext: Key, infected: bool) -> BoxFuture<'_, ()>;

    /// Entries held, as far as that is known.
    fn entries(&self) -> u64;
}

/// A store, asked with regard to epochs, and counted.
pub struct VerdictCache {
    store: Arc<dyn VerdictStore>,
    lookups: IntCounterVec,
}

impl VerdictCache {
    /// Builds the configured store.
    pub fn new(config: &Config, registry: &Registry) -> prometheus::Result<Self> {
        let store: Arc<dyn VerdictStore> = match config.store {
            StoreKind::Memory | StoreKind::Disk | StoreKind::Redis => Arc::new(MemoryStore::new(config)),
        };
        let opts =
            Opts::new("lazaret_cache_lookups_total", "Verdict look-ups; stale is a miss for its age of signatures.");
        let lookups = IntCounterVec::new(opts, &["result"])?;
        for result in ["hit", "miss", "stale"] {
            lookups.with_label_values(&[result]);
        }
        let counted = Arc::clone(&store);
        let help = "Entries in the verdict cache.";
        let entries = PullingGauge::new("lazaret_cache_entries", help, Box::new(move || counted.entries() as f64))?;
        registry.register(Box::new(lookups.clone()))?;
        registry.register(Box::new(entries))?;
        Ok(Self { store, lookups })
    }

    /// The record of a plaintext, if it `is_current`.
    pub async fn current(&self, identity: Key, is_current: impl Fn(&Record) -> bool) -> Option<Arc<Record>> {
        let record = self.store.record(identity).await;
        let (result, current) = match record {
            None => ("miss", None),
            Some(record) if !is_current(&record) => ("stale", None),
            Some(record) => ("hit", Some(record)),
        };
        self.lookups.with_label_values(&[result]).inc();
        current
    }

    /// As [`VerdictCache::current`], for looking again just before a scan; not counted.
    pub async fn recheck(&self, identity: Key, is_current: impl Fn(&Record) -> bool) -> Option<Arc<Record>> {
        self.store.record(identity).await.filter(|record| is_current(record))
    }

    /// Keeps a record.
    pub async fn keep(&self, identity: Key, record: Arc<Record>) {
        self.store.put_record(identity, record).await;
    }

    /// The plaintext that an attachment decrypts to, if it was decrypted before.
    pub async fn identity(&self, attachment: Key) -> Option<Key> {
        self.store.identity(attachment).await
    }

    /// Keeps which plaintext an attachment decrypts to.
    pub async fn keep_identity(&self, attachment: Key, identity: Key) {
        self.store.put_identity(attachment, identity).await;
    }

    /// What was found at an address.
    pub async fn location(&self, location: Key) -> Option<Located> {
        self.store.location(location).await
    }

    /// Keeps what was found at an address.
    pub async fn keep_location(&self, location: Key, located: Located) {
        self.store.put_location(location, located).await;
    }

    /// Forgets an address.
    pub fn forget_location(&self, location: Key) {
        self.store.forget_location(location);
    }

    /// What keys opened a ciphertext to.
    pub async fn openings(&self, ciphertext: Key) -> Option<Opened> {
        self.store.openings(ciphertext).await
    }

    /// Keeps that a key opened a ciphertext to a plaintext, and whether something was found in that.
    pub async fn keep_opening(&self, ciphertext: Key, plaintext: Key, infected: bool) {
        self.store.add_opening(ciphertext, plaintext, infected).await;
    }
}

//! Entries in Redis or Valkey, shared by several processes.
//!
//! | key | value |
//! |---|---|
//! | `PREFIX:KEY` in hexadecimal | an entry, sealed ([`codec`]), with the expiry that it has |
//! | `PREFIX:lease:KEY` | who scans a plaintext just now ([`leases`]) |
//! | `PREFIX:secret` | tells those who have another secret ([`marker`]) |
//!
//! Nothing else is touched, so that servers can have other uses, too. Each command and each script uses one key, as clusters want
//! it. What is in the store may be lost at any time, or be the work of others: what cannot be read is not there.

mod connection;
mod leases;
mod link;
mod marker;
mod pages;
mod scripts;
mod servers;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use prometheus::{IntCounterVec, Opts, Registry};
use redis::RedisResult;

pub use self::leases::{Claim, Lease, Leases, Turn};
use self::{link::Link, marker::Marker, scripts::Scripts};
use super::{
    codec::{self, Codec, CodecError},
    config::RedisConfig,
    entry::Entry,
    guard::PATIENCE,
    key::{Key, KeyRing},
    store::{Cursor, Page, Stats, StoreError, VerdictStore},
};

/// Bytes of the longest value that is read. What is longer is nobody's entry.
const LONGEST: usize = 4 << 20;

/// Attempts at bringing an entry together with what others put there meanwhile.
const ATTEMPTS: u32 = 8;

/// Keeps entries in Redis or Valkey.
pub struct RedisStore {
    link: Link,
    /// For what nobody waits for with a request in hand.
    patient: Link,
    codec: Codec,
    marker: Marker,
    scripts: Scripts,
    prefix: String,
    unreadable: IntCounterVec,
}

impl RedisStore {
    /// Does not connect yet, so that a server that is away keeps nobody from starting. Each command has a part of `timeout`;
    /// entries live for no longer than `ttl`. An error names the setting.
    pub fn open(
        config: &RedisConfig,
        timeout: Duration,
        ttl: Duration,
        ring: &KeyRing,
        registry: &Registry,
    ) -> Result<Self, String> {
        let codec = Codec::new(ring.clone(), ttl);
        let marker = Marker::new(&config.prefix, ring, codec.clone());
        let link = Link::new(config, timeout, marker.clone())?;
        let patient = Link::new(config, timeout * PATIENCE, marker.clone())?;
        let unreadable = unreadable(registry).map_err(|error| error.to_string())?;
        let (prefix, scripts) = (config.prefix.clone(), Scripts::default());
        Ok(Self { link, patient, codec, marker, scripts, prefix, unreadable })
    }

    /// What is wrong with the configuration.
    pub(super) fn problem(config: &RedisConfig) -> Option<String> {
        servers::Servers::new(config, Duration::ZERO).err()
    }

    fn name(&self, key: Key) -> String {
        format!("{}:{key}", self.prefix)
    }

    async fn fetch(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        let name = self.name(key);
        let get = |mut connection| async move {
            let found: RedisResult<Vec<u8>> =
                redis::cmd("GETRANGE").arg(name).arg(0).arg(LONGEST).query_async(&mut connection).await;
            match found {
                Err(error) if error.code() == Some("WRONGTYPE") => Ok(Some(Vec::new())),
                found => found.map(|bytes| (!bytes.is_empty()).then_some(bytes)),
            }
        };
        let found = self.link.run(get).await?;
        Ok(found.and_then(|bytes| self.read(key, &bytes).ok().flatten()))
    }

    /// `None` for what has expired.
    fn read(&self, key: Key, bytes: &[u8]) -> Result<Option<Entry>, CodecError> {
        let read = match bytes.len() > LONGEST {
            true => Err(CodecError::Malformed),
            false => self.codec.decode(key, bytes, SystemTime::now()),
        };
        read.inspect_err(|error| self.unreadable.with_label_values(&[why(*error)]).inc())
    }

    /// Puts it if nothing is there. Else it is told what is, and puts both together where that still is. What a newer version
    /// has put is more than this one could put in its place.
    async fn merge(&self, key: Key, entry: Entry) -> Result<(), StoreError> {
        let mut there = Vec::new();
        for attempt in 0..ATTEMPTS {
            let read = if there.is_empty() { Ok(None) } else { self.read(key, &there) };
            if matches!(read, Err(CodecError::Version(_))) {
                return Err(StoreError::Newer);
            }
            let old = read.ok().flatten();
            let Some((new, life)) = self.write(key, old.as_ref(), &entry) else { return Ok(()) };
            let replace = self.scripts.replace(&self.name(key), &there, &new, life);
            let replace = |mut connection| async move { replace.invoke_async(&mut connection).await };
            let Some(other) = self.link.run::<Option<Vec<u8>>, _>(replace).await? else { return Ok(()) };
            there = other;
            if attempt > 0 {
                tokio::time::sleep(jitter(attempt)).await;
            }
        }
        Err(StoreError::Busy)
    }

    /// What is to be written, and for how long; `None` if what is there is to stay.
    fn write(&self, key: Key, old: Option<&Entry>, new: &Entry) -> Option<(Vec<u8>, Option<Duration>)> {
        let now = SystemTime::now();
        let merged = Entry::merged(old.cloned(), new.clone());
        if let (Some(Entry::Record(old)), Entry::Record(merged)) = (old, &merged)
            && Arc::ptr_eq(old, merged)
        {
            // Written once more, a verdict that nobody vouches for would live longer.
            return None;
        }
        let bytes = self.codec.encode(key, &merged, now);
        match codec::expiry(&bytes).map(|at| at.duration_since(now)) {
            None => Some((bytes, None)),
            Some(Ok(life)) if life.as_millis() > 0 => Some((bytes, Some(life))),
            Some(_) => None,
        }
    }
}

/// Those who came in each other's way part.
fn jitter(attempt: u32) -> Duration {
    let random = getrandom::u32().unwrap_or(0) % (1000 << attempt);
    Duration::from_micros(random.into())
}

fn why(error: CodecError) -> &'static str {
    match error {
        CodecError::Seal => "seal",
        CodecError::Version(_) => "version",
        CodecError::Malformed => "malformed",
    }
}

fn unreadable(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help =
        "Entries in the verdict store that were not made under this secret, were damaged, or have another version.";
    let unreadable = IntCounterVec::new(Opts::new("lazaret_redis_store_unreadable_total", help), &["why"])?;
    for error in [CodecError::Seal, CodecError::Version(0), CodecError::Malformed] {
        unreadable.with_label_values(&[why(error)]);
    }
    registry.register(Box::new(unreadable.clone()))?;
    Ok(unreadable)
}

impl VerdictStore for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        self.fetch(key).boxed()
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'_, Result<(), StoreError>> {
        self.merge(key, entry).boxed()
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        let name = self.name(key);
        let remove = |mut connection| async move { redis::cmd("DEL").arg(name).query_async(&mut connection).await };
        self.link.run(remove).boxed()
    }

    fn walk(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.page(from).boxed()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.forget_all().boxed()
    }

    /// Of whole servers, whatever else is kept there: to count one's own keys takes a walk through all of them.
    fn stats(&self) -> BoxFuture<'_, Result<Stats, StoreError>> {
        self.size().boxed()
    }

    /// What was put is there. What it outlives is for the server's configuration to say.
    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }
}

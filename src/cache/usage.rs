//! How often what was asked for, and who was given it as clean: noted in memory with every request, and brought to the store
//! together every few seconds.
//!
//! A crash loses what was noted since. What the store does not take is noted again, so that a store that took it and said so too
//! late has it twice: numbers may be too high after trouble, never too low by it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use prometheus::{IntCounter, PullingGauge, Registry};

use super::{
    entry::Usage,
    key::{Key, Reader},
    seen::Seen,
};

/// Parts with a lock of their own.
const SHARDS: usize = 16;

/// Plaintexts noted in each part at a time.
const MOST: usize = 2048;

type Shard = HashMap<Key, Usage>;

/// What was noted and is not in the store yet.
pub struct UsageLog {
    shards: [Mutex<Shard>; SHARDS],
    size: Arc<AtomicUsize>,
    lost: IntCounter,
}

impl UsageLog {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help =
            "Notes of requests for media that found no room and were lost; an exposure may name too few readers.";
        let lost = IntCounter::new("lazaret_usage_lost_total", help)?;
        let size = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&size);
        let help = "Media of which requests were noted that are not in the store yet.";
        let noted = move || counted.load(Ordering::Relaxed) as f64;
        registry.register(Box::new(lost.clone()))?;
        registry.register(Box::new(PullingGauge::new("lazaret_usage_noted", help, Box::new(noted))?))?;
        Ok(Self { shards: std::array::from_fn(|_| Mutex::default()), size, lost })
    }

    /// Notes a request for a plaintext, of what kind it was, and who was given it, or told that it is clean, if anyone was.
    pub fn note(&self, identity: Key, now: SystemTime, reader: Option<Reader>, seen: Option<&Seen>) {
        let mut shard = self.shard(identity);
        match shard.get_mut(&identity) {
            Some(usage) => usage.again(now, reader, seen),
            None => self.add(&mut shard, identity, || Usage::at(now, reader, seen)),
        }
    }

    /// What was noted of a plaintext.
    pub fn noted(&self, identity: Key) -> Option<Usage> {
        self.shard(identity).get(&identity).cloned()
    }

    /// Takes out all that was noted.
    pub(super) fn take(&self) -> Vec<(Key, Usage)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(std::mem::take(&mut *shard.lock().expect("no panic while held")));
        }
        self.size.fetch_sub(all.len(), Ordering::Relaxed);
        all
    }

    /// Notes again what the store did not take.
    pub(super) fn put_back(&self, identity: Key, usage: Usage) {
        let mut shard = self.shard(identity);
        match shard.get_mut(&identity) {
            Some(newer) => *newer = usage.and(newer),
            None => self.add(&mut shard, identity, || usage),
        }
    }

    fn add(&self, shard: &mut Shard, identity: Key, usage: impl FnOnce() -> Usage) {
        if shard.len() < MOST {
            shard.insert(identity, usage());
            self.size.fetch_add(1, Ordering::Relaxed);
        } else {
            self.lost.inc();
        }
    }

    fn shard(&self, identity: Key) -> MutexGuard<'_, Shard> {
        let shard = usize::from(identity.as_bytes()[0]) % SHARDS;
        self.shards[shard].lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::key::KeyRing;

    fn log() -> (UsageLog, KeyRing) {
        (UsageLog::register(&Registry::new()).unwrap(), KeyRing::ephemeral().unwrap())
    }

    #[test]
    fn what_was_noted_tells_times_numbers_and_readers() {
        let (log, ring) = log();
        let (identity, reader) = (ring.plaintext(&[1; 32]), ring.reader(b"token"));
        let times = [0, 1, 2, 3].map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        log.note(identity, times[0], None, None);
        assert_eq!(log.noted(identity).unwrap().served, None, "asked for, and given to nobody");
        log.note(identity, times[1], Some(reader), None);
        log.note(identity, times[2], Some(reader), None);
        log.note(identity, times[3], None, None);
        let usage = log.noted(identity).unwrap();
        let served = usage.served.unwrap();
        assert_eq!((usage.first_seen, usage.last_seen, usage.hits), (times[0], times[3], 4));
        assert_eq!((served.first, served.last, served.times), (times[1], times[2], 2));
        assert_eq!(served.readers.into_iter().collect::<Vec<_>>(), [reader]);
        assert!(log.noted(ring.plaintext(&[2; 32])).is_none());
    }

    #[test]
    fn what_the_store_does_not_take_is_noted_again_with_what_came_meanwhile() {
        let (log, ring) = log();
        let (identity, now) = (ring.plaintext(&[1; 32]), SystemTime::now());
        let readers = [b"a", b"b"].map(|token| ring.reader(token));
        log.note(identity, now, Some(readers[0]), None);
        let taken = log.take();
        assert!(log.noted(identity).is_none());
        log.note(identity, now, Some(readers[1]), None);
        for (identity, usage) in taken {
            log.put_back(identity, usage);
        }
        let usage = log.noted(identity).unwrap();
        assert_eq!((usage.hits, usage.served.unwrap().readers.len()), (2, 2));
    }

    #[test]
    fn what_is_noted_is_bounded_and_what_is_lost_is_counted() {
        let (log, _) = log();
        let media = (MOST * SHARDS + 10_000) as u64;
        for number in 0..media {
            let mut name = [0; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            log.note(Key::from_bytes(name), SystemTime::now(), None, None);
        }
        let kept = log.size.load(Ordering::Relaxed) as u64;
        assert!(kept <= (MOST * SHARDS) as u64 && log.lost.get() == media - kept, "{kept} kept");
        assert_eq!(log.take().len() as u64, kept);
        assert_eq!(log.size.load(Ordering::Relaxed), 0);
    }
}

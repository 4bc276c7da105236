//! Media that engines do not survive.
//!
//! A medium that twice killed an engine, or kept it busy until the deadline, is *toxic*: for a while it is answered as
//! incomplete without another scan, so that it cannot go round and take one engine after the other. An engine that had
//! several media when it died gives each a part of the blame, and a scan that ends well takes it all back, so that
//! nobody can have a medium refused by sending a deadly one beside it.
//!
//! All who share a store add their blame up there, so that a medium does not have to kill an engine of each; the own list is
//! looked at first, and is enough if the store fails.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use moka::sync::Cache;
use prometheus::{IntCounter, PullingGauge, Registry};

use super::{Config, Inspector};
use crate::{
    cache::{Entry, entry::Blame, key::Key},
    engine::{EngineError, FULL_BLAME},
    facts::Facts,
    verdict::{Detection, Epoch, Order, Provenance, Record, Verdict, Vouch},
};

/// The blame that makes a medium toxic: one death may be an accident.
const TOXIC: u32 = 2 * FULL_BLAME;

/// Media remembered. Whoever makes so many toxic ones has been noticed.
const MAX_MEDIA: u64 = 10_000;

/// The blame of media, and the record of those that have enough of it.
pub(super) struct Toxic {
    media: Cache<Key, (u32, Option<Arc<Record>>)>,
    found: IntCounter,
    ttl: Duration,
}

impl Toxic {
    pub(super) fn register(config: &Config, registry: &Registry) -> prometheus::Result<Self> {
        let media: Cache<_, (u32, Option<Arc<Record>>)> =
            Cache::builder().max_capacity(MAX_MEDIA).time_to_live(config.toxic_ttl).build();
        let found = IntCounter::new("lazaret_toxic_media_total", "Media that engines did not survive twice.")?;
        registry.register(Box::new(found.clone()))?;
        let counted = media.clone();
        let count = move || counted.iter().filter(|(_, (_, record))| record.is_some()).count() as f64;
        let help = "Media refused for now because engines do not survive them.";
        registry.register(Box::new(PullingGauge::new("lazaret_toxic_media", help, Box::new(count))?))?;
        Ok(Self { media, found, ttl: config.toxic_ttl })
    }

    /// The record of a toxic medium.
    pub(super) fn get(&self, medium: Key) -> Option<Arc<Record>> {
        self.media.get(&medium)?.1
    }

    /// Takes note of what a failed scan cost.
    pub(super) fn failed(&self, medium: Key, facts: &Facts, error: &EngineError) {
        self.blame(medium, error.blame(), || Arc::new(refusal(facts)));
    }

    /// Takes note of a verdict: an engine that gave up by itself, after all the time that it allows itself, would do so
    /// again.
    pub(super) fn judged(&self, medium: Key, record: &Arc<Record>) {
        match record.verdict.is_out_of_time() {
            true => self.blame(medium, FULL_BLAME, || Arc::clone(record)),
            false => self.media.invalidate(&medium),
        }
    }

    /// Takes all blame back.
    pub(super) fn forget(&self, medium: Key) {
        self.media.invalidate(&medium);
    }

    /// True if it has some blame.
    fn is_blamed(&self, medium: Key) -> bool {
        self.media.contains_key(&medium)
    }

    /// Takes note of the blame that a medium has among all who share the store.
    fn heard(&self, medium: Key, amount: u32) {
        let (known, record) = self.media.get(&medium).unwrap_or_default();
        self.media.insert(medium, (known.max(amount), record));
    }

    fn blame(&self, medium: Key, blame: u32, record: impl FnOnce() -> Arc<Record>) {
        if blame == 0 {
            return;
        }
        let blame = blame + self.media.get(&medium).map_or(0, |(before, _)| before);
        let record = (blame >= TOXIC).then(record);
        if record.is_some() {
            self.found.inc();
            tracing::warn!(blame, "a medium that engines do not survive is refused for a while");
        }
        self.media.insert(medium, (blame, record));
    }
}

impl Inspector {
    /// The record of a medium that is toxic here, or for all who share the store.
    pub(super) async fn refused_as_toxic(&self, medium: Key) -> Option<Arc<Record>> {
        if let Some(record) = self.toxic.get(medium) {
            return Some(record);
        }
        let Some(Entry::Blame(blame)) = self.stages.cache.get(self.stages.cache.keys().blame(medium)).await else {
            return None;
        };
        if blame.until <= SystemTime::now() {
            return None;
        }
        match blame.amount >= TOXIC {
            true => blame.record,
            false => {
                self.toxic.heard(medium, blame.amount);
                None
            }
        }
    }

    /// Takes note of what a failed scan cost.
    pub(super) async fn blame(&self, medium: Key, facts: &Facts, error: &EngineError) {
        self.toxic.failed(medium, facts, error);
        self.share_blame(medium, error.blame(), || Arc::new(refusal(facts))).await;
    }

    /// Takes note of a verdict.
    pub(super) async fn absolve(&self, medium: Key, record: &Arc<Record>) {
        let was_blamed = self.toxic.is_blamed(medium);
        self.toxic.judged(medium, record);
        if record.verdict.is_out_of_time() {
            self.share_blame(medium, FULL_BLAME, || Arc::clone(record)).await;
        } else if was_blamed {
            self.stages.cache.forget(self.stages.cache.keys().blame(medium)).await;
        }
    }

    async fn share_blame(&self, medium: Key, amount: u32, record: impl FnOnce() -> Arc<Record>) {
        let ttl = self.toxic.ttl;
        if amount > 0 && !ttl.is_zero() {
            let blame = Blame { amount, record: Some(record()), until: SystemTime::now() + ttl };
            self.stages.cache.put(self.stages.cache.keys().blame(medium), Entry::Blame(blame)).await;
        }
    }
}

/// What is said of a toxic medium in place of an engine.
fn refusal(facts: &Facts) -> Record {
    let provenance = Provenance {
        engine: "lazaret".into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        signatures: None,
        backend: String::new(),
        epoch: Epoch::new("", ""),
        bytes: facts.size,
        took: Duration::ZERO,
        vouch: Vouch::default(),
    };
    let verdict = Verdict::Incomplete { why: Detection("Lazaret.Toxic".to_owned()) };
    Record { order: Order::default(), facts: facts.clone(), verdict, provenance, scanned_at: SystemTime::now() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::KeyRing;

    fn facts() -> Facts {
        Facts { size: 1, ..Facts::default() }
    }

    fn failed(blame: u32) -> EngineError {
        EngineError::Failed { backend: String::new(), why: String::new(), blame }
    }

    fn judged(verdict: Verdict) -> Arc<Record> {
        Arc::new(Record { verdict, ..refusal(&facts()) })
    }

    fn toxic() -> (Toxic, Key, Key) {
        let keys = KeyRing::ephemeral().unwrap();
        let toxic = Toxic::register(&Config::default(), &Registry::new()).unwrap();
        (toxic, keys.plaintext(&[1; 32]), keys.plaintext(&[2; 32]))
    }

    #[test]
    fn the_second_death_makes_toxic_and_trouble_of_the_engine_does_not() {
        let (toxic, medium, other) = toxic();
        for error in [EngineError::Busy, EngineError::Unavailable, failed(0), failed(0), failed(FULL_BLAME)] {
            toxic.failed(medium, &facts(), &error);
            assert!(toxic.get(medium).is_none());
        }
        toxic.failed(medium, &facts(), &EngineError::Timeout { blame: FULL_BLAME });
        assert!(matches!(toxic.get(medium).unwrap().verdict, Verdict::Incomplete { .. }));
        assert!(toxic.get(other).is_none());
        toxic.failed(other, &facts(), &failed(2 * FULL_BLAME));
        assert!(toxic.get(other).is_some(), "two engines in one scan");
    }

    #[test]
    fn who_was_merely_beside_a_deadly_medium_is_cleared_by_a_scan() {
        let (toxic, medium, _) = toxic();
        let infected = Verdict::Infected { detection: Detection("X".to_owned()) };
        for _ in 0..5 {
            toxic.failed(medium, &facts(), &failed(FULL_BLAME / 2));
            toxic.failed(medium, &facts(), &failed(FULL_BLAME / 2));
            assert!(toxic.get(medium).is_none());
            toxic.judged(medium, &judged(infected.clone()));
        }
    }

    #[test]
    fn a_medium_that_always_runs_out_of_time_is_not_scanned_for_ever() {
        let (toxic, medium, _) = toxic();
        let why = Detection("Heuristics.Limits.Exceeded.MaxScanTime".to_owned());
        let record = judged(Verdict::Incomplete { why });
        toxic.judged(medium, &record);
        assert!(toxic.get(medium).is_none());
        toxic.judged(medium, &record);
        assert!(toxic.get(medium).is_some());
    }
}

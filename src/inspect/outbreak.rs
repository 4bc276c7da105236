//! A new signature that suddenly hits many media: an outbreak, or a bad signature.
//!
//! Only scans are looked at, and the same bytes are scanned once per epoch, so each detection is another medium. A
//! signature is new if its first hit comes after a change of the database that this process has seen; it is sudden if
//! the hits come within an hour of the first.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, OnceLock},
    time::Duration,
};

use moka::{ops::compute::Op, sync::Cache};
use prometheus::{IntCounter, PullingGauge, Registry};
use tokio::time::Instant;

use super::Config;
use crate::verdict::{Provenance, Record, Verdict};

/// Hits count for this long after the first.
const WINDOW: Duration = Duration::from_hours(1);

/// Signatures remembered.
const MAX_SIGNATURES: u64 = 20_000;

/// Databases remembered of an engine; a few instances of it may have different ones at a time.
const MAX_DATABASES: usize = 1000;

#[derive(Clone, Copy)]
struct Hits {
    first: Instant,
    is_new: bool,
    count: u64,
}

impl Hits {
    fn is_outbreak(&self, threshold: u64) -> bool {
        self.is_new && self.count >= threshold && self.first.elapsed() < WINDOW
    }
}

/// Hits of signatures.
pub(super) struct Outbreaks {
    signatures: Cache<String, Hits>,
    /// Databases that verdicts came from, by engine.
    databases: Mutex<HashMap<String, HashSet<String>>>,
    /// Set once a database appears that was not there at first.
    changed: OnceLock<()>,
    threshold: u64,
    alarms: IntCounter,
}

impl Outbreaks {
    pub(super) fn register(config: &Config, registry: &Registry) -> prometheus::Result<Self> {
        let threshold = config.outbreak_media.get() as u64;
        let signatures: Cache<String, Hits> = Cache::builder().max_capacity(MAX_SIGNATURES).build();
        let help = "New signatures that hit many media after a change of the database.";
        let alarms = IntCounter::new("lazaret_signature_outbreaks_total", help)?;
        registry.register(Box::new(alarms.clone()))?;
        let counted = signatures.clone();
        let count = move || counted.iter().filter(|(_, hits)| hits.is_outbreak(threshold)).count() as f64;
        let help = "New signatures that hit many media within the last hour: an outbreak or a bad signature.";
        registry.register(Box::new(PullingGauge::new("lazaret_signature_outbreaks", help, Box::new(count))?))?;
        Ok(Self { signatures, databases: Mutex::default(), changed: OnceLock::new(), threshold, alarms })
    }

    /// Takes note of a scan.
    pub(super) fn judged(&self, record: &Record) {
        self.used(&record.provenance);
        if let Verdict::Infected { detection } = &record.verdict {
            self.hit(&detection.0);
        }
    }

    /// Engines of different versions with the same database are no change of it, and neither are other engines.
    fn used(&self, provenance: &Provenance) {
        let database = match provenance.signatures {
            Some(signatures) => signatures.version.to_string(),
            None => provenance.version.clone(),
        };
        let mut databases = self.databases.lock().expect("no panic while held");
        let of_engine = databases.entry(provenance.engine.to_string()).or_default();
        let is_first = of_engine.is_empty();
        if of_engine.len() < MAX_DATABASES && of_engine.insert(database) && !is_first {
            self.changed.get_or_init(|| ());
        }
    }

    fn hit(&self, signature: &str) {
        let is_new = self.changed.get().is_some();
        let count = |known: Option<moka::Entry<String, Hits>>| {
            let hits = match known {
                None => Hits { first: Instant::now(), is_new, count: 1 },
                Some(known) if known.value().first.elapsed() >= WINDOW => {
                    Hits { first: Instant::now(), count: 1, ..*known.value() }
                }
                Some(known) => Hits { count: known.value().count + 1, ..*known.value() },
            };
            if hits.is_outbreak(self.threshold) && hits.count == self.threshold {
                self.alarms.inc();
                tracing::error!(signature, media = hits.count, "a new signature hits many media");
            }
            Op::Put(hits)
        };
        self.signatures.entry_by_ref(signature).and_compute_with(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbreaks() -> Outbreaks {
        Outbreaks::register(&Config::default(), &Registry::new()).unwrap()
    }

    fn hit(outbreaks: &Outbreaks, signature: &str, times: usize) {
        (0..times).for_each(|_| outbreaks.hit(signature));
    }

    fn change_database(outbreaks: &Outbreaks) {
        outbreaks.changed.get_or_init(|| ());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_signature_that_hits_many_media_raises_the_alarm_once() {
        let outbreaks = outbreaks();
        hit(&outbreaks, "Known", 100);
        assert_eq!(outbreaks.alarms.get(), 0, "nothing is new at the start");
        change_database(&outbreaks);
        hit(&outbreaks, "Known", 100);
        hit(&outbreaks, "New", 19);
        assert_eq!(outbreaks.alarms.get(), 0);
        hit(&outbreaks, "New", 100);
        assert_eq!(outbreaks.alarms.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn hits_that_trickle_in_are_no_outbreak() {
        let outbreaks = outbreaks();
        change_database(&outbreaks);
        for _ in 0..100 {
            hit(&outbreaks, "New", 1);
            tokio::time::advance(WINDOW / 10).await;
        }
        assert_eq!(outbreaks.alarms.get(), 0);
        hit(&outbreaks, "New", 20);
        assert_eq!(outbreaks.alarms.get(), 1, "a trickle hides no flood");
    }
}

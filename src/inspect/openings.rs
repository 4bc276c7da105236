//! Ciphertext on routes without a key: what is known of it from those who had its keys.
//!
//! Ciphertext always scans clean, and no key comes with a keyless request. If the policy wants it (`opaque_media:
//! require_scanned`), it is remembered to which plaintexts a ciphertext was opened by those who asked with keys. What that
//! promises, and what not, is written down at [`OpaqueMedia::RequireScanned`](crate::policy::OpaqueMedia).

use prometheus::{IntCounterVec, Opts, Registry};

use super::{Inspector, Judgement, Recalled};
pub(super) use crate::policy::Openings;
use crate::{
    cache::key::Key,
    crypto::attachment::AttachmentKey,
    facts::{Direction, Facts, Occasion},
    policy::{Access, Decision, Policy},
    verdict::{Effect, Record, Verdict},
};

/// Counts what nobody could judge.
pub(super) struct Opaque(IntCounterVec);

impl Opaque {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new("lazaret_opaque_media_total", "Ciphertext asked for without its key, by decision.");
        let counter = IntCounterVec::new(opts, &["decision"])?;
        for decision in ["allowed", "refused"] {
            counter.with_label_values(&[decision]);
        }
        registry.register(Box::new(counter.clone()))?;
        Ok(Self(counter))
    }

    pub(super) fn count(&self, record: &Record, access: Access, decision: &Decision) {
        let is_keyless = matches!(access, Access::Keyless(_) | Access::Plain(_));
        if record.facts.opaque && is_keyless && matches!(record.verdict, Verdict::Clean(_)) {
            let decision = if *decision == Decision::Allow { "allowed" } else { "refused" };
            self.0.with_label_values(&[decision]).inc();
        }
    }
}

impl Inspector {
    /// Remembers that someone's key opened a ciphertext to a plaintext. A key that leads to noise may be a wrong one, and
    /// one with a counter of its maker's choice can lead to the beginning of anything: they say nothing.
    pub(super) async fn opened(&self, ciphertext: Key, key: &AttachmentKey, plaintext: Key, record: &Record) {
        // What is forced to be infected is asked about each time; once it no longer is, nothing of it is to be left.
        let infected = record.verdict.is_infected() && self.is_taken_for_infected(plaintext, record);
        let tells = infected || (!record.facts.opaque && key.counts_from_zero());
        if tells && self.stages.policy.current().asks_for_openings() {
            let name = self.stages.cache.keys().openings(ciphertext);
            self.stages.cache.keep_opening(name, plaintext, infected).await;
        }
    }

    /// What those who had keys found in a medium.
    pub(super) async fn openings(&self, policy: &Policy, ciphertext: Key, facts: &Facts) -> Openings {
        if !(facts.opaque && policy.asks_for_openings()) {
            return Openings::Unknown;
        }
        let Some(opened) = self.stages.cache.openings(self.stages.cache.keys().openings(ciphertext)).await else {
            return Openings::Unknown;
        };
        let mut openings = Openings::Unknown;
        for &plaintext in &opened.clean {
            if self.is_forced(plaintext, Effect::ForceInfected) {
                return Openings::Infected;
            }
            let record = match self.recall(plaintext).await {
                Recalled::Current(record) => record,
                Recalled::Stale(record) if record.verdict.is_infected() || self.is_in_grace(&record) => record,
                Recalled::Stale(_) | Recalled::Unknown => continue,
            };
            let ruling = self.ruling(plaintext, &record);
            let occasion = Occasion::new(Direction::Scan, "scanner_scan_encrypted");
            let judgement = Judgement { plaintext, record };
            let (decided, _) = self.decide(policy, &judgement, ruling, (&occasion, Access::Keyed));
            let passes = decided.decision == Decision::Allow;
            openings = match openings {
                _ if self.is_taken_for_infected(plaintext, &judgement.record) => return Openings::Infected,
                Openings::Unknown if passes => Openings::Clean,
                before => before,
            };
        }
        for &plaintext in &opened.infected {
            if self.is_forced(plaintext, Effect::ForceClean) {
                continue;
            }
            // Only a newer verdict on the same bytes takes it back, or who knows better.
            let record = self.current(plaintext).await;
            if record.is_none_or(|record| self.is_taken_for_infected(plaintext, &record)) {
                return Openings::Infected;
            }
        }
        openings
    }

    fn is_forced(&self, plaintext: Key, effect: Effect) -> bool {
        self.overruled.on_identity(plaintext).is_some_and(|ruling| ruling.effect == effect)
    }
}

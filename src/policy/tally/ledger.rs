//! What passed although no engine had looked at all of it and found nothing.

use std::collections::BTreeSet;

use prometheus::{IntCounterVec, Opts, Registry};

use super::{OTHERS, retain};
use crate::{
    facts::Occasion,
    policy::{By, Decided, State, rule::RuleSet},
};

const LABELS: [&str; 3] = ["reason", "rule", "direction"];

/// Counts it, when it is let pass and with its whole length: what becomes of it on its way, and whether its reader already has it, is
/// not known then. Who only asks what is thought of it is given nothing.
pub(super) struct Ledger {
    media: IntCounterVec,
    bytes: IntCounterVec,
}

impl Ledger {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Media that passed by the policy although they are not known to be clean, by how they stand.";
        let media = IntCounterVec::new(Opts::new("lazaret_unscanned_delivered_total", help), &LABELS)?;
        let help = "Whole lengths of media that passed by the policy although they are not known to be clean.";
        let bytes = IntCounterVec::new(Opts::new("lazaret_unscanned_delivered_bytes_total", help), &LABELS)?;
        registry.register(Box::new(media.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self { media, bytes })
    }

    /// Takes note of what was decided on a medium of so many bytes.
    pub(super) fn note(&self, decided: &Decided, occasion: &Occasion, len: u64) {
        let Some(state) = decided.unscanned().filter(|_| occasion.is_moved()) else { return };
        // What an exception lets pass is its doing, whatever is said by default.
        let exception = decided.exceptions.first().map(ToString::to_string);
        let (rule, direction) = (exception.unwrap_or_else(|| decided.by.name()), occasion.direction.name());
        let labels = [state.name(), rule.as_str(), direction];
        self.media.with_label_values(&labels).inc();
        self.bytes.with_label_values(&labels).inc_by(len);
        // Ciphertext passes all day long where nobody says otherwise.
        if decided.by != By::Default(State::OpaqueMedia) {
            tracing::info!(reason = state.name(), rule, direction, "passed although it is not known to be clean");
        }
    }

    /// Forgets what passed by rules and exceptions that are gone.
    pub(super) fn prepare(&self, rules: &RuleSet) {
        let ids = rules.rules.iter().map(|rule| &*rule.id);
        let known: BTreeSet<&str> = ids.chain(rules.exceptions.iter().map(|one| &*one.id)).collect();
        for vec in [&self.media, &self.bytes] {
            retain(vec, &LABELS, |[_, rule, _]| {
                OTHERS.iter().any(|other| rule.starts_with(other)) || known.contains(rule)
            });
        }
    }

    /// Media and bytes that passed, with these labels.
    #[cfg(test)]
    pub(super) fn passed(&self, labels: [&str; 3]) -> (u64, u64) {
        (self.media.with_label_values(&labels).get(), self.bytes.with_label_values(&labels).get())
    }
}

//! What an address led to the last time. A verdict belongs to bytes, so this is never more than an expectation: whoever
//! serves by it compares the bytes that come with those that were judged.

use std::sync::Arc;

use prometheus::{IntCounter, Registry};

use super::{Inspection, Inspector, openings::Openings};
use crate::{
    body::HOLD,
    cache::{Located, key::Key},
    policy::{Access, Decision},
    spool::Digest,
    verdict::Record,
};

/// The name of an address: of a medium, or of a thumbnail with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location(Key);

/// A medium whose bytes are expected at an address, with a verdict that counts.
pub struct Known {
    inspector: Arc<Inspector>,
    location: Location,
    identity: Key,
    record: Arc<Record>,
    openings: Openings,
    /// What the policy says now.
    pub decision: Decision,
}

/// Counts media that changed under their address.
pub(super) struct Changed(IntCounter);

impl Changed {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Media whose bytes were not those that were scanned; what was on its way was cut.";
        let counter = IntCounter::new("lazaret_changed_media_total", help)?;
        registry.register(Box::new(counter.clone()))?;
        Ok(Self(counter))
    }
}

impl Inspector {
    /// Names an address.
    pub fn location(&self, address: &str) -> Location {
        Location(self.stages.keys.location(address))
    }

    /// Remembers what was found at an address, if it can make a difference: small media are served from memory anyway.
    pub async fn remember(&self, address: impl Fn() -> String, len: u64, found: &Inspection) {
        if len <= HOLD && !found.record.verdict.is_infected() {
            return;
        }
        let location = self.location(&address());
        self.stages.cache.keep_location(location.0, Located { identity: found.identity, len }).await;
    }

    /// What is expected at an address from where `len` bytes come; `None` if nothing is, or its verdict no longer counts.
    pub async fn known(self: &Arc<Self>, location: Location, len: u64) -> Option<Known> {
        let found = self.stages.cache.location(location.0).await.filter(|found| found.len == len)?;
        let record = self.current(found.identity).await?;
        let openings = self.openings(found.identity, &record.facts).await;
        let decision = self.stages.policy.decide(&record.facts, &record.verdict, Access::Keyless(openings));
        Some(Known { inspector: Arc::clone(self), location, identity: found.identity, record, openings, decision })
    }

    /// True if what was last found at an address, whatever its length, is known to be refused.
    pub async fn is_known_infected(&self, location: Location) -> bool {
        let Some(found) = self.stages.cache.location(location.0).await else { return false };
        self.current(found.identity).await.is_some_and(|record| record.verdict.is_infected())
    }
}

impl Known {
    /// What was found out about the expected bytes.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Counts an answer that is given by this alone.
    pub fn count(&self) {
        self.inspector.opaque.count(&self.record, Access::Keyless(self.openings), self.decision);
    }

    /// The name of the expected bytes.
    pub fn identity(&self) -> Key {
        self.identity
    }

    /// Compares what came with what was expected; an error says why it must not arrive whole. Signatures that are newer
    /// than those of a moment ago are no reason: the next request asks them. If other bytes came, the address is forgotten.
    pub fn confirm(&self, digest: &Digest) -> Result<(), &'static str> {
        let inspector = &self.inspector;
        if inspector.stages.keys.plaintext(digest) != self.identity {
            inspector.changed.0.inc();
            inspector.stages.cache.forget_location(self.location.0);
            return Err("its bytes are not those that were scanned");
        }
        let Record { verdict, provenance, .. } = &*self.record;
        match provenance.vouch.refutes(verdict) {
            true => Err("the engine that had scanned it was found broken"),
            false => Ok(()),
        }
    }
}

//! What an address led to the last time. A verdict belongs to bytes, so this is never more than an expectation: whoever
//! serves by it compares the bytes that come with those that were judged.

use std::sync::Arc;

use prometheus::{IntCounter, Registry};

use super::{Inspection, Inspector, Judgement, Recalled, decision::unheard, openings::Openings};
use crate::{
    body::HOLD,
    cache::{
        Located,
        key::{Key, Reader},
        overrides::Ruling,
    },
    facts::Occasion,
    policy::{Access, Decided, Decision, Refusal},
    spool::Digest,
    verdict::{Effect, Record},
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
    access: Access,
    occasion: Arc<Occasion>,
    /// What the security team says, if that makes a difference.
    ruled: Option<Ruling>,
    /// What the policy says now.
    pub decided: Decided,
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
        Location(self.stages.cache.keys().location(address))
    }

    /// Remembers what was found at an address. For small media that makes no difference to requests, but operators name media
    /// by their addresses, and thumbnails are refused by them.
    pub async fn remember(&self, address: impl Fn() -> String, len: u64, found: &Inspection) {
        let (location, found) = (self.location(&address()), Located { identity: found.identity, len });
        if len > HOLD || self.stages.cache.location(location.0).await != Some(found) {
            self.stages.cache.keep_location(location.0, found).await;
        }
    }

    /// What is expected at an address from where `len` bytes come; `None` if nothing is, its verdict is not current, or more engines
    /// are to be heard: to be scanned again, now or later, the bytes have to be taken in.
    pub async fn known(self: &Arc<Self>, location: Location, len: u64, occasion: &Arc<Occasion>) -> Option<Known> {
        let found = self.stages.cache.location(location.0).await.filter(|found| found.len == len)?;
        let record = self.current(found.identity).await?;
        let policy = self.stages.policy.current();
        let access = Access::Keyless(self.openings(&policy, found.identity, &record.facts).await);
        let ruling = self.ruling(found.identity, &record);
        let judgement = Judgement { plaintext: found.identity, record };
        let (decided, ruled) = self.decide(&policy, &judgement, ruling, (occasion, access));
        if unheard(&decided, &judgement.record).is_some() {
            return None;
        }
        let Judgement { plaintext: identity, record } = judgement;
        let (inspector, occasion) = (Arc::clone(self), Arc::clone(occasion));
        Some(Known { inspector, location, identity, record, access, occasion, ruled, decided })
    }

    /// Why a thumbnail of what was last found at an address, whatever its length, is refused, if something is known to be in that. What
    /// was infected counts as that until it is scanned again, unless the policy lets it pass in the way of this request.
    pub async fn refusal_of_infected(&self, location: Location, occasion: &Occasion) -> Option<Refusal> {
        let found = self.stages.cache.location(location.0).await?;
        let said = self.overruled.on_identity(found.identity);
        let record = match self.recall(found.identity).await {
            Recalled::Current(record) | Recalled::Stale(record) => Some(record),
            Recalled::Unknown => None,
        };
        let said = said.or_else(|| self.ruling(found.identity, record.as_ref()?));
        let is_infected = record.as_ref().is_some_and(|record| record.verdict.is_infected());
        if let Some(ruling) = said {
            let forbids = ruling.effect == Effect::ForceInfected;
            self.overruled.count(said.filter(|_| forbids != is_infected));
            return forbids.then_some(Refusal::Infected);
        }
        let judgement = Judgement { plaintext: found.identity, record: record.filter(|_| is_infected)? };
        let access = Access::Keyless(Openings::Unknown);
        let policy = self.stages.policy.current();
        match self.decide(&policy, &judgement, None, (occasion, access)).0.decision {
            Decision::Allow => None,
            Decision::Block(refusal) => Some(refusal),
        }
    }
}

impl Known {
    /// What was found out about the expected bytes.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Counts an answer that is given to a reader by this alone.
    pub fn count(&self, reader: Reader) {
        let (inspector, decision, facts) = (&self.inspector, &self.decided.decision, &self.record.facts);
        inspector.note(self.identity, decision, Some(reader), (&self.occasion, self.access));
        inspector.opaque.count(&self.record, self.access, decision);
        inspector.overruled.count(self.ruled);
        inspector.count(&self.decided, &self.occasion, (Some(facts), facts.size), Some(self.identity));
    }

    /// The name of the expected bytes.
    pub fn identity(&self) -> Key {
        self.identity
    }

    /// Compares what came with what was expected; an error says why it must not arrive whole. Signatures that are newer
    /// than those of a moment ago are no reason: the next request asks them. If other bytes came, the address is forgotten.
    pub fn confirm(&self, digest: &Digest) -> Result<(), &'static str> {
        let inspector = &self.inspector;
        if inspector.stages.cache.keys().plaintext(digest) != self.identity {
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

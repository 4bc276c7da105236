//! What the policy says of a request for what could not be judged: no engine gave a verdict, or it is too large for that.

use std::sync::Arc;

use super::{hash, unheard};
use crate::{
    cache::key::Key,
    engine::EngineError,
    facts::{Direction, Facts, Occasion},
    inspect::{InspectError, Inspection, Inspector, Judgement, openings::Openings},
    plaintext::Plaintext,
    policy::{Access, Decided, Decision, Policy, Refusal, State, fact::View},
    spool::Spool,
    verdict::{Effect, Verdict},
};

/// A request for a body of which there is no verdict.
struct Unjudged<'a> {
    identity: Key,
    facts: &'a Facts,
    occasion: &'a Occasion,
    access: Access,
}

impl Unjudged<'_> {
    fn is_ciphertext(&self) -> bool {
        self.facts.opaque && self.access.has_no_key()
    }
}

/// How a medium is asked for, now that it is known what keys opened it to.
fn opened(access: Access, openings: Openings) -> Access {
    match access {
        Access::Keyless(_) => Access::Keyless(openings),
        Access::Plain(_) => Access::Plain(openings),
        Access::Upload | Access::Keyed | Access::Encoded => access,
    }
}

impl Inspector {
    /// Decides on a body of which there is no verdict, since no engine gave one: an error still, unless the policy lets it pass. What
    /// a key opened, and what is vouched for by word, is never let pass so. Neither is what is refused for what engines said of it
    /// before, or as ciphertext: that they are out makes nothing better.
    pub(in crate::inspect) async fn decide_without_verdict(
        &self,
        body: &Arc<Spool>,
        identity: Key,
        (occasion, access): (&Occasion, Access),
        error: EngineError,
    ) -> Result<Inspection, InspectError> {
        let (policy, direction) = (self.stages.policy.current(), occasion.direction);
        let is_vouched = direction == Direction::Scan || matches!(access, Access::Keyed | Access::Encoded);
        if is_vouched || !policy.may_pass(State::EngineError, direction) {
            self.count(&Decided::without_engines(), occasion, (None, body.len()), None);
            return Err(error.into());
        }
        let facts = self.facts_of(&Plaintext::Held(Arc::clone(body))).await?;
        let access = opened(access, self.openings(&policy, identity, &facts).await);
        let asked = Unjudged { identity, facts: &facts, occasion, access };
        let inspection = match self.refused_as_remembered(&policy, &asked).await {
            Some(refused) => refused,
            None => self.decide_as_unjudged(&policy, &asked),
        };
        let Inspection { record, decided, .. } = &inspection;
        if decided.decision == Decision::Block(Refusal::EngineError) {
            self.count(decided, occasion, (Some(&facts), facts.size), Some(identity));
            return Err(error.into());
        }
        let is_remembered = record.is_some();
        tracing::warn!(%error, %identity, action = decided.action, is_remembered, "decided without a verdict");
        self.count(decided, occasion, (Some(&facts), facts.size), Some(identity));
        Ok(inspection)
    }

    /// What is decided on what engines said before, if it does not pass by that. That they said nothing against it counts for nothing:
    /// for that, they would have to be asked again.
    async fn refused_as_remembered(&self, policy: &Policy, asked: &Unjudged<'_>) -> Option<Inspection> {
        let Unjudged { identity, occasion, access, .. } = *asked;
        let known = self.stages.cache.latest(identity).await?;
        if known.is_refuted() || matches!(known.verdict, Verdict::Clean(_)) {
            return None;
        }
        let ruling = self.ruling(identity, &known);
        let judgement = Judgement { plaintext: identity, record: known };
        let (decided, ruled) = self.decide(policy, &judgement, ruling, (occasion, access));
        let record = judgement.record;
        if decided.decision == Decision::Allow {
            let lacks = unheard(&decided, &record).is_some();
            let decided = decided.refused_for(State::EngineError, Refusal::EngineError);
            return lacks.then_some(Inspection { identity, plaintext: identity, record: Some(record), decided });
        }
        self.overruled.count(ruled);
        Some(Inspection { identity, plaintext: identity, record: Some(record), decided })
    }

    /// What is decided where nothing is known but what the bytes tell.
    fn decide_as_unjudged(&self, policy: &Policy, asked: &Unjudged<'_>) -> Inspection {
        let Unjudged { identity, facts, occasion, access } = *asked;
        // That something is clean is said of what was looked at; that it is infected is said of bytes.
        let ruling = self.overruled.on_identity(identity).filter(|ruling| ruling.effect == Effect::ForceInfected);
        let (name, now, size) = (Some(hash(identity)), self.stages.clock.now(), Some(facts.size));
        let decide = |state| {
            let view = View { occasion, facts: Some(facts), size, record: None, state, access, name, now };
            policy.decide(&view, ruling.map(|ruling| ruling.effect))
        };
        // No engine says more of ciphertext than that.
        let as_ciphertext = asked.is_ciphertext().then(|| decide(State::OpaqueMedia));
        let passes = |decided: &Decided| decided.decision == Decision::Allow && decided.engines.is_none();
        let refused = as_ciphertext.filter(|decided| !passes(decided));
        let decided = refused.unwrap_or_else(|| decide(State::EngineError));
        self.overruled.count(ruling);
        let decided = match decided.engines {
            None => decided,
            Some(_) => decided.refused_for(State::EngineError, Refusal::EngineError),
        };
        Inspection { identity, plaintext: identity, record: None, decided }
    }

    /// Decides on a medium of so many bytes, of which no more is looked at, since that is too many: nothing else is known of it, not even
    /// what the security team says of its bytes, or that it is ciphertext. Where it could not be passed on as it comes, it can only be
    /// refused.
    pub fn decide_on_oversize(&self, occasion: &Occasion, len: u64, could_pass: bool) -> Decided {
        let access = Access::without_key(occasion.direction, Openings::Unknown);
        let (state, now, size) = (State::Oversize, self.stages.clock.now(), Some(len));
        let view = View { occasion, facts: None, size, record: None, state, access, name: None, now };
        let decided = self.stages.policy.current().decide(&view, None);
        // No rule's engines can be heard, and what is vouched for by word was looked at.
        let may_pass = could_pass && occasion.direction != Direction::Scan && decided.engines.is_none();
        let decided = match decided.decision {
            Decision::Allow if !may_pass => decided.refused_for(state, Refusal::Oversize),
            _ => decided,
        };
        self.count(&decided, occasion, (None, len), None);
        decided
    }
}

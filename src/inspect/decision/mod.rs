//! What the policy says of a request for what was judged.

mod unjudged;

use std::sync::Arc;

use super::{Inspector, Judgement};
use crate::{
    cache::{
        key::{Key, Reader},
        overrides::Ruling,
        seen::Seen,
    },
    facts::{Direction, Facts, Occasion, is_well_formed, names::NameTells},
    policy::{Access, Decided, Decision, Hash, Medium, Policy, State, fact::View},
    verdict::Record,
};

/// What a plaintext is called where policies are asked.
pub(super) fn hash(plaintext: Key) -> Hash {
    Hash(plaintext.to_bytes())
}

/// True if all these engines had their say in a verdict.
pub(super) fn has_heard(record: &Record, engines: &[Arc<str>]) -> bool {
    let heard = || record.provenance.engine.split('+');
    engines.iter().all(|engine| heard().any(|name| *name == **engine))
}

/// Engines that the policy wants heard in a verdict and that were not.
pub(super) fn unheard(decided: &Decided, record: &Record) -> Option<Arc<[Arc<str>]>> {
    decided.engines.clone().filter(|engines| !has_heard(record, engines))
}

/// The kind of a request, as it is remembered.
fn seen(occasion: &Occasion, access: Access, at: std::time::SystemTime) -> Seen {
    let tells = occasion.declared.name.as_deref().map(NameTells::of);
    Seen {
        direction: occasion.direction,
        keyed: access == Access::Keyed,
        server: occasion.server.clone(),
        is_local: occasion.is_local,
        declared_type: occasion.declared.media_type.clone().filter(|name| is_well_formed(name)),
        double_extension: tells.as_ref().map(|tells| tells.is_double),
        bidi: tells.as_ref().map(|tells| tells.is_disguised),
        extension: tells.and_then(|tells| tells.extension).map(Into::into),
        at,
    }
}

impl Inspector {
    /// What the policy says, and the ruling if it would say something else without that.
    pub(super) fn decide(
        &self,
        policy: &Policy,
        judgement: &Judgement,
        ruling: Option<Ruling>,
        (occasion, access): (&Occasion, Access),
    ) -> (Decided, Option<Ruling>) {
        let name = Some(hash(judgement.plaintext));
        let view = View { name, ..View::of(&judgement.record, occasion, access, self.stages.clock.now()) };
        let decided = policy.decide(&view, ruling.map(|ruling| ruling.effect));
        let ruled = ruling.filter(|_| policy.decide(&view, None).decision != decided.decision);
        (decided, ruled)
    }

    /// Takes note of a decision that is acted upon, on a medium of so many bytes.
    pub(super) fn count(
        &self,
        decided: &Decided,
        occasion: &Occasion,
        (facts, len): (Option<&Facts>, u64),
        plaintext: Option<Key>,
    ) {
        let medium = Medium { occasion, facts, len, identity: plaintext.map(hash), now: self.stages.clock.now() };
        self.stages.policy.count(decided, medium);
    }

    /// Notes what was decided for whom.
    pub(super) fn note(
        &self,
        plaintext: Key,
        decision: &Decision,
        reader: Option<Reader>,
        (occasion, access): (&Occasion, Access),
    ) {
        let reader = reader.filter(|_| *decision == Decision::Allow);
        // What is only the form in which another one came was not asked for by anybody.
        let seen = (access != Access::Encoded).then(|| seen(occasion, access, self.stages.clock.now()));
        self.stages.cache.note_use(plaintext, reader, seen.as_ref());
    }

    /// True if no upload is too large to be let through, as far as rules do not say otherwise.
    pub fn passes_oversize_uploads(&self) -> bool {
        self.stages.policy.current().passes_by_default(State::Oversize, Direction::Upload)
    }

    /// True if something too large may be let through.
    pub fn may_pass_oversize(&self, direction: Direction) -> bool {
        self.stages.policy.current().may_pass(State::Oversize, direction)
    }
}

#[cfg(test)]
mod tests;

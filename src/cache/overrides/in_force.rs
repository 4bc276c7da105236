//! Overrides by what they are about, so that a request finds at once what is said of it.

use std::{collections::HashMap, time::SystemTime};

use super::{Override, OverrideId, Overrides, Target};
use crate::{
    cache::key::Key,
    verdict::{Effect, Verdict},
};

/// That an override decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Which one.
    pub id: OverrideId,
    /// How what it is about is to be taken.
    pub effect: Effect,
}

/// Overrides by what they are about.
#[derive(Debug, Default)]
pub struct InForce {
    identities: HashMap<Key, Vec<Limited>>,
    signatures: HashMap<String, Vec<Limited>>,
}

#[derive(Clone, Copy, Debug)]
struct Limited {
    ruling: Ruling,
    until: SystemTime,
}

impl InForce {
    /// Those of these that act now or, clocks being what they are, later.
    pub fn of(overrides: &Overrides) -> Self {
        let mut in_force = Self::default();
        for (id, Override { effect, target, until, .. }) in overrides.iter().filter(|(_, one)| one.removed.is_none()) {
            let limited = Limited { ruling: Ruling { id, effect: *effect }, until: *until };
            match target {
                Target::Identity(key) => in_force.identities.entry(*key).or_default().push(limited),
                Target::Signature(name) => in_force.signatures.entry(name.clone()).or_default().push(limited),
            }
        }
        in_force
    }

    /// What is said of bytes as such.
    pub fn on_identity(&self, identity: Key, now: SystemTime) -> Option<Ruling> {
        first(self.identities.get(&identity)?, now)
    }

    /// What is said of bytes of which an engine said this. What is said of the bytes comes before what is said of all that are
    /// called the same. Who lets pass what is called so has heard what one engine says: unless the verdict `is_complete`,
    /// others that are required were not heard, and may know the bytes for something else.
    pub fn on(
        &self,
        identity: Key,
        verdict: &Verdict,
        is_complete: impl FnOnce() -> bool,
        now: SystemTime,
    ) -> Option<Ruling> {
        let by_name = || {
            let name = match verdict {
                Verdict::Clean(_) => return None,
                Verdict::Infected { detection: name }
                | Verdict::Incomplete { why: name }
                | Verdict::Opaque { why: name } => name,
            };
            let ruling = first(self.signatures.get(&name.0)?, now)?;
            (ruling.effect == Effect::ForceInfected || is_complete()).then_some(ruling)
        };
        self.on_identity(identity, now).or_else(by_name)
    }
}

/// Of several that act, one that forbids, if any does.
fn first(limited: &[Limited], now: SystemTime) -> Option<Ruling> {
    let acting = limited.iter().filter(|limited| now < limited.until).map(|limited| limited.ruling);
    acting.min_by_key(|ruling| (ruling.effect == Effect::ForceClean, ruling.id))
}

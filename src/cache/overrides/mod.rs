//! What the security team says in place of engines. Pure.
//!
//! An override names bytes, by their identity, or what engines call what they find, and says how it is to be taken: for a while, by
//! someone, for a reason. No verdict is changed by it, so all is as before once it ends. All of them are kept as one entry. Those
//! that were taken back stay known until they would have ended, so that nobody brings them back who has not heard of it. What is
//! kept is bounded by number and not by time: a node whose clock is wrong must not make others forget.

mod in_force;

use std::{
    collections::BTreeMap,
    mem::size_of,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

pub use self::in_force::{InForce, Ruling};
use crate::{cache::key::Key, verdict::Effect};

/// Overrides in force at a time. They are for what engines get wrong now, not for lists of signatures.
const MOST: usize = 1000;

/// All that are kept, with those that ended or were taken back. What ends first makes room.
const MOST_KEPT: usize = 2 * MOST;

/// Longest life.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// After its end an override is told of, and does not make room, for so long: clocks of others may be behind.
const MARGIN: Duration = Duration::from_hours(24);

/// Longest texts, in bytes.
const AUTHOR: usize = 128;
const REASON: usize = 512;
const SIGNATURE: usize = 256;

/// The name of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OverrideId(u128);

impl OverrideId {
    /// A new one.
    fn new() -> Self {
        Self(Ulid::generate().0)
    }

    /// One that was written down.
    pub fn parse(text: &str) -> Option<Self> {
        Ulid::from_string(text).ok().map(|id| Self(id.0))
    }
}

impl std::fmt::Display for OverrideId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ulid(self.0).fmt(f)
    }
}

/// What an override is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    /// These bytes.
    Identity(Key),
    /// All bytes of which engines say exactly this.
    Signature(String),
}

/// What someone said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Override {
    /// How it is to be taken.
    pub effect: Effect,
    /// What.
    pub target: Target,
    /// By whom.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub created: SystemTime,
    /// Until when.
    pub until: SystemTime,
    /// When and by whom it was taken back, if it was.
    pub removed: Option<(SystemTime, String)>,
}

impl Override {
    /// One from now on, if that can be meant.
    pub fn new(
        effect: Effect,
        target: Target,
        (author, reason): (String, String),
        (created, until): (SystemTime, SystemTime),
    ) -> Result<Self, OverrideError> {
        check("author", &author, AUTHOR)?;
        check("reason", &reason, REASON)?;
        if let Target::Signature(signature) = &target {
            check("signature", signature, SIGNATURE)?;
        }
        match until.duration_since(created) {
            Err(_) => Err(OverrideError::Over),
            Ok(life) if life.is_zero() => Err(OverrideError::Over),
            Ok(life) if life > LONGEST => Err(OverrideError::TooLong),
            Ok(_) => Ok(Self { effect, target, author, reason, created, until, removed: None }),
        }
    }

    /// True while it acts.
    pub fn is_acting(&self, now: SystemTime) -> bool {
        self.removed.is_none() && now < self.until
    }

    /// True once it ended so long ago that it is of no interest any more.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.until + MARGIN <= now
    }

    /// What is known of the same one by two. Being taken back, the earlier of two times, is what can become known.
    fn and(self, other: &Self) -> Self {
        let removed = match (&self.removed, &other.removed) {
            (Some(one), Some(two)) => Some(one.min(two).clone()),
            (one, two) => one.clone().or_else(|| two.clone()),
        };
        let other = other.clone();
        Self { removed: None, ..self }.min(Self { removed: None, ..other }).with(removed)
    }

    fn with(self, removed: Option<(SystemTime, String)>) -> Self {
        Self { removed, ..self }
    }
}

fn check(what: &'static str, text: &str, most: usize) -> Result<(), OverrideError> {
    match text.trim().is_empty() || text.len() > most || text.chars().any(char::is_control) {
        true => Err(OverrideError::Text { what, most }),
        false => Ok(()),
    }
}

/// Why there is no such override.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// A text is missing, too long, or more than a line.
    #[error("`{what}` must be one line of 1 to {most} bytes")]
    Text {
        /// Which.
        what: &'static str,
        /// The most that it may have.
        most: usize,
    },
    /// It would never act.
    #[error("`until` is not in the future")]
    Over,
    /// It would act for longer than anyone remembers why.
    #[error("`until` is more than a year away")]
    TooLong,
    /// It cannot be read.
    #[error("`until` is no time such as 2027-01-01, 2027-01-01T12:00:00Z or 30d")]
    Until,
    /// There are as many as there may be.
    #[error(
        "there are {MOST} overrides already (with those that were removed before their end, {MOST_KEPT}); let some end first"
    )]
    TooMany,
    /// There is none of that name.
    #[error("no override of this id")]
    Unknown,
    /// It was taken back before.
    #[error("this override was removed before")]
    Removed,
}

/// Reads the end of an override: a day, a time, or how long it is to last.
pub fn parse_until(text: &str, now: SystemTime) -> Result<SystemTime, OverrideError> {
    let day = || humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok();
    let time = || humantime::parse_rfc3339(text).ok();
    let span = || now.checked_add(humantime::parse_duration(text).ok()?);
    day().or_else(time).or_else(span).ok_or(OverrideError::Until)
}

/// All that was said, but for what ended first if that was too much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    all: BTreeMap<OverrideId, Override>,
}

impl Overrides {
    /// What is to be put to have one more.
    pub fn adding(&self, new: Override, now: SystemTime) -> Result<(OverrideId, Self), OverrideError> {
        let in_force = self.all.values().filter(|known| known.is_acting(now)).count();
        let kept = self.all.values().filter(|known| !known.is_over(now)).count();
        if in_force >= MOST || kept >= MOST_KEPT {
            return Err(OverrideError::TooMany);
        }
        let id = OverrideId::new();
        Ok((id, Self { all: BTreeMap::from([(id, new)]) }))
    }

    /// What is to be put to take one back.
    pub fn removing(&self, id: OverrideId, author: String, now: SystemTime) -> Result<Self, OverrideError> {
        check("author", &author, AUTHOR)?;
        let known = self.all.get(&id).filter(|known| now < known.until).ok_or(OverrideError::Unknown)?;
        if known.removed.is_some() {
            return Err(OverrideError::Removed);
        }
        let removed = known.clone().with(Some((now, author)));
        Ok(Self { all: BTreeMap::from([(id, removed)]) })
    }

    /// One of them.
    pub fn get(&self, id: OverrideId) -> Option<&Override> {
        self.all.get(&id)
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (OverrideId, &Override)> {
        self.all.iter().map(|(id, known)| (*id, known))
    }

    /// Both together. If that is too much, it is without what ends first, whatever the time is here: who is given that again
    /// drops it again.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut all = self.all.clone();
        for (id, new) in &other.all {
            let both = all.remove(id).map_or_else(|| new.clone(), |known| known.and(new));
            all.insert(*id, both);
        }
        let mut ends: Vec<_> = all.iter().map(|(id, known)| (known.until, *id)).collect();
        ends.sort_unstable();
        for (_, id) in &ends[..ends.len().saturating_sub(MOST_KEPT)] {
            all.remove(id);
        }
        Self { all }
    }

    /// About so many bytes.
    pub fn weight(&self) -> usize {
        let texts = |one: &Override| one.author.len() + one.reason.len();
        self.all.values().map(|one| size_of::<(OverrideId, Override)>() + texts(one)).sum()
    }
}

#[cfg(test)]
mod tests;

//! What is kept, and how two of it become one. Pure.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    epochs::Registry,
    key::{Key, Reader},
    overrides::Overrides,
    seen::{self, Seen},
};
use crate::verdict::{Detection, Record, Verdict};

/// Longest time for which a verdict counts whose engine was not proven since, for those who have it from a store. Canaries come
/// far more often.
pub(super) const UNPROVEN: Duration = Duration::from_mins(2);

/// Anything that is kept under a name.
#[derive(Clone, Debug)]
pub enum Entry {
    /// What is known of a plaintext.
    Record(Arc<Record>),
    /// The plaintext that an attachment decrypts to.
    Identity(Key),
    /// What was found at an address.
    Located(Located),
    /// What keys opened a ciphertext to.
    Opened(Arc<Opened>),
    /// How often a plaintext was asked for, and who was given it.
    Usage(Arc<Usage>),
    /// That a plaintext was given out as clean before it was found to be infected.
    Exposure(Arc<Exposure>),
    /// The blame that a plaintext has for what became of engines.
    Blame(Blame),
    /// The epochs in use.
    Epochs(Arc<Registry>),
    /// What the security team says in place of engines.
    Overrides(Arc<Overrides>),
}

/// What was found at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// Identity of the bytes.
    pub identity: Key,
    /// Their number.
    pub len: u64,
}

/// What keys opened a ciphertext to: identities of plaintexts, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Those in which nothing was found.
    pub clean: Vec<Key>,
    /// Those in which something was found. They have a place of their own, so that no number of others hides one.
    pub infected: Vec<Key>,
}

impl Opened {
    /// Plaintexts of each kind that are remembered of one ciphertext. An honest one has one.
    const MOST: usize = 4;

    /// Adds what one more key opened it to.
    #[must_use]
    pub fn with(mut self, plaintext: Key, infected: bool) -> Self {
        for known in [&mut self.clean, &mut self.infected] {
            known.retain(|known| *known != plaintext);
        }
        let kind = if infected { &mut self.infected } else { &mut self.clean };
        let surplus = (kind.len() + 1).saturating_sub(Self::MOST);
        kind.drain(..surplus);
        kind.push(plaintext);
        self
    }

    fn and(self, newer: &Self) -> Self {
        let opened = newer.clean.iter().fold(self, |opened, key| opened.with(*key, false));
        newer.infected.iter().fold(opened, |opened, key| opened.with(*key, true))
    }
}

/// How often a plaintext was asked for, and who was given it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When it was first asked for.
    pub first_seen: SystemTime,
    /// When it was last asked for.
    pub last_seen: SystemTime,
    /// How often.
    pub hits: u64,
    /// How it was given out as clean, if it was.
    pub served: Option<Served>,
    /// In what requests, the most recent ones last.
    pub seen: Vec<Seen>,
}

/// How a plaintext was given out as clean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// When first.
    pub first: SystemTime,
    /// When last.
    pub last: SystemTime,
    /// How often.
    pub times: u64,
    /// To whom, as far as they are remembered.
    pub readers: BTreeSet<Reader>,
    /// True if there were more.
    pub more: bool,
}

impl Served {
    /// Readers that are remembered of one plaintext.
    const MOST: usize = 64;

    fn at(now: SystemTime, reader: Reader) -> Self {
        Self { first: now, last: now, times: 1, readers: BTreeSet::from([reader]), more: false }
    }

    fn again(&mut self, now: SystemTime, reader: Reader) {
        self.last = self.last.max(now);
        self.times += 1;
        self.remember(reader);
    }

    fn remember(&mut self, reader: Reader) {
        match self.readers.len() < Self::MOST {
            true => drop(self.readers.insert(reader)),
            false => self.more |= !self.readers.contains(&reader),
        }
    }

    fn and(mut self, other: &Self) -> Self {
        other.readers.iter().for_each(|reader| self.remember(*reader));
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.times = self.times.saturating_add(other.times);
        self.more |= other.more;
        self
    }
}

impl Usage {
    /// Asked for once, and given to that reader, if there is one.
    pub(super) fn at(now: SystemTime, reader: Option<Reader>, seen: Option<&Seen>) -> Self {
        let served = reader.map(|reader| Served::at(now, reader));
        Self { first_seen: now, last_seen: now, hits: 1, served, seen: seen.cloned().into_iter().collect() }
    }

    /// Asked for once more.
    pub(super) fn again(&mut self, now: SystemTime, reader: Option<Reader>, seen: Option<&Seen>) {
        self.last_seen = self.last_seen.max(now);
        self.hits += 1;
        match (&mut self.served, reader) {
            (Some(served), Some(reader)) => served.again(now, reader),
            (served @ None, Some(reader)) => *served = Some(Served::at(now, reader)),
            (_, None) => (),
        }
        if let Some(seen) = seen {
            seen::add(&mut self.seen, seen);
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let served = match (self.served.clone(), &other.served) {
            (Some(one), Some(two)) => Some(one.and(two)),
            (one, two) => one.or_else(|| two.clone()),
        };
        let mut seen = self.seen.clone();
        other.seen.iter().for_each(|one| seen::add(&mut seen, one));
        Self {
            first_seen: self.first_seen.min(other.first_seen),
            last_seen: self.last_seen.max(other.last_seen),
            hits: self.hits.saturating_add(other.hits),
            served,
            seen,
        }
    }
}

/// That a plaintext was given out as clean before it was found to be infected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// When it was found.
    pub found: SystemTime,
    /// As what.
    pub detection: Detection,
    /// How it had been given out.
    pub served: Served,
}

/// The blame that a plaintext has for what became of engines.
#[derive(Clone, Debug)]
pub struct Blame {
    /// How much of it.
    pub amount: u32,
    /// What it is answered with, once that is enough.
    pub record: Option<Arc<Record>>,
    /// Until when.
    pub until: SystemTime,
}

impl Blame {
    /// What several nodes saw adds up.
    fn and(self, newer: Self) -> Self {
        Self {
            amount: self.amount.saturating_add(newer.amount),
            record: newer.record.or(self.record),
            until: self.until.max(newer.until),
        }
    }
}

impl Entry {
    /// What is kept when `new` comes to what is there.
    #[must_use]
    pub fn merged(old: Option<Self>, new: Self) -> Self {
        match (old, new) {
            (Some(Self::Record(old)), Self::Record(new)) => Self::Record(newer(old, new)),
            (Some(Self::Opened(old)), Self::Opened(new)) => Self::Opened(Arc::new(Arc::unwrap_or_clone(old).and(&new))),
            (Some(Self::Usage(old)), Self::Usage(new)) => Self::Usage(Arc::new(old.and(&new))),
            (Some(Self::Blame(old)), Self::Blame(new)) => Self::Blame(old.and(new)),
            (Some(Self::Epochs(old)), Self::Epochs(new)) => Self::Epochs(Arc::new(old.and(&new))),
            (Some(Self::Overrides(old)), Self::Overrides(new)) => Self::Overrides(Arc::new(old.and(&new))),
            (_, new) => new,
        }
    }

    /// Its kind, in a word that operators know it by.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Record(_) => "records",
            Self::Identity(_) => "attachments",
            Self::Located(_) => "addresses",
            Self::Opened(_) => "openings",
            Self::Usage(_) => "usages",
            Self::Exposure(_) => "exposures",
            Self::Blame(_) => "blames",
            Self::Epochs(_) => "epochs",
            Self::Overrides(_) => "overrides",
        }
    }

    /// True for what there is one of in a store, and what never expires.
    pub fn is_single(&self) -> bool {
        matches!(self, Self::Epochs(_) | Self::Overrides(_))
    }

    /// True for what is asked for with requests in hand, and may be a little older than what others know.
    pub fn is_kept_near(&self) -> bool {
        matches!(self, Self::Record(_) | Self::Identity(_) | Self::Located(_) | Self::Opened(_))
    }

    /// As [`Entry::merged`], in the memory of the node that says `new` just now: what it said itself counts here, even if
    /// others have a newer word that it cannot take. Only that something is not clean is taken from whoever knows more.
    #[must_use]
    pub fn merged_near(old: Option<Self>, new: Self) -> Self {
        match (old, new) {
            (Some(Self::Record(old)), new @ Self::Record(_)) if matches!(old.verdict, Verdict::Clean(_)) => new,
            (old, new) => Self::merged(old, new),
        }
    }

    /// When it is forgotten, if it is put `now` where others read it; `None` if it never is.
    pub fn expires(&self, ttl: Duration, now: SystemTime) -> Option<SystemTime> {
        let expires = self.expires_near(ttl, now);
        match self {
            Self::Record(record) if !record.is_proven() => expires.map(|at| at.min(now + UNPROVEN)),
            _ => expires,
        }
    }

    /// When it is forgotten in the process that it comes from, which learns whether it was proven.
    pub fn expires_near(&self, ttl: Duration, now: SystemTime) -> Option<SystemTime> {
        match self {
            // Of a time that cannot be, nothing is kept.
            Self::Record(record) => Some(record.scanned_at.checked_add(ttl).unwrap_or(now)),
            Self::Blame(blame) => Some(blame.until),
            _ if self.is_single() => None,
            _ => Some(now + ttl),
        }
    }

    /// True if putting `self` where `there` is would change nothing.
    pub fn is_known(&self, there: &Self) -> bool {
        match (self, there) {
            (Self::Identity(one), Self::Identity(two)) => one == two,
            (Self::Located(one), Self::Located(two)) => one == two,
            (Self::Opened(one), Self::Opened(two)) => {
                let is_in = |some: &[Key], all: &[Key]| some.iter().all(|key| all.contains(key));
                is_in(&one.clean, &two.clean) && is_in(&one.infected, &two.infected)
            }
            _ => false,
        }
    }
}

/// Of two verdicts the one from newer knowledge. Those of different set-ups cannot be compared: the later one counts.
fn newer(old: Arc<Record>, new: Arc<Record>) -> Arc<Record> {
    if old.is_refuted() {
        return new;
    }
    let is_older = match old.provenance.epoch.setup == new.provenance.epoch.setup {
        true => new.order < old.order,
        false => new.order.fence < old.order.fence,
    };
    if is_older { old } else { new }
}

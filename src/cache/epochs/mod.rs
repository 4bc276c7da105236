//! The order in which signatures came into use among all who share a store.
//!
//! Most signatures have no number that would tell the newer ones. So each node that comes to use signatures which nobody used
//! before gives them the next number, their *generation*, and all say again and again what they use. Signatures that
//! nobody uses any more count for nothing, however high their number: they were withdrawn.
//!
//! * Where signatures do have a number of their own, that decides: who comes to use an older one is behind.
//! * Where they have none, a node that was behind and moves on may have come to anything. It gets the next number, and those whom
//!   it had not reached before do not take its word that something is clean (`after`). That something is not is taken from
//!   whoever may know more.
//! * A bump changes what all use and not who is behind.
//! * Clocks of different nodes are not compared: in use is what was confirmed anew within some time *of the one who looks*
//!   ([`Watcher`]).

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::verdict::Epoch;

/// Who has not said for so long what they use is gone, or uses something else.
const GONE: Duration = Duration::from_mins(3);

/// Who looks less often than that sees too little to call anybody gone.
const BLIND: Duration = Duration::from_secs(20);

/// Epochs remembered.
const MOST: usize = 64;

/// The name of an epoch in a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EpochName {
    /// Verdicts of different set-ups cannot be compared, and neither can their signatures.
    setup: [u8; 8],
    state: [u8; 16],
}

impl EpochName {
    /// The name of an epoch.
    pub fn of(epoch: &Epoch) -> Self {
        let digest = |text: &str| *Sha256::digest(text).first_chunk::<16>().expect("longer than that");
        let setup = *digest(&epoch.setup).first_chunk().expect("longer than that");
        Self { setup, state: digest(&epoch.state) }
    }
}

/// What a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its epoch.
    pub name: EpochName,
    /// The operators' part in that.
    pub bump: u64,
    /// The number of the signatures; 0 if they have none.
    pub number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    generation: u64,
    /// The last generation of which it is certain that this one is newer.
    after: u64,
    bump: u64,
    number: u64,
    /// Grows with each confirmation, whatever the clocks say.
    confirmed: SystemTime,
}

impl Use {
    fn rank(&self) -> (u64, u64) {
        (self.bump, self.number)
    }
}

/// Epochs in use, and the operators' part in all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    epochs: BTreeMap<EpochName, Use>,
    /// The last number that was given away.
    highest: u64,
    /// See [`Engine::bump`](crate::engine::Engine::bump).
    pub bump: u64,
}

/// Tells by the clock of one node what is in use.
#[derive(Debug, Default)]
pub struct Watcher {
    seen: HashMap<EpochName, (SystemTime, Instant)>,
    looked: Option<Instant>,
}

impl Watcher {
    /// Takes note of what others confirmed. What is seen for the first time counts as confirmed just now. Time in which
    /// there was nothing to look at is not held against anybody.
    pub fn look(&mut self, registry: &Registry, now: Instant) {
        let gap = now.duration_since(self.looked.replace(now).unwrap_or(now));
        if gap >= BLIND {
            self.seen.values_mut().for_each(|(_, seen)| *seen += gap);
        }
        self.seen.retain(|name, _| registry.epochs.contains_key(name));
        for (name, used) in &registry.epochs {
            let (confirmed, seen) = self.seen.entry(*name).or_insert((used.confirmed, now));
            if *confirmed != used.confirmed {
                (*confirmed, *seen) = (used.confirmed, now);
            }
        }
    }

    /// What someone uses.
    pub fn in_use(&self, now: Instant) -> Vec<EpochName> {
        let is_used = |(_, (_, seen)): &(_, &(SystemTime, Instant))| now.duration_since(*seen) < GONE;
        self.seen.iter().filter(is_used).map(|(name, _)| *name).collect()
    }
}

impl Registry {
    /// What an operator has to say.
    pub fn bumped(bump: u64) -> Self {
        Self { bump, ..Self::default() }
    }

    /// What a node that uses an epoch has to say: all that it knows, since the store may have lost it, with that epoch
    /// confirmed. `before` is what it said last, if it runs for longer. A node that comes back with old signatures does not
    /// make them new by that; one that leaves newer ones behind does.
    #[must_use]
    pub fn using(&self, us: Used, before: Option<Used>, in_use: &[EpochName], now: SystemTime) -> Self {
        let mut all = self.clone();
        let (generation, after) = self.place(us, before, in_use);
        let known = self.epochs.get(&us.name).map(|known| known.confirmed + Duration::from_micros(1));
        let confirmed = known.map_or(now, |known| known.max(now));
        all.epochs.insert(us.name, Use { generation, after, bump: us.bump, number: us.number, confirmed });
        all.highest = all.highest.max(generation);
        all.bump = all.bump.max(us.bump);
        all
    }

    /// The generation of what a node uses, and the one after which it surely comes.
    fn place(&self, us: Used, before: Option<Used>, in_use: &[EpochName]) -> (u64, u64) {
        let known = self.epochs.get(&us.name).map_or((0, 0), |known| (known.generation, known.after));
        let rivals = || self.rivals(us.name, in_use);
        let moved = before.filter(|before| before.name != us.name);
        let others =
            || rivals().filter(|(name, _)| moved.is_none_or(|moved| *name != moved.name)).map(|(_, used)| used);
        let rank = (us.bump, us.number);
        let left = moved.map_or(0, |moved| self.generation(moved.name));
        if rivals().any(|(_, used)| used.number > us.number && used.bump >= us.bump) {
            return if known.0 > 0 { known } else { self.below(us.name, rank) };
        }
        let is_bumped = moved.is_some_and(|moved| moved.bump < us.bump);
        let is_behind = |used: Use| used.generation > left && used.number >= us.number;
        if known.0 == 0 && is_bumped && others().any(is_behind) {
            return (left, 0);
        }
        let outranked = rivals().map(|(_, used)| used).filter(|used| used.bump <= us.bump && used.number < us.number);
        let outranked = outranked.map(|used| used.generation).max().unwrap_or_default();
        let newest = others().map(|used| used.generation).max().unwrap_or_default();
        // Two who did not know of each other may have taken the same number.
        // What is newer than that of which nobody knows is not newer than the others because of it.
        let before = moved.and_then(|moved| self.epochs.get(&moved.name)).map_or(0, |before| before.after);
        let is_unsure = others().any(|used| used.generation > before && used.generation <= left);
        let surely = if is_unsure { before } else { left };
        let is_tied = rivals().any(|(name, used)| used.generation == known.0 && name < us.name);
        let keeps = known.0 > outranked
            && !is_tied
            && match moved {
                _ if known.0 == self.newest_of(us.name) => true,
                // Others left it behind before us.
                Some(_) => known.0 > left,
                // Others know more than we do.
                None => newest > known.0,
            };
        match keeps {
            true if known.0 > 0 => known,
            _ => (self.highest.max(1) + 1, surely.max(known.1).max(outranked)),
        }
    }

    /// As new as can be among those that are no newer by their numbers. Generations begin at 2, so that there is one before.
    fn below(&self, name: EpochName, rank: (u64, u64)) -> (u64, u64) {
        let of_setup = || self.epochs.iter().filter(|(other, _)| other.setup == name.setup).map(|(_, used)| used);
        let ceiling = of_setup().filter(|used| used.rank() > rank).map(|used| used.generation).min();
        let is_below = |used: &&Use| used.rank() <= rank && ceiling.is_none_or(|ceiling| used.generation < ceiling);
        (of_setup().filter(is_below).map(|used| used.generation).max().unwrap_or(1), 0)
    }

    /// What others with the same set-up use.
    fn rivals<'a>(&'a self, name: EpochName, in_use: &'a [EpochName]) -> impl Iterator<Item = (EpochName, Use)> + 'a {
        let is_rival = move |other: &&EpochName| other.setup == name.setup && **other != name;
        in_use.iter().filter(is_rival).filter_map(|other| Some((*other, *self.epochs.get(other)?)))
    }

    fn newest_of(&self, name: EpochName) -> u64 {
        let of_setup = self.epochs.iter().filter(|(other, _)| other.setup == name.setup);
        of_setup.map(|(_, used)| used.generation).max().unwrap_or_default()
    }

    /// The number of an epoch; 0 if nobody ever used it.
    pub fn generation(&self, name: EpochName) -> u64 {
        self.epochs.get(&name).map_or(0, |known| known.generation)
    }

    /// The highest number of what someone with the same set-up uses.
    pub fn newest_in_use(&self, name: EpochName, in_use: &[EpochName]) -> u64 {
        let newest = self.rivals(name, in_use).map(|(_, used)| used.generation).max();
        newest.unwrap_or_default().max(self.generation(name))
    }

    /// True if who uses `name` can take the word of those who use `other`, for they surely know more.
    pub fn is_surpassed(&self, name: EpochName, other: EpochName) -> bool {
        let both = self.epochs.get(&name).zip(self.epochs.get(&other));
        both.is_some_and(|(own, other)| {
            let is_certain = other.after >= own.generation || other.number > own.number;
            let is_no_older = other.number >= own.number && other.bump >= own.bump;
            other.generation > own.generation && is_certain && is_no_older
        })
    }

    /// True unless it is certain that those who use `name` know more than those who use `other`.
    pub fn may_be_newer(&self, name: EpochName, other: EpochName) -> bool {
        let both = self.epochs.get(&name).zip(self.epochs.get(&other));
        both.is_some_and(|(own, other)| {
            other.generation > own.after && (other.bump, other.number) >= (own.bump, own.number)
        })
    }

    /// All epochs of this one. Of those that the other one has not, it is not certain any more that they are newer than what only
    /// the other one has: after a loss nobody compared them, and both have numbers.
    fn beside(&self, other: &Self) -> BTreeMap<EpochName, Use> {
        let mut epochs = self.epochs.clone();
        for (name, own) in epochs.iter_mut().filter(|(name, _)| !other.epochs.contains_key(name)) {
            let is_strange = |strange: &EpochName| strange.setup == name.setup && !self.epochs.contains_key(strange);
            let strange = other.epochs.iter().filter(|(name, _)| is_strange(name)).map(|(_, used)| used.generation);
            own.after = strange.fold(own.after, |after, generation| after.min(generation.saturating_sub(1)));
        }
        epochs
    }

    /// Both together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut epochs = self.beside(other);
        for (name, new) in &other.beside(self) {
            let known = epochs.entry(*name).or_insert(*new);
            (known.generation, known.after) = match known.generation == new.generation {
                true => (known.generation, known.after.min(new.after)),
                false => (known.generation, known.after).max((new.generation, new.after)),
            };
            known.bump = known.bump.max(new.bump);
            known.number = known.number.max(new.number);
            known.confirmed = known.confirmed.max(new.confirmed);
        }
        while epochs.len() > MOST {
            let oldest = epochs.iter().min_by_key(|(name, used)| (used.confirmed, **name)).map(|(name, _)| *name);
            oldest.map(|name| epochs.remove(&name));
        }
        Self { epochs, highest: self.highest.max(other.highest), bump: self.bump.max(other.bump) }
    }
}

#[cfg(test)]
mod tests;

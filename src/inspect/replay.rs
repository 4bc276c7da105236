//! What a policy would have said of what was seen, held against what is said now.
//!
//! Facts and verdicts are stored, and so are the kinds of requests in which media were seen; both policies are asked anew about each
//! of them. What is not stored is not known: names of files, ids of media, users.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{DeskError, Inspector, decision::hash};
use crate::{
    cache::{Entry, Seen, entry::Usage, key::Key},
    facts::{Direction, Occasion},
    policy::{Access, Decided, Decision, Openings, Policy, fact::View},
    verdict::Record,
};

/// Examples of one kind of change.
const EXAMPLES: usize = 5;

/// Kinds of changes that are told apart.
const KINDS: usize = 1000;

/// Media after which others have a turn.
const AT_A_TIME: u64 = 32;

/// How far a replay goes.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Media that were last asked for before are left out.
    pub since: SystemTime,
    /// So many media at most.
    pub limit: u64,
    /// And no longer than that.
    pub patience: Duration,
}

/// What came of a replay.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Media that were looked at.
    pub media: u64,
    /// Kinds of requests for them.
    pub requests: u64,
    /// Why not all were looked at, if so.
    pub cut: Option<&'static str>,
    /// Requests on which the new policy decides otherwise.
    pub changed: u64,
    /// By what makes the difference.
    pub flips: BTreeMap<Flip, Tale>,
    /// Those of kinds that found no room.
    pub other_flips: u64,
    /// What the new policy decides, by what makes the decision and its action: requests.
    pub decided: BTreeMap<(String, &'static str), u64>,
    /// What its rules in shadow mode would do.
    pub shadows: BTreeMap<Arc<str>, ShadowTale>,
}

/// A kind of change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flip {
    /// True if it would be refused, false if it would pass.
    pub refuses: bool,
    /// What decides now.
    pub from: String,
    /// What would.
    pub to: String,
    /// Where media go.
    pub direction: Direction,
}

/// What there is to tell of a kind of change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tale {
    /// Media.
    pub media: u64,
    /// How often they were asked for in all.
    pub hits: u64,
    /// Some of them.
    pub examples: Vec<Sample>,
}

/// What a rule in shadow mode would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowTale {
    /// Requests that it matches.
    pub matched: u64,
    /// Those of which it would be decided otherwise.
    pub flips: u64,
}

/// A medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its identity.
    pub identity: String,
    /// Its type, as its bytes tell.
    pub media_type: Option<Arc<str>>,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last asked for, or scanned.
    pub last_seen: SystemTime,
}

/// A medium and how it was used.
struct Stored<'a> {
    identity: Key,
    record: &'a Record,
    usage: Option<Usage>,
}

impl Stored<'_> {
    fn last_seen(&self) -> SystemTime {
        self.usage.as_ref().map_or(self.record.scanned_at, |usage| usage.last_seen)
    }

    fn hits(&self) -> u64 {
        self.usage.as_ref().map_or(0, |usage| usage.hits)
    }

    /// Requests in which it was seen, and whether a key had opened it.
    fn requests(&self) -> Vec<(Occasion, bool)> {
        let seen = self.usage.iter().flat_map(|usage| &usage.seen).map(|seen| (occasion_of(seen), seen.keyed));
        let requests: Vec<_> = seen.collect();
        match requests.is_empty() {
            true => vec![(Occasion::usual(Direction::Download), false)],
            false => requests,
        }
    }
}

/// The request, as far as it is remembered. Of a name there is what it tells, so another one stands for it that tells the same.
fn occasion_of(seen: &Seen) -> Occasion {
    let mut occasion = if seen.keyed { Occasion::with_key() } else { Occasion::usual(seen.direction) };
    occasion.server.clone_from(&seen.server);
    occasion.is_local = seen.is_local;
    occasion.declared.media_type.clone_from(&seen.declared_type);
    occasion.declared.name = stand_in(seen).map(Into::into);
    occasion
}

/// A name with this extension that tells the same; `None` if there was no name.
fn stand_in(seen: &Seen) -> Option<String> {
    let (is_double, is_deceptive) = (seen.double_extension?, seen.bidi?);
    let extension = seen.extension.as_ref().map(|extension| format!(".{extension}")).unwrap_or_default();
    let stem = if is_double { "file.pdf" } else { "file" };
    let sign = if is_deceptive { "\u{202e}" } else { "" };
    Some(format!("{sign}{stem}{extension}"))
}

impl Replay {
    fn note(&mut self, stored: &Stored<'_>, direction: Direction, before: &Decided, after: &Decided) {
        self.requests += 1;
        *self.decided.entry((after.by.name(), after.action)).or_default() += 1;
        for shadow in &after.shadows {
            let tale = self.shadows.entry(Arc::clone(&shadow.rule)).or_default();
            tale.matched += 1;
            tale.flips += u64::from(shadow.flips);
        }
        let refuses = after.decision != Decision::Allow;
        if refuses == (before.decision != Decision::Allow) {
            return;
        }
        self.changed += 1;
        let flip = Flip { refuses, from: before.by.name(), to: after.by.name(), direction };
        if self.flips.len() >= KINDS && !self.flips.contains_key(&flip) {
            self.other_flips += 1;
            return;
        }
        let tale = self.flips.entry(flip).or_default();
        tale.media += 1;
        tale.hits = tale.hits.saturating_add(stored.hits());
        if tale.examples.len() < EXAMPLES {
            let (identity, facts) = (stored.identity.to_string(), &stored.record.facts);
            let (media_type, last_seen) = (facts.detected_type.clone(), stored.last_seen());
            tale.examples.push(Sample { identity, media_type, size: facts.size, last_seen });
        }
    }
}

impl Inspector {
    /// Asks another policy about what is remembered, and the one in force. Both as of now: what has expired does not act.
    pub async fn replay(&self, new: &Policy, reach: &Reach) -> Result<Replay, DeskError> {
        let (old, until) = (self.stages.policy.current(), Instant::now() + reach.patience);
        let (mut replay, mut from, mut near) = (Replay::default(), None, HashSet::new());
        // The store may not have it yet, or have given it up.
        for (key, entry) in self.stages.cache.near() {
            if let Entry::Record(record) = entry {
                near.insert(key);
                self.replay_one((&old, new), (key, &record), reach, &mut replay).await;
            }
            if is_over(&mut replay, reach, until).await {
                return Ok(replay);
            }
        }
        loop {
            let page = self.stages.cache.store().walk(from).await?;
            for (key, entry) in &page.entries {
                match entry {
                    Entry::Record(record) if !near.contains(key) => {
                        self.replay_one((&old, new), (*key, record), reach, &mut replay).await;
                    }
                    _ => (),
                }
                if is_over(&mut replay, reach, until).await {
                    return Ok(replay);
                }
            }
            from = page.next;
            if from.is_none() {
                return Ok(replay);
            }
        }
    }

    async fn replay_one(
        &self,
        (old, new): (&Policy, &Policy),
        (identity, record): (Key, &Record),
        reach: &Reach,
        replay: &mut Replay,
    ) {
        // What turned out to be said by a broken engine decides nothing.
        if record.is_refuted() {
            return;
        }
        let stored = Stored { identity, record, usage: self.stages.cache.usage(identity).await };
        if stored.last_seen() < reach.since {
            return;
        }
        replay.media += 1;
        let over = self.ruling(identity, record).map(|ruling| ruling.effect);
        // Each policy says what it makes of what keys opened, and whether it asks for that at all.
        let [before, after] = [
            (old, self.openings(old, identity, &record.facts).await),
            (new, self.openings(new, identity, &record.facts).await),
        ];
        let (name, now) = (Some(hash(identity)), self.stages.clock.now());
        for (occasion, is_keyed) in stored.requests() {
            let decide = |(policy, openings): (&Policy, Openings)| {
                let access = if is_keyed { Access::Keyed } else { Access::without_key(occasion.direction, openings) };
                policy.decide(&View { name, ..View::of(record, &occasion, access, now) }, over)
            };
            replay.note(&stored, occasion.direction, &decide(before), &decide(after));
        }
    }
}

/// Says so if it is enough, and gives others a turn.
async fn is_over(replay: &mut Replay, reach: &Reach, until: Instant) -> bool {
    if replay.media.is_multiple_of(AT_A_TIME) {
        tokio::task::yield_now().await;
    }
    replay.cut = match () {
        () if replay.media >= reach.limit => Some("the limit was reached"),
        () if Instant::now() >= until => Some("it took too long"),
        () => None,
    };
    replay.cut.is_some()
}

//! What rules would have done that do not act: a report for those who wrote them.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::Medium;
use crate::{
    facts::Direction,
    policy::{
        Hash, Shadow,
        rule::{Mode, RuleSet},
    },
};

/// Examples that are kept of one rule.
const EXAMPLES: usize = 10;

/// A rule is told of in the log this often at most.
const QUIET: Duration = Duration::from_mins(1);

/// What a rule that does not act would have done.
#[derive(Clone, Debug)]
pub struct ShadowReport {
    /// The name of its action.
    pub action: &'static str,
    /// Since when it is noted.
    pub since: SystemTime,
    /// How often it matched, by where the medium went.
    pub matched: BTreeMap<Direction, u64>,
    /// How often it would have refused what passed.
    pub would_refuse: u64,
    /// How often it would have let pass what was refused.
    pub would_pass: u64,
    /// When it matched first.
    pub first: Option<SystemTime>,
    /// When it matched last.
    pub last: Option<SystemTime>,
    /// Some of the media, the newest last: those of which it would have been decided otherwise.
    pub examples: VecDeque<Example>,
    told: Option<SystemTime>,
}

/// A medium, without anything that its sender or its readers are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The identity of its bytes.
    pub identity: Option<String>,
    /// Its type, as its bytes tell.
    pub media_type: Option<Arc<str>>,
    /// Its length in bytes.
    pub size: Option<u64>,
    /// Its address, if it has one.
    pub mxc: Option<String>,
    /// Where it went.
    pub direction: Direction,
    /// When.
    pub at: SystemTime,
}

impl Example {
    fn of(medium: &Medium<'_>) -> Self {
        let Medium { occasion, facts, len, identity, now } = *medium;
        let address = occasion.server.as_ref().zip(occasion.media_id.as_ref());
        Self {
            identity: identity.map(hex),
            media_type: facts.and_then(|facts| facts.detected_type.clone()),
            size: Some(len),
            mxc: address.map(|(server, id)| format!("mxc://{server}/{id}")),
            direction: occasion.direction,
            at: now,
        }
    }

    /// True for the same medium on the same way.
    fn is_like(&self, other: &Self) -> bool {
        (&self.identity, &self.mxc, self.direction) == (&other.identity, &other.mxc, other.direction)
    }
}

impl ShadowReport {
    fn new(action: &'static str, since: SystemTime) -> Self {
        Self {
            action,
            since,
            matched: BTreeMap::new(),
            would_refuse: 0,
            would_pass: 0,
            first: None,
            last: None,
            examples: VecDeque::new(),
            told: None,
        }
    }

    /// Takes note, and says whether that is to be in the log.
    fn note(&mut self, flips: bool, medium: &Medium<'_>) -> bool {
        let now = medium.now;
        *self.matched.entry(medium.occasion.direction).or_default() += 1;
        self.first.get_or_insert(now);
        self.last = Some(now);
        if flips {
            let refuses = matches!(self.action, "block" | "quarantine");
            *if refuses { &mut self.would_refuse } else { &mut self.would_pass } += 1;
            let example = Example::of(medium);
            self.examples.retain(|known| !known.is_like(&example));
            if self.examples.len() == EXAMPLES {
                self.examples.pop_front();
            }
            self.examples.push_back(example);
        }
        let is_quiet = |told: SystemTime| now.duration_since(told).is_ok_and(|since| since < QUIET);
        let tells = !self.told.is_some_and(is_quiet);
        if tells {
            self.told = Some(now);
        }
        tells
    }
}

/// Reports by rule.
#[derive(Default)]
pub(super) struct Shadows(Mutex<BTreeMap<Arc<str>, ShadowReport>>);

impl Shadows {
    /// Takes note. A rule that went meanwhile is not told of any more.
    pub(super) fn note(&self, shadow: &Shadow, medium: &Medium<'_>) {
        let tells = self.reports().get_mut(&shadow.rule).is_some_and(|report| report.note(shadow.flips, medium));
        if tells {
            let Shadow { rule, action, flips } = shadow;
            let example = Example::of(medium);
            tracing::info!(
                %rule, action, flips, direction = example.direction.name(), mxc = example.mxc,
                identity = example.identity, media_type = example.media_type.as_deref(),
                "a rule in shadow mode matches; told once a minute"
            );
        }
    }

    pub(super) fn all(&self) -> Vec<(Arc<str>, ShadowReport)> {
        self.reports().iter().map(|(rule, report)| (Arc::clone(rule), report.clone())).collect()
    }

    pub(super) fn clear(&self, now: SystemTime) {
        for report in self.reports().values_mut() {
            *report = ShadowReport::new(report.action, now);
        }
    }

    /// Notes what these rules would do. What was noted of one that has kept its name and action stays.
    pub(super) fn prepare(&self, rules: &RuleSet, now: SystemTime) {
        let mut reports = self.reports();
        let mut before = std::mem::take(&mut *reports);
        for rule in rules.rules.iter().filter(|rule| rule.mode == Mode::Shadow) {
            let known = before.remove(&rule.id).filter(|report| report.action == rule.action.name());
            let report = known.unwrap_or_else(|| ShadowReport::new(rule.action.name(), now));
            reports.insert(Arc::clone(&rule.id), report);
        }
    }

    fn reports(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, ShadowReport>> {
        // At worst one number is missing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hex(Hash(name): Hash) -> String {
    let mut text = String::with_capacity(64);
    for byte in name {
        write!(text, "{byte:02x}").expect("memory takes everything");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Occasion;

    #[test]
    fn a_rule_in_shadow_is_told_in_the_log_once_a_minute() {
        let occasion = Occasion::new(Direction::Upload, "upload");
        let mut report = ShadowReport::new("block", SystemTime::UNIX_EPOCH);
        let mut tells = |seconds| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            report.note(true, &Medium { occasion: &occasion, facts: None, len: 1, identity: None, now })
        };
        assert_eq!([0, 1, 59, 60, 61, 119, 120].map(&mut tells), [true, false, false, true, false, false, true]);
    }
}

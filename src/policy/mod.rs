//! What to do with a medium, given its facts and its verdict: pure, and asked anew on every hit, so that a changed policy
//! acts at once.
//!
//! ```text
//! rule files ─► load ─► RuleSet ─┐
//! facts, verdict, request ─► Sheet ─► decide ─► Decided
//! ```
//!
//! * [`fact`] has the names under which rules know things, and [`condition`] what can be asked of them.
//! * [`rule`] is what rule files say, once they are read and checked.
//! * [`InForce`] holds the policy that decides, and [`Tally`] counts what it decided.
//! * How rules, exceptions and defaults make a decision is written down at `decide`; [`explain`] tells it of one case, and
//!   [`case`] holds it against what is expected.

mod ahead;
pub mod case;
pub mod condition;
mod config;
mod decide;
mod decision;
pub mod explain;
pub mod fact;
pub mod files;
mod hash;
mod in_force;
pub mod load;
mod mismatch;
pub mod rule;
mod state;
mod tally;
mod types;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

pub(crate) use self::types::told;
use self::types::{is_ever_told, told_as};
use self::{
    case::{Examine, Outcome},
    decide::Seen,
    fact::{Sheet, View},
    load::{Fingerprint, Loaded, Problem, Problems},
    rule::{Otherwise, RuleSet},
    types::Types,
};
pub use self::{
    config::{Config, OpaqueMedia},
    decision::{By, Decided, Decision, Refusal, Shadow},
    hash::{Hash, Naming},
    in_force::{Ending, InForce, Standing},
    state::State,
    tally::{Example, Medium, ShadowReport, Tally},
};
use crate::{
    facts::Direction,
    verdict::{Effect, Heuristics},
};

/// Why the policy could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Its files cannot be read, or say what cannot be meant.
    #[error("the policy is not accepted:\n{0}")]
    Problems(Problems),
    /// It does not decide as its cases say.
    #[error("the policy does not decide as its cases say:\n{}", lines(.0))]
    Cases(Vec<Outcome>),
}

/// Without the problems as its source, since it tells them itself: whoever tells an error with its sources would tell them twice.
impl From<Problems> for PolicyError {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

fn lines(outcomes: &[Outcome]) -> String {
    outcomes.iter().map(Outcome::to_string).collect::<Vec<_>>().join("\n")
}

/// How a medium is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It goes to the homeserver.
    Upload,
    /// What is judged is what a key opened it to.
    Keyed,
    /// No key is given.
    Keyless(Openings),
    /// No key is given, by someone who reads it as it is.
    Plain(Openings),
    /// It is the encoded form of a medium that is judged as well.
    Encoded,
}

impl Access {
    /// How a medium that goes there is asked for by those who give no key.
    pub fn without_key(direction: Direction, openings: Openings) -> Self {
        match direction {
            Direction::Upload => Self::Upload,
            Direction::Scan => Self::Plain(openings),
            Direction::Download | Direction::Thumbnail | Direction::Federation => Self::Keyless(openings),
        }
    }

    /// True if ciphertext that is asked for in this way is judged as it is.
    pub fn has_no_key(self) -> bool {
        matches!(self, Self::Upload | Self::Keyless(_) | Self::Plain(_))
    }
}

/// What those who had keys to a medium found in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openings {
    /// Nobody had it scanned, or nobody remembers.
    Unknown,
    /// Nothing that would be refused.
    Clean,
    /// Something infected, with one key or other.
    Infected,
}

/// The shipped policy that applies where there is no other, and its cases.
const DEFAULT: (&str, &str) = ("policies/default.yaml", include_str!("../../policies/default.yaml"));
const DEFAULT_CASES: (&str, &str) = ("policies/default.cases.yaml", include_str!("../../policies/default.cases.yaml"));

/// Where a policy came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// What works in it, but is hardly meant so.
    pub notes: Vec<Problem>,
    /// What it is known by; `None` if it was read from nowhere.
    pub fingerprint: Option<Fingerprint>,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// How many cases it was held against.
    pub cases: usize,
    /// True for the shipped default policy, where nobody wrote another.
    pub is_shipped: bool,
}

/// What is told of it.
const SHIPPED: &str =
    "there is no policy here, so the shipped default policy is in force: what is clean passes; put your own here";

/// What is told if there is none elsewhere. Someone meant that there is one: it may not have been mounted, or its name was mistyped.
const MISSING: &str =
    "there is no policy here; the shipped default policy is in force only where `policy.dir` is not set";

/// What decides.
#[derive(Clone, Debug)]
pub struct Policy {
    types: Types,
    rules: RuleSet,
    origin: Origin,
}

impl Policy {
    /// Loads the policy at a time, and has it decide its cases. Digests in lists are named by `naming`; facts of samples in cases are found
    /// out by `examine`.
    pub fn load(config: &Config, naming: &Naming, examine: &Examine<'_>, now: SystemTime) -> Result<Self, PolicyError> {
        Self::load_noting(config, (naming, examine), now, &mut BTreeSet::new())
    }

    /// The same; the files that it is made of are noted whatever comes of it.
    pub fn load_noting(
        config: &Config,
        means: (&Naming, &Examine<'_>),
        now: SystemTime,
        files: &mut BTreeSet<PathBuf>,
    ) -> Result<Self, PolicyError> {
        Self::load_from(config, Path::new(config::USUAL), means, now, files)
    }

    fn load_from(
        config: &Config,
        usual: &Path,
        (naming, examine): (&Naming, &Examine<'_>),
        now: SystemTime,
        files: &mut BTreeSet<PathBuf>,
    ) -> Result<Self, PolicyError> {
        let is_absent = load::is_absent(&config.dir);
        let loaded = match (is_absent, config.dir == usual) {
            (true, true) => load::read_texts(DEFAULT, DEFAULT_CASES, naming, now),
            (true, false) => Err(Problems(vec![Problem::with(&config.dir, MISSING)])),
            (false, _) => load::read_noting(&config.dir, naming, now, files),
        };
        Self::of(config, loaded?, is_absent, examine, now)
    }

    /// Of what was read, if it decides its cases as they say. `now` is the time of those that say none.
    pub fn of(
        config: &Config,
        loaded: Loaded,
        is_shipped: bool,
        examine: &Examine<'_>,
        now: SystemTime,
    ) -> Result<Self, PolicyError> {
        let Loaded { rules, cases, mut notes, fingerprint, files } = loaded;
        notes.extend(is_shipped.then(|| Problem::with(&config.dir, SHIPPED)));
        notes.extend(config.unheeded(&rules));
        let origin = Origin { notes, fingerprint: Some(fingerprint), files, cases: cases.len(), is_shipped };
        // Cases are of the rules alone, so that they come out in the same way wherever they are run.
        let bare = Self::new(&Config::default(), rules.clone());
        let outcomes = case::run(&bare, &cases, examine, now);
        match outcomes.into_iter().filter(|outcome| !outcome.holds()).collect::<Vec<_>>() {
            failed if failed.is_empty() => Ok(Self { origin, ..Self::new(config, rules) }),
            failed => Err(PolicyError::Cases(failed)),
        }
    }

    /// Of these rules, and what the configuration says besides.
    pub fn new(config: &Config, mut rules: RuleSet) -> Self {
        config.opaque_media.complete(&mut rules);
        Self { types: Types::of(config), rules, origin: Origin::default() }
    }

    /// Notes rules and exceptions that ask for what is known of uploads alone, because our server has no name in the configuration.
    pub fn note_unnamed_server(&mut self, path: &Path) {
        let rules = self.rules.rules.iter().map(|rule| (&rule.id, &rule.matcher));
        let exceptions = self.rules.exceptions.iter().map(|exception| (&exception.id, &exception.matcher));
        let asks = |matcher: &condition::Matcher| matcher.facts().any(|fact| fact.name == "media.local");
        let ids: Vec<String> =
            rules.chain(exceptions).filter(|(_, matcher)| asks(matcher)).map(|(id, _)| format!("`{id}`")).collect();
        if !ids.is_empty() {
            let text = "`media.local` is known of uploads alone, since `homeserver.server_name` is not set; it is asked for by";
            self.origin.notes.push(Problem::with(path, format!("{text} {}", ids.join(", "))));
        }
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What is said in rule files.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// What an engine must name for the policy to mean what it says: whoever refuses the incomplete and the opaque anywhere, or
    /// has rules about how media stand, relies on being told of them.
    pub fn relies_on(&self) -> Heuristics {
        let asks = self.rules.rules.iter().any(|rule| rule.matcher.asks_state());
        let passes = |state| Direction::ALL.iter().all(|to| self.rules.defaults.of(state, *to) == Otherwise::Allow);
        Heuristics {
            limits: asks || !passes(State::Incomplete),
            encrypted: asks || !passes(State::OpaqueContainer),
            macros: false,
        }
    }

    /// True if it makes a difference what keys opened a medium to.
    pub fn asks_for_openings(&self) -> bool {
        let of_exceptions = self.rules.exceptions.iter().map(|exception| &exception.matcher);
        let mut matchers = self.rules.rules.iter().map(|rule| &rule.matcher).chain(of_exceptions);
        self.rules.defaults.ask_for_openings()
            || matchers.any(|matcher| matcher.facts().any(|fact| fact.name == "opened"))
    }

    /// Engines that have to be heard besides those that always are, as far as that is known before any was asked.
    pub fn engines_for(&self, view: &View<'_>) -> Option<Arc<[Arc<str>]>> {
        self.rules.engines_for(&Sheet::Of(*view), view.now)
    }

    /// Decides. What the security team says counts in place of the verdict.
    pub fn decide(&self, view: &View<'_>, over: Option<Effect>) -> Decided {
        self.decide_seen(view, over, &mut |_, _| ()).0
    }

    /// Decides, tells what it sees on the way, and gives besides what it decided on.
    fn decide_seen<'a>(
        &self,
        view: &View<'a>,
        over: Option<Effect>,
        watch: &mut impl FnMut(Seen<'_>, &Sheet<'_>),
    ) -> (Decided, Sheet<'a>) {
        let state = match over {
            None => view.state,
            Some(Effect::ForceInfected) => return (decision::overridden(), Sheet::Of(*view)),
            Some(Effect::ForceClean) => view.state_if_clean(),
        };
        let sheet = Sheet::Of(View { state, ..*view });
        let mut watch = |seen: Seen<'_>| watch(seen, &sheet);
        let decided = match view.access {
            Access::Encoded => self.rules.decide_by_state(&sheet, view.now, &mut watch),
            _ => self.held_against_types(&sheet, self.rules.decide_seen(&sheet, view.now, &mut watch)),
        };
        (decided, sheet)
    }

    /// Decides on what is known, whoever says so.
    pub fn decide_on(&self, sheet: &Sheet<'_>, now: SystemTime) -> Decided {
        self.held_against_types(sheet, self.rules.decide(sheet, now))
    }

    fn held_against_types(&self, sheet: &Sheet<'_>, decided: Decided) -> Decided {
        let has_type = !sheet.is_ciphertext() || (sheet.direction() == Direction::Scan && !sheet.is_unsent());
        match self.types.refusal(sheet.media_type().as_deref()) {
            Some(refusal) if has_type && decided.decision == Decision::Allow => {
                decided.unmoved_by_shadows().refused_by_types(refusal)
            }
            Some(_) if has_type => decided.unmoved_by_shadows(),
            _ => decided,
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

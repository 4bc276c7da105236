//! What rule files say, once they are read and checked.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use super::{condition::Matcher, state::State};
use crate::facts::Direction;

/// What a rule has done with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It passes, if engines found nothing in it or the rule says so of what they found.
    Allow,
    /// It is refused.
    Block,
    /// As `Allow`, but these engines have to be heard, too.
    Scan(Arc<[Arc<str>]>),
    /// It is refused, and kept.
    Quarantine,
}

impl Action {
    /// The names of all of them.
    pub const NAMES: [&str; 4] = ["allow", "block", "quarantine", "scan"];

    /// Its name in rules and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Scan(_) => "scan",
            Self::Quarantine => "quarantine",
        }
    }

    /// True for what refuses.
    pub fn refuses(&self) -> bool {
        matches!(self, Self::Block | Self::Quarantine)
    }
}

/// Whether a rule acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It is only told what it would have done.
    Shadow,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Enforce, Self::Shadow];

    /// Its name in rules and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// How bad it is what a rule is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth a count.
    Info,
    /// Against the house rules.
    #[default]
    Low,
    /// Worth a look.
    Medium,
    /// Worth a look now.
    High,
    /// Someone is to be woken.
    Critical,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Its name in rules and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What clients of the scanner's routes are told in `reason`. They know no other words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// `MCS_MEDIA_NOT_CLEAN`.
    #[default]
    NotClean,
    /// `MCS_MIME_TYPE_FORBIDDEN`.
    TypeForbidden,
}

impl Wire {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::NotClean, Self::TypeForbidden];

    /// The word itself, which is its name in rules, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotClean => "MCS_MEDIA_NOT_CLEAN",
            Self::TypeForbidden => "MCS_MIME_TYPE_FORBIDDEN",
        }
    }
}

/// How a rule's refusal is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule's id.
    pub rule: Arc<str>,
    /// The word for clients of the scanner's routes.
    pub wire: Wire,
    /// What users are told, by language tag in lower case; one without a language is under `""`.
    pub reasons: BTreeMap<String, String>,
    /// How bad it is.
    pub severity: Severity,
    /// True if it is to be kept.
    pub quarantine: bool,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub id: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// What it is about.
    pub matcher: Matcher,
    /// What is to be done with that.
    pub action: Action,
    /// Whether it acts.
    pub mode: Mode,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// How it is told; of rules that refuse nothing it is never told.
    pub denial: Arc<Denial>,
}

impl Rule {
    /// True if it is over.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// What is done with media that are not clean, or that no rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// They pass.
    Allow,
    /// They are refused.
    Block,
    /// Ciphertext passes once it was scanned with a key.
    RequireScanned,
}

impl Otherwise {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Block, Self::RequireScanned];

    /// Its name in rule files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
            Self::RequireScanned => "require_scanned",
        }
    }
}

/// What is done by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// What rule files say, by how media stand and where they go.
    pub said: BTreeMap<(State, Direction), Otherwise>,
    /// What the configuration says of ciphertext that is asked for without its key, where rule files say nothing of it.
    pub opaque_media: Option<Otherwise>,
}

impl Defaults {
    /// That for this. What is clean passes, and so does ciphertext; all else is refused.
    pub fn of(&self, state: State, direction: Direction) -> Otherwise {
        let usual = match state {
            State::Clean | State::OpaqueMedia => Otherwise::Allow,
            _ => Otherwise::Block,
        };
        let configured =
            (state == State::OpaqueMedia && direction != Direction::Upload).then_some(self.opaque_media).flatten();
        self.said.get(&(state, direction)).copied().or(configured).unwrap_or(usual)
    }

    /// That for ciphertext that is scanned before it is uploaded, without its key. It is let through as its upload is, unless it is said
    /// in so many words that the scanner is to refuse all: nobody can have had it scanned before.
    pub fn of_unsent(&self) -> Otherwise {
        match self.said.get(&(State::OpaqueMedia, Direction::Scan)) {
            Some(Otherwise::Block) => Otherwise::Block,
            _ => Otherwise::Allow,
        }
    }

    /// True if it makes a difference what keys opened ciphertext to.
    pub fn ask_for_openings(&self) -> bool {
        self.said.values().copied().chain(self.opaque_media).any(|otherwise| otherwise == Otherwise::RequireScanned)
    }
}

/// What an exception lifts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// A rule.
    Rule(Arc<str>),
    /// What is done by default with what stands so.
    State(State),
}

/// Something that is let through for a while although a rule or a default refuses it.
#[derive(Clone, Debug)]
pub struct Exception {
    /// Its name.
    pub id: Arc<str>,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub author: String,
    /// When it ends.
    pub until: SystemTime,
    /// What does not count.
    pub from: Vec<Lifted>,
    /// What it is about.
    pub matcher: Matcher,
}

impl Exception {
    /// True if it is over.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.until <= now
    }
}

/// All that rule files say.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// What is done where no rule matches.
    pub defaults: Defaults,
    /// Rules; the first that matches decides.
    pub rules: Vec<Rule>,
    /// What does not count for a while.
    pub exceptions: Vec<Exception>,
}

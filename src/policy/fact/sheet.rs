//! All that is known in one case.

use std::{sync::Arc, time::SystemTime};

use super::{Fact, Given, TABLE, Value};
use crate::{
    facts::{Direction, Facts, Occasion},
    policy::{Access, Openings, hash::Hash, state::State},
    verdict::{Detection, Record, Verdict},
};

/// The route for files that are not uploaded yet.
const SCAN_FILE: &str = "scanner_scan_file";

/// A request for a medium, and what is known of that.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The request.
    pub occasion: &'a Occasion,
    /// The bytes; `None` where nobody looked at them.
    pub facts: Option<&'a Facts>,
    /// Their number, which may be known where they are not.
    pub size: Option<u64>,
    /// What an engine said; `None` where none did.
    pub record: Option<&'a Record>,
    /// How it stands.
    pub state: State,
    /// How it is asked for.
    pub access: Access,
    /// The name of the digest of what is judged.
    pub name: Option<Hash>,
    /// The time that it is.
    pub now: SystemTime,
}

impl<'a> View<'a> {
    /// A request for what an engine gave a verdict on.
    pub fn of(record: &'a Record, occasion: &'a Occasion, access: Access, now: SystemTime) -> Self {
        let (facts, state) = (&record.facts, State::of(&record.verdict, record.facts.opaque && access.has_no_key()));
        let size = Some(facts.size);
        Self { occasion, facts: Some(facts), size, record: Some(record), state, access, name: None, now }
    }

    /// How it would stand if engines had found nothing in it.
    pub(in crate::policy) fn state_if_clean(&self) -> State {
        let is_ciphertext = self.facts.is_some_and(|facts| facts.opaque) && self.access.has_no_key();
        if is_ciphertext { State::OpaqueMedia } else { State::Clean }
    }

    pub(super) fn encrypted(&self) -> Option<&'static str> {
        Some(match (self.access, self.facts) {
            (Access::Keyed, _) => "keyed",
            (_, None) => return None,
            (_, Some(facts)) if facts.opaque => "opaque",
            _ => "no",
        })
    }

    pub(super) fn opened(&self) -> Openings {
        match self.access {
            Access::Keyless(openings) | Access::Plain(openings) => openings,
            Access::Upload | Access::Keyed | Access::Encoded => Openings::Unknown,
        }
    }

    pub(super) fn detections(&self) -> impl Iterator<Item = &'a Detection> + use<'a> {
        let detection = self.record.and_then(|record| match &record.verdict {
            Verdict::Clean(_) => None,
            Verdict::Infected { detection: name }
            | Verdict::Incomplete { why: name }
            | Verdict::Opaque { why: name } => Some(name),
        });
        detection.into_iter()
    }
}

/// What conditions are tested on.
#[derive(Clone, Debug)]
pub enum Sheet<'a> {
    /// A real case.
    Of(View<'a>),
    /// One that someone wrote down.
    Given(Given),
}

impl Sheet<'_> {
    /// A fact, if it is known.
    pub fn get(&self, fact: &'static Fact) -> Option<Value> {
        match self {
            Self::Of(view) => (fact.of)(view),
            Self::Given(given) => given.values.get(fact.name).cloned(),
        }
    }

    /// All that is known.
    pub fn all(&self) -> Given {
        let known = |fact: &'static Fact| Some((fact.name, self.get(fact)?));
        Given { values: TABLE.iter().filter_map(known).collect() }
    }

    /// How the medium stands; clean if nobody says otherwise.
    pub fn state(&self) -> State {
        match self {
            Self::Of(view) => view.state,
            Self::Given(_) => self.word("state").and_then(State::named).unwrap_or(State::Clean),
        }
    }

    /// Where it goes; to a client if nobody says otherwise.
    pub fn direction(&self) -> Direction {
        match self {
            Self::Of(view) => view.occasion.direction,
            Self::Given(_) => self.word("direction").and_then(Direction::named).unwrap_or(Direction::Download),
        }
    }

    /// True for what someone wants to know of a file before it is uploaded.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Of(view) => view.occasion.route == SCAN_FILE,
            Self::Given(_) => self.word("route") == Some(SCAN_FILE),
        }
    }

    /// What others found who had keys.
    pub fn opened(&self) -> Openings {
        match self {
            Self::Of(view) => view.opened(),
            Self::Given(_) => match self.word("opened") {
                Some("clean") => Openings::Clean,
                Some("infected") => Openings::Infected,
                _ => Openings::Unknown,
            },
        }
    }

    /// Its type, if it is known.
    pub fn media_type(&self) -> Option<Arc<str>> {
        match self {
            Self::Of(view) => view.facts?.detected_type.clone(),
            Self::Given(given) => match given.values.get("type") {
                Some(Value::Text(media_type)) => Some(Arc::clone(media_type)),
                _ => None,
            },
        }
    }

    /// True for ciphertext that came without a key.
    pub fn is_ciphertext(&self) -> bool {
        match self {
            Self::Of(view) => view.encrypted() == Some("opaque"),
            Self::Given(_) => self.word("encrypted") == Some("opaque"),
        }
    }

    fn word(&self, name: &str) -> Option<&'static str> {
        match self.get(Fact::named(name)?)? {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }
}

//! What an engine said of some bytes, and where it came from.
//!
//! A verdict is a statement about bytes that were looked at. Engine trouble is no verdict but an error of the
//! [`engine`](crate::engine) module, so it can neither be stored nor be taken for clean.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::facts::Facts;

/// The limit that only media that are streamed to an engine meet, in clamd's word for it.
pub const STREAM_LIMIT: &str = "StreamMaxLength";

/// The outcome of looking at the exact bytes of a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The engine looked at all of it and found nothing.
    Clean(Clean),
    /// The engine recognised something.
    Infected {
        /// What it recognised, in the engine's words.
        detection: Detection,
    },
    /// The engine stopped early at one of its limits: the rest was never looked at.
    Incomplete {
        /// The limit, in the engine's words.
        why: Detection,
    },
    /// The engine met a container that it cannot open, such as an encrypted archive.
    Opaque {
        /// The kind of container, in the engine's words.
        why: Detection,
    },
}

impl Verdict {
    /// The verdict's name as it appears in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Clean(_) => "clean",
            Self::Infected { .. } => "infected",
            Self::Incomplete { .. } => "incomplete",
            Self::Opaque { .. } => "opaque",
        }
    }

    /// True if the engine recognised something.
    pub fn is_infected(&self) -> bool {
        matches!(self, Self::Infected { .. })
    }

    /// True if the same engine would say the same of the same bytes at any time. A scan that ran out of time says more of
    /// the engine's load than of the bytes, and a limit on streams more of the way that they went.
    pub fn is_lasting(&self) -> bool {
        !(self.is_out_of_time() || matches!(self, Self::Incomplete { why } if why.0 == STREAM_LIMIT))
    }

    /// True if the engine gave up after all the time that it allows itself.
    pub fn is_out_of_time(&self) -> bool {
        matches!(self, Self::Incomplete { why } if why.0.ends_with(".MaxScanTime"))
    }

    /// All names that [`Verdict::name`] can give, so that metric series exist from the start.
    pub const NAMES: [&str; 4] = ["clean", "infected", "incomplete", "opaque"];
}

/// Proof that an engine gave its exact clean reply. It has a private field and a single constructor, so a clean verdict
/// cannot come from a default, a parsed file or a forgotten branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clean(());

impl Clean {
    /// To be called where an engine's reply was matched against its exact clean form, and nowhere else.
    /// `.clippy.toml` disallows this method; the places that may call it say so with `#[expect]`.
    pub(crate) fn attest() -> Self {
        Self(())
    }
}

/// A name that an engine gives to what it found: a signature or a heuristic. It comes from the engine and may contain
/// what a signature author wrote, so it goes to logs but never to clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Detection(pub String);

/// The state of an engine that verdicts depend on, in words that only it understands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// What it is, and what it is configured to look at: engine, limits, what it names. Verdicts of another set-up cannot be
    /// compared with its own.
    pub setup: Arc<str>,
    /// What it knows: versions, signatures, the operator's part.
    pub state: Arc<str>,
}

impl Epoch {
    /// The epoch of these.
    pub fn new(setup: impl Into<Arc<str>>, state: impl Into<Arc<str>>) -> Self {
        Self { setup: setup.into(), state: state.into() }
    }
}

/// How the security team has some media taken, whatever engines say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// As if an engine had recognised something.
    ForceInfected,
    /// As if an engine had looked at all of it and found nothing. What else the policy wants still holds.
    ForceClean,
}

impl Effect {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ForceInfected, Self::ForceClean];

    /// Its name in metrics, in logs and in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForceInfected => "infected",
            Self::ForceClean => "clean",
        }
    }
}

/// How a verdict that was given before stands to what its engine would say today. The later, the less it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Currency {
    /// It would be the same.
    Current,
    /// The engine has learned or forgotten something since.
    Stale,
    /// It was given by another set of engines, or under other limits.
    Foreign,
}

impl Currency {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Stale => "stale",
            Self::Foreign => "foreign",
        }
    }
}

/// The signature database that an engine had loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signatures {
    /// Its number, which grows with each update.
    pub version: u32,
    /// When it was made, as far as the engine says so.
    pub built: Option<SystemTime>,
}

/// Whether an engine was found working after it gave a verdict. An engine may be broken for a while before anyone
/// notices; what it said in that while must not be remembered. An engine that breaks and heals between two looks is not
/// noticed.
#[derive(Clone, Debug)]
pub struct Vouch(Vec<Arc<OnceLock<Standing>>>);

/// How an engine stands after some verdicts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It told clean from infected once more.
    Proven,
    /// It was taken out before it did. It may have missed something; what it found was there.
    Doubted,
    /// It was wrong about a specimen, and may be wrong about anything.
    Refuted,
}

impl Default for Vouch {
    fn default() -> Self {
        Self(vec![Arc::default()])
    }
}

impl Vouch {
    /// For a verdict that several engines gave together: who does not believe one of them does not believe it.
    pub fn of_all(vouches: impl IntoIterator<Item = Self>) -> Self {
        Self(vouches.into_iter().flat_map(|vouch| vouch.0).collect())
    }

    /// Says so of all verdicts that are vouched for by this.
    pub fn settle(&self, standing: Standing) {
        for part in &self.0 {
            part.get_or_init(|| standing);
        }
    }

    /// True once canaries came after it, whatever they said.
    pub fn is_settled(&self) -> bool {
        self.0.iter().all(|part| part.get().is_some())
    }

    /// Of an engine that was found working since.
    pub fn proven() -> Self {
        let vouch = Self::default();
        vouch.settle(Standing::Proven);
        vouch
    }

    /// True once it is known that the engine cannot be believed in this.
    pub fn refutes(&self, verdict: &Verdict) -> bool {
        self.0.iter().any(|part| match part.get() {
            None | Some(Standing::Proven) => false,
            Some(Standing::Doubted) => matches!(verdict, Verdict::Clean(_)),
            Some(Standing::Refuted) => true,
        })
    }
}

/// Where a verdict comes from.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The engine's name, for example `clamd`; of several, all their names.
    pub engine: Arc<str>,
    /// The engine's version, for example `1.4.6`.
    pub version: String,
    /// The signature database; `None` if the engine does not say.
    pub signatures: Option<Signatures>,
    /// The instance that answered.
    pub backend: String,
    /// The engine's epoch when the scan was started. A database that was replaced meanwhile makes the verdict look
    /// older than it is, never newer.
    pub epoch: Epoch,
    /// Bytes that the engine was given.
    pub bytes: u64,
    /// Time from the connection to the engine until its last byte.
    pub took: Duration,
    /// Whether the engine was found broken right after.
    pub vouch: Vouch,
}

/// Which of two verdicts on the same bytes was given from newer knowledge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// The number of the signatures, in the order in which they came into use among all who share a store.
    pub generation: u64,
    /// When the scan was allowed to begin, in microseconds since 1970 by the clock of the store that is shared. A scan that was
    /// given up for dead, and ends all the same, has an earlier one than the scan that took its place.
    pub fence: u64,
}

/// What the verdict cache keeps of some bytes. Policy stays out of it and is run anew on every hit.
#[derive(Clone, Debug)]
pub struct Record {
    /// How it stands to other verdicts on the same bytes.
    pub order: Order,
    /// What is known without an engine.
    pub facts: Facts,
    /// What the engine said.
    pub verdict: Verdict,
    /// Who said it, and from what knowledge.
    pub provenance: Provenance,
    /// When it was said.
    pub scanned_at: SystemTime,
}

impl Record {
    /// One of an engine of which nothing is known.
    #[cfg(test)]
    pub(crate) fn bare(facts: Facts, verdict: Verdict) -> Self {
        let provenance = Provenance {
            engine: "engine".into(),
            version: String::new(),
            signatures: None,
            backend: String::new(),
            epoch: Epoch::new("", ""),
            bytes: facts.size,
            took: Duration::ZERO,
            vouch: Vouch::proven(),
        };
        Self { order: Order::default(), facts, verdict, provenance, scanned_at: SystemTime::now() }
    }

    /// True once its engine was found working after it.
    pub fn is_proven(&self) -> bool {
        self.provenance.vouch.is_settled() && !self.is_refuted()
    }

    /// True once it is known that it cannot be believed.
    pub fn is_refuted(&self) -> bool {
        self.provenance.vouch.refutes(&self.verdict)
    }
}

/// What an engine names rather than calls clean. A policy relies on some of it; an engine keeps to some of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heuristics {
    /// Media that it did not look at in full.
    pub limits: bool,
    /// Containers that need a password.
    pub encrypted: bool,
    /// Documents with macros.
    pub macros: bool,
}

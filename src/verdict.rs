//! What an engine said of some bytes, and where it came from.
//!
//! A verdict is a statement about bytes that were looked at. Engine trouble is no verdict but an error of the
//! [`engine`](crate::engine) module, so it can neither be stored nor be taken for clean.

use std::time::{Duration, SystemTime};

use crate::facts::Facts;

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

    /// True if the same engine would say the same of the same bytes at any time. A scan that ran out of time says more of
    /// the engine's load than of the bytes.
    pub fn is_lasting(&self) -> bool {
        !matches!(self, Self::Incomplete { why } if why.0.ends_with(".MaxScanTime"))
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection(pub String);

/// The state of an engine that verdicts depend on: product, version, signature database and limits. A verdict is
/// current as long as its engine's epoch has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch(pub String);

/// Where a verdict comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The engine's name, for example `clamd`.
    pub engine: &'static str,
    /// The instance that answered.
    pub backend: String,
    /// The engine's epoch when the scan was started. A database that was replaced meanwhile makes the verdict look
    /// older than it is, never newer.
    pub epoch: Epoch,
    /// Bytes that the engine was given.
    pub bytes: u64,
    /// Time from the engine's first to its last byte.
    pub took: Duration,
}

/// What the verdict cache keeps of some bytes. Policy stays out of it and is run anew on every hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is known without an engine.
    pub facts: Facts,
    /// What the engine said.
    pub verdict: Verdict,
    /// Who said it, and from what knowledge.
    pub provenance: Provenance,
    /// When it was said.
    pub scanned_at: SystemTime,
}

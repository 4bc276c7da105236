//! How a medium stands when engines have had their say.

use crate::verdict::Verdict;

/// What is to be decided on. All but the first are reasons to refuse a medium, unless the policy says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// All engines looked at all of it and found nothing.
    Clean,
    /// An engine recognised something.
    Infected,
    /// It could not be looked at in full.
    Incomplete,
    /// It is, or holds, a container that needs a password.
    OpaqueContainer,
    /// It is ciphertext that came without its key.
    OpaqueMedia,
    /// It is larger than what is scanned.
    Oversize,
    /// No engine could be asked.
    EngineError,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Clean,
        Self::Infected,
        Self::Incomplete,
        Self::OpaqueContainer,
        Self::OpaqueMedia,
        Self::Oversize,
        Self::EngineError,
    ];

    /// Its name in rules and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Infected => "infected",
            Self::Incomplete => "incomplete",
            Self::OpaqueContainer => "opaque_container",
            Self::OpaqueMedia => "opaque_media",
            Self::Oversize => "oversize",
            Self::EngineError => "engine_error",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// That of what was scanned. In ciphertext, engines find nothing, so that they did not says nothing.
    pub fn of(verdict: &Verdict, is_ciphertext: bool) -> Self {
        match verdict {
            Verdict::Clean(_) if is_ciphertext => Self::OpaqueMedia,
            Verdict::Clean(_) => Self::Clean,
            Verdict::Infected { .. } => Self::Infected,
            Verdict::Incomplete { .. } => Self::Incomplete,
            Verdict::Opaque { .. } => Self::OpaqueContainer,
        }
    }
}

//! What the policy says.

use std::sync::Arc;

use serde::Serialize;

use super::{rule::Denial, state::State};

/// What to do with a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it pass.
    Allow,
    /// Refuse it.
    Block(Refusal),
}

/// Why a medium is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An engine recognised something.
    Infected,
    /// It could not be looked at in full.
    Incomplete,
    /// It holds an encrypted container.
    Opaque,
    /// It is larger than can be scanned.
    Oversize,
    /// It is ciphertext that was not scanned with its key.
    Unscanned,
    /// No engine could be asked.
    EngineError,
    /// Files of this type are not let through.
    Type(Arc<str>),
    /// A rule says so.
    Rule(Arc<Denial>),
    /// No rule lets it through, and what no rule lets through is refused.
    Unlisted,
}

impl Refusal {
    /// How much it matters, if a rule says so.
    pub fn severity(&self) -> Option<&'static str> {
        match self {
            Self::Rule(denial) => Some(denial.severity.name()),
            _ => None,
        }
    }
}

/// What made a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// A rule, by its id.
    Rule(Arc<str>),
    /// What is done by default with what stands so.
    Default(State),
    /// `policy.allowed_mimetypes` or `policy.blocked_mimetypes`.
    Types,
    /// What the security team says of these bytes.
    Override,
}

impl By {
    /// Its name in metrics: rules have theirs, and no rule has one that begins like the others.
    pub fn name(&self) -> String {
        match self {
            Self::Rule(id) => id.to_string(),
            Self::Default(state) => format!("default:{}", state.name()),
            Self::Types => "default:types".to_owned(),
            Self::Override => "override".to_owned(),
        }
    }
}

/// What a rule that does not act would have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shadow {
    /// The rule.
    pub rule: Arc<str>,
    /// Its action's name.
    pub action: &'static str,
    /// True if it would have been decided otherwise.
    pub flips: bool,
}

/// A decision, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What to do.
    pub decision: Decision,
    /// What made it.
    pub by: By,
    /// The name of what is done.
    pub action: &'static str,
    /// How the medium stands.
    pub state: State,
    /// Exceptions that took away something that was in its way.
    pub exceptions: Vec<Arc<str>>,
    /// Engines that have to be heard for it to pass.
    pub engines: Option<Arc<[Arc<str>]>>,
    /// Rules that do not act.
    pub shadows: Vec<Shadow>,
    /// Rules and exceptions whose expression could not be evaluated, and that acted as the stricter side.
    pub failures: Vec<Arc<str>>,
}

/// What is decided where the security team says that something is infected.
pub(super) fn overridden() -> Decided {
    Decided {
        decision: Decision::Block(Refusal::Infected),
        by: By::Override,
        action: "block",
        state: State::Infected,
        exceptions: Vec::new(),
        engines: None,
        shadows: Vec::new(),
        failures: Vec::new(),
    }
}

impl Decided {
    /// The same where files of its type may not pass, whatever rules say: so none in shadow would change anything.
    pub(super) fn unmoved_by_shadows(mut self) -> Self {
        for shadow in &mut self.shadows {
            shadow.flips = false;
        }
        self
    }

    /// The same, but that files of its type may not pass.
    pub(super) fn refused_by_types(self, refusal: Refusal) -> Self {
        Self { decision: Decision::Block(refusal), by: By::Types, action: "block", engines: None, ..self }
    }

    /// The same, but that it is refused for how it stands, whatever rules say: nothing else would change anything.
    #[must_use]
    pub fn refused_for(self, state: State, refusal: Refusal) -> Self {
        let (decision, by) = (Decision::Block(refusal), By::Default(state));
        let all = Self { decision, by, action: "block", state, exceptions: Vec::new(), engines: None, ..self };
        all.unmoved_by_shadows()
    }

    /// What is decided where no engine gave a verdict, and nothing passes without one.
    pub fn without_engines() -> Self {
        let (decision, by, state) =
            (Decision::Block(Refusal::EngineError), By::Default(State::EngineError), State::EngineError);
        Self { decision, by, state, ..overridden() }
    }

    /// How a medium stands that passes although it was not looked at in full, or something was found.
    pub fn unscanned(&self) -> Option<State> {
        (self.decision == Decision::Allow && self.state != State::Clean).then_some(self.state)
    }
}

//! What a scan is for, and who has to be heard in it.

use std::sync::Arc;

use super::{
    Inspector,
    decision::{has_heard, hash},
    rescan::Errand,
};
use crate::{
    cache::key::Key,
    engine::EngineError,
    facts::{Facts, Occasion},
    policy::{Access, State, fact::View},
    verdict::Record,
};

/// What a scan is for, and who has to be heard in it.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) errand: Errand,
    pub(super) hearing: Hearing,
}

/// Which engines have to be heard besides those that always are.
#[derive(Clone)]
pub(super) enum Hearing {
    /// None.
    Usual,
    /// Those that the policy wants for what turns out to be asked for in this way. A verdict without them is one all the same:
    /// only with it is known what the policy wants.
    Foreseen(Arc<Occasion>, Access),
    /// These, which were heard before, if they can be.
    Again(Arc<[Arc<str>]>),
    /// These.
    Those(Arc<[Arc<str>]>),
}

impl Task {
    /// To have a verdict when it is asked for.
    pub(super) fn in_background() -> Self {
        Self { errand: Errand::Background, hearing: Hearing::Usual }
    }

    /// Someone waits for it.
    pub(super) fn for_request(hearing: Hearing) -> Self {
        Self { errand: Errand::Request, hearing }
    }
}

impl Hearing {
    /// True if a verdict need not be given again.
    pub(super) fn is_content_with(&self, record: &Record) -> bool {
        match self {
            Self::Usual | Self::Foreseen(..) | Self::Again(_) => true,
            Self::Those(engines) => has_heard(record, engines),
        }
    }

    /// True if a verdict without those that are needed is one all the same, and may be had where this one was not: that engines have no
    /// room, or that a medium may have killed one, is no reason to ask them again at once.
    pub(super) fn can_do_without(&self, needed: &[Arc<str>], error: &EngineError) -> bool {
        let is_one = matches!(self, Self::Foreseen(..) | Self::Again(_));
        is_one && !needed.is_empty() && error.blame() == 0 && !matches!(error, EngineError::Busy)
    }

    /// What tells scans of the same bytes from each other.
    pub(super) fn those(&self) -> Option<Arc<[Arc<str>]>> {
        match self {
            Self::Usual | Self::Foreseen(..) | Self::Again(_) => None,
            Self::Those(engines) => Some(Arc::clone(engines)),
        }
    }
}

impl Inspector {
    /// A scan that nobody waits for is to say no less than the one before: a rule may want those who were heard in that.
    pub(super) fn hearing_all_of(&self, before: &Record, task: Task) -> Task {
        let is_of_several = before.provenance.engine.contains('+');
        if task.errand == Errand::Request || !is_of_several {
            return task;
        }
        let there = self.stages.engine.names();
        let heard = before.provenance.engine.split('+').filter(|name| there.iter().any(|one| one == name));
        Task { hearing: Hearing::Again(heard.map(Into::into).collect()), ..task }
    }

    /// The engines that are needed for bytes of which this is known.
    pub(super) fn needed(&self, plaintext: Key, facts: &Facts, hearing: &Hearing) -> Arc<[Arc<str>]> {
        match hearing {
            Hearing::Usual => Arc::default(),
            Hearing::Those(engines) | Hearing::Again(engines) => Arc::clone(engines),
            Hearing::Foreseen(occasion, access) => {
                let (name, now) = (Some(hash(plaintext)), self.stages.clock.now());
                let (size, facts, access) = (Some(facts.size), Some(facts), *access);
                let view = View { occasion, facts, size, record: None, state: State::Clean, access, name, now };
                self.stages.policy.current().engines_for(&view).unwrap_or_default()
            }
        }
    }
}

//! One request for a body: which way that goes, what is found out about it, and what is decided.

use std::sync::Arc;

use super::{InspectError, Inspector, Judgement, decision::unheard, openings::Openings, task::Hearing};
use crate::{
    cache::{
        key::{Key, Reader},
        overrides::Ruling,
    },
    crypto::attachment::AttachmentKey,
    engine::EngineError,
    facts::Occasion,
    policy::{Access, Decided, Decision},
    spool::Spool,
    verdict::Record,
};

/// Which way a body goes.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// To the homeserver, or nowhere yet; whoever is told what it is.
    Upload(Option<Reader>),
    /// To someone who has this key. Who is only told that it is clean counts as given it, here and below: they rely on it.
    Keyed(&'a AttachmentKey, Reader),
    /// To someone of whom no key is known.
    Keyless(Reader),
    /// To someone who reads it as it is.
    Plain(Reader),
    /// To nobody: another form of it goes on.
    Encoded,
}

impl Way<'_> {
    fn access(&self, openings: Openings) -> Access {
        match self {
            Self::Upload(_) => Access::Upload,
            Self::Keyed(..) => Access::Keyed,
            Self::Keyless(_) => Access::Keyless(openings),
            Self::Plain(_) => Access::Plain(openings),
            Self::Encoded => Access::Encoded,
        }
    }

    /// Who is given it.
    fn reader(&self) -> Option<Reader> {
        match *self {
            Self::Upload(reader) => reader,
            Self::Keyed(_, reader) | Self::Keyless(reader) | Self::Plain(reader) => Some(reader),
            Self::Encoded => None,
        }
    }
}

/// What the policy says of what was judged.
struct Asked {
    judgement: Judgement,
    access: Access,
    decided: Decided,
    /// What the security team says, if that makes a difference.
    ruled: Option<Ruling>,
    /// Engines that the policy wants heard besides.
    unheard: Option<Arc<[Arc<str>]>>,
}

/// What was found out about a medium, and what to do with it.
#[derive(Debug)]
pub struct Inspection {
    /// What it is called by its content.
    pub identity: Key,
    /// What the plaintext is called by its content: the same, unless a key opened it.
    pub plaintext: Key,
    /// Facts, verdict and provenance; `None` if no engine gave a verdict, and the policy decided all the same.
    pub record: Option<Arc<Record>>,
    /// What the policy says now.
    pub decided: Decided,
}

impl Inspection {
    /// What to do with it.
    pub fn decision(&self) -> &Decision {
        &self.decided.decision
    }
}

impl Inspector {
    /// Inspects a body as it is, or as its key opens it, for a request.
    pub async fn inspect(
        self: &Arc<Self>,
        body: &Arc<Spool>,
        way: Way<'_>,
        occasion: &Arc<Occasion>,
    ) -> Result<Inspection, InspectError> {
        let identity = self.stages.cache.keys().plaintext(body.digest());
        let foreseen = match way {
            Way::Encoded => Hearing::Usual,
            _ => Hearing::Foreseen(Arc::clone(occasion), way.access(Openings::Unknown)),
        };
        let mut asked = self.ask_policy(identity, body, way, occasion, &foreseen).await;
        if let Ok(Asked { unheard: Some(engines), .. }) = &asked {
            let hearing = Hearing::Those(Arc::clone(engines));
            asked = self.ask_policy(identity, body, way, occasion, &hearing).await;
        }
        let error = match asked {
            Ok(asked) if asked.unheard.is_none() => return Ok(self.settle(identity, way, occasion, asked)),
            Ok(_) => EngineError::Unavailable,
            Err(InspectError::Engine(error)) => error,
            Err(error) => return Err(error),
        };
        let access = way.access(Openings::Unknown);
        self.decide_without_verdict(body, identity, (occasion, access), error).await
    }

    /// Has a body judged, and asks the policy.
    async fn ask_policy(
        self: &Arc<Self>,
        identity: Key,
        body: &Arc<Spool>,
        way: Way<'_>,
        occasion: &Occasion,
        hearing: &Hearing,
    ) -> Result<Asked, InspectError> {
        let judgement = match way {
            Way::Keyed(key, _) => self.judge_attachment(identity, body, key, hearing).await?,
            Way::Upload(_) | Way::Keyless(_) | Way::Plain(_) | Way::Encoded => {
                self.judge_plain(identity, body, hearing).await?
            }
        };
        let policy = self.stages.policy.current();
        let openings = match way {
            Way::Keyless(_) | Way::Plain(_) => self.openings(&policy, identity, &judgement.record.facts).await,
            Way::Upload(_) | Way::Keyed(..) | Way::Encoded => Openings::Unknown,
        };
        let access = way.access(openings);
        let ruling = self.ruling_on_opened(identity, judgement.plaintext, &judgement.record);
        let (decided, ruled) = self.decide(&policy, &judgement, ruling, (occasion, access));
        let unheard = unheard(&decided, &judgement.record);
        Ok(Asked { judgement, access, decided, ruled, unheard })
    }

    /// Takes note of what was decided.
    fn settle(&self, identity: Key, way: Way<'_>, occasion: &Occasion, asked: Asked) -> Inspection {
        let Asked { judgement: Judgement { plaintext, record }, access, decided, ruled, .. } = asked;
        self.opaque.count(&record, access, &decided.decision);
        self.overruled.count(ruled);
        // Of two forms of a medium, one is decided on; the other can only be refused.
        if access != Access::Encoded || decided.decision != Decision::Allow {
            self.count(&decided, occasion, (Some(&record.facts), record.facts.size), Some(plaintext));
        }
        self.note(plaintext, &decided.decision, way.reader(), (occasion, access));
        Inspection { identity, plaintext, record: Some(record), decided }
    }
}

//! Antivirus engines.
//!
//! An engine either gives a [`Verdict`] on exact bytes or fails with an [`EngineError`]. There is
//! no third way: silence, a closed socket or an unknown reply is a failure, and a failure is neither clean nor infected.
//! To add an engine, implement [`Engine`] in a module of its own and build it in `app`.

pub mod clamd;
mod config;
pub mod exec;
mod freshness;
pub mod icap;
pub mod panel;
mod proof;
mod specimen;
mod tally;
#[cfg(test)]
pub(crate) mod testing;
mod vouches;

use std::{sync::Arc, time::SystemTime};

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::{
    config::{Config, Role},
    tally::Tally,
};
use crate::{
    facts::Facts,
    plaintext::Plaintext,
    verdict::{Currency, Epoch, Provenance, Verdict},
};

/// What an engine said and from what knowledge.
#[derive(Debug)]
pub struct Scan {
    /// What it said.
    pub verdict: Verdict,
    /// Which engine, in which state.
    pub provenance: Provenance,
}

/// Why an engine gave no verdict. Never cached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// No instance is healthy.
    #[error("no engine is available")]
    Unavailable,
    /// All slots stayed taken for as long as a scan may wait for one, or as many wait already as may.
    #[error("all engine slots are taken")]
    Busy,
    /// The deadline passed.
    #[error("the engine did not answer in time")]
    Timeout {
        /// See [`EngineError::blame`].
        blame: u32,
    },
    /// The instance failed on this scan.
    #[error("{backend}: {why}")]
    Failed {
        /// The instance's address.
        backend: String,
        /// What went wrong, in words for the log.
        why: String,
        /// See [`EngineError::blame`].
        blame: u32,
    },
}

/// The blame for one engine that died, or never finished, if there was but one medium that it could be due to.
pub const FULL_BLAME: u32 = 100;

impl EngineError {
    /// How likely it is that these bytes killed an instance or kept it busy to the end: [`FULL_BLAME`] for each, for a
    /// death divided by the number of media that the instance had.
    pub fn blame(&self) -> u32 {
        match self {
            Self::Unavailable | Self::Busy => 0,
            Self::Timeout { blame } | Self::Failed { blame, .. } => *blame,
        }
    }

    /// The same, with the blame for an earlier attempt on the same bytes added.
    #[must_use]
    pub fn after(mut self, earlier: Option<&Self>) -> Self {
        if let (Self::Timeout { blame } | Self::Failed { blame, .. }, Some(earlier)) = (&mut self, earlier) {
            *blame += earlier.blame();
        }
        self
    }
}

/// An antivirus product that looks at bytes.
pub trait Engine: Send + Sync {
    /// Scans all bytes of `plaintext`, of which `facts` tell, answering before `deadline`. Of several engines those that are
    /// `needed` are heard as well as those that always are, or there is no verdict; whose word it is says its provenance.
    fn scan<'a>(
        &'a self,
        plaintext: &'a Plaintext,
        facts: &'a Facts,
        needed: &'a [Arc<str>],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>>;

    /// Its name in the configuration, in metrics and in verdicts.
    fn name(&self) -> &str;

    /// The names of all that are behind it.
    fn names(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }

    /// How `verdict`, which was `given` in this epoch, stands to what would be said today.
    fn currency(&self, verdict: &Verdict, epoch: &Epoch, given: SystemTime) -> Currency;

    /// The epoch of a verdict that would be given now; `None` before the engine was asked.
    fn epoch(&self) -> Option<Epoch>;

    /// What all who are required had in a verdict of this epoch, whoever else was heard in it: nodes tell each other of no more. Where
    /// someone else's word is not the newest, it is the epoch itself.
    fn usual(&self, epoch: &Epoch) -> Epoch {
        epoch.clone()
    }

    /// True if all who are required had their say in a verdict of this epoch. What one of several recognised ends a scan before
    /// the others have answered.
    fn is_complete(&self, epoch: &Epoch) -> bool {
        // Refusals of what no engine is shown any more name nobody.
        !epoch.setup.is_empty()
    }

    /// The number of the newest signatures in use, which grows with each update and never goes back but for a bump; 0 if they
    /// have none.
    fn number(&self) -> u64 {
        0
    }

    /// Scans that it takes at a time, as far as that is known; 1 or more.
    fn slots(&self) -> usize;

    /// Makes all verdicts so far outdated, since an operator knows of a change that the engine does not show. The number that
    /// says so in epochs is then `least` or more; it is given. A number that it has already changes nothing.
    fn bump(&self, least: u64) -> u64;

    /// Fails while no instance has proven that it tells clean from infected, saying why of each.
    fn ready(&self) -> Result<(), String>;

    /// Keeps proving it, until `stop`.
    fn watch(&self, stop: CancellationToken) -> BoxFuture<'_, ()>;
}

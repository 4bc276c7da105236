//! The order of stages: from a spooled body to a decision.
//!
//! ```text
//! spool ─ plain ─────────────► identity ─► cache ─► [engine] ─► record ─► policy
//!       └ attachment ► check ► alias ──► decrypt ┘
//! ```
//!
//! * A key is checked against the ciphertext before anything is decrypted or looked up.
//! * A verdict is looked up by the identity of the plaintext, so a file that is sent again under a new key costs a
//!   decryption and no scan, and a wrong key leads to the identity of the noise it makes.
//! * One inspection at a time per attachment and per plaintext; it goes on when its client has left.
//! * What was scanned with other signatures is scanned again, in its turn.
//! * Engine trouble is returned, never kept; or the policy lets pass, on its own account, what no engine looked at.
//! * Engines that a rule wants heard are asked at once, as far as it is known before that they are, and else when it is.

mod decision;
mod decrypt;
mod desk;
mod explain;
mod exposure;
mod fleet;
mod flight;
mod judge;
mod known;
#[cfg(test)]
mod model;
mod openings;
mod outbreak;
mod overrides;
mod patience;
mod purge;
mod replay;
mod request;
mod rescan;
mod signatures;
mod task;
mod toxic;

use std::{io, num::NonZeroUsize, sync::Arc, time::Duration};

use prometheus::Registry;
use serde::Deserialize;
use tokio::{sync::Semaphore, task::JoinError};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    desk::{DeskError, Report, Status, Subject},
    explain::Explained,
    known::{Known, Location},
    overrides::Said,
    purge::{Purge, Removed},
    replay::{Flip, Reach, Replay, Sample, ShadowTale, Tale},
    request::{Inspection, Way},
};
use self::{
    exposure::Exposures,
    flight::{Flights, Outcome},
    known::Changed,
    openings::Opaque,
    outbreak::Outbreaks,
    overrides::Overruled,
    rescan::{Recalled, Rescans},
    signatures::Signatures,
    toxic::Toxic,
};
use crate::{
    audit::Audit,
    cache::{VerdictCache, key::Key},
    clock::Clock,
    crypto::attachment::DecryptError,
    engine::{Engine, EngineError},
    policy,
    spool::Spooler,
    verdict::Record,
};

/// How long the last audit records may take to be written.
const AUDITED: Duration = Duration::from_secs(3);

/// `inspect` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a medium that twice killed an engine, or kept it busy to the end, is refused without another scan; 0
    /// has it scanned each time.
    #[serde(with = "humantime_serde")]
    pub toxic_ttl: Duration,
    /// Distinct media that a signature, first seen after a change of the database, must hit within an hour to count as
    /// an outbreak.
    pub outbreak_media: NonZeroUsize,
    /// For how long after a change of signatures verdicts from before still count, while media are scanned again in the
    /// background; with 0 they are scanned before they are given out again.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// The part of the engines' slots that scans of what was scanned before may take at a time; one slot in any case.
    pub rescan_share: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            toxic_ttl: Duration::from_mins(10),
            outbreak_media: NonZeroUsize::new(20).expect("not zero"),
            grace: Duration::ZERO,
            rescan_share: 0.5,
        }
    }
}

impl Config {
    /// What is well-formed and still cannot work.
    pub fn problem(&self) -> Option<String> {
        let is_share = self.rescan_share > 0.0 && self.rescan_share <= 1.0;
        (!is_share).then(|| "inspect.rescan_share is not above 0 and at most 1".to_owned())
    }
}

/// What is known of a plaintext, wherever it came from.
#[derive(Clone, Debug)]
struct Judgement {
    plaintext: Key,
    record: Arc<Record>,
}

/// Why there is no decision.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InspectError {
    /// The key does not open this ciphertext.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// No engine gave a verdict.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The spool cannot be read.
    #[error("the spool cannot be read")]
    Spool(Arc<io::Error>),
    /// The inspection ended without a result, as when the process is told to stop at once.
    #[error("the inspection was aborted")]
    Aborted,
}

impl From<io::Error> for InspectError {
    fn from(error: io::Error) -> Self {
        Self::Spool(Arc::new(error))
    }
}

impl From<JoinError> for InspectError {
    fn from(_: JoinError) -> Self {
        Self::Aborted
    }
}

/// The stages that an inspection goes through, put together by `app`.
pub struct Stages {
    /// Looks at bytes.
    pub engine: Arc<dyn Engine>,
    /// Remembers verdicts.
    pub cache: VerdictCache,
    /// Is told of exposures.
    pub audit: Audit,
    /// Decides.
    pub policy: Arc<policy::InForce>,
    /// Tells the time by which policies begin and end.
    pub clock: Clock,
    /// Holds plaintexts.
    pub spooler: Arc<Spooler>,
    /// Longest scan.
    pub scan_timeout: Duration,
}

/// Inspects media.
pub struct Inspector {
    stages: Stages,
    flights: Flights,
    /// Decrypting and looking keep a core busy; more of it at a time than there are cores would only keep the disk waiting.
    turns: Semaphore,
    toxic: Toxic,
    outbreaks: Outbreaks,
    opaque: Opaque,
    overruled: Overruled,
    changed: Changed,
    signatures: Signatures,
    rescans: Rescans,
    exposures: Exposures,
}

impl Inspector {
    /// An inspector whose inspections run as `tasks`.
    pub fn new(
        stages: Stages,
        config: &Config,
        tasks: TaskTracker,
        registry: &Registry,
    ) -> prometheus::Result<Arc<Self>> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let rescans = Rescans::register(config, &stages.spooler, registry)?;
        Ok(Arc::new(Self {
            stages,
            flights: Flights::new(tasks),
            turns: Semaphore::new(cores),
            toxic: Toxic::register(config, registry)?,
            outbreaks: Outbreaks::register(config, registry)?,
            opaque: Opaque::register(registry)?,
            overruled: Overruled::register(registry)?,
            changed: Changed::register(registry)?,
            signatures: Signatures::register(registry)?,
            rescans,
            exposures: Exposures::register(registry)?,
        }))
    }

    /// Does what is to be done beside requests, until `stop`; what makes more work for tasks ends when the process is `draining`.
    pub async fn watch(self: &Arc<Self>, draining: CancellationToken, stop: CancellationToken) {
        let noted = CancellationToken::new();
        let noting = async {
            let _noted = noted.clone().drop_guard();
            self.watch_usage(stop.clone()).await;
        };
        let remembering = self.stages.cache.watch(noted.clone());
        tokio::join!(self.watch_signatures(stop.clone()), self.watch_rescans(draining), noting, remembering);
        if !self.stages.audit.written(AUDITED).await {
            tracing::warn!("audit.path did not take all records in time; they are in the log");
        }
    }

    /// What keeps it from remembering, or from doing what the security team says, if anything does.
    pub fn trouble(&self) -> Option<String> {
        let of_store = self.stages.cache.trouble().map(|why| format!("the verdict store is {why}"));
        let of_overrides =
            || "what the security team says is not known: the verdict store has not told it yet".to_owned();
        match (of_store, self.overruled.is_told()) {
            (of_store, true) => of_store,
            (None, false) => Some(of_overrides()),
            (Some(of_store), false) => Some(format!("{of_store}\n{}", of_overrides())),
        }
    }
}

#[cfg(test)]
mod tests;

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
//! * Engine trouble is returned, never kept.

mod decrypt;
mod flight;
mod known;
mod openings;
mod outbreak;
mod toxic;

use std::{
    io,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use prometheus::Registry;
use serde::Deserialize;
use tokio::{sync::Semaphore, task::JoinError, time::Instant};
use tokio_util::task::TaskTracker;

pub use self::known::{Known, Location};
use self::{flight::Flights, known::Changed, openings::Opaque, outbreak::Outbreaks, toxic::Toxic};
use crate::{
    cache::{
        VerdictCache,
        key::{Key, KeyRing},
    },
    crypto::attachment::{AttachmentKey, DecryptError},
    engine::{Engine, EngineError, Scan},
    plaintext::Plaintext,
    policy::{Access, Decision, Policy},
    sniff,
    spool::{Spool, Spooler},
    verdict::{Provenance, Record},
};

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
}

impl Default for Config {
    fn default() -> Self {
        Self { toxic_ttl: Duration::from_mins(10), outbreak_media: NonZeroUsize::new(20).expect("not zero") }
    }
}

/// A record, wherever it came from.
type Judgement = Arc<Record>;

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

/// Which way a body goes.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// To the homeserver.
    Upload,
    /// To someone who has this key.
    Keyed(&'a AttachmentKey),
    /// To someone of whom no key is known.
    Keyless,
    /// To someone who reads it as it is.
    Plain,
    /// To nobody: another form of it goes on.
    Encoded,
}

/// What was found out about a medium, and what to do with it.
#[derive(Debug)]
pub struct Inspection {
    /// What it is called by its content.
    pub identity: Key,
    /// Facts, verdict and provenance.
    pub record: Arc<Record>,
    /// What the policy says now.
    pub decision: Decision,
}

/// The stages that an inspection goes through, put together by `app`.
pub struct Stages {
    /// Looks at bytes.
    pub engine: Arc<dyn Engine>,
    /// Remembers verdicts.
    pub cache: VerdictCache,
    /// Names what is remembered.
    pub keys: KeyRing,
    /// Decides.
    pub policy: Policy,
    /// Holds plaintexts.
    pub spooler: Arc<Spooler>,
    /// Longest scan.
    pub scan_timeout: Duration,
}

/// Inspects media.
pub struct Inspector {
    stages: Stages,
    flights: Flights,
    /// Decryption keeps a core busy; more of it at a time than there are cores would only keep the disk waiting.
    decryptions: Semaphore,
    toxic: Toxic,
    outbreaks: Outbreaks,
    opaque: Opaque,
    changed: Changed,
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
        Ok(Arc::new(Self {
            stages,
            flights: Flights::new(tasks),
            decryptions: Semaphore::new(cores),
            toxic: Toxic::register(config, registry)?,
            outbreaks: Outbreaks::register(config, registry)?,
            opaque: Opaque::register(registry)?,
            changed: Changed::register(registry)?,
        }))
    }

    /// Inspects a body as it is, or as its key opens it.
    pub async fn inspect(self: &Arc<Self>, body: &Arc<Spool>, way: Way<'_>) -> Result<Inspection, InspectError> {
        let identity = self.stages.keys.plaintext(body.digest());
        let (record, access) = match way {
            Way::Upload => (self.judge_plain(identity, body).await?, Access::Upload),
            Way::Encoded => (self.judge_plain(identity, body).await?, Access::Encoded),
            Way::Keyed(key) => (self.judge_attachment(identity, body, key).await?, Access::Keyed),
            Way::Keyless | Way::Plain => {
                let record = self.judge_plain(identity, body).await?;
                let openings = self.openings(identity, &record.facts).await;
                let is_plain = matches!(way, Way::Plain);
                (record, if is_plain { Access::Plain(openings) } else { Access::Keyless(openings) })
            }
        };
        let decision = self.decide(&record, access);
        Ok(Inspection { identity, record, decision })
    }

    fn decide(&self, record: &Record, access: Access) -> Decision {
        let decision = self.stages.policy.decide(&record.facts, &record.verdict, access);
        self.opaque.count(record, access, decision);
        decision
    }

    async fn judge_plain(self: &Arc<Self>, identity: Key, body: &Arc<Spool>) -> Result<Judgement, InspectError> {
        match self.current(identity).await {
            Some(record) => Ok(record),
            None => self.scan_once(identity, Plaintext::Held(Arc::clone(body))).await,
        }
    }

    async fn judge_attachment(
        self: &Arc<Self>,
        ciphertext: Key,
        body: &Arc<Spool>,
        key: &AttachmentKey,
    ) -> Result<Judgement, InspectError> {
        key.check(body.digest(), body.len())?;
        let attachment = self.stages.keys.attachment(body.digest(), &key.material());
        if let Some(identity) = self.stages.cache.identity(attachment).await
            && let Some(record) = self.current(identity).await
        {
            self.opened(ciphertext, key, identity, &record).await;
            return Ok(record);
        }
        let (inspector, body, key) = (Arc::clone(self), Arc::clone(body), key.clone());
        let work = move || async move { inspector.decrypt_and_judge(ciphertext, attachment, body, key).await };
        self.flights.join(attachment, work).await
    }

    async fn decrypt_and_judge(
        self: Arc<Self>,
        ciphertext: Key,
        attachment: Key,
        body: Arc<Spool>,
        key: AttachmentKey,
    ) -> Result<Judgement, InspectError> {
        let (plaintext, digest) = self.decrypt(body, key.clone()).await?;
        let identity = self.stages.keys.plaintext(&digest);
        self.stages.cache.keep_identity(attachment, identity).await;
        let record = match self.current(identity).await {
            Some(record) => record,
            None => self.scan_once(identity, plaintext).await?,
        };
        self.opened(ciphertext, &key, identity, &record).await;
        Ok(record)
    }

    async fn scan_once(self: &Arc<Self>, identity: Key, plaintext: Plaintext) -> Result<Judgement, InspectError> {
        let inspector = Arc::clone(self);
        let work = move || async move { inspector.scan(identity, plaintext).await };
        self.flights.join(identity, work).await
    }

    async fn scan(self: Arc<Self>, identity: Key, plaintext: Plaintext) -> Result<Judgement, InspectError> {
        // The flight that just landed may have been for the same bytes.
        if let Some(record) = self.stages.cache.recheck(identity, |record| self.is_current(record)).await {
            return Ok(record);
        }
        if let Some(record) = self.toxic.get(identity) {
            return Ok(record);
        }
        let facts = sniff::examine(&plaintext.head(sniff::HEAD).await?, plaintext.len());
        let deadline = Instant::now() + self.stages.scan_timeout;
        let outcome = self.stages.engine.scan(&plaintext, &facts, deadline).await;
        let Scan { verdict, provenance } = outcome.inspect_err(|error| self.toxic.failed(identity, &facts, error))?;
        // Of several engines one may have answered long before the others, and been found broken since.
        if provenance.vouch.refutes(&verdict) {
            let why = "found broken before all engines had answered".to_owned();
            return Err(EngineError::Failed { backend: provenance.backend, why, blame: 0 }.into());
        }
        let record = Arc::new(Record { facts, verdict, provenance, scanned_at: SystemTime::now() });
        if record.verdict.is_lasting() {
            self.stages.cache.keep(identity, Arc::clone(&record)).await;
        }
        self.toxic.judged(identity, &record);
        self.outbreaks.judged(&record);
        Ok(record)
    }

    async fn current(&self, identity: Key) -> Option<Judgement> {
        self.stages.cache.current(identity, |record| self.is_current(record)).await
    }

    /// A verdict counts while its engine would say the same today, and was not found broken right after it said it.
    fn is_current(&self, record: &Record) -> bool {
        let Provenance { epoch, vouch, .. } = &record.provenance;
        !vouch.refutes(&record.verdict) && self.stages.engine.is_current(&record.verdict, epoch)
    }
}

//! An antivirus server that speaks ICAP, as commercial ones do.
//!
//! A server is believed after it told a harmless text from the EICAR test file, found that file at the end of the largest
//! medium that it is to look into, and called nothing clean that it says it does not look into. All but the first is
//! asked again when its `ISTag` changes, which stands for its signatures and settings.

mod address;
mod config;
mod conn;
mod pool;
pub mod protocol;
mod prove;
mod send;
mod specimens;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::{
    address::Address,
    config::{Config, Method},
    prove::Diagnosis,
};
use self::{
    conn::{Answer, ConnError, Request},
    pool::Pool,
    protocol::{Offer, Unusable},
};
use super::{Engine, EngineError, FULL_BLAME, Scan, Tally, freshness::Freshness, proof::Proof};
use crate::{
    facts::Facts,
    limits,
    plaintext::Plaintext,
    verdict::{Currency, Detection, Epoch, Verdict},
};

/// A server that answers a question this soon is not stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Proves that the file that the settings name can be used.
pub fn check(config: &Config) -> anyhow::Result<()> {
    pool::roots(config).map(|_| ())
}

/// Has an ICAP server look at each medium.
pub struct Icap {
    config: Config,
    max_bytes: u64,
    pool: Pool,
    /// What the service offered, and when to ask again.
    offer: Mutex<Option<(Offer, Instant)>>,
    /// States of the service in which it found what is at the end of the largest medium, the latest at the end.
    proven: Mutex<Vec<String>>,
    /// Types of media that it does not look into in that state.
    passed_over: Mutex<Vec<&'static str>>,
    proof: Proof,
}

impl Icap {
    /// Connects to nothing yet.
    pub fn new(config: &Config, limits: &limits::Config, tally: &Tally) -> anyhow::Result<Self> {
        let max_bytes = config.max_bytes.unwrap_or(limits.max_media_bytes).as_u64();
        let Config { name, url, method, preview, .. } = config;
        let settings = format!("{name} {url} {} {preview} {max_bytes}", method.token());
        let freshness = Freshness::new("icap", &settings, config.max_age);
        Ok(Self {
            pool: Pool::new(config)?,
            offer: Mutex::default(),
            proven: Mutex::default(),
            passed_over: Mutex::default(),
            proof: Proof::new(name, url.shown(), freshness, tally),
            config: config.clone(),
            max_bytes,
        })
    }

    async fn say_of(&self, plaintext: &Plaintext, deadline: Instant) -> Result<Verdict, EngineError> {
        let offer = self.known_offer().ok_or(EngineError::Unavailable)?;
        match plaintext.len() > self.max_bytes {
            true => Ok(Verdict::Incomplete { why: Detection("Icap.MaxBytes".to_owned()) }),
            false => self.ask(plaintext, &offer, deadline).await,
        }
    }

    async fn ask(&self, plaintext: &Plaintext, offer: &Offer, deadline: Instant) -> Result<Verdict, EngineError> {
        let until = deadline.min(Instant::now() + self.config.queue_timeout);
        let _slot = self.pool.slot(until).await.ok_or(EngineError::Busy)?;
        let until = deadline.min(Instant::now() + self.config.timeout);
        let preview = offer.preview.filter(|_| self.config.preview);
        self.converse(plaintext, preview, until).await
    }

    /// To be called with a slot in hand, or for specimens.
    async fn converse(
        &self,
        plaintext: &Plaintext,
        preview: Option<usize>,
        until: Instant,
    ) -> Result<Verdict, EngineError> {
        let request = Request { address: self.config.url.clone(), method: self.config.method, preview };
        let handed = AtomicBool::new(false);
        let answer = timeout_at(until, self.pool.scan(&request, plaintext, &handed)).await;
        let handed = handed.load(Ordering::SeqCst);
        match answer {
            Ok(Ok(answer)) => Ok(self.noted(answer)),
            Ok(Err(error)) => Err(self.failure(&error, handed)),
            Err(_) => Err(EngineError::Timeout { blame: self.blame_for_time(handed).await }),
        }
    }

    /// An answer may come from another state of the service than the scan began in: then the verdict, which names the
    /// older one, is outdated at once.
    fn noted(&self, answer: Answer) -> Verdict {
        if let Some(istag) = answer.istag.filter(|tag| self.proof.freshness.note(tag)) {
            tracing::info!(engine = self.proof.name(), istag, "the server's state changed");
            // The next look will prove this one; not at once, since some servers change it all the time.
            self.forget_offer();
        }
        answer.verdict
    }

    fn failure(&self, error: &ConnError, handed: bool) -> EngineError {
        if let ConnError::Unusable(Unusable::Busy(_)) = error {
            return EngineError::Busy;
        }
        let suspects = u32::try_from(self.pool.taken().max(1)).unwrap_or(u32::MAX);
        let blame = if handed && error.may_be_a_death() { FULL_BLAME / suspects } else { 0 };
        self.proof.failed(error, blame)
    }

    /// A server that answers nobody is not the fault of this medium.
    async fn blame_for_time(&self, handed: bool) -> u32 {
        let answers = timeout(ANSWER_TIMEOUT, self.pool.options()).await.is_ok_and(|answer| answer.is_ok());
        if handed && answers { FULL_BLAME } else { 0 }
    }
}

impl Engine for Icap {
    fn scan<'a>(
        &'a self,
        plaintext: &'a Plaintext,
        _facts: &'a Facts,
        _needed: &'a [Arc<str>],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>> {
        self.proof.judge(plaintext.len(), self.say_of(plaintext, deadline)).boxed()
    }

    fn name(&self) -> &str {
        self.proof.name()
    }

    fn currency(&self, _verdict: &Verdict, epoch: &Epoch, given: SystemTime) -> Currency {
        self.proof.freshness.currency(epoch, given)
    }

    fn epoch(&self) -> Option<Epoch> {
        self.proof.epoch()
    }

    fn slots(&self) -> usize {
        self.pool.size()
    }

    fn bump(&self, least: u64) -> u64 {
        self.proof.bump(least)
    }

    fn ready(&self) -> Result<(), String> {
        self.proof.ready()
    }

    fn watch(&self, stop: CancellationToken) -> BoxFuture<'_, ()> {
        self.proof.watch((self.config.probe_interval, self.longest_look()), stop, || self.look().boxed()).boxed()
    }
}

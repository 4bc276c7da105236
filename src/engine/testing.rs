//! An engine for tests, which says what it is told to say.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError, Scan};
use crate::{
    facts::Facts,
    plaintext::Plaintext,
    verdict::{Clean, Currency, Detection, Epoch, Provenance, Verdict, Vouch},
};

/// Says what it is told to say, and counts how often it was asked.
pub(crate) struct Says {
    name: &'static str,
    /// What it says.
    pub(crate) outcome: Mutex<Result<Verdict, EngineError>>,
    /// The number of its signatures.
    pub(crate) signatures: AtomicU64,
    /// How long a scan takes.
    pub(crate) after: Duration,
    /// Has scans wait for it.
    pub(crate) holds: Option<Notify>,
    /// What its word is worth.
    pub(crate) vouch: Vouch,
    /// Whether it says that it is ready.
    pub(crate) is_ready: bool,
    asked: AtomicUsize,
    /// The number of [`Engine::bump`].
    bumped: AtomicU64,
    until: Mutex<Option<Instant>>,
}

impl Says {
    /// One that says this, by the verdict's name.
    pub(crate) fn new(name: &'static str, said: &str) -> Arc<Self> {
        Self::with(name, said, |_| ())
    }

    /// One that is otherwise in something.
    pub(crate) fn with(name: &'static str, said: &str, change: impl FnOnce(&mut Self)) -> Arc<Self> {
        let mut says = Self {
            name,
            outcome: Mutex::new(outcome(said)),
            signatures: AtomicU64::new(1),
            after: Duration::ZERO,
            holds: None,
            vouch: Vouch::proven(),
            is_ready: true,
            asked: AtomicUsize::new(0),
            bumped: AtomicU64::new(0),
            until: Mutex::default(),
        };
        change(&mut says);
        Arc::new(says)
    }

    /// Has it say something else from now on.
    pub(crate) fn says(&self, said: &str) {
        *self.outcome.lock().unwrap() = outcome(said);
    }

    /// Makes what it said so far outdated.
    pub(crate) fn learn(&self) {
        self.signatures.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Until when the last scan was to end.
    pub(crate) fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap()
    }

    fn now(&self) -> Epoch {
        let signatures = self.signatures.load(Ordering::SeqCst);
        match self.bump(0) {
            0 => Epoch::new(self.name, signatures.to_string()),
            bump => Epoch::new(self.name, format!("{signatures} {bump}")),
        }
    }
}

impl Engine for Says {
    fn scan<'a>(
        &'a self,
        _: &'a Plaintext,
        _: &'a Facts,
        _: &'a [Arc<str>],
        until: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.until.lock().unwrap() = Some(until);
        let outcome = self.outcome.lock().unwrap().clone();
        let provenance = Provenance {
            engine: self.name.into(),
            version: "1".to_owned(),
            signatures: None,
            backend: format!("at {}", self.name),
            epoch: self.now(),
            bytes: 1,
            took: self.after,
            vouch: self.vouch.clone(),
        };
        async {
            if !self.after.is_zero() {
                sleep(self.after).await;
            }
            if let Some(held) = &self.holds {
                held.notified().await;
            }
            outcome.map(|verdict| Scan { verdict, provenance })
        }
        .boxed()
    }

    fn name(&self) -> &str {
        self.name
    }

    fn currency(&self, _: &Verdict, epoch: &Epoch, _: SystemTime) -> Currency {
        match &self.now() {
            now if now == epoch => Currency::Current,
            now if now.setup == epoch.setup => Currency::Stale,
            _ => Currency::Foreign,
        }
    }

    fn epoch(&self) -> Option<Epoch> {
        Some(self.now())
    }

    fn slots(&self) -> usize {
        1
    }

    fn bump(&self, least: u64) -> u64 {
        self.bumped.fetch_max(least, Ordering::SeqCst).max(least)
    }

    fn ready(&self) -> Result<(), String> {
        if self.is_ready { Ok(()) } else { Err(format!("{} is out", self.name)) }
    }

    fn watch(&self, _: CancellationToken) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}

/// What an engine says, by the verdict's name.
#[expect(clippy::disallowed_methods, reason = "what an engine would say")]
pub(crate) fn outcome(said: &str) -> Result<Verdict, EngineError> {
    let why = Detection("X".to_owned());
    Ok(match said {
        "clean" => Verdict::Clean(Clean::attest()),
        "infected" => Verdict::Infected { detection: why },
        "incomplete" => Verdict::Incomplete { why },
        "opaque" => Verdict::Opaque { why },
        "down" => return Err(EngineError::Unavailable),
        other => panic!("an engine says no such thing as {other}"),
    })
}

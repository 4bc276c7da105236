//! Verdicts from signatures of before: what they count for, and how they are replaced.
//!
//! Without `inspect.grace` a medium whose verdict is stale is scanned again before it is given out again. With it, the old verdict
//! counts for so long after new signatures came into force here, and the medium, which has just come, is scanned in the
//! background. Either way rescans go through one gate, so that they leave engines for what was never scanned.

mod gate;
mod later;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use prometheus::{IntCounterVec, Opts, PullingGauge, Registry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    gate::{Gate, Pass},
    later::{Body, Job, Later},
};
use super::{Config, InspectError, Inspector, Outcome, patience::Patience, task::Task};
use crate::{
    cache::key::Key,
    crypto::attachment::AttachmentKey,
    engine::EngineError,
    plaintext::Plaintext,
    spool::{Spool, Spooler},
    verdict::{Currency, Record, Verdict},
};

/// What a scan is for. The later, the sooner it is its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    /// To have a verdict when it is asked for.
    Background,
    /// Someone waits for it.
    Request,
}

impl Errand {
    fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Request => "request",
        }
    }
}

/// What is remembered of a plaintext.
pub(super) enum Recalled {
    /// A verdict that would be the same today.
    Current(Arc<Record>),
    /// One from other signatures.
    Stale(Arc<Record>),
    /// Nothing that could be gone by.
    Unknown,
}

/// Replaces stale verdicts.
pub(super) struct Rescans {
    gate: Gate,
    later: Later,
    share: f64,
    grace: Duration,
    ended: IntCounterVec,
}

impl Rescans {
    pub(super) fn register(config: &Config, spooler: &Spooler, registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new("lazaret_rescans_total", "Scans of media whose verdict was from other signatures.");
        let ended = IntCounterVec::new(opts, &["way", "outcome"])?;
        for way in [Errand::Request, Errand::Background] {
            for outcome in Verdict::NAMES.into_iter().chain(["busy", "failed"]) {
                ended.with_label_values(&[way.name(), outcome]);
            }
        }
        let (gate, later) = (Gate::default(), Later::register(spooler, registry)?);
        let counted = gate.clone();
        let help = "Rescans that wait for others to end.";
        let waiting = PullingGauge::new("lazaret_rescans_waiting", help, Box::new(move || counted.waiting() as f64))?;
        registry.register(Box::new(ended.clone()))?;
        registry.register(Box::new(waiting))?;
        Ok(Self { gate, later, share: config.rescan_share, grace: config.grace, ended })
    }

    /// Takes the only turn that there is, and gives it back on drop.
    #[cfg(test)]
    pub(super) async fn take_turn(&self, identity: Key) -> impl Sized {
        let deadline = Instant::now() + Duration::from_hours(1);
        self.gate.enter(identity, Errand::Request, 0, 1, deadline).await.expect("nobody has it")
    }

    /// Takes note of one more request for a medium that waits for its rescan.
    pub(super) fn asked(&self, identity: Key) {
        self.gate.asked(identity);
    }

    /// Rescans that may be under way with so many slots.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a small number")]
    fn most(&self, slots: usize) -> usize {
        ((slots as f64 * self.share) as usize).max(1)
    }

    fn count(&self, errand: Errand, outcome: &Result<Arc<Record>, InspectError>) {
        let outcome = match outcome {
            Ok(record) => record.verdict.name(),
            Err(InspectError::Engine(EngineError::Busy)) => "busy",
            Err(_) => "failed",
        };
        self.ended.with_label_values(&[errand.name(), outcome]).inc();
    }
}

impl Inspector {
    /// What is remembered of a plaintext, counted.
    pub(super) async fn recall(&self, identity: Key) -> Recalled {
        match self.stages.cache.look_up(identity, |record| self.currency(record)).await {
            Some((record, Currency::Current)) => Recalled::Current(record),
            Some((record, Currency::Stale)) => Recalled::Stale(record),
            Some((_, Currency::Foreign)) | None => Recalled::Unknown,
        }
    }

    /// True while a stale verdict counts. None does when no engine says what it knows.
    pub(super) fn is_in_grace(&self, record: &Record) -> bool {
        let grace = self.rescans.grace;
        !grace.is_zero() && self.stages.engine.epoch().is_some() && self.follows_within(record, grace)
    }

    /// Has a plain medium scanned when there is time for it.
    pub(super) async fn rescan_later(&self, identity: Key, body: &Arc<Spool>) {
        self.put_off(identity, || Body::Plain(Arc::clone(body))).await;
    }

    /// Has an attachment scanned when there is time for it.
    pub(super) async fn rescan_attachment_later(&self, identity: Key, body: &Arc<Spool>, key: &AttachmentKey) {
        self.put_off(identity, || Body::Sealed(Arc::clone(body), key.clone())).await;
    }

    async fn put_off(&self, identity: Key, body: impl FnOnce() -> Body) {
        if !self.rescans.later.asked(identity) {
            let hits = self.popularity(identity).await;
            self.rescans.later.put(identity, hits, body());
        }
    }

    /// Scans again what has a stale verdict.
    pub(super) async fn rescan(
        &self,
        identity: Key,
        plaintext: &Plaintext,
        task: &Task,
        patience: Patience,
    ) -> Result<Arc<Record>, InspectError> {
        let outcome = self.ask(identity, plaintext, (Some(task.errand), &task.hearing), patience).await;
        self.rescans.count(task.errand, &outcome);
        if outcome.is_ok() {
            self.rescans.later.forget(identity);
        }
        outcome
    }

    /// Waits for its turn.
    pub(super) async fn pass(&self, identity: Key, errand: Errand, until: Instant) -> Result<Pass, EngineError> {
        let (hits, most) = (self.popularity(identity).await, self.rescans.most(self.stages.engine.slots()));
        self.rescans.gate.enter(identity, errand, hits, most, until).await.ok_or(EngineError::Busy)
    }

    async fn popularity(&self, identity: Key) -> u64 {
        self.stages.cache.usage(identity).await.map_or(0, |usage| usage.hits)
    }

    /// Scans again what was put off, until `stop`; as many at a time as may be under way.
    pub(super) async fn watch_rescans(self: &Arc<Self>, stop: CancellationToken) {
        let rescanning = async {
            let mut under_way = FuturesUnordered::new();
            loop {
                let most = self.rescans.most(self.stages.engine.slots());
                tokio::select! {
                    Some(()) = under_way.next(), if !under_way.is_empty() => (),
                    job = self.rescans.later.next(), if under_way.len() < most => under_way.push(self.run(job)),
                }
            }
        };
        stop.run_until_cancelled(rescanning).await;
    }

    async fn run(self: &Arc<Self>, job: Job) {
        let identity = job.identity;
        let _expected = self.rescans.gate.expect(identity);
        let outcome: Outcome = match job.body.clone() {
            Body::Plain(spool) => self.scan_once(identity, Plaintext::Held(spool), Task::in_background()).await,
            Body::Sealed(spool, key) => {
                let ciphertext = self.stages.cache.keys().plaintext(spool.digest());
                self.open_and_judge(ciphertext, spool, key, Task::in_background()).await
            }
        };
        let comes_again = match &outcome {
            // A request that was under way already may have been content with the old verdict.
            Ok(judgement) => self.currency(&judgement.record) == Currency::Stale && !job.is_given_up(),
            Err(error) => matches!(error, InspectError::Engine(EngineError::Busy)),
        };
        if comes_again {
            return self.rescans.later.put_back(job);
        }
        self.rescans.later.done(identity);
        match outcome {
            Ok(_) => self.rescans.later.forget(identity),
            Err(error) => tracing::debug!(%error, "a rescan failed; the medium is scanned when it is asked for again"),
        }
    }
}

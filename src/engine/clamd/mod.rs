//! clamd, spoken to natively: by descriptor over a local socket, by stream over TCP.
//!
//! ```text
//! scan ─► slots (order, bound, which backend) ─► backend ─► errand (one connection, one reply) ─► VERSION again ─► verdict
//!                                                   ▲
//!                          probe: VERSION, five canaries down the same path, every few seconds
//! ```
//!
//! * A clean verdict takes the one exact reply to this scan, from a clamd whose canaries passed before and that was not
//!   ejected since, with a version that is plausible after it. If the next canaries fail, it is forgotten.
//! * A backend that fails for reasons of its own costs one retry on another one, within the same deadline.
//! * What clamd works on keeps its slot, whether anyone waits for it or not.

mod address;
mod backend;
mod canary;
mod config;
pub mod conformance;
mod conn;
mod control;
mod database;
mod epochs;
mod errand;
mod health;
mod metrics;
mod probe;
pub mod protocol;
mod scan;
mod settings;
mod slots;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, join_all};
use prometheus::Registry;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

pub use self::{
    address::Address,
    config::{BackendConfig, Config, Conformance},
};
use self::{
    backend::{Backend, Common},
    conformance::{Depth, Needs},
    epochs::Epochs,
    metrics::{Metrics, Occupancy},
    slots::{Class, Refused, Slot, Slots, Wish},
};
use super::{Engine, EngineError, Scan, tally::Tally};
use crate::{
    facts::Facts,
    limits,
    plaintext::Plaintext,
    spool::Spooler,
    verdict::{Currency, Epoch, Heuristics, Verdict},
};

const NAME: &str = "clamd";

/// Backends tried for one scan.
const TRIES: usize = 2;

/// Longest look at the clamds before the process starts: whoever is not there yet is waited for later.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Least time between two rounds of canaries, unless the configuration wants them more often.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The clamd engine.
pub struct Clamd {
    backends: Vec<Backend>,
    common: Arc<Common>,
    epochs: Epochs,
    needs: Needs,
}

impl Clamd {
    /// Builds the engine, whose canaries lie where media lie; nothing is connected yet. `relied` is what the policy relies
    /// on.
    pub fn new(
        config: &Config,
        limits: &limits::Config,
        relied: Heuristics,
        spooler: &Arc<Spooler>,
        tally: &Tally,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let names: Vec<String> = config.backends.iter().map(|backend| backend.address.to_string()).collect();
        let slots = Slots::new(names.len(), config.max_waiting);
        let metrics = Metrics::register(tally, &names, registry)?;
        Occupancy::register(registry, &slots, &names)?;
        let common = Arc::new(Common { config: config.clone(), relied, slots, spooler: Arc::clone(spooler), metrics });
        let backend = |(index, backend)| Backend::new(index, backend, &common);
        let backends: Vec<Backend> = config.backends.iter().enumerate().map(backend).collect();
        let epochs = Epochs::new(backends.len());
        let needs = Needs::new(config, limits).with_spooler(Arc::clone(spooler));
        Ok(Self { backends, common, epochs, needs })
    }

    /// A first look, before anything depends on it. Fails if clamds are there and none of them keeps to what the policy
    /// relies on; those that are not there yet may come later.
    pub async fn first_look(&self) -> Result<(), String> {
        let looks = self.backends.iter().map(|backend| self.look(backend));
        // Whoever needs longer is looked at again soon.
        let _late = timeout(FIRST_LOOK, join_all(looks)).await;
        let unfit: Vec<String> = self.backends.iter().filter_map(Backend::unfit).collect();
        if unfit.is_empty() || self.ready().is_ok() { Ok(()) } else { Err(unfit.join("\n")) }
    }

    async fn look(&self, backend: &Backend) {
        backend.look_at_files_first().await;
        backend.probe().await;
        self.epochs.note(backend.index, backend.health());
        let (lags, skew) = self.epochs.lag();
        self.common.slots.set_lagging(lags.into_iter());
        self.common.metrics.skewed(skew);
        if backend.health().is_some() {
            backend.look_at_files().await;
        }
    }

    async fn watch_over(&self, backend: &Backend) {
        let (mut reported, mut report) = (None, tokio::spawn(async {}));
        loop {
            self.look(backend).await;
            let looked = Instant::now();
            let health = backend.health();
            // A clamd that comes back may have other settings.
            reported = reported.filter(|_| health.is_some());
            if health.is_some() && health != reported && report.is_finished() {
                let (config, common) = (backend.config.clone(), Arc::clone(&self.common));
                report = tokio::spawn(conformance_of(backend.index, config, self.needs.clone(), common));
                reported = health;
            }
            match backend.pause() {
                (pause, true) => {
                    // Whichever comes first: the next round is due, or something went wrong; but a medium that goes
                    // wrong each time must not keep clamd busy with canaries.
                    let _due = timeout(pause, backend.trouble.notified()).await;
                    self.epochs.note(backend.index, backend.health());
                    sleep_until(looked + backend.penalty().max(self.least_pause())).await;
                }
                (pause, false) => sleep(pause).await,
            }
        }
    }

    fn least_pause(&self) -> Duration {
        LEAST_PAUSE.min(self.common.config.probe_interval)
    }

    async fn scan_somewhere(
        &self,
        plaintext: &Plaintext,
        class: Class,
        deadline: Instant,
    ) -> Result<Scan, EngineError> {
        let (mut wish, mut failure) = (Wish::Any, None);
        for _ in 0..TRIES {
            let slot = match self.slot(class, wish, deadline).await {
                Ok(slot) => slot,
                Err(none) => return Err(failure.unwrap_or(none)),
            };
            if failure.is_some() {
                self.common.metrics.retried();
            }
            let at = slot.backend();
            let scan = self.backends[at].scan(slot, plaintext, class, deadline, self.epochs.bumped()).await;
            let error = match scan.map_err(|error| error.after(failure.as_ref())) {
                Err(error @ EngineError::Failed { .. }) => error,
                done => return done,
            };
            tracing::warn!(%error, scan = %plaintext.spool().id(), "scan failed");
            (wish, failure) = (Wish::Elsewhere(at), Some(error));
        }
        Err(failure.unwrap_or(EngineError::Unavailable))
    }

    async fn slot(&self, class: Class, wish: Wish, deadline: Instant) -> Result<Slot, EngineError> {
        let begun = Instant::now();
        let until = deadline.min(begun + self.common.config.queue_timeout);
        let slot = timeout_at(until, self.common.slots.take(class, wish)).await;
        let granted = matches!(slot, Ok(Ok(_)));
        self.common.metrics.waited(class, granted, begun.elapsed().as_secs_f64());
        match slot {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(Refused::NoBackend)) => Err(EngineError::Unavailable),
            Ok(Err(Refused::QueueFull)) | Err(_) => Err(EngineError::Busy),
        }
    }

    fn class(&self, facts: &Facts) -> Class {
        let is_large = facts.container || facts.size > self.common.config.large_above.as_u64();
        if is_large { Class::Large } else { Class::Small }
    }
}

/// Says what a clamd that was just admitted is like, beyond what admission depends on.
async fn conformance_of(index: usize, config: BackendConfig, needs: Needs, common: Arc<Common>) {
    let Ok(_slot) = common.slots.take(Class::Probe, Wish::Only(index)).await else { return };
    let report = conformance::examine(&config, &needs, Depth::Quick).await;
    for finding in &report.findings {
        common.metrics.found(&report.backend, finding);
    }
    for gap in report.gaps() {
        let (check, fix) = (gap.check.name(), gap.fix.as_deref().unwrap_or_default());
        tracing::warn!(backend = report.backend, check, fix, "clamd is not as it should be: {}", gap.says);
    }
}

impl Engine for Clamd {
    fn scan<'a>(
        &'a self,
        plaintext: &'a Plaintext,
        facts: &'a Facts,
        _needed: &'a [Arc<str>],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>> {
        Box::pin(async move {
            let outcome = self.scan_somewhere(plaintext, self.class(facts), deadline).await;
            self.common.metrics.scanned(&outcome);
            outcome
        })
    }

    fn name(&self) -> &str {
        NAME
    }

    fn currency(&self, _verdict: &Verdict, epoch: &Epoch, _given: SystemTime) -> Currency {
        self.epochs.currency(epoch)
    }

    fn epoch(&self) -> Option<Epoch> {
        self.epochs.newest()
    }

    fn number(&self) -> u64 {
        self.epochs.number()
    }

    fn slots(&self) -> usize {
        self.common.slots.open().max(1)
    }

    fn bump(&self, least: u64) -> u64 {
        if self.epochs.bump(least) {
            self.backends.iter().for_each(Backend::forgive);
        }
        self.epochs.bumped()
    }

    fn ready(&self) -> Result<(), String> {
        if self.backends.iter().any(|backend| backend.health().is_some()) {
            return Ok(());
        }
        let reasons: Vec<String> = self.backends.iter().map(Backend::why).collect();
        Err(reasons.join("\n"))
    }

    fn watch(&self, stop: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let watching = join_all(self.backends.iter().map(|backend| self.watch_over(backend)));
            stop.run_until_cancelled(watching).await;
        })
    }
}

//! Whether an engine is believed that has no better way to show that it works: it is given specimens now and then, the
//! first time before it is given anything else.
//!
//! What it says between two rounds counts if both were passed (see [`Vouches`]). An engine that is told to go without
//! canaries is believed as long as it answers.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{EngineError, Scan, Tally, freshness::Freshness, specimen, vouches::Vouches};
use crate::{
    plaintext::Plaintext,
    spool::Spool,
    verdict::{Epoch, Provenance, Standing, Verdict, Vouch},
};

/// Least time between two rounds, however much goes wrong.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// Rounds in succession that an engine may have no time for.
const MOST_BUSY: u32 = 5;

/// Why an engine is not believed.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was wrong about a specimen: what it said before may be wrong as well.
    Wrong(String),
    /// It could not be asked.
    Broken(String),
    /// It had too much to do to say anything.
    Busy,
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Busy => Self::Busy,
            other => Self::Broken(other.to_string()),
        }
    }
}

/// How one engine stands.
pub(super) struct Proof {
    name: Arc<str>,
    backend: String,
    /// How long its verdicts count.
    pub(super) freshness: Freshness,
    tally: Tally,
    state: Mutex<State>,
    /// Has it looked at as soon as something went wrong.
    trouble: Notify,
}

struct State {
    /// Why it is out; `None` while it is in.
    out: Option<String>,
    /// Rounds in succession that it had no time for.
    busy: u32,
    vouches: Vouches,
}

impl Proof {
    /// `backend` is its address, or what else there is to tell it by.
    pub(super) fn new(name: &str, backend: String, freshness: Freshness, tally: &Tally) -> Self {
        tally.begin(name, &backend);
        let state = State { out: Some("not looked at yet".to_owned()), busy: 0, vouches: Vouches::default() };
        let (name, tally, state) = (name.into(), tally.clone(), Mutex::new(state));
        Self { name, backend, freshness, tally, state, trouble: Notify::new() }
    }

    /// Its name in the configuration.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its address, or what else there is to tell it by.
    pub(super) fn backend(&self) -> &str {
        &self.backend
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    /// A scan of so many `bytes`: has the engine asked if it is believed, and says what its verdict is worth.
    pub(super) async fn judge(
        &self,
        bytes: u64,
        ask: impl Future<Output = Result<Verdict, EngineError>> + Send,
    ) -> Result<Scan, EngineError> {
        let outcome = self.vouched(bytes, ask).await;
        self.tally.scanned(&self.name, &outcome);
        if let Ok(scan) = &outcome {
            self.tally.judged(scan, "all");
        }
        outcome
    }

    async fn vouched(
        &self,
        bytes: u64,
        ask: impl Future<Output = Result<Verdict, EngineError>> + Send,
    ) -> Result<Scan, EngineError> {
        let (begun, epoch, version) = (self.begin()?, self.freshness.epoch(), self.freshness.version());
        let started = Instant::now();
        let verdict = ask.await.inspect_err(|error| self.suspect(error))?;
        let vouch = self.vouch(begun, &verdict)?;
        let provenance = Provenance {
            engine: Arc::clone(&self.name),
            version: version.unwrap_or_default(),
            signatures: None,
            backend: self.backend.clone(),
            epoch,
            bytes,
            took: started.elapsed(),
            vouch,
        };
        Ok(Scan { verdict, provenance })
    }

    /// An engine that has too much to do works.
    fn suspect(&self, error: &EngineError) {
        if !matches!(error, EngineError::Busy) {
            self.doubt();
        }
    }

    /// It failed on these bytes, which may be to blame.
    pub(super) fn failed(&self, why: &dyn Display, blame: u32) -> EngineError {
        EngineError::Failed { backend: self.backend.clone(), why: why.to_string(), blame }
    }

    fn begin(&self) -> Result<u64, EngineError> {
        let state = self.state();
        if state.out.is_some() { Err(EngineError::Unavailable) } else { Ok(state.vouches.ejections()) }
    }

    /// Who vouches for a verdict of a scan that began as `begun` says. A clean one is worth nothing if the engine was taken
    /// out meanwhile.
    fn vouch(&self, begun: u64, verdict: &Verdict) -> Result<Vouch, EngineError> {
        let vouch = self.state().vouches.vouch(begun, matches!(verdict, Verdict::Clean(_)));
        vouch.ok_or_else(|| self.failed(&"taken out during the scan", 0))
    }

    /// Something went wrong with it: it is looked at soon.
    fn doubt(&self) {
        self.trouble.notify_one();
    }

    /// Makes all its verdicts so far outdated.
    pub(super) fn bump(&self, least: u64) -> u64 {
        let (bump, grew) = self.freshness.bump(least);
        if grew {
            self.doubt();
        }
        bump
    }

    /// The epoch of its verdicts, unless it is out and may come back as another one.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        self.ready().is_ok().then(|| self.freshness.epoch())
    }

    /// Fails while it is out.
    pub(super) fn ready(&self) -> Result<(), String> {
        self.state().out.as_ref().map_or(Ok(()), |why| Err(format!("{} {}: {why}", self.name, self.backend)))
    }

    /// Looks at it every `interval`, until `stop`. A look that takes longer than `limit` is failed.
    pub(super) async fn watch<'a>(
        &'a self,
        (interval, limit): (Duration, Duration),
        stop: CancellationToken,
        look: impl Fn() -> BoxFuture<'a, Result<(), Fault>> + Send + Sync,
    ) {
        let watching = async {
            let mut failures = 0_u32;
            loop {
                let looked = Instant::now();
                let round = self.state().vouches.begin_round();
                let outcome = timeout(limit, look()).await;
                let outcome = outcome.unwrap_or_else(|_| Err(Fault::Broken(format!("no answer within {limit:?}"))));
                self.looked(round, outcome);
                // Nobody who is out is asked anything that could go wrong: it is looked at again soon, then less and less.
                failures = if self.ready().is_ok() { 0 } else { failures.saturating_add(1) };
                let pause = match failures {
                    0 => interval,
                    _ => LEAST_PAUSE.saturating_mul(1 << (failures - 1).min(20)).min(interval),
                };
                let _due = timeout(pause, self.trouble.notified()).await;
                sleep_until(looked + LEAST_PAUSE.min(interval)).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    fn looked(&self, round: u64, outcome: Result<(), Fault>) {
        let mut state = self.state();
        state.busy = if matches!(outcome, Err(Fault::Busy)) { state.busy + 1 } else { 0 };
        let (standing, why) = match outcome {
            Ok(()) => {
                state.vouches.passed(round);
                if state.out.take().is_some() {
                    tracing::info!(engine = &*self.name, backend = self.backend, "engine passed its canaries");
                }
                return self.tally.set_up(&self.name, &self.backend, true);
            }
            Err(Fault::Wrong(why)) => (Standing::Refuted, why),
            Err(Fault::Broken(why)) => (Standing::Doubted, why),
            // What it says meanwhile waits for the next round; but it must find the time for one now and then.
            Err(Fault::Busy) if state.out.is_none() && state.busy < MOST_BUSY => return,
            Err(Fault::Busy) => (Standing::Doubted, "it has too much to do for canaries".to_owned()),
        };
        state.vouches.ejected(standing);
        self.tally.set_up(&self.name, &self.backend, false);
        if state.out.as_ref() != Some(&why) {
            tracing::error!(engine = &*self.name, backend = self.backend, why, "engine is out");
        }
        state.out = Some(why);
    }
}

/// Has an engine tell a clean specimen from an infected one.
pub(super) async fn tell_apart<'a>(
    scan: impl Fn(Plaintext) -> BoxFuture<'a, Result<Verdict, EngineError>>,
) -> Result<(), Fault> {
    let specimen = |bytes: &[u8]| Plaintext::Held(Arc::new(Spool::of(bytes)));
    match scan(specimen(&specimen::clean())).await? {
        Verdict::Clean(_) => (),
        other => return Err(Fault::Wrong(format!("it says of a harmless text: {other:?}"))),
    }
    match scan(specimen(&specimen::eicar())).await? {
        Verdict::Infected { .. } => Ok(()),
        other => Err(Fault::Wrong(format!("it says of the EICAR test file: {}", other.name()))),
    }
}

#[cfg(test)]
mod tests;

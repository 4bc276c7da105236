//! clamd, spoken to natively: by descriptor over a local socket, by stream over TCP.
//!
//! A backend takes scans only while its canaries pass, and they go down the very path that scans take. The first healthy
//! backend of the configuration is used; when it fails for reasons of its own, the next one is tried once, within the
//! same deadline.

mod address;
mod backend;
mod canary;
mod conn;
mod metrics;
mod protocol;

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use prometheus::Registry;
use serde::Deserialize;
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::address::Address;
use self::{
    backend::{Backend, Health},
    metrics::Metrics,
};
use super::{Engine, EngineError, Scan};
use crate::{plaintext::Plaintext, spool::Spooler, verdict::Epoch};

const NAME: &str = "clamd";

/// Backends tried for one scan.
const TRIES: usize = 2;

/// `clamd` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// In order of preference.
    pub backends: Vec<BackendConfig>,
    /// Scans at a time on each backend; at most clamd's `MaxThreads`, since clamd has no answer for "busy".
    pub max_scans: NonZeroUsize,
    /// Longest wait for a slot before the client is asked to come again.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// Longest scan, waiting included. Keep it above clamd's `MaxScanTime` (120 s by default), so that clamd gives up
    /// first and says so.
    #[serde(with = "humantime_serde")]
    pub scan_timeout: Duration,
    /// Time between two rounds of canaries.
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    /// Longest round of canaries before the backend counts as down.
    #[serde(with = "humantime_serde")]
    pub probe_timeout: Duration,
}

/// One entry of `clamd.backends`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// `unix:/path` or `tcp:host:port`.
    pub address: Address,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backends: vec![BackendConfig { address: Address::Unix("/run/clamav/clamd.ctl".into()) }],
            max_scans: NonZeroUsize::new(10).expect("not zero"),
            queue_timeout: Duration::from_secs(10),
            scan_timeout: Duration::from_secs(130),
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(20),
        }
    }
}

/// The clamd engine.
pub struct Clamd {
    backends: Arc<[Backend]>,
    probe_interval: Duration,
    /// Wakes the prober as soon as a scan failed.
    trouble: Notify,
    /// Outlives the health of any backend, so that known verdicts stay valid while clamd is away.
    epoch: Mutex<Option<Epoch>>,
    metrics: Metrics,
}

impl Clamd {
    /// Builds the engine, whose canaries lie where media lie; nothing is connected yet.
    pub fn new(config: &Config, spooler: &Arc<Spooler>, registry: &Registry) -> prometheus::Result<Self> {
        let backends: Arc<[Backend]> =
            config.backends.iter().map(|backend| Backend::new(backend.address.clone(), config, spooler)).collect();
        Ok(Self {
            metrics: Metrics::register(registry, &backends)?,
            backends,
            probe_interval: config.probe_interval,
            trouble: Notify::new(),
            epoch: Mutex::new(None),
        })
    }

    fn healthy(&self) -> impl Iterator<Item = (&Backend, Health)> {
        self.backends.iter().filter_map(|backend| Some((backend, backend.health()?)))
    }

    async fn scan_somewhere(&self, plaintext: &Plaintext, deadline: Instant) -> Result<Scan, EngineError> {
        let mut failure = EngineError::Unavailable;
        for (backend, _) in self.healthy().take(TRIES) {
            failure = match backend.scan(plaintext, deadline).await {
                Err(error @ EngineError::Failed { .. }) => error,
                done => return done,
            };
            tracing::warn!(error = %failure, scan = %plaintext.spool().id(), "scan failed");
            self.trouble.notify_one();
        }
        Err(failure)
    }

    async fn probe_all(&self) {
        join_all(self.backends.iter().map(|backend| self.probe(backend))).await;
        if let Some((_, health)) = self.healthy().next() {
            *self.epoch.lock().expect("no panic while held") = Some(health.epoch);
        }
    }

    async fn probe(&self, backend: &Backend) {
        let (is_news, before) = (backend.first_probe(), backend.health());
        let outcome = backend.probe().await;
        let after = backend.health();
        self.metrics.set_up(backend, after.is_some());
        let backend = backend.address();
        match (outcome, after) {
            (Err(why), _) if is_news || before.is_some() => tracing::error!(%backend, why, "clamd is out"),
            (Err(why), _) => tracing::debug!(%backend, why, "clamd is still out"),
            (Ok(()), Some(now)) if before.as_ref() != Some(&now) => {
                tracing::info!(%backend, version = now.epoch.0, transfer = ?now.transfer, "clamd passed its canaries");
            }
            (Ok(()), _) => (),
        }
    }
}

impl Engine for Clamd {
    fn scan<'a>(&'a self, plaintext: &'a Plaintext, deadline: Instant) -> BoxFuture<'a, Result<Scan, EngineError>> {
        Box::pin(async move {
            let begun = Instant::now();
            let outcome = self.scan_somewhere(plaintext, deadline).await;
            self.metrics.scanned(&outcome, begun.elapsed().as_secs_f64());
            outcome
        })
    }

    fn epoch(&self) -> Option<Epoch> {
        self.epoch.lock().expect("no panic while held").clone()
    }

    fn ready(&self) -> bool {
        self.healthy().next().is_some()
    }

    fn watch(&self, stop: CancellationToken) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let rounds = async {
                loop {
                    self.probe_all().await;
                    // Whichever comes first: the next round is due, or a scan failed.
                    let _due = timeout(self.probe_interval, self.trouble.notified()).await;
                }
            };
            stop.run_until_cancelled(rounds).await;
        })
    }
}

//! What is read again while the process runs: when an operator asks (`POST /reload`, SIGHUP), and when it has changed.

use std::sync::Arc;

use prometheus::{IntCounterVec, Opts, Registry};
use tokio::{
    signal::unix::Signal,
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    crypto::envelope::{Config, EnvelopeKeys, InForce, Look, secrets},
    telemetry::log::Chain,
};

/// Has the parts that can read again do so.
#[derive(Clone)]
pub struct Reloader {
    secrets: Arc<EnvelopeKeys>,
    config: Config,
    certificate: Arc<Notify>,
    reloads: IntCounterVec,
}

impl Reloader {
    /// Takes what can be read again.
    pub fn new(config: &Config, secrets: Arc<EnvelopeKeys>, registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new("lazaret_reloads_total", "Files that were read again, by what they hold and by outcome.");
        let reloads = IntCounterVec::new(opts, &["what", "outcome"])?;
        for outcome in ["ok", "failed"] {
            reloads.with_label_values(&["secrets", outcome]);
        }
        registry.register(Box::new(reloads.clone()))?;
        let reloader = Self { secrets, config: config.clone(), certificate: Arc::default(), reloads };
        reloader.warn_of_mode();
        Ok(reloader)
    }

    /// Notified when the certificate is to be looked at. It tells by itself what came of that.
    pub fn certificate(&self) -> Arc<Notify> {
        Arc::clone(&self.certificate)
    }

    /// Reads everything again. What cannot be used replaces nothing, and is told.
    pub async fn reload(&self) -> Result<String, String> {
        self.certificate.notify_one();
        let look = self.look().await?;
        let told = self.tell(&look);
        told.map(|InForce { secrets, public_key }| format!("secrets: {secrets}, public key {public_key}"))
    }

    /// Reads everything again at each of these signals. Does not end.
    pub async fn follow(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            let _told = self.reload().await;
        }
    }

    /// Looks at the file with the secrets again and again, until `stopped`.
    pub async fn watch(self, stopped: CancellationToken) {
        // What is there now was just read.
        let every = self.config.reload_interval;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looking = async {
            loop {
                ticks.tick().await;
                if let Ok(look) = self.look().await
                    && look.changed
                {
                    let _told = self.tell(&look);
                }
            }
        };
        stopped.run_until_cancelled(looking).await;
    }

    async fn look(&self) -> Result<Look, String> {
        let secrets = Arc::clone(&self.secrets);
        let look = tokio::task::spawn_blocking(move || secrets.look()).await;
        look.map_err(|error| {
            tracing::error!(%error, "the request secret cannot be looked at");
            "the request secret cannot be looked at".to_owned()
        })
    }

    fn tell(&self, look: &Look) -> Result<InForce, String> {
        let count = |outcome| self.reloads.with_label_values(&["secrets", outcome]).inc();
        match &look.outcome {
            Ok(in_force) => {
                count("ok");
                let InForce { secrets, public_key } = in_force;
                tracing::info!(changed = look.changed, secrets, public_key, "request secrets read again");
                self.warn_of_mode();
                Ok(in_force.clone())
            }
            Err(error) => {
                count("failed");
                let error = Chain(error).to_string();
                tracing::error!(error, "the request secrets are not usable; those from before stay in force");
                Err(error)
            }
        }
    }

    fn warn_of_mode(&self) {
        if let Some(problem) = secrets::exposed(&self.config.request_secret_path) {
            tracing::warn!("{problem}");
        }
    }
}

//! What is read again while the process runs: when an operator asks (`POST /reload`, SIGHUP), and when it has changed.
//!
//! What cannot be used replaces nothing, and is told: what was read before stays in force.

mod look;
mod policy;
mod sample;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use prometheus::{IntCounterVec, Opts, Registry};
use tokio::{
    signal::unix::Signal,
    sync::Notify,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

pub use self::{
    policy::{Outcome, PolicyFiles, PolicySource, Summary},
    sample::{examine, look_at},
};
use crate::{
    audit::timestamp,
    crypto::envelope::{Config, EnvelopeKeys, InForce, Look, secrets},
    policy::Ending,
    telemetry::log::Chain,
};

/// What there is to read again, as metrics call it.
const PARTS: [&str; 2] = ["secrets", "policy"];

/// How often numbers are brought up to date that change with time, if files are not looked at more often.
const REFRESH: Duration = Duration::from_secs(5);

/// How often it is told what ends soon.
const DAY: Duration = Duration::from_hours(24);

/// Has the parts that can read again do so.
#[derive(Clone)]
pub struct Reloader {
    secrets: Arc<EnvelopeKeys>,
    config: Config,
    policy: Arc<PolicyFiles>,
    /// 0 for never.
    policy_interval: Duration,
    certificate: Arc<Notify>,
    reloads: IntCounterVec,
}

impl Reloader {
    /// Takes what can be read again.
    pub fn new(
        config: &Config,
        secrets: Arc<EnvelopeKeys>,
        policy: PolicyFiles,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let opts = Opts::new("lazaret_reloads_total", "Files that were read again, by what they hold and by outcome.");
        let reloads = IntCounterVec::new(opts, &["what", "outcome"])?;
        for (what, outcome) in PARTS.into_iter().flat_map(|what| [(what, "ok"), (what, "failed")]) {
            reloads.with_label_values(&[what, outcome]);
        }
        registry.register(Box::new(reloads.clone()))?;
        let (policy_interval, policy) = (policy.source().config().reload_interval, Arc::new(policy));
        let certificate = Arc::default();
        let reloader = Self { secrets, config: config.clone(), policy, policy_interval, certificate, reloads };
        reloader.warn_of_mode();
        reloader.warn_of_endings();
        Ok(reloader)
    }

    /// Notified when the certificate is to be looked at. It tells by itself what came of that.
    pub fn certificate(&self) -> Arc<Notify> {
        Arc::clone(&self.certificate)
    }

    /// The policy's files.
    pub fn policy(&self) -> &Arc<PolicyFiles> {
        &self.policy
    }

    /// Reads everything again, and says line by line what came of it; as an error if something cannot be used.
    pub async fn reload(&self) -> Result<String, String> {
        self.certificate.notify_one();
        let (secrets, policy) = (self.reload_secrets().await, self.reload_policy().await);
        let of_policy = match &policy {
            Outcome::Taken(summary) => format!("policy: {summary}"),
            Outcome::Unchanged(summary) => format!("policy: {summary}, as before"),
            Outcome::Refused(why) => format!("policy: nothing was replaced: {why}"),
        };
        match (secrets, policy) {
            (Ok(secrets), Outcome::Taken(_) | Outcome::Unchanged(_)) => Ok(format!("secrets: {secrets}\n{of_policy}")),
            (secrets, _) => {
                let secrets = secrets.unwrap_or_else(|why| format!("nothing was replaced: {why}"));
                Err(format!("secrets: {secrets}\n{of_policy}"))
            }
        }
    }

    async fn reload_secrets(&self) -> Result<String, String> {
        let look = self.look_at_secrets().await?;
        let InForce { secrets, public_key } = self.tell_of_secrets(&look)?;
        Ok(format!("{secrets}, public key {public_key}"))
    }

    /// Reads the policy again.
    pub async fn reload_policy(&self) -> Outcome {
        let policy = Arc::clone(&self.policy);
        let outcome = tokio::task::spawn_blocking(move || policy.reload()).await;
        let outcome = outcome.unwrap_or_else(|error| Outcome::Refused(format!("it could not be read: {error}")));
        self.tell_of_policy(&outcome);
        outcome
    }

    /// Reads everything again at each of these signals. Does not end.
    pub async fn follow(self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            let _told = self.reload().await;
        }
    }

    /// Looks at files again and again, until `stopped`.
    pub async fn watch(self, stopped: CancellationToken) {
        let looking = async { tokio::join!(self.watch_secrets(), self.watch_policy(), self.watch_time()) };
        stopped.run_until_cancelled(looking).await;
    }

    async fn watch_secrets(&self) {
        let mut ticks = ticks(self.config.reload_interval);
        loop {
            ticks.tick().await;
            if let Ok(look) = self.look_at_secrets().await
                && look.changed
            {
                let _told = self.tell_of_secrets(&look);
            }
        }
    }

    async fn watch_policy(&self) {
        if self.policy_interval.is_zero() {
            return;
        }
        let mut ticks = ticks(self.policy_interval);
        loop {
            ticks.tick().await;
            let policy = Arc::clone(&self.policy);
            match tokio::task::spawn_blocking(move || policy.look()).await {
                Ok(Some(outcome)) => self.tell_of_policy(&outcome),
                Ok(None) => (),
                Err(error) => tracing::error!(%error, "the policy's files cannot be looked at"),
            }
        }
    }

    /// What ends does so without anyone touching a file.
    async fn watch_time(&self) {
        let (mut ticks, mut warned) = (ticks(REFRESH), Instant::now());
        loop {
            ticks.tick().await;
            self.policy.in_force().refresh(self.policy.clock().now());
            if warned.elapsed() >= DAY {
                warned = Instant::now();
                self.warn_of_endings();
            }
        }
    }

    async fn look_at_secrets(&self) -> Result<Look, String> {
        let secrets = Arc::clone(&self.secrets);
        let look = tokio::task::spawn_blocking(move || secrets.look()).await;
        look.map_err(|error| {
            tracing::error!(%error, "the request secret cannot be looked at");
            "the request secret cannot be looked at".to_owned()
        })
    }

    fn tell_of_secrets(&self, look: &Look) -> Result<InForce, String> {
        match &look.outcome {
            Ok(in_force) => {
                self.count("secrets", "ok");
                let InForce { secrets, public_key } = in_force;
                tracing::info!(changed = look.changed, secrets, public_key, "request secrets read again");
                self.warn_of_mode();
                Ok(in_force.clone())
            }
            Err(error) => {
                self.count("secrets", "failed");
                let error = Chain(error).to_string();
                tracing::error!(error, "the request secrets are not usable; those from before stay in force");
                Err(error)
            }
        }
    }

    fn tell_of_policy(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Taken(summary) => {
                self.count("policy", "ok");
                tracing::info!(%summary, "the policy was read again and is in force");
                self.tell_notes();
                self.warn_of_endings();
            }
            Outcome::Unchanged(summary) => {
                self.count("policy", "ok");
                tracing::info!(%summary, "the policy was read again; nothing has changed");
            }
            Outcome::Refused(why) => {
                self.count("policy", "failed");
                tracing::error!("the policy is not usable; the one from before stays in force: {why}");
            }
        }
    }

    fn count(&self, what: &str, outcome: &str) {
        self.reloads.with_label_values(&[what, outcome]).inc();
    }

    fn warn_of_mode(&self) {
        if let Some(problem) = secrets::exposed(&self.config.request_secret_path) {
            tracing::warn!("{problem}");
        }
    }

    /// Logs what works in the policy but probably not as meant.
    pub fn tell_notes(&self) {
        for note in &self.policy.in_force().current().origin().notes {
            tracing::warn!("policy: {note}");
        }
    }

    fn warn_of_endings(&self) {
        let now = self.policy.clock().now();
        for ending in self.policy.in_force().current().rules().endings(now) {
            tracing::warn!("policy: {}", said_of(&ending, now));
        }
    }
}

/// That it ends, in words.
pub fn said_of(ending: &Ending, now: SystemTime) -> String {
    let Ending { what, id, at, is_over } = ending;
    match is_over {
        true => format!("{what} `{id}` ended at {} and does not act any more; remove it", timestamp(*at)),
        false => {
            let hours = at.duration_since(now).unwrap_or_default().as_secs() / 3600;
            format!("{what} `{id}` ends at {}, in {} days and {} hours", timestamp(*at), hours / 24, hours % 24)
        }
    }
}

/// What is there now was just read, so the first comes after a while.
fn ticks(every: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

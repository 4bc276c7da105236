//! Looking at a clamd: version, canaries, threads, signature files.

use std::{io, sync::Arc, sync::atomic::AtomicBool, time::Duration};

use tokio::time::timeout;

use super::{
    address::Address,
    backend::Backend,
    canary::Canary,
    config::Conformance,
    conformance::broken_promises,
    conn::{self, ConnError, Route},
    database::Step,
    health::{Health, NOT_CONFORMING, WRONG},
    protocol::{Command, Said, Stats, Version},
    slots::{Class, Wish},
};
use crate::{
    plaintext::Plaintext,
    spool::Spool,
    verdict::{Heuristics, Verdict},
};

/// Slots where neither clamd nor the configuration says how many.
const FEW_SLOTS: usize = 4;

/// STATS needs a free worker, which others may have taken. It is a gauge and not worth waiting for.
const STATS_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a clamd is not believed.
pub(super) struct Fault {
    reason: &'static str,
    why: String,
}

impl From<ConnError> for Fault {
    fn from(error: ConnError) -> Self {
        Self { reason: error.name(), why: error.to_string() }
    }
}

fn fault(reason: &'static str, why: impl Into<String>) -> Fault {
    Fault { reason, why: why.into() }
}

/// Why canaries did not pass.
enum Failure {
    /// It gave no verdict on what it was handed; it may on what is streamed to it.
    Refused(Fault),
    /// It gave a wrong verdict, or could not be asked at all.
    Broken(Fault),
}

impl Failure {
    fn into_fault(self) -> Fault {
        match self {
            Self::Refused(fault) | Self::Broken(fault) => fault,
        }
    }
}

impl Backend {
    /// Puts it through its canaries and acts on the outcome.
    pub(super) async fn probe(&self) {
        let limit = self.common.config.probe_timeout;
        let slot = timeout(limit, self.common.slots.take(Class::Probe, Wish::Only(self.index))).await;
        let Ok(Ok(_slot)) = slot else { return self.found_busy() };
        let ejections = self.state().begin_round();
        let outcome = timeout(limit, self.examine()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(fault("timeout", format!("no answer within {limit:?}"))));
        self.common.metrics.round(&self.name, if outcome.is_ok() { "passed" } else { "failed" });
        match outcome {
            Ok((health, stats)) => {
                self.admit(health, self.slots(stats), stats.and_then(|stats| stats.queued), ejections);
            }
            Err(Fault { reason, why }) => self.eject(reason, &why),
        }
    }

    /// It works on scans of ours, which have deadlines of their own; but not if all of them were given up.
    fn found_busy(&self) {
        let (taken, orphans) = (self.common.slots.taken(self.index), self.common.metrics.orphans(&self.name));
        if taken > 0 && orphans >= taken {
            self.eject("stuck", &"all its threads work on scans that were given up");
        }
    }

    async fn examine(&self) -> Result<(Health, Option<Stats>), Fault> {
        let stats = timeout(STATS_TIMEOUT, conn::ask(&self.address, Command::Stats)).await;
        let stats = match stats {
            Ok(Ok(Said::Stats(stats))) => Some(stats),
            _ => None,
        };
        let was_out = self.health().is_none();
        let (version, route, named) = self.steady_canaries().await?;
        let broken = broken_promises(self.common.relied, named);
        match self.common.config.conformance {
            Conformance::Enforce if !broken.is_empty() => return Err(fault(NOT_CONFORMING, broken.join("; "))),
            Conformance::Enforce | Conformance::Warn => (),
        }
        let fingerprint = self.database().map_or_else(String::new, |watch| watch.text().to_owned());
        let settings = self.look_at_settings(was_out).await;
        Ok((Health { version, route, named, fingerprint, settings }, stats))
    }

    /// What is configured of it, if that can be seen from here.
    async fn look_at_settings(&self, was_out: bool) -> Option<String> {
        let look = self.settings()?.look();
        let seen = tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        let mut settings = self.settings()?;
        if let Some(error) = settings.seen(seen, was_out) {
            tracing::warn!(backend = self.name, %error, "config_file cannot be read");
        }
        Some(settings.text())
    }

    /// What passes is the engine that was there all the while: signatures that change meanwhile take canaries of their own.
    async fn steady_canaries(&self) -> Result<(Version, Route, Heuristics), Fault> {
        let mut before = self.plausible_version().await?;
        loop {
            let (route, named) = self.canaries().await?;
            let after = self.plausible_version().await?;
            if after == before {
                return Ok((after, route, named));
            }
            before = after;
        }
    }

    async fn plausible_version(&self) -> Result<Version, Fault> {
        let version = self.control.version().await?;
        let highest = self.state().highest;
        version.implausible(highest).map_or(Ok(version), |why| Err(fault("version", why)))
    }

    /// As many as the operator says, but no more than it has threads.
    fn slots(&self, stats: Option<Stats>) -> usize {
        let configured = self.common.config.max_scans.map(std::num::NonZeroUsize::get);
        let threads = stats.and_then(|stats| stats.max_threads).filter(|threads| *threads > 0);
        let known = Some(self.common.slots.max(self.index)).filter(|slots| *slots > 0);
        match (configured, threads) {
            (Some(configured), Some(threads)) => configured.min(threads),
            (configured, threads) => threads.or(known).or(configured).unwrap_or(FEW_SLOTS),
        }
    }

    /// By descriptor where it can be, from memory and from the spool directory; else by stream. A security module may
    /// forbid the former: Debian's `AppArmor` profile lets clamd read some directories only. A stream is needed beside
    /// descriptors, too, for what memory has no room for.
    async fn canaries(&self) -> Result<(Route, Heuristics), Fault> {
        let handed = match self.address {
            Address::Unix(_) => self.hand_over().await,
            Address::Tcp(_) => Err(Failure::Refused(fault("error", "not on this machine"))),
        };
        let in_memory = |bytes: &[u8]| Ok(Spool::of(bytes));
        match handed {
            Ok(named) => match self.round(Route::STREAM, &[Canary::Clean, Canary::Eicar], in_memory).await {
                Ok(_) => Ok((Route::BOTH, named)),
                Err(Failure::Refused(_)) => Ok((Route::DESCRIPTORS, named)),
                Err(Failure::Broken(fault)) => Err(fault),
            },
            Err(Failure::Refused(fault)) => {
                tracing::debug!(backend = self.name, why = fault.why, "no descriptors");
                let named = self.round(Route::STREAM, &Canary::ALL, in_memory).await.map_err(Failure::into_fault)?;
                Ok((Route::STREAM, named))
            }
            Err(Failure::Broken(fault)) => Err(fault),
        }
    }

    async fn hand_over(&self) -> Result<Heuristics, Failure> {
        let named = self.round(Route::DESCRIPTORS, &Canary::ALL, |bytes| Ok(Spool::of(bytes))).await?;
        let on_disk = |bytes: &[u8]| self.common.spooler.specimen_on_disk(bytes);
        self.round(Route::DESCRIPTORS, &[Canary::Clean, Canary::Eicar], on_disk).await?;
        Ok(named)
    }

    async fn round(
        &self,
        route: Route,
        canaries: &[Canary],
        hold: impl Fn(&[u8]) -> io::Result<Spool> + Send,
    ) -> Result<Heuristics, Failure> {
        let mut named = Heuristics::default();
        for canary in canaries {
            let specimen = hold(&canary.bytes());
            let spool = specimen.map_err(|error| Failure::Broken(fault("spool", format!("spool.dir: {error}"))))?;
            let verdict = self.verdict(route, spool).await?;
            canary.note(&verdict, &mut named);
            let is_clean = matches!(verdict, Verdict::Clean(_));
            self.common.metrics.canary(&self.name, *canary, is_clean == (*canary == Canary::Clean));
            if !canary.allows(&verdict) {
                let why = format!("the {} canary was called {}", canary.name(), verdict.name());
                return Err(Failure::Broken(fault(WRONG, why)));
            }
        }
        Ok(named)
    }

    async fn verdict(&self, route: Route, spool: Spool) -> Result<Verdict, Failure> {
        let plaintext = Plaintext::Held(Arc::new(spool));
        match conn::scan(&self.address, route, &plaintext, &AtomicBool::new(false)).await {
            Ok(Said::Verdict(verdict)) => Ok(verdict),
            Ok(Said::Trouble(trouble)) => Err(Failure::Refused(fault("error", trouble.text))),
            Ok(other) => Err(Failure::Broken(fault("protocol", format!("{other:?}")))),
            Err(error @ (ConnError::Protocol(_) | ConnError::Lost(_))) => Err(Failure::Refused(error.into())),
            Err(error) => Err(Failure::Broken(error.into())),
        }
    }

    /// A look at its signature files, if there was none: where nothing has changed for long, verdicts of before count at once.
    pub(super) async fn look_at_files_first(&self) {
        let is_new = self.database().is_some_and(|watch| watch.is_new());
        if is_new {
            self.look_at_files().await;
        }
    }

    /// Looks for signatures that its version does not show, and has it load them. To be called after canaries passed.
    pub(super) async fn look_at_files(&self) {
        let look = self.database().and_then(|mut watch| watch.look());
        let Some(look) = look else { return };
        // A directory on a dead network mount must not keep the canaries waiting.
        let seen = timeout(self.common.config.probe_timeout, tokio::task::spawn_blocking(look)).await;
        let step = match seen {
            Ok(Ok(Ok(seen))) => self.database().map(|mut watch| watch.seen(seen)),
            Ok(Ok(Err(error))) => {
                tracing::warn!(backend = self.name, %error, "database_dir cannot be read");
                None
            }
            Ok(Err(_)) | Err(_) => None,
        };
        match step {
            Some(Step::Reload) => self.reload().await,
            Some(Step::Adopted) => self.trouble.notify_one(),
            Some(Step::Rest) | None => (),
        }
    }

    async fn reload(&self) {
        let asked = timeout(self.common.config.probe_timeout, conn::ask(&self.address, Command::Reload)).await;
        match asked {
            Ok(Ok(Said::Reloading)) => {
                tracing::info!(backend = self.name, "signature files changed; clamd reloads");
                if let Some(mut watch) = self.database() {
                    watch.acknowledged();
                }
            }
            other => tracing::debug!(backend = self.name, answer = ?other, "clamd does not reload when it is told to"),
        }
    }
}

//! A program that is run for each medium, by the contract of the Matrix Content Scanner's script: the path is its last
//! argument, exit code 0 means clean, others mean infected.
//!
//! Unlike there, a run ends in time and takes all that it started with it, media lie in memory, and what means "could not
//! scan" is never "infected": the codes that the configuration names, codes of shells and crashes, and whatever is not
//! an exit code.

mod config;
mod place;
mod run;

use std::{
    os::unix::fs::MetadataExt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

pub use self::{config::Config, place::PlaceError};
use self::{
    place::Place,
    run::{Ended, first_line, run},
};
use super::{
    Engine, EngineError, FULL_BLAME, Scan, Tally,
    freshness::Freshness,
    proof::{Fault, Proof, tell_apart},
};
use crate::{
    facts::Facts,
    limits,
    plaintext::Plaintext,
    spool::Spooler,
    verdict::{Clean, Currency, Detection, Epoch, Verdict},
};

/// The first of the exit codes by which shells say that a program could not be run, or was killed.
const FROM_SHELLS: u8 = 126;

/// Longest run of `version_command`.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Proves that the directory and the programs that the settings name are there. Programs without a path are looked for when
/// they are run.
pub fn check(config: &Config, limits: &limits::Config) -> anyhow::Result<()> {
    place::check(&config.dir, limits.max_media_bytes.as_u64())?;
    let programs = [&config.command, &config.version_command].into_iter().filter_map(|command| command.first());
    for program in programs.filter(|program| program.contains('/')) {
        let found = std::fs::metadata(program).with_context(|| format!("cannot run {program}"))?;
        anyhow::ensure!(found.is_file() && found.mode() & 0o111 != 0, "cannot run {program}: it is not executable");
    }
    Ok(())
}

/// Runs a program for each medium.
pub struct Exec {
    config: Config,
    place: Place,
    spooler: Arc<Spooler>,
    processes: Semaphore,
    proof: Proof,
}

impl Exec {
    /// Prepares its directory; nothing is run yet.
    pub fn new(
        config: &Config,
        limits: &limits::Config,
        spooler: &Arc<Spooler>,
        tally: &Tally,
    ) -> Result<Self, PlaceError> {
        let settings = format!("{:?} {:?}", config.command, config.unavailable_exit_codes);
        let freshness = Freshness::new("exec", &settings, config.max_age);
        Ok(Self {
            place: Place::open(&config.dir, limits.max_media_bytes.as_u64())?,
            spooler: Arc::clone(spooler),
            processes: Semaphore::new(config.max_processes.get()),
            // Its arguments may be secrets.
            proof: Proof::new(&config.name, config.command.first().cloned().unwrap_or_default(), freshness, tally),
            config: config.clone(),
        })
    }

    /// Waits for its turn and runs the program.
    async fn ask(&self, plaintext: &Plaintext, deadline: Instant) -> Result<Verdict, EngineError> {
        let until = deadline.min(Instant::now() + self.config.queue_timeout);
        let permit = timeout_at(until, self.processes.acquire()).await;
        let _place = permit.map_err(|_| EngineError::Busy)?.expect("never closed");
        let mut charge = self.spooler.charge();
        if !charge.grow(plaintext.len()) {
            return Err(EngineError::Busy);
        }
        self.run(plaintext, deadline).await
    }

    /// To be called with a place in hand, or for specimens, which must not wait for scans.
    async fn run(&self, plaintext: &Plaintext, deadline: Instant) -> Result<Verdict, EngineError> {
        let held = self.place.hold(plaintext).await.map_err(|error| self.proof.failed(&error, 0))?;
        let own = Instant::now() + self.config.timeout;
        match timeout_at(deadline.min(own), run(&self.config.command, held.path(), held.dir())).await {
            // Tools have been seen to say that nothing was found where they had no room to unpack it.
            Ok(Ok(Ended::Code(0))) if !held.has_room() => Err(self.proof.failed(&"no room is left in dir", 0)),
            Ok(Ok(ended)) => self.verdict(ended),
            Ok(Err(error)) => Err(self.proof.failed(&error, 0)),
            // A program that had all its time and knows what to say of specimens may have met its match.
            Err(_) => Err(EngineError::Timeout { blame: if own <= deadline { FULL_BLAME } else { 0 } }),
        }
    }

    /// What an end means. Zero, and nothing else, is clean.
    fn verdict(&self, ended: Ended) -> Result<Verdict, EngineError> {
        match ended {
            #[expect(
                clippy::disallowed_methods,
                reason = "the exact form in which a program says that it found nothing"
            )]
            Ended::Code(0) => Ok(Verdict::Clean(Clean::attest())),
            Ended::Code(code) if code >= FROM_SHELLS || self.config.unavailable_exit_codes.contains(&code) => {
                Err(self.proof.failed(&format_args!("exit code {code}"), 0))
            }
            Ended::Code(code) => Ok(Verdict::Infected { detection: Detection(format!("exit code {code}")) }),
            Ended::Otherwise => Err(self.proof.failed(&"killed by a signal", 0)),
        }
    }

    async fn look(&self) -> Result<(), Fault> {
        let version = match self.config.version_command.as_slice() {
            [] => String::new(),
            command => first_line(command, VERSION_TIMEOUT)
                .await
                .map_err(|error| Fault::Broken(format!("version_command: {error}")))?,
        };
        if self.config.canaries {
            let limit = self.config.timeout;
            tell_apart(|specimen| async move { self.run(&specimen, Instant::now() + limit).await }.boxed()).await?;
        }
        if self.proof.freshness.note(&version) {
            tracing::info!(engine = self.proof.name(), version, "signatures in use");
        }
        Ok(())
    }
}

impl Engine for Exec {
    fn scan<'a>(
        &'a self,
        plaintext: &'a Plaintext,
        _facts: &'a Facts,
        _needed: &'a [Arc<str>],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>> {
        self.proof.judge(plaintext.len(), self.ask(plaintext, deadline)).boxed()
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
        self.config.max_processes.get()
    }

    fn bump(&self, least: u64) -> u64 {
        self.proof.bump(least)
    }

    fn ready(&self) -> Result<(), String> {
        self.proof.ready()
    }

    fn watch(&self, stop: CancellationToken) -> BoxFuture<'_, ()> {
        let limit = 2 * self.config.timeout + VERSION_TIMEOUT;
        self.proof.watch((self.config.probe_interval, limit), stop, || self.look().boxed()).boxed()
    }
}

#[cfg(test)]
mod tests;

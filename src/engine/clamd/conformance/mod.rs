//! What a clamd really does, next to what we need of it.
//!
//! clamd has no command that shows its settings, says OK to what it gave up on unless told otherwise, and answers PING
//! when it can no longer scan. So it is asked for verdicts on specimens, told of sizes that it must accept or refuse, and
//! its `clamd.conf` is read where it can be found. What was measured wins over what is written.
//!
//! ```text
//! measure (asks clamd) ─┐
//!                       ├─► Observations ─► assess (pure) ─► Report
//! settings (clamd.conf) ┘
//! ```
//!
//! ```no_run
//! # async fn example(config: &lazaret::engine::clamd::Config, limits: &lazaret::limits::Config) {
//! use lazaret::engine::clamd::conformance::{self, Depth, Needs};
//!
//! let needs = Needs::new(config, limits);
//! for backend in &config.backends {
//!     let report = conformance::examine(backend, &needs, Depth::Full).await;
//!     for gap in report.gaps() {
//!         eprintln!("{}: {}", report.backend, gap.says);
//!     }
//! }
//! # }
//! ```

mod assess;
mod check;
mod find;
mod measure;
mod promise;
mod settings;
mod specimen;
mod stream;

use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Serialize;

pub use self::check::Check;
pub(super) use self::promise::broken_promises;
use super::config::{BackendConfig, Config};
use crate::{limits, spool::Spooler};

/// What is known of one clamd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Its address.
    pub backend: String,
    /// Its reply to VERSION; `None` if it gave none.
    pub version: Option<String>,
    /// One entry for each check that could be made or should have been.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The outcome of one check, if it was made.
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }

    /// What is not as it should be.
    pub fn gaps(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.state == State::Gap)
    }

    /// True unless something is missing that the default policy relies on.
    pub fn passes(&self) -> bool {
        !self.gaps().any(|gap| gap.check.is_essential())
    }
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How it is.
    pub state: State,
    /// What is so, in a sentence.
    pub says: String,
    /// What to change: a line for `clamd.conf`, or what to do.
    pub fix: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Gap,
    /// It could not be seen.
    Unknown,
}

/// What we need of a clamd.
#[derive(Clone, Debug)]
pub struct Needs {
    max_media_bytes: u64,
    /// What is left of `clamd.scan_timeout` after the longest wait for a slot.
    scan_timeout: Duration,
    /// `None` if as many as clamd has threads.
    max_scans: Option<usize>,
    /// For each question, a scan of a specimen among them.
    patience: Duration,
    spooler: Option<Arc<Spooler>>,
}

impl Needs {
    /// What these settings need.
    pub fn new(clamd: &Config, limits: &limits::Config) -> Self {
        Self {
            max_media_bytes: limits.max_media_bytes.as_u64(),
            scan_timeout: clamd.scan_timeout.saturating_sub(clamd.queue_timeout),
            max_scans: clamd.max_scans.map(NonZeroUsize::get),
            patience: clamd.probe_timeout,
            spooler: None,
        }
    }

    /// Also wants files of this spool to be read by descriptor.
    #[must_use]
    pub fn with_spooler(self, spooler: Arc<Spooler>) -> Self {
        Self { spooler: Some(spooler), ..self }
    }
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether each need is met.
    Quick,
    /// Also what the limits are that do not meet it, by a few dozen questions, each of which clamd logs.
    Full,
}

/// Asks a clamd all there is to ask. One that does not answer gets a report, too.
pub async fn examine(backend: &BackendConfig, needs: &Needs, depth: Depth) -> Report {
    let observed = measure::observe(backend, needs, depth).await;
    let backend = backend.address.to_string();
    match observed {
        Ok(observations) => {
            let findings = assess::assess(&observations, needs, SystemTime::now());
            Report { backend, version: Some(observations.version.text), findings }
        }
        Err(why) => {
            let fix = "start clamd, or correct clamd.backends";
            let gap = Check::Reachable.gap(format!("clamd cannot be reached: {why}"), fix);
            Report { backend, version: None, findings: vec![gap] }
        }
    }
}

//! One entry of `engines.exec` in the configuration.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::engine::Role;

/// A program that is run for each medium, as the Matrix Content Scanner runs its script.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name in metrics, logs and verdicts: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// The program and its arguments; the path of the medium comes last.
    pub command: Vec<String>,
    /// Whether nothing passes without it.
    #[serde(default)]
    pub role: Role,
    /// Exit codes that mean that it could not scan. Besides, 126 and up mean so, being those of shells and of crashes.
    #[serde(default)]
    pub unavailable_exit_codes: Vec<u8>,
    /// A program whose first line of output names the signatures in use: another one makes verdicts outdated.
    #[serde(default)]
    pub version_command: Vec<String>,
    /// How long a verdict counts, since signatures may change without anyone seeing it.
    #[serde(default = "Config::default_max_age", with = "humantime_serde")]
    pub max_age: Duration,
    /// Longest run, after which the program and all that it started are killed.
    #[serde(default = "Config::default_timeout", with = "humantime_serde")]
    pub timeout: Duration,
    /// Longest wait for a free place among `max_processes`.
    #[serde(default = "Config::default_queue_timeout", with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// Runs at a time.
    #[serde(default = "Config::default_max_processes")]
    pub max_processes: NonZeroUsize,
    /// A directory on a memory file system, where media are while they are scanned.
    #[serde(default = "Config::default_dir")]
    pub dir: PathBuf,
    /// Whether it must tell a harmless text from the EICAR test file to be believed.
    #[serde(default = "Config::default_canaries")]
    pub canaries: bool,
    /// Time between two rounds of canaries.
    #[serde(default = "Config::default_probe_interval", with = "humantime_serde")]
    pub probe_interval: Duration,
}

impl Config {
    fn default_max_age() -> Duration {
        Duration::from_hours(1)
    }

    fn default_timeout() -> Duration {
        Duration::from_mins(1)
    }

    fn default_queue_timeout() -> Duration {
        Duration::from_secs(10)
    }

    fn default_max_processes() -> NonZeroUsize {
        NonZeroUsize::new(4).expect("not zero")
    }

    fn default_dir() -> PathBuf {
        "/dev/shm".into()
    }

    fn default_canaries() -> bool {
        true
    }

    fn default_probe_interval() -> Duration {
        Duration::from_secs(30)
    }

    /// What is well-formed and still cannot work.
    pub(in crate::engine) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, problem: &str| {
            if !holds {
                problems.push(format!("engines.exec `{}`: {problem}", self.name));
            }
        };
        expect(!self.command.is_empty(), "command is empty");
        let permits = tokio::sync::Semaphore::MAX_PERMITS;
        expect(self.max_processes.get() <= permits, "max_processes is larger than can be counted");
        expect(!self.unavailable_exit_codes.contains(&0), "unavailable_exit_codes has 0; nothing could be clean");
        expect(!self.timeout.is_zero(), "timeout is 0; every scan would fail");
        expect(!self.max_age.is_zero(), "max_age is 0; every request would be a scan");
        expect(!self.probe_interval.is_zero(), "probe_interval is 0; it would do nothing but canaries");
        problems
    }
}

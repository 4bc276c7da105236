//! `clamd` section of the configuration.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::Deserialize;

use super::address::Address;
use crate::engine::Role;

/// `clamd` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The clamds; none if only other engines are to be asked. A scan goes to the one with the fewest under way, the first
    /// among equals.
    pub backends: Vec<BackendConfig>,
    /// Scans at a time on each backend. Unset: its `MaxThreads`, which is also the most that makes sense, since clamd has
    /// no answer for "busy". Set it where others use the same clamd.
    pub max_scans: Option<NonZeroUsize>,
    /// Scans of a class, small or large, that may wait for a slot; one more is refused at once.
    pub max_waiting: usize,
    /// Media above this size, and archives and documents of any size, get at most half of the slots.
    pub large_above: ByteSize,
    /// Longest wait for a slot before the client is asked to come again.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// Longest scan, waiting included. Keep it above clamd's `MaxScanTime` (120 s by default) and `queue_timeout` together,
    /// so that clamd gives up first and says so.
    #[serde(with = "humantime_serde")]
    pub scan_timeout: Duration,
    /// clamd goes on with a scan that was given up. Its slot stays taken until it is done, but no longer than this.
    #[serde(with = "humantime_serde")]
    pub orphan_timeout: Duration,
    /// Time between two rounds of canaries.
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    /// Longest round of canaries before the backend counts as down.
    #[serde(with = "humantime_serde")]
    pub probe_timeout: Duration,
    /// Longest wait between two attempts to bring a backend back.
    #[serde(with = "humantime_serde")]
    pub max_backoff: Duration,
    /// Time after which clamd has certainly loaded signatures that it was told to load.
    #[serde(with = "humantime_serde")]
    pub reload_settle: Duration,
    /// What to do with a clamd that keeps silent about what the policy relies on.
    pub conformance: Conformance,
    /// How much clamd counts beside other engines.
    pub role: Role,
}

/// One entry of `clamd.backends`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// `unix:/path` or `tcp:host:port`. One clamd: behind an address that leads to several, what one proved would be
    /// believed of another.
    pub address: Address,
    /// Its `DatabaseDirectory`, if it can be read from here. Signatures of third parties do not show in clamd's version;
    /// their files do.
    #[serde(default)]
    pub database_dir: Option<PathBuf>,
    /// Its `clamd.conf`, if it can be read from here: verdicts that were given with other settings do not count. `lazaret doctor` looks for it by itself on the same machine.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
}

/// How strictly a clamd is held to what the policy relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conformance {
    /// It is not used; if no clamd will do, the process does not start.
    Enforce,
    /// It is used, with a warning. What it keeps silent about passes as clean.
    Warn,
}

impl BackendConfig {
    /// A backend of which only the address is known.
    pub fn at(address: Address) -> Self {
        Self { address, database_dir: None, config_file: None }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backends: vec![BackendConfig::at(Address::Unix("/run/clamav/clamd.ctl".into()))],
            max_scans: None,
            max_waiting: 256,
            large_above: ByteSize::mib(8),
            queue_timeout: Duration::from_secs(10),
            scan_timeout: Duration::from_secs(150),
            orphan_timeout: Duration::from_mins(5),
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(20),
            max_backoff: Duration::from_secs(15),
            reload_settle: Duration::from_mins(3),
            conformance: Conformance::Enforce,
            role: Role::Required,
        }
    }
}

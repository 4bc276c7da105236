//! `cache` section of the configuration.

use std::{num::NonZeroU64, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::Deserialize;

use super::RedisStore;

/// `cache` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where verdicts are kept.
    pub store: StoreKind,
    /// File of the `disk` store; made at the first start.
    pub path: PathBuf,
    /// Secret that names what is kept; made at the first start. All who share a store need the same. The `memory` store
    /// goes without.
    pub secret_path: PathBuf,
    /// Memory for verdicts, in bytes: of the `memory` store, or of what lies in front of another one.
    pub max_bytes: ByteSize,
    /// Longest life of a verdict, whatever its epoch.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// Longest wait for a store other than `memory`. Who takes longer has nothing.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The `disk` store.
    pub disk: DiskConfig,
    /// The `redis` store.
    pub redis: RedisConfig,
}

/// The stores that `cache.store` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In this process, gone when it ends.
    Memory,
    /// In a file of this process.
    Disk,
    /// In Redis or Valkey, shared by several processes.
    Redis,
}

/// `cache.disk` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// Largest size of the file, in bytes. The oldest entries make room.
    pub max_bytes: ByteSize,
    /// Most entries. The oldest make room.
    pub max_entries: NonZeroU64,
    /// What is done with a file that cannot be read.
    pub on_corruption: OnCorruption,
}

/// `cache.disk.on_corruption` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCorruption {
    /// Set it aside, say so, and begin with an empty one.
    StartEmpty,
    /// Do not start.
    Fail,
}

/// `cache.redis` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// How the servers stand to each other.
    pub mode: RedisMode,
    /// Address of the server, of a sentinel, or of a node of the cluster. `rediss://` and `valkeys://` speak TLS.
    pub url: String,
    /// Addresses of further sentinels, or of further nodes of the cluster.
    pub nodes: Vec<String>,
    /// Name of the master that the sentinels watch.
    pub master: String,
    /// User of the servers, if it is not the default one. Sentinels are asked as the default one.
    pub username: Option<String>,
    /// File whose first line is the password. It is read at each connection.
    pub password_file: Option<PathBuf>,
    /// The same for the sentinels, if they want one.
    pub sentinel_password_file: Option<PathBuf>,
    /// Certificates to trust in place of the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// What all keys begin with.
    pub prefix: String,
    /// Longest time for which this process goes on with what it has read, without looking whether another one knows better.
    #[serde(with = "humantime_serde")]
    pub recheck: Duration,
}

/// `cache.redis.mode` of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisMode {
    /// One server.
    Standalone,
    /// A master that sentinels name.
    Sentinel,
    /// A cluster.
    Cluster,
}

impl DiskConfig {
    /// Smallest file that is of any use.
    const LEAST: ByteSize = ByteSize::mib(4);
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            max_bytes: ByteSize::gib(4),
            max_entries: NonZeroU64::new(10_000_000).expect("not zero"),
            on_corruption: OnCorruption::StartEmpty,
        }
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            mode: RedisMode::Standalone,
            url: "redis://127.0.0.1:6379".to_owned(),
            nodes: Vec::new(),
            master: "mymaster".to_owned(),
            username: None,
            password_file: None,
            sentinel_password_file: None,
            ca_file: None,
            prefix: "lazaret".to_owned(),
            recheck: Duration::from_secs(10),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: StoreKind::Disk,
            path: "/var/lib/lazaret/verdicts".into(),
            secret_path: "/var/lib/lazaret/cache_secret".into(),
            max_bytes: ByteSize::mib(32),
            ttl: Duration::from_hours(168),
            timeout: Duration::from_millis(250),
            disk: DiskConfig::default(),
            redis: RedisConfig::default(),
        }
    }
}

impl Config {
    /// What is well-formed and still cannot work.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        expect(!self.timeout.is_zero(), "cache.timeout is 0; no store could answer");
        expect(
            self.disk.max_bytes >= DiskConfig::LEAST,
            "cache.disk.max_bytes is below 4 MiB; little would fit into the file",
        );
        expect(self.path.file_name().is_some(), "cache.path names no file");
        expect(self.path != self.secret_path, "cache.path and cache.secret_path are the same file");
        if self.store == StoreKind::Redis {
            problems.extend(RedisStore::problem(&self.redis));
        }
        problems
    }
}

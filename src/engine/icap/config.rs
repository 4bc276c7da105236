//! One entry of `engines.icap`.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::Deserialize;

use super::{address::Address, specimens::SMALLEST};
use crate::engine::Role;

/// An antivirus server that speaks ICAP.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name in metrics, logs and verdicts: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// `icap://host:port/service`, or `icaps://…` for TLS. One server: behind an address that leads to several, what one
    /// proved would be believed of another.
    pub url: Address,
    /// PEM file with the authorities to trust for `icaps://`; those of the system if unset.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// As what a medium is shown to the server.
    #[serde(default)]
    pub method: Method,
    /// Whether nothing passes without it.
    #[serde(default)]
    pub role: Role,
    /// Begin with a part of the medium if the server asks for that: one that does not look into media of some type says so
    /// then.
    #[serde(default = "Config::default_preview")]
    pub preview: bool,
    /// Largest medium that the server looks into in full, which is tried; larger ones are not sent, and never clean.
    /// `limits.max_media_bytes` if unset.
    #[serde(default)]
    pub max_bytes: Option<ByteSize>,
    /// Scans at a time; fewer if the server's `Max-Connections` allows fewer.
    #[serde(default = "Config::default_max_connections")]
    pub max_connections: NonZeroUsize,
    /// Longest scan.
    #[serde(default = "Config::default_timeout", with = "humantime_serde")]
    pub timeout: Duration,
    /// Longest wait for a free place among `max_connections`.
    #[serde(default = "Config::default_queue_timeout", with = "humantime_serde")]
    pub queue_timeout: Duration,
    /// How long a verdict counts even if the server's `ISTag` stays: some servers never change it.
    #[serde(default = "Config::default_max_age", with = "humantime_serde")]
    pub max_age: Duration,
    /// Whether it must tell a harmless text from the EICAR test file to be believed, and find that file at the end of the
    /// largest medium.
    #[serde(default = "Config::default_canaries")]
    pub canaries: bool,
    /// Time between two rounds of canaries.
    #[serde(default = "Config::default_probe_interval", with = "humantime_serde")]
    pub probe_interval: Duration,
}

/// As what a medium is shown to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// As an answer that a client is about to get.
    #[default]
    Respmod,
    /// As something that a client is about to send.
    Reqmod,
}

impl Method {
    /// The method as it is sent.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Respmod => "RESPMOD",
            Self::Reqmod => "REQMOD",
        }
    }
}

impl Config {
    fn default_preview() -> bool {
        true
    }

    fn default_max_connections() -> NonZeroUsize {
        NonZeroUsize::new(8).expect("not zero")
    }

    fn default_timeout() -> Duration {
        Duration::from_mins(1)
    }

    fn default_queue_timeout() -> Duration {
        Duration::from_secs(10)
    }

    fn default_max_age() -> Duration {
        Duration::from_hours(24)
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
                problems.push(format!("engines.icap `{}`: {problem}", self.name));
            }
        };
        let permits = tokio::sync::Semaphore::MAX_PERMITS;
        expect(self.max_connections.get() <= permits, "max_connections is larger than can be counted");
        expect(self.max_bytes.is_none_or(|bytes| bytes.as_u64() >= SMALLEST), "max_bytes is less than 1KiB");
        expect(self.ca_file.is_none() || self.url.tls, "ca_file is for icaps:// only");
        expect(!self.timeout.is_zero(), "timeout is 0; every scan would fail");
        expect(!self.max_age.is_zero(), "max_age is 0; every request would be a scan");
        expect(!self.probe_interval.is_zero(), "probe_interval is 0; it would do nothing but canaries");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &str) -> Result<Config, serde_yaml::Error> {
        serde_yaml::from_str(&format!("{{name: a, url: 'icap://s/x'{settings}}}"))
    }

    #[test]
    fn name_and_address_are_enough() {
        let config = config("").unwrap();
        assert_eq!(
            (config.method, config.role, config.preview, config.canaries),
            (Method::Respmod, Role::Required, true, true)
        );
        assert!(config.problems().is_empty());
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (settings, words) in [
            (", max_bytes: 1000B", "max_bytes"),
            (", ca_file: /ca.pem", "ca_file"),
            (", timeout: 0s", "timeout is 0"),
            (", max_age: 0s", "max_age is 0"),
            (", probe_interval: 0s", "probe_interval is 0"),
        ] {
            let problems = config(settings).unwrap().problems().join("\n");
            assert!(problems.contains("engines.icap `a`") && problems.contains(words), "{settings}: {problems}");
        }
        for settings in [", method: options", ", max_connections: 0", ", previews: true"] {
            assert!(config(settings).is_err(), "{settings}");
        }
    }
}

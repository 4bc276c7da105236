//! `engines` section of the configuration: what is asked beside clamd.

use std::{collections::HashSet, time::Duration};

use serde::Deserialize;

use super::{clamd, exec, icap};
use crate::limits;

/// `engines` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long advisory engines are waited for when all that are required have answered.
    #[serde(with = "humantime_serde")]
    pub advisory_wait: Duration,
    /// Programs that are run for each medium.
    pub exec: Vec<exec::Config>,
    /// Servers that speak ICAP.
    pub icap: Vec<icap::Config>,
}

impl Default for Config {
    fn default() -> Self {
        Self { advisory_wait: Duration::from_secs(5), exec: Vec::new(), icap: Vec::new() }
    }
}

/// How much an engine counts among several. What any of them recognises is infected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing passes without its word.
    #[default]
    Required,
    /// Its findings count; nobody misses its word.
    Advisory,
}

impl Config {
    /// What is well-formed and still cannot work, given the other engine that there may be.
    pub fn problems(&self, clamd: &clamd::Config) -> Vec<String> {
        let names = || self.exec.iter().map(|exec| &exec.name).chain(self.icap.iter().map(|icap| &icap.name));
        let mut problems: Vec<String> = self.exec.iter().flat_map(exec::Config::problems).collect();
        problems.extend(self.icap.iter().flat_map(icap::Config::problems));
        problems.extend(names().filter(|name| !is_name(name)).map(|name| {
            format!(
                "engines: `{name}` is no name for an engine; use lower-case letters, digits, `-` and `_`, and not clamd"
            )
        }));
        let mut seen = HashSet::new();
        problems
            .extend(names().filter(|name| !seen.insert(*name)).map(|name| format!("engines: two are named `{name}`")));
        let clamd = (!clamd.backends.is_empty()).then_some(clamd.role);
        let roles = self.exec.iter().map(|exec| exec.role).chain(self.icap.iter().map(|icap| icap.role));
        if !clamd.into_iter().chain(roles).any(|role| role == Role::Required) {
            problems.push("no engine is required: clamd.backends is empty or clamd.role is advisory, and so are all engines; nothing could ever be called clean".to_owned());
        }
        problems
    }

    /// All times, to be compared with the longest that makes sense.
    pub fn times(&self) -> impl Iterator<Item = Duration> {
        let programs = self.exec.iter().flat_map(|exec| [exec.timeout, exec.queue_timeout, exec.probe_interval]);
        let servers = self.icap.iter().flat_map(|icap| [icap.timeout, icap.queue_timeout, icap.probe_interval]);
        programs.chain(servers).chain([self.advisory_wait])
    }

    /// How long verdicts count.
    pub fn ages(&self) -> impl Iterator<Item = Duration> {
        self.exec.iter().map(|exec| exec.max_age).chain(self.icap.iter().map(|icap| icap.max_age))
    }

    /// What works but probably not as meant.
    pub fn warnings(&self, clamd: &clamd::Config, limits: &limits::Config) -> Vec<String> {
        let names_limits = !clamd.backends.is_empty() && clamd.role == Role::Required;
        let mut warnings = Vec::new();
        if !names_limits {
            warnings.push("no required engine names what it did not look at in full, or could not open: clean is all that the engines call clean".to_owned());
        }
        let longest = self.exec.iter().map(|exec| (&exec.name, exec.timeout));
        let longest = longest.chain(self.icap.iter().map(|icap| (&icap.name, icap.timeout)));
        warnings.extend(longest.filter(|(_, timeout)| *timeout >= clamd.scan_timeout).map(|(name, _)| {
            format!("engines: the timeout of `{name}` never passes: clamd.scan_timeout, which holds for all engines, is no longer")
        }));
        let copies = limits.max_media_bytes.as_u64().saturating_mul(1 + self.exec.len() as u64);
        if !self.exec.is_empty() && limits.memory_bytes.as_u64() < copies {
            warnings.push("limits.memory_bytes has no room for limits.max_media_bytes once for each program in engines.exec and once more: the largest media would never be scanned".to_owned());
        }
        let in_clear = |icap: &&icap::Config| !icap.url.tls && !icap.url.is_local();
        warnings.extend(self.icap.iter().filter(in_clear).map(|icap| {
            format!("engines: what is sent to `{}`, the plaintext of attachments among it, crosses the network in clear; use icaps://", icap.name)
        }));
        let programs = self.exec.iter().filter(|exec| !exec.canaries).map(|exec| &exec.name);
        let servers = self.icap.iter().filter(|icap| !icap.canaries).map(|icap| &icap.name);
        let unproven = programs.chain(servers);
        warnings.extend(unproven.map(|name| {
            format!("engines: `{name}` is believed without canaries; if it calls everything clean, nobody will notice")
        }));
        warnings
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !name.is_empty() && name != "clamd" && name.bytes().all(is_plain)
}

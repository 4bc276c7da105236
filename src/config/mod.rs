//! The configuration: defaults, then one YAML file, then `LAZARET__…` environment variables.
//!
//! Each module defines its own section; here they are only collected. Unknown keys are refused, with the place and the
//! nearest known key.

mod load;

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;

pub use self::load::{ConfigError, load};
use crate::{
    admin, audit, cache,
    crypto::envelope,
    engine::{self, clamd},
    http, inspect, lifecycle, limits, policy, spool,
    telemetry::log,
    upstream,
};

/// No timeout makes sense beyond this, and clocks would overflow far beyond it.
const LONGEST: Duration = Duration::from_hours(24);

/// Everything that can be configured. Every key has a default but `homeserver.url`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the public side.
    pub listen: SocketAddr,
    /// Networks of front proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: http::TrustedProxies,
    /// TLS on the public side.
    pub tls: http::tls::Config,
    /// The operators' side.
    pub admin: admin::Config,
    /// The homeserver behind us.
    pub homeserver: upstream::Config,
    /// The homeserver's own media routes.
    pub native: http::native::Config,
    /// How close the scanner API keeps to the Matrix Content Scanner.
    pub compat: http::compat::Config,
    /// Where its redirects may lead.
    pub redirects: upstream::redirect::Config,
    /// Media without a homeserver.
    pub direct: upstream::direct::Config,
    /// The antivirus engine.
    pub clamd: clamd::Config,
    /// Engines beside it.
    pub engines: engine::Config,
    /// The order of stages.
    pub inspect: inspect::Config,
    /// The verdict cache.
    pub cache: cache::Config,
    /// What a security team has to know afterwards.
    pub audit: audit::Config,
    /// Keys.
    pub crypto: envelope::Config,
    /// The security team's rules.
    pub policy: policy::Config,
    /// Where bodies are held.
    pub spool: spool::Config,
    /// Bounds.
    pub limits: limits::Config,
    /// How the process ends.
    pub shutdown: lifecycle::Config,
    /// Logs.
    pub log: log::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: http::DEFAULT_LISTEN,
            trusted_proxies: http::TrustedProxies::default(),
            tls: http::tls::Config::default(),
            admin: admin::Config::default(),
            homeserver: upstream::Config::default(),
            native: http::native::Config::default(),
            compat: http::compat::Config::default(),
            redirects: upstream::redirect::Config::default(),
            direct: upstream::direct::Config::default(),
            clamd: clamd::Config::default(),
            engines: engine::Config::default(),
            inspect: inspect::Config::default(),
            cache: cache::Config::default(),
            audit: audit::Config::default(),
            crypto: envelope::Config::default(),
            policy: policy::Config::default(),
            spool: spool::Config::default(),
            limits: limits::Config::default(),
            shutdown: lifecycle::Config::default(),
            log: log::Config::default(),
        }
    }
}

impl Config {
    /// What is well-formed and still cannot work. Each entry names its key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        let (limits, clamd) = (&self.limits, &self.clamd);
        expect(
            self.homeserver.url.is_some() || self.direct.enabled,
            "homeserver.url is not set; it is the one setting without a default. \
             Write `homeserver: {url: \"http://127.0.0.1:8008\"}` or set LAZARET__HOMESERVER__URL; \
             only `direct: {enabled: true}` goes without a homeserver",
        );
        expect(
            self.homeserver.url.is_none() || !self.direct.enabled,
            "homeserver.url and direct.enabled exclude each other: media come from the homeserver, or else from the \
             servers that their addresses name; leave one of them out",
        );
        expect(
            self.tls.certificate.is_some() == self.tls.key.is_some(),
            "tls.certificate and tls.key need each other; for plain HTTP leave both out",
        );
        expect(!self.tls.reload_interval.is_zero(), "tls.reload_interval is 0; files would be read all the time");
        expect(
            !self.crypto.reload_interval.is_zero(),
            "crypto.reload_interval is 0; the file would be read all the time",
        );
        expect(limits.max_media_bytes.as_u64() > 0, "limits.max_media_bytes is 0; no medium could pass");
        expect(!limits.stall_timeout.is_zero(), "limits.stall_timeout is 0; every transfer would be cut");
        expect(!limits.head_timeout.is_zero(), "limits.head_timeout is 0; every request would be cut");
        expect(!clamd.scan_timeout.is_zero(), "clamd.scan_timeout is 0; every scan would fail");
        expect(!clamd.probe_interval.is_zero(), "clamd.probe_interval is 0; clamd would do nothing but canaries");
        expect(!clamd.probe_timeout.is_zero(), "clamd.probe_timeout is 0; no canary could pass");
        expect(!self.homeserver.timeouts.media.is_zero(), "homeserver.timeouts.media is 0; no medium could be fetched");
        expect(!self.redirects.timeout.is_zero(), "redirects.timeout is 0; no redirect could be followed");
        expect(!self.direct.timeout.is_zero(), "direct.timeout is 0; no server could answer");
        expect(!self.native.upload_timeout.is_zero(), "native.upload_timeout is 0; no upload could pass");
        expect(
            !self.native.federation_timeout.is_zero(),
            "native.federation_timeout is 0; no homeserver would get media",
        );
        let permits = tokio::sync::Semaphore::MAX_PERMITS;
        let counts = [limits.max_media_requests, limits.max_connections];
        expect(counts.iter().all(|count| count.get() <= permits), "a limit on numbers is larger than can be counted");
        let durations = [
            limits.stall_timeout,
            limits.head_timeout,
            clamd.queue_timeout,
            clamd.scan_timeout,
            clamd.probe_interval,
            clamd.probe_timeout,
            clamd.orphan_timeout,
            clamd.max_backoff,
            clamd.reload_settle,
            self.inspect.toxic_ttl,
            self.inspect.grace,
            self.tls.reload_interval,
            self.crypto.reload_interval,
            self.policy.reload_interval,
            self.homeserver.timeouts.connect,
            self.homeserver.timeouts.media,
            self.redirects.timeout,
            self.direct.timeout,
            self.native.upload_timeout,
            self.native.federation_timeout,
            self.cache.timeout,
            self.cache.redis.recheck,
            self.shutdown.delay,
            self.shutdown.deadline,
        ];
        let mut durations = durations.into_iter().chain(self.engines.times());
        expect(durations.all(|time| time <= LONGEST), "a timeout is longer than a day");
        let ages = [self.cache.ttl, self.direct.cache_ttl, self.native.max_age];
        let longest = 365 * LONGEST;
        expect(
            ages.into_iter().chain(self.engines.ages()).all(|age| age <= longest),
            "cache.ttl, direct.cache_ttl, native.max_age or max_age of an engine is longer than a year",
        );
        let room = self.spool.max_bytes.as_u64() >= limits.max_media_bytes.as_u64();
        expect(room, "spool.max_bytes is less than limits.max_media_bytes; the largest allowed medium would not fit");
        problems.extend(self.engines.problems(clamd));
        problems.extend(self.inspect.problem());
        problems.extend(self.policy.problems());
        problems.extend(self.cache.problems());
        problems.extend(self.compat.problems());
        problems
    }

    /// What works but probably not as meant.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.native.warnings();
        warnings.extend(self.engines.warnings(&self.clamd, &self.limits));
        warnings.extend(self.compat.warning());
        warnings.extend(self.policy.warnings());
        warnings.extend(self.redirects.warning());
        warnings.extend(self.direct.warnings());
        if self.direct.enabled && !self.redirects.hosts.is_empty() {
            warnings
                .push("redirects.hosts does nothing with direct.enabled, which follows redirects anywhere".to_owned());
        }
        if self.direct.enabled && self.compat.adds_headers() {
            warnings.push("compat.forward_headers and .additional_headers are for the homeserver, and do nothing with direct.enabled".to_owned());
        }
        warnings
    }
}

#[cfg(test)]
mod tests;

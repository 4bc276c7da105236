//! Redirects of the homeserver to where it keeps media (MSC3860, MSC3916).
//!
//! A client that followed one would get bytes that nobody scanned. So they are followed here: to hosts that the
//! operator named and over https only, never to an address inside our own network unless that was named too, and with
//! nothing of the client's request on the way.

mod error;
mod target;

use std::{path::PathBuf, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use ipnet::IpNet;
use prometheus::{IntCounterVec, Opts, Registry};
use rustls::RootCertStore;
use serde::Deserialize;
use tokio::time::Instant;

pub use self::error::{RedirectError, Refusal};
use self::target::Target;
pub use super::destination::Destination;
use super::{
    address::Reach,
    bare::{self, Bare, BareError, Idle, is_redirect},
};
use crate::{body::Body, trust};

/// Redirects that are followed after the homeserver's own.
const MAX_HOPS: usize = 3;

/// There are few hosts, and the homeserver has us ask them all the time.
const IDLE: Idle = Idle { count: usize::MAX, time: Duration::from_mins(1) };

/// What an answer keeps of its headers: what is said of the body.
const KEPT: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_ENCODING];

/// `redirects` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The only hosts to which redirects are followed.
    pub hosts: Vec<Destination>,
    /// Private networks that these hosts may resolve to.
    pub private_networks: Vec<IpNet>,
    /// PEM file with the only certificate authorities to trust; those of the system if unset.
    pub ca_file: Option<PathBuf>,
    /// To the head of the last answer, all redirects together.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Config {
    /// What the operator should know of these settings.
    pub fn warning(&self) -> Option<String> {
        let is_idle = self.hosts.is_empty() && (!self.private_networks.is_empty() || self.ca_file.is_some());
        is_idle.then(|| "redirects.private_networks and .ca_file do nothing without redirects.hosts".to_owned())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { hosts: Vec::new(), private_networks: Vec::new(), ca_file: None, timeout: Duration::from_secs(30) }
    }
}

/// Fetches what the homeserver points at instead of sending it.
pub struct Follower {
    client: Bare,
    hosts: Vec<Destination>,
    reach: Reach,
    timeout: Duration,
    outcomes: IntCounterVec,
}

impl Follower {
    /// Builds the client; nothing is connected yet. `connect_timeout` is for one connection.
    pub fn new(config: &Config, connect_timeout: Duration, registry: &Registry) -> anyhow::Result<Self> {
        let reach = Reach::new(&config.private_networks);
        let client = Bare::new(&reach, roots(config)?, connect_timeout, &IDLE)?;
        let help = "Redirects of the homeserver, by whether what they lead to was followed, refused or not to be had.";
        let outcomes = IntCounterVec::new(Opts::new("lazaret_redirects_total", help), &["outcome"])?;
        for outcome in ["followed", "refused", "failed"] {
            outcomes.with_label_values(&[outcome]);
        }
        registry.register(Box::new(outcomes.clone()))?;
        Ok(Self { client, hosts: config.hosts.clone(), reach, timeout: config.timeout, outcomes })
    }

    /// Fetches the medium that `location`, the value of a `Location`, leads to. The answer is a 200 with its body still
    /// to come: of any length, at any pace, and in whatever `Content-Encoding` it has. Other headers than those that
    /// describe the body are gone.
    pub async fn fetch(&self, location: &HeaderValue) -> Result<Response<Body>, RedirectError> {
        let answer = self.follow(location.clone()).await;
        let outcome = match &answer {
            Ok(_) => "followed",
            Err(RedirectError::Refused(_)) => "refused",
            Err(_) => "failed",
        };
        self.outcomes.with_label_values(&[outcome]).inc();
        answer.map(|answer| bare::stripped(answer, &KEPT))
    }

    async fn follow(&self, mut location: HeaderValue) -> Result<reqwest::Response, RedirectError> {
        let deadline = Instant::now() + self.timeout;
        for _ in 0..=MAX_HOPS {
            let target = Target::of(&location, &self.hosts, &self.reach)?;
            let destination = target.destination.clone();
            let answer = self.ask(target, deadline).await?;
            let next = answer.headers().get(LOCATION);
            location = match (answer.status(), next) {
                (StatusCode::OK, _) => return Ok(answer),
                (status, Some(next)) if is_redirect(status) => next.clone(),
                (status, _) => return Err(RedirectError::Status(destination, status)),
            };
        }
        Err(Refusal::TooMany.into())
    }

    async fn ask(&self, target: Target, deadline: Instant) -> Result<reqwest::Response, RedirectError> {
        let Target { url, destination } = target;
        self.client.get(url, HeaderMap::new(), deadline).await.map_err(|error| match error {
            BareError::OutOfReach => Refusal::Private(destination).into(),
            BareError::Unreachable(error) => RedirectError::Unreachable(destination, error),
            BareError::Timeout => RedirectError::Timeout(destination),
            BareError::Headers => RedirectError::Headers(destination),
        })
    }
}

/// Proves that the file that the settings name can be used.
pub fn check(config: &Config) -> anyhow::Result<()> {
    roots(config).map(|_| ())
}

/// Without hosts nobody is connected to, and the system's certificates need not be there.
fn roots(config: &Config) -> anyhow::Result<RootCertStore> {
    trust::roots(config.ca_file.as_deref(), "redirects.ca_file", !config.hosts.is_empty())
}

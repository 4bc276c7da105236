//! Redirects of the homeserver to where it keeps media (MSC3860, MSC3916).
//!
//! A client that followed one would get bytes that nobody scanned. So they are followed here: to hosts that the
//! operator named and over https only, never to an address inside our own network unless that was named too, and with
//! nothing of the client's request on the way.

mod address;
mod destination;
mod error;
mod target;

use std::{error::Error, iter, path::PathBuf, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use http_body_util::BodyExt;
use ipnet::IpNet;
use prometheus::{IntCounterVec, Opts, Registry};
use reqwest::{Client, redirect::Policy, retry};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use self::{
    address::{OutOfReach, Reach},
    target::Target,
};
pub use self::{
    destination::Destination,
    error::{RedirectError, Refusal},
};
use super::trust;
use crate::body::{Body, BoxError};

/// Redirects that are followed after the homeserver's own.
const MAX_HOPS: usize = 3;

/// Most that the headers of an answer may have, in bytes of names and values.
const MAX_HEADERS: usize = 64 * 1024;

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
    client: Client,
    hosts: Vec<Destination>,
    reach: Reach,
    timeout: Duration,
    outcomes: IntCounterVec,
}

impl Follower {
    /// Builds the client; nothing is connected yet. `connect_timeout` is for one connection.
    pub fn new(config: &Config, connect_timeout: Duration, registry: &Registry) -> anyhow::Result<Self> {
        let reach = Reach::new(&config.private_networks);
        let identity = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        // What reqwest could do beyond one plain request, it is told not to: features of it that other crates switch on
        // are on for us as well.
        let client = Client::builder()
            .tls_backend_preconfigured(tls(config)?)
            .https_only(true)
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .user_agent("lazaret")
            .default_headers(identity)
            .dns_resolver(reach.clone())
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(Duration::from_mins(1))
            .build()?;
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
        answer.map(strip)
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
        let answer = match timeout_at(deadline, self.client.get(url).send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if is_out_of_reach(&error) => return Err(Refusal::Private(destination).into()),
            Ok(Err(error)) => return Err(RedirectError::Unreachable(destination, error.without_url())),
            Err(_) => return Err(RedirectError::Timeout(destination)),
        };
        let bytes: usize = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        match bytes <= MAX_HEADERS {
            true => Ok(answer),
            false => Err(RedirectError::Headers(destination)),
        }
    }
}

/// Proves that the file that the settings name can be used.
pub fn check(config: &Config) -> anyhow::Result<()> {
    tls(config).map(|_| ())
}

/// Without hosts nobody is connected to, and the system's certificates need not be there.
fn tls(config: &Config) -> anyhow::Result<ClientConfig> {
    let roots = match &config.ca_file {
        Some(path) => trust::from_file(path, "redirects.ca_file")?,
        None if config.hosts.is_empty() => RootCertStore::empty(),
        None => trust::of_the_system()?,
    };
    Ok(trust::client(roots)?)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// True if the name was resolved and none of its addresses is within [`Reach`].
fn is_out_of_reach(error: &reqwest::Error) -> bool {
    iter::successors(error.source(), |&error| error.source()).any(<dyn Error>::is::<OutOfReach>)
}

fn strip(answer: reqwest::Response) -> Response<Body> {
    let (parts, body) = Response::<reqwest::Body>::from(answer).into_parts();
    // Errors of reqwest name the URL.
    let body = body.map_err(|error| BoxError::from(error.without_url())).boxed_unsync();
    let mut stripped = Response::new(body);
    for name in KEPT {
        for value in parts.headers.get_all(&name) {
            stripped.headers_mut().append(&name, value.clone());
        }
    }
    stripped
}

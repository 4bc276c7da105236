//! Where media come from: the homeserver and where it sends us, or the servers that addresses name.
//!
//! Requests to the homeserver go through hyper's pooled client, which sends the URI exactly as it was received: federation signs
//! it, and what was classified must be what is sent.

mod address;
mod bare;
mod destination;
pub mod direct;
pub mod headers;
pub mod multipart;
pub mod query;
pub mod redirect;
mod url;

use std::{path::PathBuf, time::Duration};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version, uri::PathAndQuery};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use prometheus::{HistogramVec, IntCounterVec, Opts, Registry, histogram_opts};
use rustls::ClientConfig;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use self::direct::Direct;
pub use self::url::BaseUrl;
use crate::{body::Body, media::ServerName, trust};

/// Most that is read ahead of a body at a time, in bytes; it is there once for each request under way.
const READ_BUFFER: usize = 64 * 1024;

/// How long an idle connection is kept: less than Synapse keeps it (60 s), so that it is we who close it, and no request
/// meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(20);

/// `homeserver` section of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The homeserver's base URL. The only setting without a default; without a homeserver there is [`direct`].
    pub url: Option<BaseUrl>,
    /// Its name, as in the addresses of its users and media. It tells local media from others where rules ask for that.
    pub server_name: Option<ServerName>,
    /// PEM file with the only certificate authorities to trust for an `https` URL; those of the system if unset.
    pub ca_file: Option<PathBuf>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
}

/// `homeserver.timeouts` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// For the head of an answer on media routes, where the homeserver may fetch from afar first. Other routes may
    /// wait for as long as their clients do.
    #[serde(with = "humantime_serde")]
    pub media: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), media: Duration::from_mins(2) }
    }
}

/// Where media come from.
pub enum Origin {
    /// The homeserver, to which everything else goes as well.
    Homeserver(Box<Upstream>),
    /// The servers that addresses name.
    Direct(Box<Direct>),
}

impl Origin {
    /// Builds the clients; nothing is connected yet.
    pub fn new(homeserver: &Config, direct: &direct::Config, registry: &Registry) -> anyhow::Result<Self> {
        match &homeserver.url {
            None if direct.enabled => Ok(Self::Direct(Box::new(Direct::new(direct, registry)?))),
            None => anyhow::bail!("homeserver.url is not set"),
            Some(url) => Ok(Self::Homeserver(Box::new(Upstream::new(url.clone(), homeserver, registry)?))),
        }
    }
}

/// Why the homeserver gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It cannot be reached.
    #[error("the homeserver cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// It was reached and broke off before the head of its answer.
    #[error("the homeserver broke off")]
    Broken(#[source] hyper_util::client::legacy::Error),
    /// It took too long.
    #[error("the homeserver did not answer in time")]
    Timeout,
    /// It left HTTP for another protocol, which nobody asked it to.
    #[error("the homeserver switched protocols")]
    Switched,
    /// The request has no form in which it could be sent.
    #[error("the request cannot be forwarded: {0}")]
    Request(#[source] http::Error),
}

/// What a request is for; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be inspected.
    Media,
    /// An upload that passed inspection.
    Upload,
    /// Who the caller is.
    Access,
    /// Not media.
    Passthrough,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Media => "media",
            Self::Upload => "upload",
            Self::Access => "access",
            Self::Passthrough => "passthrough",
        }
    }
}

/// A client of the homeserver.
pub struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    base: BaseUrl,
    timeouts: Timeouts,
    latency: HistogramVec,
    failures: IntCounterVec,
}

impl Upstream {
    /// Builds the client; nothing is connected yet.
    pub fn new(base: BaseUrl, config: &Config, registry: &Registry) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.timeouts.connect));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(&base, config)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(READ_BUFFER)
            .build(connector);
        let latency =
            histogram_opts!("lazaret_upstream_duration_seconds", "Time to the head of the homeserver's answer.");
        let failures = Opts::new("lazaret_upstream_failures_total", "Requests that the homeserver did not answer.");
        let upstream = Self {
            client,
            base,
            timeouts: config.timeouts.clone(),
            latency: HistogramVec::new(latency, &["purpose"])?,
            failures: IntCounterVec::new(failures, &["purpose"])?,
        };
        for purpose in [Purpose::Media, Purpose::Upload, Purpose::Access, Purpose::Passthrough] {
            upstream.failures.with_label_values(&[purpose.name()]);
        }
        registry.register(Box::new(upstream.latency.clone()))?;
        registry.register(Box::new(upstream.failures.clone()))?;
        Ok(upstream)
    }

    /// Sends a request and gives the head of the answer, its body still to come. `target` is sent as it is; headers are
    /// the caller's to prepare with [`headers`].
    pub async fn send(
        &self,
        purpose: Purpose,
        method: Method,
        target: PathAndQuery,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        *request.uri_mut() = self.uri(target).map_err(UpstreamError::Request)?;
        let begun = Instant::now();
        let answer = self.patient(purpose, self.client.request(request)).await.and_then(still_http);
        match &answer {
            Ok(_) => self.latency.with_label_values(&[purpose.name()]).observe(begun.elapsed().as_secs_f64()),
            Err(_) => self.failures.with_label_values(&[purpose.name()]).inc(),
        }
        answer
    }

    async fn patient(
        &self,
        purpose: Purpose,
        answer: impl Future<Output = Result<Response<Incoming>, hyper_util::client::legacy::Error>>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let answer = match purpose {
            Purpose::Passthrough => answer.await,
            Purpose::Media | Purpose::Upload | Purpose::Access => {
                timeout(self.timeouts.media, answer).await.map_err(|_| UpstreamError::Timeout)?
            }
        };
        answer.map_err(|error| match error.is_connect() {
            true => UpstreamError::Unreachable(error),
            false => UpstreamError::Broken(error),
        })
    }

    fn uri(&self, target: PathAndQuery) -> Result<Uri, http::Error> {
        let base = Uri::builder().scheme(self.base.scheme.clone()).authority(self.base.authority.clone());
        base.path_and_query(target).build()
    }
}

/// What comes after a 101 is not ours to carry: nobody could say what it is.
fn still_http(answer: Response<Incoming>) -> Result<Response<Incoming>, UpstreamError> {
    match answer.status() {
        StatusCode::SWITCHING_PROTOCOLS => Err(UpstreamError::Switched),
        _ => Ok(answer),
    }
}

/// Proves that the files that the settings name can be used.
pub fn check(config: &Config) -> anyhow::Result<()> {
    config.url.as_ref().map_or(Ok(()), |base| tls(base, config).map(|_| ()))
}

/// Trust for an `https` homeserver. A plain `http` one gets none, and costs no reading of the system's certificates.
fn tls(base: &BaseUrl, config: &Config) -> anyhow::Result<ClientConfig> {
    let is_needed = base.scheme == http::uri::Scheme::HTTPS;
    Ok(trust::client(trust::roots(config.ca_file.as_deref(), "homeserver.ca_file", is_needed)?)?)
}

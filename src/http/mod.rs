//! The public side: native Matrix routes and the scanner API on one listener.

mod activity;
mod arrivals;
pub mod compat;
mod credential;
mod dispatch;
mod disposition;
mod error;
mod handlers;
mod hygiene;
mod metrics;
pub mod native;
mod occasion;
mod places;
pub mod prefix;
mod respond;
pub mod route;
mod server;
mod service;
mod surface;
pub mod tls;
pub mod validators;
mod watch;

use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use ::http::Method;
use ipnet::IpNet;
use prometheus::{PullingGauge, Registry};
use serde::Deserialize;
use tokio::sync::Semaphore;

pub use self::{arrivals::Arrivals, metrics::Metrics, server::serve, tls::Tls};
use self::{
    places::Places,
    route::{Route, Scanner},
    surface::Surface,
};
use crate::{
    crypto::envelope::EnvelopeKeys,
    inspect::Inspector,
    limits,
    media::ServerName,
    spool::Spooler,
    upstream::{Origin, Upstream, redirect::Follower},
};

/// Default of the `listen` key of the configuration.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8090);

/// `trusted_proxies` of the configuration: networks of front proxies whose `X-Forwarded-*` headers are believed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct TrustedProxies(pub Vec<IpNet>);

impl Default for TrustedProxies {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self(loopback.map(|net| net.parse().expect("well-formed")).to_vec())
    }
}

/// What handlers work with.
pub struct Context {
    /// Where media come from.
    pub origin: Origin,
    /// The homeserver's name, if it is known.
    pub server_name: Option<ServerName>,
    /// Stages from spool to decision.
    pub inspector: Arc<Inspector>,
    /// Takes bodies in.
    pub spooler: Arc<Spooler>,
    /// Opens encrypted request bodies.
    pub envelope: Arc<EnvelopeKeys>,
    /// Follows redirects to where the homeserver keeps media.
    pub follower: Follower,
    /// What is open, and how it answers.
    pub native: native::Config,
    /// How close the scanner API keeps to the Matrix Content Scanner.
    pub compat: compat::Compat,
    /// Media on their way in.
    pub arrivals: Arrivals,
    /// Front proxies.
    pub trusted: TrustedProxies,
    /// Bounds.
    pub bounds: Bounds,
    /// Counts requests.
    pub metrics: Metrics,
}

impl Context {
    /// The homeserver. Without one there is no route that would need it.
    fn homeserver(&self) -> Result<&Upstream, error::ApiError> {
        match &self.origin {
            Origin::Homeserver(upstream) => Ok(upstream),
            Origin::Direct(_) => Err(error::ApiError::Unrecognized),
        }
    }

    /// What a request is. Without a homeserver there are preflights, the scanner's routes and no others; and of these, none
    /// that is for its users alone.
    fn classify(&self, method: &Method, path: &str) -> Route {
        let route = route::classify(&self.native, method, path);
        let is_ours = Surface::of(path) == Surface::Scanner || route == Route::Preflight;
        let is_for_users = route == Route::Scanner(Scanner::ScanFile);
        match &self.origin {
            Origin::Direct(_) if !is_ours || is_for_users || route == Route::Passthrough => Route::Unrecognized,
            _ => route,
        }
    }
}

/// The bounds that handlers keep.
pub struct Bounds {
    max_media_bytes: u64,
    stall: Duration,
    head: Duration,
    places: Places,
    connections: Arc<Semaphore>,
}

impl Bounds {
    /// Takes the bounds from the configuration.
    pub fn new(limits: &limits::Config) -> Self {
        Self {
            max_media_bytes: limits.max_media_bytes.as_u64(),
            stall: limits.stall_timeout,
            head: limits.head_timeout,
            places: Places::new(limits),
            connections: Arc::new(Semaphore::new(limits.max_connections.get())),
        }
    }

    /// Registers gauges of the places taken.
    pub fn register(&self, limits: &limits::Config, registry: &Registry) -> prometheus::Result<()> {
        let gauge = |name, help, places: &Arc<Semaphore>, total: NonZeroUsize| {
            let places = Arc::clone(places);
            let taken = move || total.get().saturating_sub(places.available_permits()) as f64;
            registry.register(Box::new(PullingGauge::new(name, help, Box::new(taken))?))
        };
        let help = "Requests on scanned routes, until their answer was sent.";
        gauge("lazaret_media_requests", help, self.places.all(), limits.max_media_requests)?;
        gauge("lazaret_connections", "Open connections of clients.", &self.connections, limits.max_connections)
    }
}

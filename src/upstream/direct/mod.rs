//! Media without a homeserver of our own: each from the server that its address names.
//!
//! Whoever may ask us names the server, and the server says where we go from there. So all of it is https, no address
//! inside our own network is connected to, every answer is bounded in size and time, and a client's token goes to the
//! homeservers of the servers that the operator named and to no other.

mod base;
mod discovery;
mod error;
mod web;
mod well_known;

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    uri::PathAndQuery,
};
use ipnet::IpNet;
use prometheus::Registry;
use rustls::RootCertStore;
use serde::Deserialize;
use tokio::time::Instant;

pub use self::error::{DirectError, Refusal};
use self::{base::Base, discovery::Directory, web::Web};
use super::{
    address::Reach,
    bare::{Bare, Idle, stripped},
    destination::Destination,
    query::for_strangers,
};
use crate::{body::Body, media::MediaRef, trust};

/// Few and short, since whoever asks decides how many hosts there are.
const IDLE: Idle = Idle { count: 8, time: Duration::from_secs(10) };

/// What an answer keeps of its headers: what is said of the body. The rest would be a stranger's word to our clients.
const KEPT: [HeaderName; 5] = [CONTENT_TYPE, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_ENCODING, CACHE_CONTROL];

/// `direct` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// No homeserver: the scanner's routes fetch media from the servers that addresses name, and there are no others.
    pub enabled: bool,
    /// Server names whose homeserver is sent the client's token, wherever their own discovery says that it is.
    pub credentials_for: Vec<Destination>,
    /// Private networks that servers may resolve to.
    pub private_networks: Vec<IpNet>,
    /// PEM file with the only certificate authorities to trust; those of the system if unset.
    pub ca_file: Option<PathBuf>,
    /// For a discovery; and to the head of an answer, all redirects together.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long a discovery is remembered; one that failed, a minute at most.
    #[serde(with = "humantime_serde")]
    pub cache_ttl: Duration,
    /// Servers that are remembered.
    pub max_servers: NonZeroUsize,
}

impl Config {
    /// What the operator should know of these settings.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let is_set = !self.credentials_for.is_empty() || !self.private_networks.is_empty() || self.ca_file.is_some();
        if !self.enabled && is_set {
            warnings.push(
                "direct.credentials_for, .private_networks and .ca_file do nothing without direct.enabled".to_owned(),
            );
        }
        if self.enabled {
            warnings.push(
                "direct.enabled: whoever can ask has Lazaret connect to any https server on the internet, there is no \
                 homeserver that could say no, and all routes but the scanner's are 404"
                    .to_owned(),
            );
        }
        if self.enabled && self.credentials_for.is_empty() {
            warnings
                .push("direct.credentials_for is empty: what servers give with a token only cannot be had".to_owned());
        }
        warnings
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            credentials_for: Vec::new(),
            private_networks: Vec::new(),
            ca_file: None,
            timeout: Duration::from_secs(30),
            cache_ttl: Duration::from_hours(1),
            max_servers: NonZeroUsize::new(1000).expect("not zero"),
        }
    }
}

/// A client of all homeservers.
pub struct Direct {
    web: Web,
    directory: Directory,
    trusted: Vec<Destination>,
    timeout: Duration,
}

impl Direct {
    /// Builds the client; nothing is connected yet.
    pub fn new(config: &Config, registry: &Registry) -> anyhow::Result<Self> {
        let reach = Reach::new(&config.private_networks);
        let client = Bare::new(&reach, roots(config)?, config.timeout, &IDLE)?;
        Ok(Self {
            web: Web { client, reach },
            directory: Directory::new(config, registry)?,
            trusted: config.credentials_for.clone(),
            timeout: config.timeout,
        })
    }

    /// True for a medium of a server whose homeserver may see the client's token.
    pub fn trusts(&self, media: &MediaRef) -> bool {
        let server = Base::of_server(media.server(), &self.web.reach);
        server.is_ok_and(|server| self.trusted.contains(server.destination()))
    }

    /// Asks the homeserver of the server that a medium is named after, and gives the head of the answer, its body still
    /// to come: of any length, at any pace, and in whatever `Content-Encoding` it has. Redirects were followed, without
    /// the token.
    pub async fn get(
        &self,
        media: &MediaRef,
        target: &PathAndQuery,
        token: Option<&HeaderValue>,
    ) -> Result<Response<Body>, DirectError> {
        let base = self.directory.find(&self.web, media.server()).await?;
        let place = base.place(&for_strangers(target), &self.web.reach)?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token.filter(|_| self.trusts(media)) {
            headers.insert(AUTHORIZATION, secret(token));
        }
        let answer = self.web.get(place, headers, Instant::now() + self.timeout).await?;
        Ok(stripped(answer, &KEPT))
    }
}

/// The same value, which then is not printed.
fn secret(value: &HeaderValue) -> HeaderValue {
    let mut value = value.clone();
    value.set_sensitive(true);
    value
}

/// Proves that the file that the settings name can be used.
pub fn check(config: &Config) -> anyhow::Result<()> {
    roots(config).map(|_| ())
}

/// Without this mode nobody is connected to, and the system's certificates need not be there.
fn roots(config: &Config) -> anyhow::Result<RootCertStore> {
    trust::roots(config.ca_file.as_deref(), "direct.ca_file", config.enabled)
}

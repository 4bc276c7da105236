//! Which homeserver a server name stands for, asked as clients do
//! ([discovery](https://spec.matrix.org/v1.16/client-server-api/#well-known-uris)) and remembered for a while.

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use futures_util::FutureExt;
use http::{HeaderMap, StatusCode, uri::PathAndQuery};
use moka::{Expiry, future::Cache};
use prometheus::{IntCounterVec, Opts, PullingGauge, Registry};
use tokio::time::Instant;

use super::{
    Config,
    base::Base,
    error::{DirectError, Refusal},
    web::Web,
    well_known::{base_url, has_versions},
};
use crate::{
    body,
    upstream::{bare::stripped, destination::Destination},
};

/// Most that a server may say of itself, in bytes.
const MAX_TEXT: usize = 64 * 1024;

/// How long a discovery that gave nothing is remembered at most: what keeps it from being repeated for each medium, and is
/// hardly noticed when the server is back.
const WITHOUT_ANSWER: Duration = Duration::from_mins(1);

/// How a discovery ended; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The server named a homeserver, and there is one.
    Found,
    /// The server names none (404), so it is one itself.
    Nothing,
    /// It gave no answer, or none that can be used. It is taken for a homeserver itself.
    Failed,
    /// It is nowhere we go, or names such a place.
    Refused,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Found, Self::Nothing, Self::Failed, Self::Refused];

    fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nothing => "none",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// What is remembered of a server.
#[derive(Clone)]
struct Known {
    base: Result<Arc<Base>, Refusal>,
    lifetime: Duration,
}

struct Lifetime;

impl Expiry<Destination, Known> for Lifetime {
    fn expire_after_create(&self, _: &Destination, known: &Known, _: StdInstant) -> Option<Duration> {
        Some(known.lifetime)
    }

    /// In place of one that expired.
    fn expire_after_update(
        &self,
        _: &Destination,
        known: &Known,
        _: StdInstant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(known.lifetime)
    }
}

/// Homeservers by the host and port of the server name.
pub(super) struct Directory {
    known: Cache<Destination, Known>,
    timeout: Duration,
    ttl: Duration,
    outcomes: IntCounterVec,
}

impl Directory {
    pub(super) fn new(config: &Config, registry: &Registry) -> prometheus::Result<Self> {
        let known = Cache::builder().max_capacity(config.max_servers.get() as u64).expire_after(Lifetime).build();
        let help = "Servers of which it was asked where their homeserver is, by the answer.";
        let outcomes = IntCounterVec::new(Opts::new("lazaret_discoveries_total", help), &["outcome"])?;
        for outcome in Outcome::ALL {
            outcomes.with_label_values(&[outcome.name()]);
        }
        registry.register(Box::new(outcomes.clone()))?;
        let entries: Cache<Destination, Known> = known.clone();
        let count = Box::new(move || entries.entry_count() as f64);
        let help = "Servers of which it is remembered where their homeserver is.";
        registry.register(Box::new(PullingGauge::new("lazaret_discoveries", help, count)?))?;
        Ok(Self { known, timeout: config.timeout, ttl: config.cache_ttl, outcomes })
    }

    /// The homeserver of a server. Of several who ask at once, one finds out.
    pub(super) async fn find(&self, web: &Web, server: &str) -> Result<Arc<Base>, Refusal> {
        let itself = Base::of_server(server, &web.reach).inspect_err(|_| self.count(Outcome::Refused))?;
        // Boxed, since each request would move it about.
        let discovering = self.discover(web, itself.clone()).boxed();
        self.known.get_with(itself.destination().clone(), discovering).await.base
    }

    async fn discover(&self, web: &Web, itself: Base) -> Known {
        let server = itself.destination().clone();
        let (outcome, base) = match look(web, &itself, Instant::now() + self.timeout).await {
            Ok(Some(base)) => (Outcome::Found, Ok(base)),
            Ok(None) => (Outcome::Nothing, Ok(itself)),
            Err(DirectError::Refused(refusal)) => (Outcome::Refused, Err(refusal)),
            Err(error) => {
                tracing::debug!(%error, %server, "no discovery");
                (Outcome::Failed, Ok(itself))
            }
        };
        self.count(outcome);
        let lifetime = match outcome {
            Outcome::Found | Outcome::Nothing => self.ttl,
            Outcome::Failed | Outcome::Refused => self.ttl.min(WITHOUT_ANSWER),
        };
        Known { base: base.map(Arc::new), lifetime }
    }

    fn count(&self, outcome: Outcome) {
        self.outcomes.with_label_values(&[outcome.name()]).inc();
    }
}

/// The homeserver that a server names, if it names one.
async fn look(web: &Web, itself: &Base, deadline: Instant) -> Result<Option<Base>, DirectError> {
    let unusable = |base: &Base, why| DirectError::Unusable(base.destination().clone(), why);
    let (status, text) = read(web, itself, "/.well-known/matrix/client", deadline).await?;
    match status {
        StatusCode::OK => (),
        StatusCode::NOT_FOUND => return Ok(None),
        _ => return Err(unusable(itself, "an error")),
    }
    let advertised = base_url(&text).ok_or_else(|| unusable(itself, "no base URL"))?;
    let base = Base::advertised(&advertised, &web.reach)?;
    match read(web, &base, "/_matrix/client/versions", deadline).await? {
        (StatusCode::OK, text) if has_versions(&text) => Ok(Some(base)),
        _ => Err(unusable(&base, "no versions")),
    }
}

async fn read(
    web: &Web,
    base: &Base,
    path: &'static str,
    deadline: Instant,
) -> Result<(StatusCode, bytes::Bytes), DirectError> {
    let place = base.place(&PathAndQuery::from_static(path), &web.reach)?;
    let answer = stripped(web.get(place, HeaderMap::new(), deadline).await?, &[]);
    let (status, within) = (answer.status(), deadline.duration_since(Instant::now()));
    if status != StatusCode::OK {
        return Ok((status, bytes::Bytes::new()));
    }
    let text = body::small(answer.into_body(), MAX_TEXT, within).await;
    let text = text.map_err(|_| DirectError::Unusable(base.destination().clone(), "no short text"))?;
    Ok((status, text))
}

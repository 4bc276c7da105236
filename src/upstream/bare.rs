//! Requests of our own to other hosts: over https, to no address that is out of reach, and with nothing in them but what
//! is added here.

use std::{error::Error, iter, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::ACCEPT_ENCODING};
use http_body_util::BodyExt;
use reqwest::{Client, redirect::Policy, retry};
use rustls::RootCertStore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::address::{OutOfReach, Reach};
use crate::{
    body::{Body, BoxError},
    trust,
};

/// Most that the headers of an answer may have, in bytes of names and values.
const MAX_HEADERS: usize = 64 * 1024;

/// Idle connections that are kept to one host, and for how long.
pub(super) struct Idle {
    pub(super) count: usize,
    pub(super) time: Duration,
}

/// Why there is no answer. Errors of reqwest are without the URL, which can be a credential.
pub(super) enum BareError {
    /// The name was resolved, and none of its addresses is within [`Reach`].
    OutOfReach,
    /// The host cannot be reached, proves to be no one we trust, or broke off.
    Unreachable(reqwest::Error),
    /// It took too long to the head of an answer.
    Timeout,
    /// It answered with more headers than anyone needs.
    Headers,
}

/// A client for them.
pub(super) struct Bare(Client);

impl Bare {
    /// Builds the client; nothing is connected yet. `connect` is for one connection.
    pub(super) fn new(reach: &Reach, roots: RootCertStore, connect: Duration, idle: &Idle) -> anyhow::Result<Self> {
        let identity = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        // What reqwest could do beyond one plain request, it is told not to: features of it that other crates switch on
        // are on for us as well.
        let client = Client::builder()
            .tls_backend_preconfigured(trust::client(roots)?)
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
            .connect_timeout(connect)
            .pool_idle_timeout(idle.time)
            .pool_max_idle_per_host(idle.count)
            .build()?;
        Ok(Self(client))
    }

    /// Asks for a URL whose host is no address out of reach, and gives the head of the answer, whatever it is.
    pub(super) async fn get(
        &self,
        url: Url,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<reqwest::Response, BareError> {
        let answer = match timeout_at(deadline, self.0.get(url).headers(headers).send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) if is_out_of_reach(&error) => return Err(BareError::OutOfReach),
            Ok(Err(error)) => return Err(BareError::Unreachable(error.without_url())),
            Err(_) => return Err(BareError::Timeout),
        };
        let bytes: usize = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes <= MAX_HEADERS { Ok(answer) } else { Err(BareError::Headers) }
    }
}

/// True for an answer whose `Location` is to be asked instead.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// An answer with its status, its body and these headers of it.
pub(super) fn stripped(answer: reqwest::Response, kept: &[HeaderName]) -> Response<Body> {
    let (parts, body) = Response::<reqwest::Body>::from(answer).into_parts();
    // Errors of reqwest name the URL.
    let body = body.map_err(|error| BoxError::from(error.without_url())).boxed_unsync();
    let mut stripped = Response::new(body);
    *stripped.status_mut() = parts.status;
    for name in kept {
        for value in parts.headers.get_all(name) {
            stripped.headers_mut().append(name, value.clone());
        }
    }
    stripped
}

fn is_out_of_reach(error: &reqwest::Error) -> bool {
    iter::successors(error.source(), |&error| error.source()).any(<dyn Error>::is::<OutOfReach>)
}

//! Asking hosts that strangers named.

use std::mem;

use http::{HeaderMap, HeaderValue, header::LOCATION};
use tokio::time::Instant;
use url::Url;

use super::error::{DirectError, Refusal};
use crate::upstream::{
    address::Reach,
    bare::{Bare, BareError, is_redirect},
    destination::Destination,
};

/// Redirects that are followed for one answer.
const MAX_HOPS: usize = 3;

/// A URL that was found to lead where we go.
#[derive(Clone, Debug)]
pub(super) struct Place {
    url: Url,
    /// What may be said of it: the rest of a URL can be a credential.
    destination: Destination,
}

impl Place {
    /// Judges a URL. Names are judged once more when they are resolved.
    pub(super) fn of(mut url: Url, reach: &Reach) -> Result<Self, Refusal> {
        if url.scheme() != "https" {
            return Err(Refusal::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let destination = Destination::of(&url).filter(Destination::has_port).ok_or(Refusal::NoUrl)?;
        if !destination.is_within(reach) {
            return Err(Refusal::Private(destination));
        }
        url.set_host(Some(&destination.host().to_string())).map_err(|_| Refusal::NoUrl)?;
        Ok(Self { url, destination })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Where a `Location` leads to from here.
    fn next(&self, location: &HeaderValue, reach: &Reach) -> Result<Self, Refusal> {
        let text = location.to_str().map_err(|_| Refusal::NoUrl)?;
        Self::of(self.url.join(text).map_err(|_| Refusal::NoUrl)?, reach)
    }
}

/// A client that goes to these places.
pub(super) struct Web {
    pub(super) client: Bare,
    pub(super) reach: Reach,
}

impl Web {
    /// Asks, and follows redirects. The first host alone is given `headers`.
    pub(super) async fn get(
        &self,
        mut place: Place,
        mut headers: HeaderMap,
        deadline: Instant,
    ) -> Result<reqwest::Response, DirectError> {
        for _ in 0..=MAX_HOPS {
            let answer = self.ask(&place, mem::take(&mut headers), deadline).await?;
            let location = answer.headers().get(LOCATION).filter(|_| is_redirect(answer.status()));
            let Some(location) = location else { return Ok(answer) };
            place = place.next(location, &self.reach)?;
        }
        Err(Refusal::TooMany.into())
    }

    async fn ask(
        &self,
        place: &Place,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<reqwest::Response, DirectError> {
        let destination = || place.destination.clone();
        self.client.get(place.url.clone(), headers, deadline).await.map_err(|error| match error {
            BareError::OutOfReach => Refusal::Private(destination()).into(),
            BareError::Unreachable(error) => DirectError::Unreachable(destination(), error),
            BareError::Timeout => DirectError::Timeout(destination()),
            BareError::Headers => DirectError::Headers(destination()),
        })
    }
}

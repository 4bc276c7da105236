//! Places among the requests that are inspected: so many in all, and so many of one client.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{credential::token, error::ApiError};
use crate::limits;

/// Bits of an IPv6 address that one client has to itself.
const IPV6_HOST_BITS: u32 = 64;

/// Places to take.
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_client: usize,
    /// Of one address, whatever tokens come from it: tokens may be invented.
    per_address: usize,
    taken: Arc<Mutex<HashMap<u64, usize>>>,
    /// Makes names of clients, so that no token is kept.
    names: RandomState,
}

impl Places {
    pub(super) fn new(limits: &limits::Config) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.max_media_requests.get())),
            per_client: limits.max_media_requests_per_client.get(),
            per_address: limits.max_media_requests_per_client.get().max(limits.max_media_requests.get() / 2),
            taken: Arc::default(),
            names: RandomState::new(),
        }
    }

    /// All places, for a gauge.
    pub(super) fn all(&self) -> &Arc<Semaphore> {
        &self.all
    }

    /// Takes a place for a client.
    pub(super) fn take(&self, client: IpAddr, headers: &HeaderMap, uri: &Uri) -> Result<Place, ApiError> {
        let all = Arc::clone(&self.all).try_acquire_owned();
        let all = all.map_err(|_| ApiError::Overloaded("limits.max_media_requests is reached"))?;
        let address = self.names.hash_one(network(client));
        let name = match token(headers, uri.query()) {
            Some(token) => self.names.hash_one(token),
            None => self.names.hash_one(("no token", network(client))),
        };
        let bounds = [(name, self.per_client), (address, self.per_address)];
        let mut taken = self.taken.lock().expect("no panic while held");
        let is_full = |(name, most): (u64, usize)| taken.get(&name).is_some_and(|count| *count >= most);
        if is_full(bounds[0]) {
            return Err(ApiError::Overloaded("limits.max_media_requests_per_client is reached"));
        }
        if is_full(bounds[1]) {
            let text = "one address has half of limits.max_media_requests; is the front proxy in trusted_proxies?";
            return Err(ApiError::Overloaded(text));
        }
        for (name, _) in bounds {
            *taken.entry(name).or_default() += 1;
        }
        Ok(Place { names: bounds.map(|(name, _)| name), taken: Arc::clone(&self.taken), _all: all })
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> IPV6_HOST_BITS << IPV6_HOST_BITS).into()),
    }
}

/// A place, given back on drop.
pub(super) struct Place {
    /// Of the token, or of all without one at the address, and of the address.
    names: [u64; 2],
    taken: Arc<Mutex<HashMap<u64, usize>>>,
    _all: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().expect("no panic while held");
        for name in self.names {
            if let Entry::Occupied(mut entry) = taken.entry(name) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use http::header::AUTHORIZATION;

    use super::*;

    fn places(all: usize, per_client: usize) -> Places {
        let count = |count| NonZeroUsize::new(count).unwrap();
        Places::new(&limits::Config {
            max_media_requests: count(all),
            max_media_requests_per_client: count(per_client),
            ..limits::Config::default()
        })
    }

    fn take(places: &Places, address: &str, token: Option<&str>, query: &str) -> Option<Place> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token.parse().unwrap());
        }
        places.take(address.parse().unwrap(), &headers, &format!("/x?{query}").parse().unwrap()).ok()
    }

    #[test]
    fn one_client_cannot_take_all_places() {
        let places = places(3, 2);
        let first = take(&places, "192.0.2.1", None, "");
        let second = take(&places, "192.0.2.1", None, "");
        assert!(first.is_some() && second.is_some() && take(&places, "192.0.2.1", None, "").is_none());
        let other = take(&places, "192.0.2.2", None, "");
        assert!(other.is_some() && take(&places, "192.0.2.3", None, "").is_none(), "there are three");
        drop((first, other));
        assert!(take(&places, "192.0.2.1", None, "").is_some());
        drop(second);
        assert!(places.taken.lock().unwrap().is_empty(), "nothing is kept of who left");
    }

    #[test]
    fn invented_tokens_give_an_address_no_more_than_half() {
        let places = places(8, 2);
        let tokens: Vec<String> = (0..8).map(|i| format!("Bearer {i}")).collect();
        let taken: Vec<Place> = tokens.iter().filter_map(|token| take(&places, "192.0.2.1", Some(token), "")).collect();
        assert_eq!(taken.len(), 4);
        assert!(take(&places, "192.0.2.1", None, "").is_none() && take(&places, "192.0.2.2", None, "").is_some());
    }

    #[test]
    fn clients_are_told_apart_by_token_and_then_by_network() {
        let places = places(100, 1);
        let mut taken = Vec::new();
        let mut is_free = |address, token, query| {
            let place = take(&places, address, token, query);
            let free = place.is_some();
            taken.extend(place);
            free
        };
        assert!(is_free("192.0.2.1", Some("Bearer a"), "") && is_free("192.0.2.1", Some("Bearer b"), ""));
        assert!(!is_free("192.0.2.9", Some("Bearer a"), ""), "the token counts wherever it comes from");
        for (header, query) in [(Some("bearer  a"), ""), (None, "access_token=a")] {
            assert!(!is_free("192.0.2.9", header, query), "and however it is sent");
        }
        assert!(is_free("192.0.2.1", None, "access_token=c") && !is_free("192.0.2.2", None, "x=1&access_token=c"));
        assert!(is_free("192.0.2.1", Some("X-Matrix sig=1"), "") && !is_free("192.0.2.1", Some("X-Matrix sig=2"), ""));
        assert!(is_free("2001:db8::1", None, "") && !is_free("2001:db8::2", None, ""), "one network, one client");
        assert!(is_free("2001:db8:0:1::1", None, ""));
    }
}

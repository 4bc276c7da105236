//! Bounds on what one process takes on: requests at a time, bytes held, sizes and stalls.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytesize::ByteSize;
use serde::Deserialize;

/// `limits` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Largest medium, in bytes: a larger upload is refused with 413, a larger download with 403. Keep it at or below
    /// clamd's `MaxFileSize` and `StreamMaxLength`.
    pub max_media_bytes: ByteSize,
    /// Requests on scanned routes at a time; one more is answered 503 with `Retry-After`.
    pub max_media_requests: NonZeroUsize,
    /// Of these, requests of one client: by its token, since many people may have one address, else by its address. With
    /// tokens, which may be invented, one address has at most half of all.
    pub max_media_requests_per_client: NonZeroUsize,
    /// Connections of clients at a time; further ones wait in the listen queue of the kernel.
    pub max_connections: NonZeroUsize,
    /// Memory for media held in memory: small media, the plaintext of attachments, and files that are scanned before their
    /// upload. Past it small media go to disk, attachments are decrypted on their way to the engine, and files before their
    /// upload have to wait. What is held back of known media while they are streamed,
    /// up to 128 KiB of each, comes on top.
    pub memory_bytes: ByteSize,
    /// Longest wait for the next bytes of a request or response body before the transfer is cut.
    #[serde(with = "humantime_serde")]
    pub stall_timeout: Duration,
    /// Longest wait for a request's head, and so for the next request on an idle connection: longer than front proxies
    /// keep idle connections to us (nginx: 60 s), so that it is they who close them.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_media_bytes: ByteSize::mib(100),
            max_media_requests: NonZeroUsize::new(512).expect("not zero"),
            max_media_requests_per_client: NonZeroUsize::new(128).expect("not zero"),
            max_connections: NonZeroUsize::new(8192).expect("not zero"),
            memory_bytes: ByteSize::mib(256),
            stall_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(75),
        }
    }
}

/// A number of bytes that may be in use at a time. Nobody waits for it: who gets no charge takes another way or gives up.
#[derive(Debug)]
pub struct ByteBudget {
    total: u64,
    used: AtomicU64,
}

impl ByteBudget {
    /// A budget of `total` bytes.
    pub fn new(total: u64) -> Arc<Self> {
        Arc::new(Self { total, used: AtomicU64::new(0) })
    }

    /// Bytes that can be charged at a time.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes charged at the moment.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// An empty charge that can grow.
    pub fn open(self: &Arc<Self>) -> Charge {
        Charge { budget: Arc::clone(self), bytes: 0 }
    }
}

/// Bytes taken from a budget, given back on drop.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<ByteBudget>,
    bytes: u64,
}

impl Charge {
    /// An empty charge on the same budget.
    #[must_use]
    pub fn sibling(&self) -> Self {
        self.budget.open()
    }

    /// Takes `bytes` more; `false` (and nothing taken) if the budget has no room for them.
    #[must_use]
    pub fn grow(&mut self, bytes: u64) -> bool {
        let total = self.budget.total;
        let room = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= total);
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok();
        if taken {
            self.bytes += bytes;
        }
        taken
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_given_back_on_drop() {
        let budget = ByteBudget::new(100);
        let (mut first, mut second) = (budget.open(), budget.open());
        assert!(first.grow(60) && second.grow(40));
        assert!(!first.grow(1));
        assert!(!second.grow(u64::MAX), "no overflow");
        drop(first);
        assert_eq!(budget.used(), 40);
        assert!(second.grow(60));
    }
}

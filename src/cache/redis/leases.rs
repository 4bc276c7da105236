//! One scan of some bytes among all who share a store.
//!
//! Who is to scan takes a lease, renews it while it scans, keeps the verdict, and gives the lease back. Others wait for the verdict.
//! The lease of one who died runs out. Who went on for too long without renewing it, and ends all the same, has an earlier
//! [fence](Lease::fence) than the one who took its place.

use std::{sync::Arc, time::Duration};

use prometheus::{IntCounterVec, Opts, Registry};
use tokio::{runtime::Handle, task::AbortHandle};

use super::RedisStore;
use crate::cache::{key::Key, store::StoreError, tiered::Tiered};

/// How long a lease lives without being renewed: the time that is lost to those who wait when its holder dies.
const LIFE: Duration = Duration::from_secs(4);

/// For how long it is known that a scan was in vain. Those who waited look more often than that, and each goes on by itself:
/// one after the other they would wait for long.
const IN_VAIN: Duration = Duration::from_secs(1);

/// How someone came to scan, or not.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// Had the lease at once.
    Acquired,
    /// Waited, and was given a verdict.
    Waited,
    /// Waited, and had to scan all the same.
    TakenOver,
    /// Scanned without a lease, since the store fails or others scanned in vain.
    Without,
}

/// Gives out leases.
#[derive(Clone)]
pub struct Leases(Arc<Inner>);

struct Inner {
    store: Arc<RedisStore>,
    tiered: Arc<Tiered>,
    turns: IntCounterVec,
}

/// The answer to who asked for a lease.
pub enum Claim {
    /// It is theirs.
    Held(Lease),
    /// It is someone else's.
    Taken,
    /// Someone had it a moment ago, and came to no verdict that is kept.
    InVain,
}

/// The right to scan some bytes. It is given back when dropped.
pub struct Lease {
    inner: Arc<Inner>,
    name: String,
    token: String,
    fence: u64,
    has_verdict: bool,
    renewal: AbortHandle,
}

impl Leases {
    pub(in crate::cache) fn register(
        store: Arc<RedisStore>,
        tiered: Arc<Tiered>,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let help =
            "Media that were new to a node, by how it came to scan them, or not, among those who share the store.";
        let turns = IntCounterVec::new(Opts::new("lazaret_leases_total", help), &["turn"])?;
        for turn in [Turn::Acquired, Turn::Waited, Turn::TakenOver, Turn::Without] {
            turns.with_label_values(&[turn.name()]);
        }
        registry.register(Box::new(turns.clone()))?;
        Ok(Self(Arc::new(Inner { store, tiered, turns })))
    }

    /// Asks for the lease of that name.
    pub async fn claim(&self, key: Key) -> Result<Claim, StoreError> {
        let name = format!("{}:lease:{key}", self.0.store.prefix);
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(|error| StoreError::Failed(error.to_string()))?;
        let token = format!("{:032x}", u128::from_be_bytes(token));
        let acquire = self.0.store.scripts.acquire(&name, &token, LIFE);
        let acquire = |mut connection| async move { acquire.invoke_async(&mut connection).await };
        let answer = self.0.tiered.back().run("lease", 1, self.0.store.link.run::<i64, _>(acquire)).await?;
        Ok(match u64::try_from(answer) {
            Err(_) => Claim::InVain,
            Ok(0) => Claim::Taken,
            Ok(fence) => Claim::Held(Lease::new(Arc::clone(&self.0), name, token, fence)),
        })
    }

    /// Counts how it went.
    pub fn count(&self, turn: Turn) {
        self.0.turns.with_label_values(&[turn.name()]).inc();
    }
}

impl Turn {
    fn name(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Waited => "waited",
            Self::TakenOver => "taken_over",
            Self::Without => "without",
        }
    }
}

impl Lease {
    fn new(inner: Arc<Inner>, name: String, token: String, fence: u64) -> Self {
        let renewal = tokio::spawn(keep(Arc::clone(&inner), name.clone(), token.clone())).abort_handle();
        Self { inner, name, token, fence, has_verdict: false, renewal }
    }

    /// When it was given, in microseconds since 1970 by the clock of the store.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Gives it back; those who wait find a verdict in the store, or they do not.
    pub fn release(mut self, has_verdict: bool) {
        self.has_verdict = has_verdict;
    }

    /// Gives it back unused: whoever asks next may have it.
    pub fn pass_on(self) {
        self.release(true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
        let (inner, name, token) = (Arc::clone(&self.inner), self.name.clone(), self.token.clone());
        let in_vain = if self.has_verdict { Duration::ZERO } else { IN_VAIN };
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let release = inner.store.scripts.release(&name, &token, in_vain);
            let release = |mut connection| async move { release.invoke_async(&mut connection).await };
            let released = inner.tiered.back().run("lease", 1, inner.store.link.run::<i64, _>(release)).await;
            drop(released.inspect_err(|error| tracing::debug!(%error, "a lease was not given back and runs out")));
        });
    }
}

/// Renews it until it is someone else's.
async fn keep(inner: Arc<Inner>, name: String, token: String) {
    loop {
        tokio::time::sleep(LIFE / 3).await;
        let renew = inner.store.scripts.renew(&name, &token, LIFE);
        let renew = |mut connection| async move { renew.invoke_async(&mut connection).await };
        let renewed = inner.tiered.back().run("lease", 1, inner.store.link.run::<i64, _>(renew)).await;
        if renewed.is_ok_and(|renewed| renewed == 0) {
            tracing::warn!(
                "a scan took longer than the verdict store remembered that it goes on; another one may scan, too"
            );
            return;
        }
    }
}

//! Keeps a store that fails, or takes its time, from holding anybody up.
//!
//! Every operation has the same short time. After some failures in a row the store is left alone for a while, and then tried with one
//! operation at a time; all others have their answer, that there is none, at once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::{Instant, timeout};

use super::{
    entry::Entry,
    key::Key,
    store::{Cursor, Page, Stats, StoreError, VerdictStore},
};

/// Failures in a row after which it is left alone.
const FAILURES: u32 = 3;

/// For how long, first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// A store that turns everything away for longer than that is in trouble.
const BUSY: Duration = Duration::from_secs(5);

/// Walks and the like, which nobody waits for with a request in hand, may take this many times as long.
pub(super) const PATIENCE: u32 = 40;

/// To forget everything takes many steps, each with its own time.
const STEPS: u32 = 100;

/// A store that cannot hold anybody up.
pub(super) struct Guarded {
    store: Arc<dyn VerdictStore>,
    timeout: Duration,
    breaker: Mutex<Breaker>,
    operations: IntCounterVec,
    seconds: HistogramVec,
    up: IntGauge,
}

#[derive(Default)]
struct Breaker {
    failures: u32,
    /// The store is left alone until then; the pause that comes after the next failure.
    open: Option<(Instant, Duration)>,
    /// The last thing that was put found no room.
    is_full: bool,
    /// Since when everything that was put was turned away, if the last thing was.
    busy: Option<Instant>,
    why: String,
}

impl Breaker {
    /// True if the store may be asked. Once a pause is over, one may.
    fn admits(&mut self, now: Instant) -> bool {
        match &mut self.open {
            Some((until, _)) if now < *until => false,
            Some((until, pause)) => {
                *until = now + *pause;
                true
            }
            None => true,
        }
    }

    /// True if it has been turning everything away for long.
    fn is_held_up(&self, now: Instant) -> bool {
        self.busy.is_some_and(|since| now.duration_since(since) >= BUSY)
    }

    /// True if that is news.
    fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.open.take().is_some()
    }

    /// True if that is news.
    fn failed(&mut self, now: Instant, why: String) -> bool {
        self.why = why;
        self.failures = self.failures.saturating_add(1);
        if self.failures < FAILURES && self.open.is_none() {
            return false;
        }
        let pause = self.open.map_or(PAUSE.0, |(_, pause)| pause);
        self.open.replace((now + pause, (2 * pause).min(PAUSE.1))).is_none()
    }
}

impl Guarded {
    pub(super) fn register(
        store: Arc<dyn VerdictStore>,
        timeout: Duration,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let opts = Opts::new("lazaret_store_operations_total", "Operations of the verdict store, by outcome.");
        let operations = IntCounterVec::new(opts, &["operation", "outcome"])?;
        for operation in ["get", "put", "remove", "lease", "admin"] {
            for outcome in ["ok", "failed", "late", "full", "left_alone"] {
                operations.with_label_values(&[operation, outcome]);
            }
        }
        let buckets = vec![0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5];
        let opts =
            HistogramOpts::new("lazaret_store_seconds", "Time of operations of the verdict store.").buckets(buckets);
        let seconds = HistogramVec::new(opts, &["operation"])?;
        let up = IntGauge::new(
            "lazaret_store_up",
            "1 unless the verdict store is left alone after failures, or takes nothing for long.",
        )?;
        up.set(1);
        registry.register(Box::new(operations.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(up.clone()))?;
        Ok(Self { store, timeout, breaker: Mutex::default(), operations, seconds, up })
    }

    /// What is wrong with it, if anything is.
    pub(super) fn trouble(&self) -> Option<String> {
        let breaker = self.breaker.lock().expect("no panic while held");
        let left_alone = breaker.open.map(|_| format!("left alone: {}", breaker.why));
        let held_up = breaker.is_held_up(Instant::now()).then(|| StoreError::Busy.to_string());
        left_alone.or(held_up).or(breaker.is_full.then(|| StoreError::Full.to_string()))
    }

    /// Does something with the store, in time or not at all.
    pub(super) async fn run<T>(
        &self,
        operation: &'static str,
        patience: u32,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let begun = Instant::now();
        if !self.breaker.lock().expect("no panic while held").admits(begun) {
            self.operations.with_label_values(&[operation, "left_alone"]).inc();
            return Err(StoreError::LeftAlone);
        }
        let outcome = timeout(self.timeout * patience, work).await.unwrap_or(Err(StoreError::Late));
        self.seconds.with_label_values(&[operation]).observe(begun.elapsed().as_secs_f64());
        self.note(operation, outcome.as_ref().err());
        outcome
    }

    fn note(&self, operation: &'static str, error: Option<&StoreError>) {
        let name = match error {
            None => "ok",
            Some(StoreError::Late) => "late",
            Some(StoreError::Full) => "full",
            Some(_) => "failed",
        };
        self.operations.with_label_values(&[operation, name]).inc();
        let store = self.store.name();
        let (now, mut breaker) = (Instant::now(), self.breaker.lock().expect("no panic while held"));
        if operation == "put" {
            breaker.busy = matches!(error, Some(StoreError::Busy)).then(|| breaker.busy.unwrap_or(now));
        }
        match error {
            None | Some(StoreError::Full | StoreError::Newer) => {
                if breaker.succeeded() {
                    tracing::info!(store, "the verdict store is back");
                }
                // Others can be read while nothing can be written.
                let is_full =
                    if operation == "put" { matches!(error, Some(StoreError::Full)) } else { breaker.is_full };
                if is_full != std::mem::replace(&mut breaker.is_full, is_full) {
                    tracing::warn!(store, is_full, "the verdict store has no room, or has some again");
                }
            }
            // It works, and has too much to do.
            Some(StoreError::Busy) => (),
            Some(error) => {
                if breaker.failed(now, error.to_string()) {
                    tracing::error!(store, %error, "the verdict store fails; it is left alone for a while");
                }
            }
        }
        self.up.set(i64::from(breaker.open.is_none() && !breaker.is_held_up(now)));
    }
}

impl VerdictStore for Guarded {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        self.run("get", 1, self.store.get(key)).boxed()
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run("put", 1, self.store.put(key, entry)).boxed()
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run("remove", 1, self.store.remove(key)).boxed()
    }

    fn walk(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.run("admin", PATIENCE, self.store.walk(from)).boxed()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run("admin", PATIENCE * STEPS, self.store.clear()).boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Stats, StoreError>> {
        self.run("admin", PATIENCE, self.store.stats()).boxed()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.run("admin", PATIENCE, self.store.flush()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::cache::{far::Far, key::KeyRing};

    #[test]
    fn a_store_that_fails_is_left_alone_for_longer_each_time_and_tried_by_one_at_a_time() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let fail = |breaker: &mut Breaker, now| breaker.failed(now, "gone".to_owned());
        assert!(!fail(&mut breaker, now) && breaker.admits(now));
        assert!(!fail(&mut breaker, now) && breaker.admits(now), "twice may be an accident");
        assert!(fail(&mut breaker, now) && !breaker.admits(now));
        for pause in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            now += Duration::from_millis(pause - 1);
            assert!(!breaker.admits(now), "{pause}");
            now += Duration::from_millis(1);
            assert!(breaker.admits(now) && !breaker.admits(now), "{pause}: one, and no second");
            assert!(!fail(&mut breaker, now));
        }
        assert!(breaker.succeeded() && breaker.admits(now) && !breaker.succeeded());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_turns_everything_away_for_long_is_in_trouble_and_can_be_read() {
        let ring = KeyRing::ephemeral().unwrap();
        let (far, key) = (Arc::new(Far::new(ring.clone())), ring.location("a"));
        let guarded = Guarded::register(Arc::clone(&far) as _, Duration::from_secs(1), &Registry::new()).unwrap();
        let put = || guarded.put(key, Entry::Identity(key));
        put().await.unwrap();
        *far.refuses.lock().unwrap() = Some(StoreError::Busy);
        for _ in 0..10 {
            assert!(put().await.is_err() && guarded.trouble().is_none() && guarded.up.get() == 1);
        }
        tokio::time::advance(BUSY).await;
        assert!(put().await.is_err() && guarded.trouble().is_some() && guarded.up.get() == 0);
        assert!(guarded.get(key).await.unwrap().is_some());
        *far.refuses.lock().unwrap() = None;
        assert!(put().await.is_ok() && guarded.trouble().is_none() && guarded.up.get() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_of_a_newer_version_is_no_failure_of_the_store() {
        let ring = KeyRing::ephemeral().unwrap();
        let (far, key) = (Arc::new(Far::new(ring.clone())), ring.location("a"));
        let guarded = Guarded::register(Arc::clone(&far) as _, Duration::from_secs(1), &Registry::new()).unwrap();
        *far.refuses.lock().unwrap() = Some(StoreError::Newer);
        for _ in 0..10 {
            assert!(matches!(guarded.put(key, Entry::Identity(key)).await, Err(StoreError::Newer)));
        }
        assert!(guarded.trouble().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn to_forget_everything_may_take_longer_than_any_step_of_it() {
        let (ring, limit) = (KeyRing::ephemeral().unwrap(), Duration::from_millis(250));
        let far = Arc::new(Far::new(ring));
        let guarded = Guarded::register(Arc::clone(&far) as _, limit, &Registry::new()).unwrap();
        far.answers.forget_permits(usize::MAX);
        let (cleared, ()) = tokio::join!(guarded.clear(), async {
            tokio::time::sleep(limit * PATIENCE * 2).await;
            far.answers.add_permits(1);
        });
        cleared.unwrap();
    }

    #[test]
    fn every_operation_is_counted_from_the_start() {
        let (registry, far) = (Registry::new(), Arc::new(Far::new(KeyRing::ephemeral().unwrap())));
        let _guarded = Guarded::register(far, Duration::ZERO, &registry).unwrap();
        let counted = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for operation in ["get", "put", "remove", "lease", "admin"] {
            assert!(counted.contains(&format!("operation=\"{operation}\",outcome=\"late\"")), "{operation}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_costs_its_deadline_some_times_and_then_nothing() {
        let (ring, limit) = (KeyRing::ephemeral().unwrap(), Duration::from_millis(250));
        let far = Arc::new(Far::new(ring.clone()));
        let guarded = Guarded::register(Arc::clone(&far) as _, limit, &Registry::new()).unwrap();
        let key = ring.location("a");
        let get = async || {
            let begun = Instant::now();
            (guarded.get(key).await.map(|found| found.is_some()), begun.elapsed())
        };
        guarded.put(key, Entry::Identity(key)).await.unwrap();
        assert!(matches!(get().await, (Ok(true), Duration::ZERO)));
        far.hangs.store(true, Ordering::Relaxed);
        for _ in 0..FAILURES {
            assert!(guarded.trouble().is_none());
            assert!(matches!(get().await, (Err(StoreError::Late), took) if took == limit));
        }
        assert!(guarded.trouble().is_some());
        for _ in 0..100 {
            assert!(matches!(get().await, (Err(StoreError::LeftAlone), Duration::ZERO)));
        }
        tokio::time::advance(PAUSE.0).await;
        let (one, other) = tokio::join!(get(), get());
        assert!(matches!(one, (Err(StoreError::Late), took) if took == limit), "one finds out");
        assert!(matches!(other, (Err(StoreError::LeftAlone), Duration::ZERO)), "and no other one waits");
        far.hangs.store(false, Ordering::Relaxed);
        tokio::time::advance(PAUSE.1).await;
        assert!(matches!(get().await, (Ok(true), Duration::ZERO)));
        assert!(guarded.trouble().is_none());
    }
}

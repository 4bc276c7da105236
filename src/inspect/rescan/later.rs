//! Media that are to be scanned again when there is time for it. They are kept as they came, within bounds; the least popular
//! make room, and are scanned when they are asked for again.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use prometheus::{IntCounter, PullingGauge, Registry};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{
    cache::key::Key,
    crypto::attachment::AttachmentKey,
    spool::{Spool, Spooler},
};

/// Media that wait at most.
const MOST: usize = 1000;

/// They may take that part of the room for media in memory, and of that on disk.
const PART: u64 = 8;

/// How long a medium rests that had no turn, or was given no new verdict: at first, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Longer than anything waits here.
const FOREVER: Duration = Duration::from_hours(24);

/// What is to be scanned: an attachment stays encrypted until it is its turn.
#[derive(Clone)]
pub(super) enum Body {
    Plain(Arc<Spool>),
    Sealed(Arc<Spool>, AttachmentKey),
}

impl Body {
    fn spool(&self) -> &Spool {
        match self {
            Self::Plain(spool) | Self::Sealed(spool, _) => spool,
        }
    }
}

/// One medium that waits.
pub(super) struct Job {
    pub(super) identity: Key,
    pub(super) body: Body,
    hits: u64,
    arrival: u64,
    rest: Duration,
    /// When it may be taken.
    ripe: Instant,
}

impl Job {
    fn rank(&self) -> (u64, Reverse<u64>) {
        (self.hits, Reverse(self.arrival))
    }

    /// True if it has been put back so often that nothing is to be hoped for soon.
    pub(super) fn is_given_up(&self) -> bool {
        self.rest >= REST.1
    }
}

/// Bytes in memory and on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes {
    memory: u64,
    disk: u64,
}

impl Bytes {
    fn of(&mut self, body: &Body) -> &mut u64 {
        if body.spool().is_on_disk() { &mut self.disk } else { &mut self.memory }
    }

    fn fits(self, room: Self) -> bool {
        self.memory <= room.memory && self.disk <= room.disk
    }
}

#[derive(Default)]
struct State {
    waiting: HashMap<Key, Job>,
    under_way: HashSet<Key>,
    bytes: Bytes,
    arrivals: u64,
}

impl State {
    fn take(&mut self, identity: Key) -> Option<Job> {
        let job = self.waiting.remove(&identity)?;
        *self.bytes.of(&job.body) -= job.body.spool().len();
        Some(job)
    }

    fn put(&mut self, job: Job) {
        *self.bytes.of(&job.body) += job.body.spool().len();
        self.waiting.insert(job.identity, job);
    }

    fn most_popular(&self) -> Option<Key> {
        let now = Instant::now();
        self.waiting.values().filter(|job| job.ripe <= now).max_by_key(|job| job.rank()).map(|job| job.identity)
    }

    fn first_ripe(&self) -> Option<Instant> {
        self.waiting.values().map(|job| job.ripe).min()
    }

    fn least_popular(&self) -> Option<Key> {
        self.waiting.values().min_by_key(|job| job.rank()).map(|job| job.identity)
    }
}

/// Media that wait for their rescan.
pub(super) struct Later {
    state: Arc<Mutex<State>>,
    room: Bytes,
    news: Notify,
    dropped: IntCounter,
}

impl Later {
    pub(super) fn register(spooler: &Spooler, registry: &Registry) -> prometheus::Result<Self> {
        let (memory, disk) = spooler.room();
        let help = "Media whose rescan in the background found no room; they are rescanned when asked for again.";
        let dropped = IntCounter::new("lazaret_rescans_dropped_total", help)?;
        let state = Arc::<Mutex<State>>::default();
        let counted = Arc::clone(&state);
        let help = "Media that wait for their rescan in the background.";
        let queued = move || counted.lock().expect("no panic while held").waiting.len() as f64;
        registry.register(Box::new(dropped.clone()))?;
        registry.register(Box::new(PullingGauge::new("lazaret_rescans_queued", help, Box::new(queued))?))?;
        Ok(Self { state, room: Bytes { memory: memory / PART, disk: disk / PART }, news: Notify::new(), dropped })
    }

    /// Takes note of one more request for a medium. True if it waits already, or is under way.
    pub(super) fn asked(&self, identity: Key) -> bool {
        let mut state = self.state();
        match state.waiting.get_mut(&identity) {
            Some(job) => job.hits = job.hits.saturating_add(1),
            None => return state.under_way.contains(&identity),
        }
        true
    }

    /// Has a medium wait that was asked for so often.
    pub(super) fn put(&self, identity: Key, hits: u64, body: Body) {
        let mut state = self.state();
        state.arrivals += 1;
        let arrival = state.arrivals;
        self.admit(state, Job { identity, body, hits, arrival, rest: Duration::ZERO, ripe: Instant::now() });
    }

    /// Ends a scan that came to nothing. The medium waits again, and rests first, each time twice as long.
    pub(super) fn put_back(&self, mut job: Job) {
        let mut state = self.state();
        state.under_way.remove(&job.identity);
        job.rest = (2 * job.rest).clamp(REST.0, REST.1);
        job.ripe = Instant::now() + job.rest;
        self.admit(state, job);
    }

    fn admit(&self, mut state: MutexGuard<'_, State>, job: Job) {
        state.take(job.identity);
        state.put(job);
        while state.waiting.len() > MOST || !state.bytes.fits(self.room) {
            let Some(least) = state.least_popular() else { break };
            state.take(least);
            self.dropped.inc();
        }
        self.news.notify_one();
    }

    /// Waits for a medium to scan: the most popular one. It is under way until [`Later::done`].
    pub(super) async fn next(&self) -> Job {
        loop {
            if let Some(job) = self.begin() {
                return job;
            }
            let ripe = self.state().first_ripe().unwrap_or_else(|| Instant::now() + FOREVER);
            // Either way it is looked again.
            drop(timeout_at(ripe, self.news.notified()).await);
        }
    }

    fn begin(&self) -> Option<Job> {
        let mut state = self.state();
        let next = state.most_popular()?;
        state.under_way.insert(next);
        state.take(next)
    }

    /// Takes note that a scan has ended.
    pub(super) fn done(&self, identity: Key) {
        self.state().under_way.remove(&identity);
    }

    /// Lets go of a medium that was scanned otherwise.
    pub(super) fn forget(&self, identity: Key) {
        self.state().take(identity);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;
    use futures_util::FutureExt;

    use super::*;
    use crate::{cache::key::KeyRing, spool};

    fn later(memory: u64) -> (Later, KeyRing, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let config = spool::Config { dir: dir.path().to_owned(), ..spool::Config::default() };
        let spooler = Spooler::open(&config, ByteSize::b(memory)).unwrap();
        (Later::register(&spooler, &Registry::new()).unwrap(), KeyRing::ephemeral().unwrap(), dir)
    }

    fn body(len: usize) -> Body {
        Body::Plain(Arc::new(Spool::of(&vec![0; len])))
    }

    fn rest(later: &Later) -> Vec<u64> {
        std::iter::from_fn(|| later.next().now_or_never()).map(|job| job.hits).collect()
    }

    #[tokio::test]
    async fn the_most_popular_come_first_and_each_once() {
        let (later, ring, _dir) = later(1 << 20);
        for (name, hits) in [("a", 2), ("b", 9), ("c", 1)] {
            later.put(ring.location(name), hits, body(1));
        }
        assert!(later.asked(ring.location("c")) && !later.asked(ring.location("d")));
        later.put(ring.location("a"), 7, body(1));
        later.forget(ring.location("b"));
        assert_eq!(rest(&later), [7, 2]);
        assert!(later.asked(ring.location("a")), "under way");
        later.done(ring.location("a"));
        assert!(!later.asked(ring.location("a")));
        assert_eq!(later.state().bytes, Bytes::default());
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_to_nothing_rests_longer_each_time_and_keeps_its_place() {
        let (later, ring, _dir) = later(1 << 20);
        later.put(ring.location("a"), 9, body(1));
        let mut job = later.next().await;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let put_back = Instant::now();
            assert!(seconds == 30 || !job.is_given_up());
            later.put_back(job);
            later.put(ring.location("b"), 1, body(1));
            assert_eq!(later.next().await.hits, 1, "others go on");
            job = later.next().await;
            assert_eq!((job.hits, put_back.elapsed().as_secs()), (9, seconds));
        }
        assert!(job.is_given_up());
    }

    #[tokio::test]
    async fn the_least_popular_make_room() {
        let (later, ring, _dir) = later(800);
        for (name, hits) in [("a", 2), ("b", 9), ("c", 1), ("d", 5)] {
            later.put(ring.location(name), hits, body(40));
        }
        assert_eq!(rest(&later), [9, 5], "an eighth of 800 bytes is room for two");
        later.put(ring.location("e"), 1, body(101));
        assert_eq!((rest(&later), later.dropped.get()), (Vec::new(), 3), "too large alone");
        for number in 0..MOST as u64 + 10 {
            later.put(ring.location(&number.to_string()), number, body(0));
        }
        let rest = rest(&later);
        assert_eq!((rest.len(), rest.last()), (MOST, Some(&10)));
    }
}

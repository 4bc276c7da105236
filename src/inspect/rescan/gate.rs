//! Keeps scans of what was scanned before from taking the engines for themselves.
//!
//! When signatures change, everything that is asked for is to be scanned again at once. So only some may be at a time; of those
//! that wait, the ones with a request in hand go first, and of these the most popular.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::Errand;
use crate::cache::key::Key;

/// Rescans under way, and those that wait for it.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    most: usize,
    under_way: usize,
    arrivals: u64,
    /// By arrival.
    waiting: BTreeMap<u64, Waiting>,
    /// Requests for what is on its way here.
    expected: HashMap<Key, u64>,
}

struct Waiting {
    identity: Key,
    errand: Errand,
    hits: u64,
    pass: oneshot::Sender<Pass>,
}

impl State {
    /// Takes out who is next, if there is room.
    fn next(&mut self) -> Option<Waiting> {
        if self.under_way >= self.most {
            return None;
        }
        let rank = |(arrival, waiting): &(&u64, &Waiting)| (waiting.errand, waiting.hits, Reverse(**arrival));
        let first = *self.waiting.iter().max_by_key(rank)?.0;
        self.under_way += 1;
        self.waiting.remove(&first)
    }
}

/// The right to be under way, given back on drop.
pub(in crate::inspect) struct Pass(Gate);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.state().under_way -= 1;
        self.0.admit();
    }
}

/// Has requests counted for what is on its way to the gate, until dropped.
pub(super) struct Expected<'a>(&'a Gate, Key);

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.0.state().expected.remove(&self.1);
    }
}

/// A place in the queue, given up on drop.
struct Place<'a>(&'a Gate, u64);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.state().waiting.remove(&self.1);
    }
}

impl Gate {
    /// Waits until fewer than `most` are under way and nobody with more right waits; `None` if that takes too long.
    pub(super) async fn enter(
        &self,
        identity: Key,
        errand: Errand,
        hits: u64,
        most: usize,
        deadline: Instant,
    ) -> Option<Pass> {
        let (pass, given) = oneshot::channel();
        let place = self.queue(Waiting { identity, errand, hits, pass }, most);
        self.admit();
        let given = timeout_at(deadline, given).await;
        drop(place);
        given.ok()?.ok()
    }

    /// Has requests for it counted from here on: they may come, and wait for it, before it does.
    pub(super) fn expect(&self, identity: Key) -> Expected<'_> {
        self.state().expected.insert(identity, 0);
        Expected(self, identity)
    }

    /// Takes note of one more request for what may be waiting, or on its way.
    pub(super) fn asked(&self, identity: Key) {
        let mut state = self.state();
        if let Some(requests) = state.expected.get_mut(&identity) {
            *requests = requests.saturating_add(1);
        }
        for waiting in state.waiting.values_mut().filter(|waiting| waiting.identity == identity) {
            waiting.hits = waiting.hits.saturating_add(1);
            waiting.errand = Errand::Request;
        }
    }

    /// Those that wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn queue(&self, mut waiting: Waiting, most: usize) -> Place<'_> {
        let mut state = self.state();
        if let Some(requests) = state.expected.get(&waiting.identity).copied().filter(|requests| *requests > 0) {
            waiting.hits = waiting.hits.saturating_add(requests);
            waiting.errand = Errand::Request;
        }
        state.most = most;
        state.arrivals += 1;
        let arrival = state.arrivals;
        state.waiting.insert(arrival, waiting);
        Place(self, arrival)
    }

    /// Lets in as many as there is room for. A pass whose taker has left comes back by itself, and so is not given under the
    /// lock.
    fn admit(&self) {
        loop {
            let Some(next) = self.state().next() else { return };
            drop(next.pass.send(Pass(self.clone())));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while held")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, future::join_all};
    use tokio::sync::mpsc;

    use super::*;
    use crate::cache::key::KeyRing;

    fn far() -> Instant {
        Instant::now() + Duration::from_hours(1)
    }

    /// Enters with each of these after the one that is let in at once, and gives the order in which they were.
    async fn order_of(entering: &[(Errand, u64)], asked: &[usize]) -> Vec<usize> {
        let (gate, ring) = (Gate::default(), KeyRing::ephemeral().unwrap());
        let identity = |number: usize| ring.location(&number.to_string());
        let first = gate.enter(identity(usize::MAX), Errand::Background, 0, 1, far()).await.unwrap();
        let (entered, mut order) = mpsc::unbounded_channel();
        let enter = async |(number, (errand, hits)): (usize, &(Errand, u64))| {
            let _pass = gate.enter(identity(number), *errand, *hits, 1, far()).await.unwrap();
            entered.send(number).unwrap();
        };
        let mut all = Box::pin(join_all(entering.iter().enumerate().map(enter)));
        assert!(all.as_mut().now_or_never().is_none());
        assert_eq!(gate.waiting(), entering.len());
        for number in asked {
            gate.asked(identity(*number));
        }
        drop(first);
        all.await;
        assert_eq!((gate.waiting(), gate.state().under_way), (0, 0));
        order.close();
        std::iter::from_fn(|| order.try_recv().ok()).collect()
    }

    #[tokio::test]
    async fn the_most_popular_go_first_and_those_that_came_first_among_equals() {
        use Errand::Request;
        assert_eq!(order_of(&[(Request, 1), (Request, 5), (Request, 1), (Request, 9)], &[]).await, [3, 1, 0, 2]);
        assert_eq!(order_of(&[(Request, 1), (Request, 2)], &[0, 0]).await, [0, 1], "asked for again meanwhile");
    }

    #[tokio::test]
    async fn who_has_a_request_in_hand_goes_before_those_that_nobody_waits_for() {
        use Errand::{Background, Request};
        assert_eq!(order_of(&[(Background, 99), (Request, 1)], &[]).await, [1, 0]);
        assert_eq!(order_of(&[(Background, 0), (Request, 1), (Background, 9)], &[2]).await, [2, 1, 0]);
    }

    #[tokio::test]
    async fn who_is_asked_for_on_the_way_goes_before_those_that_nobody_waits_for() {
        let (gate, ring) = (Gate::default(), KeyRing::ephemeral().unwrap());
        let [first, asked, other] = ["first", "asked", "other"].map(|name| ring.location(name));
        let enter = |identity, hits| gate.enter(identity, Errand::Background, hits, 1, far());
        let pass = enter(first, 0).await;
        let expected = gate.expect(asked);
        gate.asked(asked);
        let [mut other, mut asked] = [enter(other, 9), enter(asked, 0)].map(Box::pin);
        assert!(other.as_mut().now_or_never().is_none() && asked.as_mut().now_or_never().is_none());
        drop(pass);
        assert!(other.as_mut().now_or_never().is_none());
        assert!(asked.now_or_never().flatten().is_some());
        drop(expected);
        assert!(gate.state().expected.is_empty());
    }

    #[tokio::test]
    async fn no_more_than_may_are_under_way_however_many_come_and_go() {
        let (gate, ring) = (Gate::default(), KeyRing::ephemeral().unwrap());
        let most = 3;
        let go = async |number: u64| {
            let pass = gate.enter(ring.location(&number.to_string()), Errand::Request, number % 7, most, far()).await;
            assert!(gate.state().under_way <= most);
            tokio::task::yield_now().await;
            drop(pass.unwrap());
        };
        join_all((0..100).map(go)).await;
        assert_eq!((gate.waiting(), gate.state().under_way), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_or_leaves_takes_no_right_along() {
        let (gate, ring) = (Gate::default(), KeyRing::ephemeral().unwrap());
        let key = ring.location("a");
        let enter = |deadline| gate.enter(key, Errand::Request, 0, 1, deadline);
        let first = enter(far()).await.unwrap();
        assert!(enter(Instant::now() + Duration::from_secs(1)).await.is_none());
        let mut gone = Box::pin(enter(far()));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(first);
        drop(gone);
        assert!(enter(far()).now_or_never().flatten().is_some(), "the right of who left came back");
        assert_eq!((gate.waiting(), gate.state().under_way), (0, 0));
    }
}

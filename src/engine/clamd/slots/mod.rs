//! Who may scan where, and who waits for it.
//!
//! clamd has no answer for "busy": what exceeds its threads waits where nobody sees it. So scans wait here, in order, within
//! a bound, and can leave at any time. A slot is a thread of one clamd; it goes to the backend with the fewest taken.
//!
//! * Large media (see [`Class`]) hold at most half of a backend's slots (of a single one all), so that a flood of archives
//!   leaves room for photos. While they hold less than a quarter they go first, so that photos leave room for archives.
//! * Canaries go before both, and to backends that are out, too: they are how those come back.
//! * While any backend has the newest signatures, those that lag behind get nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::oneshot;

/// What a slot is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A canary.
    Probe,
    /// A medium that is soon done with.
    Small,
    /// A large medium or an archive, whose cost its size does not tell.
    Large,
}

impl Class {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Probe, Self::Small, Self::Large];

    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// Where a slot may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// On any backend that takes scans.
    Any,
    /// On another one than this.
    Elsewhere(usize),
    /// On this one, whether it takes scans or not.
    Only(usize),
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No backend that is wished for takes scans.
    NoBackend,
    /// As many of its class wait as may.
    QueueFull,
}

/// The slots of all backends and the queue for them.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    max_waiting: usize,
}

#[derive(Debug)]
struct State {
    lanes: Vec<Lane>,
    waiting: VecDeque<Waiter>,
    next_ticket: u64,
}

/// One backend's slots.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// Takes scans.
    open: bool,
    /// Another backend has newer signatures.
    lagging: bool,
    max: usize,
    /// Taken, by class.
    taken: [usize; 3],
}

impl Lane {
    fn outstanding(&self) -> usize {
        self.taken.iter().sum()
    }

    fn has_room(&self, class: Class) -> bool {
        let large_may = class != Class::Large || self.taken[Class::Large as usize] < (self.max / 2).max(1);
        self.outstanding() < self.max.max(1) && large_may
    }
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    class: Class,
    wish: Wish,
    give: oneshot::Sender<Slot>,
}

/// A thread of one clamd, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    backend: usize,
    class: Class,
}

impl Slot {
    /// Whose it is.
    pub(super) fn backend(&self) -> usize {
        self.backend
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().lanes[self.backend].taken[self.class as usize] -= 1;
        self.slots.hand_out();
    }
}

/// A place in the queue, left when this is dropped.
struct Place<'a> {
    slots: &'a Slots,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.slots.lock().waiting.retain(|waiter| waiter.ticket != self.ticket);
    }
}

impl Slots {
    /// No slot at all on so many backends, until [`Slots::set`] says otherwise.
    pub(super) fn new(backends: usize, max_waiting: usize) -> Arc<Self> {
        let state = State { lanes: vec![Lane::default(); backends], waiting: VecDeque::new(), next_ticket: 0 };
        Arc::new(Self { state: Mutex::new(state), max_waiting })
    }

    /// Opens a backend with so many slots, or, with `None`, closes it. Slots that are taken stay so.
    pub(super) fn set(self: &Arc<Self>, backend: usize, slots: Option<usize>) {
        let mut state = self.lock();
        let lane = &mut state.lanes[backend];
        lane.open = slots.is_some();
        lane.max = slots.unwrap_or(lane.max);
        // Who waits for what nobody offers any more is told so, by the loss of its place.
        let State { lanes, waiting, .. } = &mut *state;
        waiting.retain(|waiter| is_offered(lanes, waiter.wish));
        drop(state);
        self.hand_out();
    }

    /// Says whose signatures are older than another's.
    pub(super) fn set_lagging(self: &Arc<Self>, lagging: impl Iterator<Item = bool>) {
        for (lane, lags) in self.lock().lanes.iter_mut().zip(lagging) {
            lane.lagging = lags;
        }
        self.hand_out();
    }

    /// Waits for a slot. Dropping the future leaves the queue.
    pub(super) async fn take(self: &Arc<Self>, class: Class, wish: Wish) -> Result<Slot, Refused> {
        let (place, given) = self.line_up(class, wish)?;
        self.hand_out();
        let slot = given.await.map_err(|_| Refused::NoBackend);
        drop(place);
        slot
    }

    fn line_up(&self, class: Class, wish: Wish) -> Result<(Place<'_>, oneshot::Receiver<Slot>), Refused> {
        let mut state = self.lock();
        if !is_offered(&state.lanes, wish) {
            return Err(Refused::NoBackend);
        }
        let ahead = state.waiting.iter().filter(|waiter| waiter.class == class).count();
        if class != Class::Probe && ahead >= self.max_waiting && state.best(class, wish).is_none() {
            return Err(Refused::QueueFull);
        }
        let (give, given) = oneshot::channel();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(Waiter { ticket, class, wish, give });
        Ok((Place { slots: self, ticket }, given))
    }

    /// Gives free slots to whom they are due. Slots are made and given outside the lock, which a slot that comes back
    /// takes again.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let Some((waiter, backend)) = self.lock().next() else { return };
            let slot = Slot { slots: Arc::clone(self), backend, class: waiter.class };
            // Whoever left meanwhile: dropping the slot hands it on.
            drop(waiter.give.send(slot));
        }
    }

    /// Slots taken on a backend, canaries not counted.
    pub(super) fn taken(&self, backend: usize) -> usize {
        let state = self.lock();
        state.lanes[backend].outstanding() - state.lanes[backend].taken[Class::Probe as usize]
    }

    /// Slots of a backend.
    pub(super) fn max(&self, backend: usize) -> usize {
        self.lock().lanes[backend].max
    }

    /// Scans that backends which take scans take at a time.
    pub(super) fn open(&self) -> usize {
        self.lock().lanes.iter().filter(|lane| lane.open && !lane.lagging).map(|lane| lane.max).sum()
    }

    /// How many wait.
    pub(super) fn waiting(&self, class: Class) -> usize {
        self.lock().waiting.iter().filter(|waiter| waiter.class == class).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }
}

impl State {
    /// Takes the next waiter that can be served off the queue, and a slot for it.
    fn next(&mut self) -> Option<(Waiter, usize)> {
        let open = || self.lanes.iter().filter(|lane| lane.open);
        let large: usize = open().map(|lane| lane.taken[Class::Large as usize]).sum();
        let quarter = open().map(|lane| lane.max).sum::<usize>().div_ceil(4);
        let order = match large < quarter {
            true => [Class::Probe, Class::Large, Class::Small],
            false => [Class::Probe, Class::Small, Class::Large],
        };
        for class in order {
            for at in 0..self.waiting.len() {
                let waiter = &self.waiting[at];
                if waiter.class == class
                    && let Some(backend) = self.best(class, waiter.wish)
                {
                    self.lanes[backend].taken[class as usize] += 1;
                    return self.waiting.remove(at).map(|waiter| (waiter, backend));
                }
            }
        }
        None
    }

    /// The backend with the fewest slots taken among those that may be used; the first of the configuration among equals.
    fn best(&self, class: Class, wish: Wish) -> Option<usize> {
        let usable = offered(&self.lanes, wish).filter(|(_, lane)| lane.has_room(class));
        usable.min_by_key(|(_, lane)| lane.outstanding()).map(|(at, _)| at)
    }
}

fn offered(lanes: &[Lane], wish: Wish) -> impl Iterator<Item = (usize, &Lane)> {
    let is_current = lanes.iter().any(|lane| lane.open && !lane.lagging);
    let takes = move |lane: &Lane| lane.open && (!lane.lagging || !is_current);
    lanes.iter().enumerate().filter(move |(at, lane)| match wish {
        Wish::Any => takes(lane),
        Wish::Elsewhere(failed) => takes(lane) && *at != failed,
        Wish::Only(only) => *at == only,
    })
}

fn is_offered(lanes: &[Lane], wish: Wish) -> bool {
    offered(lanes, wish).next().is_some()
}

#[cfg(test)]
mod tests;

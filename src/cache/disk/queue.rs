//! What waits to be written.

use std::{
    collections::BTreeMap,
    mem::take,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::file::Fault;
use crate::cache::{entry::Entry, key::Key, store::StoreError};

/// Changes that may wait. What comes when there are as many is turned away.
const MOST: usize = 8192;

/// After this time with the same changes the one who writes is held up, and more is turned away.
const HELD_UP: Duration = Duration::from_secs(10);

/// Changes for which it is time to write.
const HALF: usize = MOST / 2;

/// What happens to one name.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// What was there before is forgotten.
    pub(super) is_fresh: bool,
    /// What comes to it, in this order.
    pub(super) puts: Vec<Entry>,
}

impl Change {
    /// True if it was only asked for.
    pub(super) fn is_touch(&self) -> bool {
        !self.is_fresh && self.puts.is_empty()
    }

    /// True if it changes nothing.
    pub(super) fn is_known(&self, old: &Entry) -> bool {
        !self.is_fresh && self.puts.iter().all(|put| put.is_known(old))
    }

    /// What is there afterwards.
    pub(super) fn applied_to(&self, old: Option<Entry>) -> Option<Entry> {
        let old = old.filter(|_| !self.is_fresh);
        self.puts.iter().fold(old, |old, put| Some(Entry::merged(old, put.clone())))
    }
}

/// Changes that are written together.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    /// First everything else is forgotten, but what there is one of.
    pub(super) clears: bool,
    pub(super) changes: BTreeMap<Key, Change>,
    size: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    fn clear(&mut self) {
        self.changes.retain(|_, change| {
            let is_single = change.puts.last().is_some_and(Entry::is_single);
            if !is_single {
                change.puts.clear();
            }
            // There may be one under that name that was to be forgotten.
            is_single || change.is_fresh
        });
        (self.clears, self.size) = (true, self.changes.len());
    }

    fn seen(&self, key: Key, old: Option<Entry>) -> Option<Entry> {
        let old = old.filter(|old| !self.clears || old.is_single());
        match self.changes.get(&key) {
            Some(change) => change.applied_to(old),
            None => old,
        }
    }
}

/// Who waits until all is written.
pub(super) type Flush = oneshot::Sender<Result<(), StoreError>>;

#[derive(Default)]
struct State {
    waiting: Batch,
    writing: Arc<Batch>,
    flushes: Vec<Flush>,
    /// When the one who writes began with what is being written.
    begun: Option<Instant>,
    /// Why nothing can be written.
    trouble: Option<StoreError>,
    /// What happened to somebody who read, and in which opening of the file.
    fault: Option<(u64, Fault)>,
    is_closed: bool,
}

/// What is to be done next.
pub(super) struct Job {
    pub(super) batch: Arc<Batch>,
    pub(super) flushes: Vec<Flush>,
    pub(super) fault: Option<(u64, Fault)>,
    pub(super) is_last: bool,
}

/// What is on its way to the file, as it was at one moment.
pub(super) struct OnItsWay {
    writing: Option<Batch>,
    waiting: Option<Batch>,
}

impl OnItsWay {
    pub(super) fn seen(&self, key: Key, old: Option<Entry>) -> Option<Entry> {
        [&self.writing, &self.waiting].into_iter().flatten().fold(old, |old, batch| batch.seen(key, old))
    }
}

/// What waits to be written, between those who bring it and the one who writes.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    fn push(&self, change: impl FnOnce(&mut Batch)) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(error) = &state.trouble {
            return Err(error.clone());
        }
        let is_held_up = state.begun.is_some_and(|begun| begun.elapsed() >= HELD_UP);
        if is_held_up || state.waiting.size >= MOST {
            return Err(StoreError::Busy);
        }
        change(&mut state.waiting);
        state.waiting.size += 1;
        // The one who writes sleeps until there is something, and then again until it is time or too much.
        if matches!(state.waiting.size, 1 | HALF) {
            self.wake.notify_all();
        }
        Ok(())
    }

    pub(super) fn put(&self, key: Key, entry: Entry) -> Result<(), StoreError> {
        self.push(|batch| batch.changes.entry(key).or_default().puts.push(entry))
    }

    pub(super) fn remove(&self, key: Key) -> Result<(), StoreError> {
        self.push(|batch| drop(batch.changes.insert(key, Change { is_fresh: true, puts: Vec::new() })))
    }

    pub(super) fn clear(&self) -> Result<(), StoreError> {
        self.push(Batch::clear)
    }

    /// Takes note that something was asked for, if there is room for such notes.
    pub(super) fn touch(&self, key: Key) {
        drop(self.push(|batch| {
            batch.changes.entry(key).or_default();
        }));
    }

    /// What is on its way under a name.
    pub(super) fn on_its_way(&self, key: Key) -> OnItsWay {
        let state = self.state();
        let part = |batch: &Batch| {
            let change = batch.changes.get(&key).map(|change| (key, change.clone()));
            let part = Batch { clears: batch.clears, changes: change.into_iter().collect(), size: 0 };
            (part.clears || !part.changes.is_empty()).then_some(part)
        };
        OnItsWay { writing: part(&state.writing), waiting: part(&state.waiting) }
    }

    /// Resolves once all that waits now is written, or cannot be.
    pub(super) fn flush(&self) -> oneshot::Receiver<Result<(), StoreError>> {
        let (flush, flushed) = oneshot::channel();
        let mut state = self.state();
        match state.trouble.clone() {
            Some(error) => drop(flush.send(Err(error))),
            None => state.flushes.push(flush),
        }
        self.wake.notify_all();
        flushed
    }

    /// Says what happened to somebody who read.
    pub(super) fn report(&self, opening: u64, fault: Fault) {
        self.state().fault.get_or_insert((opening, fault));
        self.wake.notify_all();
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.wake.notify_all();
    }

    /// Waits until something is to be done: not before `earliest` if nobody is in a hurry, and not after `latest`.
    pub(super) fn next(&self, earliest: Instant, latest: Instant) -> Job {
        let mut state = self.state();
        state.begun = None;
        loop {
            let is_urgent = state.is_closed || state.fault.is_some() || !state.flushes.is_empty();
            let until = if state.waiting.is_empty() { latest } else { earliest.min(latest) };
            let left = until.saturating_duration_since(Instant::now());
            if is_urgent || left.is_zero() || state.waiting.size >= HALF {
                break;
            }
            state = self.wake.wait_timeout(state, left).expect("no panic while held").0;
        }
        state.writing = Arc::new(take(&mut state.waiting));
        state.begun = Some(Instant::now());
        let (batch, flushes) = (Arc::clone(&state.writing), take(&mut state.flushes));
        Job { batch, flushes, fault: state.fault.take(), is_last: state.is_closed }
    }

    /// What was taken last is written.
    pub(super) fn written(&self) {
        let mut state = self.state();
        state.writing = Arc::default();
        state.trouble = None;
    }

    /// Nothing can be written, for the time being; who waits for it is told.
    pub(super) fn fail(&self, error: &StoreError) {
        let mut state = self.state();
        state.trouble = Some(error.clone());
        for flush in take(&mut state.flushes) {
            drop(flush.send(Err(error.clone())));
        }
    }

    /// Why nothing can be written or read.
    pub(super) fn trouble(&self) -> String {
        let trouble = self.state().trouble.as_ref().map(ToString::to_string);
        trouble.unwrap_or_else(|| "it is being opened again".to_owned())
    }

    /// True if it is to go on after a pause, false if the end came before.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let is_open = |state: &mut State| !state.is_closed;
        !self.wake.wait_timeout_while(self.state(), pause, is_open).expect("no panic while held").0.is_closed
    }
}

/// Lets go when the one who writes ends, whatever the reason: nothing is taken any more, and nobody waits.
pub(super) struct End(pub(super) Arc<Queue>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.fail(&StoreError::Failed("nobody writes any more".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::KeyRing;

    #[test]
    fn nothing_more_is_taken_while_the_one_who_writes_is_held_up() {
        let (queue, key) = (Queue::default(), KeyRing::ephemeral().unwrap().location("a"));
        let put = || queue.put(key, Entry::Identity(key));
        put().unwrap();
        let now = Instant::now();
        assert!(!queue.next(now, now).batch.is_empty());
        put().unwrap();
        queue.state().begun = now.checked_sub(HELD_UP);
        assert!(matches!(put(), Err(StoreError::Busy)));
        assert!(!queue.next(now, now).batch.is_empty());
        put().unwrap();
    }
}

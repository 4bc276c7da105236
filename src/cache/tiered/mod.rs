//! Memory in front of a store that is farther away.
//!
//! A verdict whose engine was not proven since is near at once. In a store of this process alone it is put once it is proven,
//! so that it cannot come back after a restart when nobody vouches for it any more. In a store that others share it is put at
//! once, as unproven and for a short time, since they wait for it.
//!
//! What is taken back, or forgotten on purpose, does not come back from a store that was asked before, or that was down
//! when it should have forgotten it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::Instant;

use super::{
    entry::{Entry, UNPROVEN},
    guard::Guarded,
    key::Key,
    memory::MemoryStore,
    store::{Cursor, Page, Stats, StoreError, VerdictStore},
};
use crate::verdict::{Order, Record};

/// Verdicts that wait for proof. What is beyond that is not put anywhere else.
const MOST: usize = 100_000;

/// Memory in front of a store.
pub(crate) struct Tiered {
    front: MemoryStore,
    back: Guarded,
    /// Other processes use the store, too.
    is_shared: bool,
    own: Mutex<Own>,
    /// How often something was forgotten.
    forgotten: Mutex<u64>,
}

/// Verdicts of this process.
#[derive(Default)]
struct Own {
    /// Those that wait for proof, or for the store to take them.
    waiting: HashMap<Key, Arc<Record>>,
    /// Those that were refuted, or of which nobody learns any more whether they were, for as long as the store may still
    /// have them.
    taken_back: HashMap<(Key, Order), Instant>,
}

impl Own {
    /// Has a verdict wait. One that waited in its place is not heard of again.
    fn wait(&mut self, key: Key, record: &Arc<Record>) {
        let before = self.waiting.insert(key, Arc::clone(record));
        if let Some(before) = before.filter(|before| before.order != record.order) {
            self.take_back(key, before.order);
        }
    }

    /// Has nothing wait under that name. The store may have it still, if it cannot be told to forget it, too.
    fn forget(&mut self, key: Key) {
        if let Some(record) = self.waiting.remove(&key) {
            self.take_back(key, record.order);
        }
    }

    fn forget_all(&mut self) {
        for key in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.forget(key);
        }
    }

    fn take_back(&mut self, key: Key, order: Order) {
        self.taken_back.insert((key, order), Instant::now() + 2 * UNPROVEN);
    }
}

impl Tiered {
    pub(super) fn new(front: MemoryStore, back: Guarded, is_shared: bool) -> Self {
        Self { front, back, is_shared, own: Mutex::default(), forgotten: Mutex::default() }
    }

    /// Why the store behind is left alone, if it is.
    pub(super) fn trouble(&self) -> Option<String> {
        self.back.trouble()
    }

    /// True if other processes use the store behind, too.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The store behind.
    pub(super) fn back(&self) -> &Guarded {
        &self.back
    }

    /// What is near.
    pub(super) fn near(&self) -> Stats {
        self.front.size()
    }

    /// All that is near, and what waits.
    pub(super) fn entries_near(&self) -> Vec<(Key, Entry)> {
        let mut entries: HashMap<Key, Entry> = self.front.entries().collect();
        let own = self.own();
        entries.extend(own.waiting.iter().map(|(key, record)| (*key, Entry::Record(Arc::clone(record)))));
        entries.into_iter().collect()
    }

    /// Verdicts that wait for proof.
    pub(super) fn waiting(&self) -> usize {
        self.own().waiting.len()
    }

    /// Gives up what is near, as memory does when it is full or when it has been there for long enough.
    #[cfg(test)]
    pub(crate) fn evict(&self, key: Key) {
        self.front.forget(key);
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().expect("no panic while held")
    }

    /// Puts what was proven since, and takes back what was refuted. What the store does not take now waits for the next time.
    pub(crate) async fn settle(&self) {
        let is_done = |(_, record): &(&Key, &Arc<Record>)| record.provenance.vouch.is_settled();
        let settled: Vec<(Key, Arc<Record>)> = {
            let mut own = self.own();
            own.taken_back.retain(|_, until| Instant::now() < *until);
            own.waiting.iter().filter(is_done).map(|(key, record)| (*key, Arc::clone(record))).collect()
        };
        for (key, record) in settled {
            let outcome = match record.is_refuted() {
                true => self.take_back(key, &record).await,
                false => self.put_proven(key, &record).await,
            };
            match outcome {
                Ok(()) | Err(StoreError::Failed(_) | StoreError::Newer) => self.done(key, &record),
                Err(StoreError::Late | StoreError::LeftAlone | StoreError::Busy | StoreError::Full) => break,
            }
        }
    }

    fn is_waiting(&self, key: Key, record: &Arc<Record>) -> bool {
        self.own().waiting.get(&key).is_some_and(|waiting| Arc::ptr_eq(waiting, record))
    }

    fn done(&self, key: Key, record: &Arc<Record>) {
        let mut own = self.own();
        if own.waiting.get(&key).is_some_and(|waiting| Arc::ptr_eq(waiting, record)) {
            own.waiting.remove(&key);
        }
    }

    async fn put_proven(&self, key: Key, record: &Arc<Record>) -> Result<(), StoreError> {
        if !self.is_waiting(key, record) {
            return Ok(());
        }
        self.back.put(key, Entry::Record(Arc::clone(record))).await?;
        // Whoever had it forgotten meanwhile meant this one, too.
        if self.is_waiting(key, record) { Ok(()) } else { self.back.remove(key).await }
    }

    async fn take_back(&self, key: Key, record: &Arc<Record>) -> Result<(), StoreError> {
        self.front.forget_record(key, record);
        if !self.is_shared {
            return Ok(());
        }
        self.own().take_back(key, record.order);
        match self.back.get(key).await? {
            Some(Entry::Record(there)) if self.is_taken_back(key, &there) => self.back.remove(key).await,
            _ => Ok(()),
        }
    }

    fn is_taken_back(&self, key: Key, there: &Record) -> bool {
        !there.is_proven() && self.own().taken_back.contains_key(&(key, there.order))
    }

    /// What is to be believed of what the store has: of a verdict of this process it does not know how that came out.
    fn believed(&self, key: Key, entry: Entry) -> Option<Entry> {
        let Entry::Record(record) = &entry else { return Some(entry) };
        if record.is_proven() {
            return Some(entry);
        }
        let own = self.own();
        match own.waiting.get(&key) {
            Some(waiting) if waiting.order == record.order => Some(Entry::Record(Arc::clone(waiting))),
            _ if own.taken_back.contains_key(&(key, record.order)) => None,
            _ => Some(entry),
        }
    }

    async fn fetch(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        if let Some(entry) = self.front.peek(key) {
            return Ok(Some(entry));
        }
        if let Some(waiting) = self.own_waiting(key).filter(|_| !self.is_shared) {
            return Ok(Some(waiting));
        }
        self.fetch_far(key).await
    }

    /// What is near, or what others have put since, whichever is newer.
    pub(super) async fn latest(&self, key: Key) -> Option<Entry> {
        let near = self.front.peek(key);
        if !self.is_shared {
            // Whoever asks has asked just now, and nobody else puts anything.
            return near.or_else(|| self.own_waiting(key));
        }
        match self.fetch_far(key).await.ok().flatten() {
            Some(far) => Some(Entry::merged(near, far)),
            None => near,
        }
    }

    async fn fetch_far(&self, key: Key) -> Result<Option<Entry>, StoreError> {
        let asked = self.forgotten();
        let entry = self.back.get(key).await?.and_then(|entry| self.believed(key, entry));
        if let Some(entry) = entry.as_ref().filter(|entry| self.may_be_near(key, entry)) {
            self.unless_forgotten(asked, || self.front.merge(key, entry.clone(), None));
        }
        Ok(entry)
    }

    fn own_waiting(&self, key: Key) -> Option<Entry> {
        let own = self.own();
        let waiting = own.waiting.get(&key).filter(|record| !record.is_refuted());
        waiting.map(|record| Entry::Record(Arc::clone(record)))
    }

    /// What others have not proven yet is asked for each time: they may take it back.
    fn may_be_near(&self, key: Key, entry: &Entry) -> bool {
        let Entry::Record(record) = entry else { return entry.is_kept_near() };
        record.is_proven() || self.is_waiting(key, record)
    }

    async fn keep(&self, key: Key, entry: Entry) -> Result<(), StoreError> {
        if !entry.is_kept_near() {
            return self.back.put(key, entry).await;
        }
        let near = self.front.peek(key);
        let is_late = matches!(&entry, Entry::Record(record) if record.is_refuted());
        if is_late || near.as_ref().is_some_and(|near| entry.is_known(near)) {
            return Ok(());
        }
        let asked = self.forgotten();
        let there = match (&near, &entry) {
            (None, Entry::Opened(_)) => self.back.get(key).await.ok().flatten(),
            (near, Entry::Record(_)) if near.is_none() || self.is_shared => {
                self.back.get(key).await.ok().flatten().and_then(|entry| self.believed(key, entry))
            }
            _ => None,
        };
        let is_put = self.is_put(key, &entry);
        if !self.unless_forgotten(asked, || self.front.merge_own(key, entry.clone(), there)) {
            self.front.merge_own(key, entry.clone(), None);
        }
        if !is_put {
            return Ok(());
        }
        self.back.put(key, entry.clone()).await?;
        match entry {
            Entry::Record(record) if record.is_refuted() => self.take_back(key, &record).await,
            _ => Ok(()),
        }
    }

    /// Takes note of a verdict that waits for proof; true if an entry goes to the store behind now.
    fn is_put(&self, key: Key, entry: &Entry) -> bool {
        let Entry::Record(record) = entry else { return true };
        if record.provenance.vouch.is_settled() {
            return !record.is_refuted();
        }
        let mut own = self.own();
        let has_room = own.waiting.len() < MOST || own.waiting.contains_key(&key);
        if has_room {
            own.wait(key, record);
        }
        has_room && self.is_shared
    }

    fn forgotten(&self) -> u64 {
        *self.forgotten.lock().expect("no panic while held")
    }

    /// Does it unless something was forgotten since `asked`. True if it was done.
    fn unless_forgotten(&self, asked: u64, then: impl FnOnce()) -> bool {
        let forgotten = self.forgotten.lock().expect("no panic while held");
        let is_same = *forgotten == asked;
        if is_same {
            then();
        }
        is_same
    }

    fn forget(&self, near: impl Fn()) {
        let mut forgotten = self.forgotten.lock().expect("no panic while held");
        *forgotten += 1;
        near();
    }

    /// Has the memory forget before and after the store does: in between it may be told what the store still has.
    async fn forget_all_over(
        &self,
        near: impl Fn() + Send + Sync,
        far: BoxFuture<'_, Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        self.forget(&near);
        let outcome = far.await;
        self.forget(&near);
        outcome
    }
}

impl VerdictStore for Tiered {
    fn name(&self) -> &'static str {
        self.back.name()
    }

    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        self.fetch(key).boxed()
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'_, Result<(), StoreError>> {
        self.keep(key, entry).boxed()
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        let near = move || {
            self.own().forget(key);
            self.front.forget(key);
        };
        self.forget_all_over(near, self.back.remove(key)).boxed()
    }

    fn walk(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>> {
        async move {
            let is_first = from.is_none();
            let mut page = self.back.walk(from).await?;
            if is_first && !self.is_shared {
                let waiting = self.own();
                page.entries
                    .extend(waiting.waiting.iter().map(|(key, record)| (*key, Entry::Record(Arc::clone(record)))));
            }
            Ok(page)
        }
        .boxed()
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let near = || {
            self.own().forget_all();
            self.front.forget_all();
        };
        self.forget_all_over(near, self.back.clear()).boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Stats, StoreError>> {
        self.back.stats()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            self.settle().await;
            self.back.flush().await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;

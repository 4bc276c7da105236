//! A store as it lies elsewhere: bytes, sealed and versioned, that may be out of reach.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt, pending, ready};
use tokio::sync::Semaphore;

use super::{
    codec::Codec,
    entry::Entry,
    key::{Key, KeyRing},
    store::{Cursor, Page, Stats, StoreError, VerdictStore},
};

pub(crate) struct Far {
    codec: Codec,
    bytes: Mutex<HashMap<Key, Vec<u8>>>,
    pub(crate) is_down: AtomicBool,
    /// It takes what it is asked and never answers.
    pub(crate) hangs: AtomicBool,
    /// What it answers to those who put something, if they are turned away.
    pub(crate) refuses: Mutex<Option<StoreError>>,
    /// Answers to `get` and `clear` that may leave; what they say was read before.
    pub(crate) answers: Semaphore,
    pub(crate) puts: AtomicUsize,
    /// It takes what it is given and cannot say that it will last.
    pub(crate) is_fleeting: AtomicBool,
}

impl Far {
    pub(crate) fn new(ring: KeyRing) -> Self {
        Self {
            codec: Codec::new(ring, Duration::from_hours(1)),
            bytes: Mutex::default(),
            is_down: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            refuses: Mutex::default(),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
            puts: AtomicUsize::new(0),
            is_fleeting: AtomicBool::new(false),
        }
    }

    pub(crate) fn evict(&self, key: Key) {
        self.bytes.lock().unwrap().remove(&key);
    }

    pub(crate) fn lose_everything(&self) {
        self.bytes.lock().unwrap().clear();
    }

    pub(crate) fn read(&self, key: Key) -> Option<Entry> {
        let bytes = self.bytes.lock().unwrap();
        self.codec.decode(key, bytes.get(&key)?, SystemTime::now()).expect("it was made here")
    }

    /// Time passes until nobody believes any more what was not proven.
    pub(crate) fn expire_unproven(&self) {
        let is_proven = |key: &Key| !matches!(self.read(*key), Some(Entry::Record(record)) if !record.is_proven());
        let keys: Vec<Key> = self.bytes.lock().unwrap().keys().copied().collect();
        keys.into_iter().filter(|key| !is_proven(key)).for_each(|key| self.evict(key));
    }

    fn answer<'a, T: Send + 'a>(
        &'a self,
        work: impl FnOnce() -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        async {
            match (self.hangs.load(Ordering::Relaxed), self.is_down.load(Ordering::Relaxed)) {
                (true, _) => pending().await,
                (_, true) => Err(StoreError::Failed("down".to_owned())),
                _ => Ok(work()),
            }
        }
        .boxed()
    }
}

impl VerdictStore for Far {
    fn name(&self) -> &'static str {
        "far"
    }

    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, StoreError>> {
        async move {
            let read = self.answer(|| self.read(key)).await;
            self.answers.acquire().await.expect("it is never closed").forget();
            read
        }
        .boxed()
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'_, Result<(), StoreError>> {
        if let Some(error) = self.refuses.lock().unwrap().clone() {
            return ready(Err(error)).boxed();
        }
        self.answer(move || {
            self.puts.fetch_add(1, Ordering::Relaxed);
            let merged = Entry::merged(self.read(key), entry);
            let bytes = self.codec.encode(key, &merged, SystemTime::now());
            self.bytes.lock().unwrap().insert(key, bytes);
        })
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        self.answer(move || self.evict(key))
    }

    fn walk(&self, _: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.answer(Page::default)
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            let cleared = self.answer(|| {
                let keys: Vec<Key> = self.bytes.lock().unwrap().keys().copied().collect();
                let is_single = |key: &Key| self.read(*key).is_some_and(|entry| entry.is_single());
                keys.into_iter().filter(|key| !is_single(key)).for_each(|key| self.evict(key));
            });
            let cleared = cleared.await;
            self.answers.acquire().await.expect("it is never closed").forget();
            cleared
        }
        .boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Stats, StoreError>> {
        self.answer(Stats::default)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.is_fleeting.load(Ordering::Relaxed) {
            return ready(Err(StoreError::Failed("not lasting".to_owned()))).boxed();
        }
        self.answer(|| ())
    }
}

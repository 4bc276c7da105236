//! What the demo homeserver remembers: media in memory, within one budget.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderValue;
use bytes::Bytes;
use ulid::Ulid;

use crate::answer::Refusal;

/// The largest upload, and what `m.upload.size` says.
pub(crate) const MAX_UPLOAD_BYTES: u64 = 50 * 1024 * 1024;

/// All that the store may hold, uploads under way included.
const CAPACITY_BYTES: u64 = 256 * 1024 * 1024;

/// Charged for each entry on top of its bytes, so that empty entries are bounded as well.
const ENTRY_BYTES: u64 = 512;

/// A stored file with what its uploader said about it.
#[derive(Debug)]
pub(crate) struct Media {
    pub content_type: HeaderValue,
    pub filename: Option<String>,
    pub bytes: Bytes,
}

impl Media {
    /// What the entry costs beside the bytes of the file.
    pub(crate) fn overhead(content_type: &HeaderValue, filename: Option<&str>) -> u64 {
        let names = content_type.len() + filename.map_or(0, str::len);
        ENTRY_BYTES.saturating_add(names as u64)
    }
}

/// `None` stands for an address that was created and still waits for its upload.
type Slots = HashMap<String, Option<Arc<Media>>>;

/// All media, by id.
#[derive(Debug, Default)]
pub(crate) struct Store {
    slots: Mutex<Slots>,
    used_bytes: Mutex<u64>,
}

impl Store {
    /// Sets room aside before a body is read, so that many uploads at once stay within the budget.
    pub(crate) fn reserve(&self, cost: u64) -> Result<Reservation<'_>, Refusal> {
        let mut used = lock(&self.used_bytes);
        let wanted = used.saturating_add(cost);
        if wanted > CAPACITY_BYTES {
            return Err(Refusal::STORE_FULL);
        }
        *used = wanted;
        Ok(Reservation { store: self, cost })
    }

    /// Hands out an address for a later upload.
    pub(crate) fn create(&self) -> Result<String, Refusal> {
        let room = self.reserve(ENTRY_BYTES)?;
        Ok(self.insert(None, room))
    }

    /// Stores a file under a new id.
    pub(crate) fn add(&self, media: Media, room: Reservation<'_>) -> String {
        self.insert(Some(Arc::new(media)), room)
    }

    /// Whether the id was created and waits for its upload.
    pub(crate) fn check_awaited(&self, id: &str) -> Result<(), Refusal> {
        match lock(&self.slots).get(id) {
            None => Err(Refusal::NOT_FOUND),
            Some(Some(_)) => Err(Refusal::ALREADY_UPLOADED),
            Some(None) => Ok(()),
        }
    }

    /// Stores a file under an id that was created before; the first upload wins.
    pub(crate) fn fill(&self, id: String, media: Media, room: Reservation<'_>) -> Result<(), Refusal> {
        match lock(&self.slots).entry(id) {
            Entry::Vacant(_) => return Err(Refusal::NOT_FOUND),
            Entry::Occupied(slot) if slot.get().is_some() => return Err(Refusal::ALREADY_UPLOADED),
            Entry::Occupied(mut slot) => slot.insert(Some(Arc::new(media))),
        };
        room.keep();
        Ok(())
    }

    /// The file under an id.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Media>, Refusal> {
        let slots = lock(&self.slots);
        let slot = slots.get(id).ok_or(Refusal::NOT_FOUND)?;
        slot.clone().ok_or(Refusal::NOT_YET_UPLOADED)
    }

    fn insert(&self, slot: Option<Arc<Media>>, room: Reservation<'_>) -> String {
        let id = Ulid::generate().to_string();
        lock(&self.slots).insert(id.clone(), slot);
        room.keep();
        id
    }
}

/// Room set aside in the store; given back on drop unless it was kept.
#[derive(Debug)]
pub(crate) struct Reservation<'store> {
    store: &'store Store,
    cost: u64,
}

impl Reservation<'_> {
    fn keep(mut self) {
        self.cost = 0;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        *lock(&self.store.used_bytes) -= self.cost;
    }
}

/// Nothing is left half changed under these locks, so a panic elsewhere does not make the data bad.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

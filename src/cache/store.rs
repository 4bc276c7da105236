//! What every store does.

use futures_util::future::BoxFuture;

use super::{entry::Entry, key::Key};

/// Why a store has no answer. Whoever asked goes on without.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer in time.
    #[error("no answer in time")]
    Late,
    /// It was not asked, since it failed too often just now.
    #[error("left alone after too many failures")]
    LeftAlone,
    /// It takes nothing more for now.
    #[error("too much waits to be written")]
    Busy,
    /// It has no room, and works otherwise.
    #[error("full")]
    Full,
    /// What is there was made by a newer version, and stays.
    #[error("what is there was made by a newer version, and stays")]
    Newer,
    /// It failed.
    #[error("{0}")]
    Failed(String),
}

/// What a store holds, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries of all kinds.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

/// Where a walk through a store goes on. Only the store understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Vec<u8>);

/// A part of a walk through a store.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Entries; one that is written meanwhile may come twice or, if it was not there before, not at all.
    pub entries: Vec<(Key, Entry)>,
    /// Where it goes on, unless this was the end.
    pub next: Option<Cursor>,
}

/// Keeps entries by key. A store that fails says so and gives nothing: it never makes an answer of a failure. What it cannot
/// read, or was not made under its secret, it does not have.
pub trait VerdictStore: Send + Sync {
    /// Its name in metrics.
    fn name(&self) -> &'static str;

    /// The entry of that name, unless it has expired.
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, StoreError>>;

    /// Brings an entry together with the one that is there (see [`Entry::merged`]), in one step: of two at a time, none is
    /// lost. It may take effect later.
    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets an entry. What is put afterwards stays.
    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Some of all entries, from the start or from where an earlier walk stopped.
    fn walk(&self, from: Option<Cursor>) -> BoxFuture<'_, Result<Page, StoreError>>;

    /// Forgets everything but what there is one of ([`Entry::is_single`]).
    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What it holds.
    fn stats(&self) -> BoxFuture<'_, Result<Stats, StoreError>>;

    /// Returns once everything that was put before is where it outlives the process, as far as the store can do that.
    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

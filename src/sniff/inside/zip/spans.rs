//! Where entries lie.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    io::{Read, Seek},
};

use super::Source;

/// Entries whose places and names are held against one another; some 24 bytes each.
const MOST: usize = 5_000;

/// Bytes between entries that are no sign of anything: the sizes after the content of one, with their signature.
const DESCRIPTOR: u64 = 24;

/// Places and names of entries.
#[derive(Default)]
pub(super) struct Spans {
    places: Vec<(u64, u64)>,
    /// Hashes, since names can be long.
    names: HashSet<u64>,
    hasher: RandomState,
    /// Not all entries are among the above.
    is_partial: bool,
}

impl Spans {
    /// False for a name that was there before, but for case of ASCII letters.
    pub(super) fn is_new_name(&mut self, name: &str) -> bool {
        self.names.len() >= MOST || self.names.insert(self.hasher.hash_one(name.to_ascii_lowercase()))
    }

    /// Takes note that there is an entry; false if there is no room to hold its place against others.
    pub(super) fn has_room(&mut self) -> bool {
        self.is_partial |= self.places.len() >= MOST;
        !self.is_partial
    }

    pub(super) fn add(&mut self, start: u64, end: u64) {
        self.places.push((start, end));
    }

    /// True if entries lie in one another or in the directory, or if there are entries between them that it does not list.
    pub(super) fn are_dishonest<R: Read + Seek>(&mut self, source: &Source<'_, R>, directory: u64) -> bool {
        self.places.sort_unstable();
        let (mut before, mut is_dishonest) = (0, false);
        for (start, end) in &self.places {
            is_dishonest |= *start < before || *end > directory || self.is_hidden(source, before, *start);
            before = before.max(*end);
        }
        is_dishonest || self.is_hidden(source, before, directory)
    }

    /// True if an entry begins in a gap.
    fn is_hidden<R: Read + Seek>(&self, source: &Source<'_, R>, from: u64, to: u64) -> bool {
        let gap = usize::try_from(to.saturating_sub(from).min(DESCRIPTOR + 4)).unwrap_or_default();
        !self.is_partial && gap > 3 && memchr::memmem::find(&source.some_at(from, gap), b"PK\x03\x04").is_some()
    }
}

//! What was seen so far, and how much more may be looked at.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io::{Cursor, Read},
    rc::Rc,
    sync::Arc,
};

use super::{
    super::told::{Told, tell},
    Found, Kind, Opened, Source, names, open,
};
use crate::facts::{Group, Inside};

/// Bytes that are looked at of each entry. Signatures lie within the first 300, but HTML and scripts tell themselves late.
pub(super) const HEAD: usize = 1024;

/// Entries whose content is looked at, at all depths. Each costs some 10 µs.
const MOST_LOOKED: u32 = 5_000;

/// Entries that are counted, and whose names are looked at. Each costs less than 1 µs in a directory and some in a tape archive.
const MOST_LISTED: u32 = 200_000;

/// Bytes that may come out of compressed entries, at all depths: some 50 ms of work.
const MOST_INFLATED: u64 = 16 << 20;

/// Bytes of containers in the container that are held in memory at a time, at all depths together.
const MOST_HELD: usize = 8 << 20;

/// Containers in one another that are opened. Honest mail has three: a message, an archive, a document.
const DEEPEST: u8 = 4;

/// What was seen so far.
pub(super) struct Tally {
    /// All but types and extensions.
    pub(super) inside: Inside,
    pub(super) macros: bool,
    pub(super) active: bool,
    types: BTreeMap<Arc<str>, Group>,
    extensions: BTreeSet<Arc<str>>,
    to_look: u32,
    to_list: u32,
    to_hold: usize,
    to_inflate: Rc<Cell<u64>>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            inside: Inside { complete: true, ..Inside::default() },
            macros: false,
            active: false,
            types: BTreeMap::new(),
            extensions: BTreeSet::new(),
            to_look: MOST_LOOKED,
            to_list: MOST_LISTED,
            to_hold: MOST_HELD,
            to_inflate: Rc::new(Cell::new(MOST_INFLATED)),
        }
    }

    /// A container was found in `depth - 1` others.
    pub(super) fn enter(&mut self, depth: u8) {
        self.inside.depth = self.inside.depth.max(depth);
    }

    /// Counts an entry; false if no more may be counted.
    pub(super) fn list(&mut self, name: &str, size: u64) -> bool {
        let Some(left) = self.to_list.checked_sub(1) else {
            self.unseen();
            return false;
        };
        self.to_list = left;
        self.inside.entries += 1;
        self.grow(size);
        self.name(name);
        true
    }

    /// Takes note of what an entry is called.
    pub(super) fn name(&mut self, name: &str) {
        let (end, is_cut) = names::end(name.as_bytes());
        let name = String::from_utf8_lossy(end);
        self.inside.deceptive_names |= is_cut || names::is_deceptive(&name);
        if let Some(extension) = names::extension(&name) {
            remember(&mut self.extensions, &extension);
        }
    }

    /// Counts bytes of entries.
    pub(super) fn grow(&mut self, size: u64) {
        self.inside.expanded = self.inside.expanded.saturating_add(size);
    }

    /// Something is in it that was not looked at, and could be anything.
    pub(super) fn unseen(&mut self) {
        self.inside.complete = false;
        self.inside.groups.insert(Group::Unknown);
    }

    /// The same, of an entry that needs a password.
    pub(super) fn encrypted(&mut self) {
        self.inside.encrypted += 1;
        self.unseen();
    }

    /// What comes out of a decoder, as far as it may.
    pub(super) fn metered<R: Read>(&self, reader: R) -> Metered<R> {
        Metered { reader, left: Rc::clone(&self.to_inflate) }
    }

    /// Looks at an entry of a container in `depth - 1` others, and returns the first bytes of it, at most `most`. `size` is what
    /// it should be.
    pub(super) fn look(&mut self, content: &mut dyn Read, size: Option<u64>, depth: u8, most: usize) -> Vec<u8> {
        let Some(left) = self.to_look.checked_sub(1) else {
            self.unseen();
            return Vec::new();
        };
        self.to_look = left;
        let mut head = Vec::new();
        let ended = fill(content, &mut head, most);
        if ended.is_none() {
            self.unseen();
        }
        let (len, whole) = (head.len() as u64, ended == Some(true));
        // More came out than there should be, or less.
        self.inside.overlapping |= size.is_some_and(|size| len > size);
        if whole && size.is_some_and(|size| len < size) {
            self.unseen();
        }
        let size = if whole { len } else { size.unwrap_or(u64::MAX).max(len) };
        self.judge(head, size, content, depth, most)
    }

    fn judge(&mut self, head: Vec<u8>, size: u64, rest: &mut dyn Read, depth: u8, most: usize) -> Vec<u8> {
        let told = tell(&head[..head.len().min(HEAD)], size);
        let Some(kind) = Kind::of(&head).or_else(|| Kind::told(&told)) else {
            self.kind(told, None);
            return head;
        };
        if depth >= DEEPEST || size > self.to_hold as u64 && size != u64::MAX {
            // Of these, it does not show whether they hold anything.
            if !matches!(kind, Kind::Pdf | Kind::RichText) {
                self.enter(depth.saturating_add(1));
            }
            self.kind(told, None);
            self.unseen();
            return head;
        }
        let mut whole = head;
        if fill(rest, &mut whole, self.to_hold) != Some(true) {
            self.unseen();
        }
        let len = whole.len();
        self.to_hold = self.to_hold.saturating_sub(len);
        let mut cursor = Cursor::new(whole);
        let opened = open(kind, &Source::new(&mut cursor, len as u64), depth + 1, self);
        self.to_hold += len.min(MOST_HELD - self.to_hold);
        if opened.locked {
            self.encrypted();
        }
        self.kind(told, opened.refined);
        let mut head = cursor.into_inner();
        head.truncate(most);
        head
    }

    /// Takes note of what an entry is.
    pub(super) fn kind(&mut self, mut told: Told, refined: Option<&'static str>) {
        if let Some(refined) = refined {
            told.refine(refined);
        }
        let Told { media_type, group, .. } = told;
        self.inside.groups.insert(group);
        let Some(media_type) = media_type else { return };
        if self.types.len() >= Inside::MOST && !self.types.contains_key(&media_type) {
            // What runs is not to be pushed out by what does not.
            let Some(least) = self.types.iter().find(|(_, group)| !runs(**group)).map(|(name, _)| Arc::clone(name))
            else {
                return;
            };
            if !runs(group) {
                return;
            }
            self.types.remove(&least);
        }
        self.types.insert(media_type, group);
    }

    /// All of it.
    pub(super) fn found(self, opened: &Opened) -> Found {
        let is_container = self.inside.depth > 0;
        let inside = Inside { types: self.types.into_keys().collect(), extensions: self.extensions, ..self.inside };
        Found {
            refined: opened.refined,
            inside: is_container.then_some(inside),
            macros: self.macros,
            locked: opened.locked,
            active: self.active,
            trailing: opened.trailing,
        }
    }
}

fn runs(group: Group) -> bool {
    matches!(group, Group::Executable | Group::Script | Group::Html)
}

/// As [`Tally::kind`], of extensions.
fn remember(extensions: &mut BTreeSet<Arc<str>>, extension: &str) {
    if extensions.contains(extension) {
        return;
    }
    if extensions.len() >= Inside::MOST {
        let least = extensions.iter().find(|extension| !names::is_program(extension)).map(Arc::clone);
        let Some(least) = least.filter(|_| names::is_program(extension)) else { return };
        extensions.remove(&least);
    }
    extensions.insert(extension.into());
}

/// Reads until `into` has `most` bytes. True if the reader had no more, `None` if it failed.
fn fill(reader: &mut dyn Read, into: &mut Vec<u8>, most: usize) -> Option<bool> {
    const STEP: usize = 64 * 1024;
    while into.len() < most {
        let (start, step) = (into.len(), STEP.min(most - into.len()));
        into.reserve_exact(step.max(start.min(most - start) / 2));
        into.resize(start + step, 0);
        let read = reader.read(&mut into[start..]);
        into.truncate(start + read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(0) => return Some(true),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
    Some(false)
}

/// A reader that ends in an error when no more may come out.
pub(super) struct Metered<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R> Metered<R> {
    pub(super) fn get_ref(&self) -> &R {
        &self.reader
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(std::io::ErrorKind::QuotaExceeded.into());
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let read = self.reader.read(&mut buf[..most])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}

//! How entries lie in the file.
//!
//! There is no index of what expires when, which would double the writing. Entries go into the newest of a few tables, the *slots*,
//! and a slot is given up whole: expiry, eviction and compaction in one. A name is in one slot at most. What is asked for
//! while it is in the older half moves to the newest.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    time::SystemTime,
};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition,
    WriteTransaction,
};

use super::{
    layout::{Layout, Limits, Slot},
    queue::Change,
};
use crate::cache::{
    codec::{self, Codec, CodecError},
    entry::Entry,
    key::Key,
    store::Cursor,
};

type Name = &'static [u8; 32];
type Content = &'static [u8];

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const LAYOUT: &str = "layout";
const MARKER: &str = "marker";

/// What there is one of, which goes with no slot.
const SINGLES: TableDefinition<Name, Content> = TableDefinition::new("singles");

/// The number of singles in a cursor.
const AFTER_ALL_SLOTS: u64 = u64::MAX;

/// Entries of a part of a walk.
const PAGE: usize = 1000;

fn name(key: &Key) -> &[u8; 32] {
    key.as_bytes().try_into().expect("names are that long")
}

fn title(slot: &Slot) -> String {
    format!("slot-{}", slot.id)
}

fn damaged(what: &str) -> redb::Error {
    StorageError::Corrupted(what.to_owned()).into()
}

fn layout_in(meta: &impl ReadableTable<&'static str, Content>) -> Result<Layout, redb::Error> {
    let Some(bytes) = meta.get(LAYOUT)? else { return Ok(Layout::default()) };
    Layout::read(bytes.value()).ok_or_else(|| damaged("the list of slots cannot be read"))
}

/// What was there at one moment.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
    pub(super) layout: Layout,
}

/// What lies under a name.
pub(super) struct Found {
    pub(super) content: Vec<u8>,
    /// It will have to make room soon.
    pub(super) is_old: bool,
}

/// A part of a walk, and where it goes on.
pub(super) type Part = (Vec<(Key, Vec<u8>)>, Option<Cursor>);

impl Snapshot {
    pub(super) fn of(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        let layout = layout_in(&transaction.open_table(META)?)?;
        Ok(Self { transaction, layout })
    }

    fn slot(&self, slot: &Slot) -> Result<ReadOnlyTable<Name, Content>, redb::Error> {
        Ok(self.transaction.open_table(TableDefinition::new(&title(slot)))?)
    }

    pub(super) fn find(&self, key: &Key) -> Result<Option<Found>, redb::Error> {
        for (place, slot) in self.layout.slots.iter().enumerate().rev() {
            if let Some(content) = ReadableTable::get(&self.slot(slot)?, name(key))? {
                return Ok(Some(Found { content: content.value().to_vec(), is_old: self.layout.is_old(place) }));
            }
        }
        let singles = self.transaction.open_table(SINGLES)?;
        let single = ReadableTable::get(&singles, name(key))?;
        Ok(single.map(|content| Found { content: content.value().to_vec(), is_old: false }))
    }

    /// Goes from the oldest to the newest: what moves meanwhile moves to where the walk has yet to come.
    pub(super) fn walk(&self, from: Option<&Cursor>) -> Result<Part, redb::Error> {
        let (slot, after) = from.and_then(place_of).unzip();
        let least = slot.unwrap_or(0);
        let slots = self.layout.slots.iter().map(|slot| (u64::from(slot.id), title(slot)));
        let tables = slots.chain([(AFTER_ALL_SLOTS, "singles".to_owned())]).filter(|(id, _)| *id >= least);
        let mut entries = Vec::new();
        for (id, title) in tables {
            let table: ReadOnlyTable<Name, Content> = self.transaction.open_table(TableDefinition::new(&title))?;
            let after = after.filter(|_| slot == Some(id));
            let lower = after.as_ref().map_or(Unbounded, Excluded);
            for entry in ReadableTable::range::<&[u8; 32]>(&table, (lower, Unbounded))? {
                let (key, content) = entry?;
                entries.push((Key::from_bytes(*key.value()), content.value().to_vec()));
                if entries.len() == PAGE {
                    let mut next = id.to_be_bytes().to_vec();
                    next.extend_from_slice(key.value());
                    return Ok((entries, Some(Cursor(next))));
                }
            }
        }
        Ok((entries, None))
    }
}

fn place_of(cursor: &Cursor) -> Option<(u64, [u8; 32])> {
    let (slot, key) = cursor.0.split_first_chunk()?;
    Some((u64::from_be_bytes(*slot), key.try_into().ok()?))
}

/// Changes that are being written.
pub(super) struct Draft<'t> {
    transaction: &'t WriteTransaction,
    pub(super) layout: Layout,
    limits: Limits,
    /// As in the layout.
    slots: Vec<Table<'t, Name, Content>>,
    singles: Table<'t, Name, Content>,
    now: SystemTime,
    /// Entries that made room or had expired.
    pub(super) dropped: u64,
    /// Entries that could not be read.
    pub(super) unreadable: u64,
}

impl<'t> Draft<'t> {
    pub(super) fn of(transaction: &'t WriteTransaction, limits: Limits, now: SystemTime) -> Result<Self, redb::Error> {
        let layout = layout_in(&transaction.open_table(META)?)?;
        let open = |slot: &Slot| transaction.open_table(TableDefinition::new(&title(slot)));
        let slots = layout.slots.iter().map(open).collect::<Result<_, _>>()?;
        let singles = transaction.open_table(SINGLES)?;
        Ok(Self { transaction, layout, limits, slots, singles, now, dropped: 0, unreadable: 0 })
    }

    /// To be called when all is done; with what was changed, if anything was.
    pub(super) fn finish(self, is_changed: bool) -> Result<Layout, redb::Error> {
        if is_changed {
            self.transaction.open_table(META)?.insert(LAYOUT, self.layout.write().as_slice())?;
        }
        Ok(self.layout)
    }

    pub(super) fn is_marked(&self) -> Result<bool, redb::Error> {
        Ok(self.transaction.open_table(META)?.get(MARKER)?.is_some())
    }

    /// True if what is there was written under this secret, or nothing is.
    pub(super) fn is_ours(&self, codec: &Codec, marker: Key) -> Result<bool, redb::Error> {
        let meta = self.transaction.open_table(META)?;
        let found = meta.get(MARKER)?;
        let is_sealed = |content: &[u8]| !matches!(codec.decode(marker, content, self.now), Err(CodecError::Seal));
        Ok(found.is_none_or(|found| is_sealed(found.value())))
    }

    pub(super) fn mark(&self, codec: &Codec, marker: Key) -> Result<(), redb::Error> {
        let content = codec.encode(marker, &Entry::Identity(marker), self.now);
        self.transaction.open_table(META)?.insert(MARKER, content.as_slice())?;
        Ok(())
    }

    pub(super) fn clear(&mut self) -> Result<(), redb::Error> {
        while !self.slots.is_empty() {
            self.drop_oldest()?;
        }
        Ok(())
    }

    pub(super) fn clear_singles(&mut self) -> Result<(), redb::Error> {
        Ok(self.singles.retain(|_, _| false)?)
    }

    /// Gives up what has expired, or is too much.
    pub(super) fn tidy(&mut self) -> Result<(), redb::Error> {
        while self.layout.has_expired(self.now) || self.layout.is_too_much(&self.limits) {
            self.drop_oldest()?;
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, codec: &Codec, changes: &BTreeMap<Key, Change>) -> Result<(), redb::Error> {
        changes.iter().try_for_each(|(key, change)| self.change(codec, *key, change))
    }

    fn change(&mut self, codec: &Codec, key: Key, change: &Change) -> Result<(), redb::Error> {
        let place = self.place(&key)?;
        if change.is_touch() {
            return self.promote(key, place);
        }
        let old = match &place {
            _ if change.is_fresh => None,
            Some((_, content)) => self.decode(codec, key, content).ok().flatten(),
            None => match self.single(codec, key)? {
                // It has more in it than could be put in its place.
                Err(CodecError::Version(_)) => return Ok(()),
                single => single.ok().flatten(),
            },
        };
        let is_newest = place.as_ref().is_some_and(|(slot, _)| slot + 1 == self.slots.len());
        if is_newest && old.as_ref().is_some_and(|old| change.is_known(old)) {
            return Ok(());
        }
        if let Some((slot, content)) = place {
            self.take_out(&key, slot, content.len())?;
        }
        match change.applied_to(old) {
            None => drop(self.singles.remove(name(&key))?),
            Some(entry) => {
                let content = codec.encode(key, &entry, self.now);
                match entry.is_single() {
                    true => drop(self.singles.insert(name(&key), content.as_slice())?),
                    false => self.insert(&key, &content)?,
                }
            }
        }
        Ok(())
    }

    /// The slot in which a name is, and what lies there.
    fn place(&self, key: &Key) -> Result<Option<(usize, Vec<u8>)>, redb::Error> {
        for (place, slot) in self.slots.iter().enumerate().rev() {
            if let Some(content) = slot.get(name(key))? {
                return Ok(Some((place, content.value().to_vec())));
            }
        }
        Ok(None)
    }

    fn single(&mut self, codec: &Codec, key: Key) -> Result<Result<Option<Entry>, CodecError>, redb::Error> {
        let content = self.singles.get(name(&key))?.map(|content| content.value().to_vec());
        Ok(content.map_or(Ok(None), |content| self.decode(codec, key, &content)))
    }

    fn decode(&mut self, codec: &Codec, key: Key, content: &[u8]) -> Result<Option<Entry>, CodecError> {
        codec.decode(key, content, self.now).inspect_err(|_| self.unreadable += 1)
    }

    fn promote(&mut self, key: Key, place: Option<(usize, Vec<u8>)>) -> Result<(), redb::Error> {
        let Some((slot, content)) = place.filter(|(slot, _)| self.layout.is_old(*slot)) else { return Ok(()) };
        self.take_out(&key, slot, content.len())?;
        match codec::expiry(&content).is_some_and(|at| at <= self.now) {
            true => self.dropped += 1,
            false => self.insert(&key, &content)?,
        }
        Ok(())
    }

    fn take_out(&mut self, key: &Key, slot: usize, content: usize) -> Result<(), redb::Error> {
        self.slots[slot].remove(name(key))?;
        self.layout.slots[slot].subtract(content);
        Ok(())
    }

    fn insert(&mut self, key: &Key, content: &[u8]) -> Result<(), redb::Error> {
        if self.layout.wants_another(&self.limits, self.now) {
            while self.layout.has_expired(self.now) || self.layout.is_full(&self.limits) {
                self.drop_oldest()?;
            }
            let title = title(&self.layout.begin(self.now));
            self.slots.push(self.transaction.open_table(TableDefinition::new(&title))?);
        }
        let (slot, table) = (self.layout.slots.last_mut(), self.slots.last_mut());
        slot.expect("there is one").add(content.len(), codec::expiry(content), self.now);
        table.expect("there is one").insert(name(key), content)?;
        Ok(())
    }

    fn drop_oldest(&mut self) -> Result<(), redb::Error> {
        let slot = self.layout.slots.remove(0);
        drop(self.slots.remove(0));
        self.transaction.delete_table(TableDefinition::<Name, Content>::new(&title(&slot)))?;
        self.dropped += slot.entries;
        Ok(())
    }
}

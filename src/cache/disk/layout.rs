//! Which slots there are, and which come and go. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Slots among which room and time are divided.
const SLOTS: u64 = 8;

/// Slots that are looked through at most.
const MOST: usize = 16;

/// What a page, half full at times, and what lies around an entry make of its bytes while a full file is written to, in
/// percent: an estimate, with some room to spare.
const SPREAD: u64 = 190;

/// What an entry takes beside its content: its name, and where it is.
const BESIDE: u64 = 32 + 8;

/// What the entries may come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) entries: u64,
    /// Of the file.
    pub(super) bytes: u64,
    /// Longest life of an entry.
    pub(super) ttl: Duration,
}

/// A table of entries that were put in one span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slot {
    /// Its number; no other one ever had it.
    pub(super) id: u32,
    /// When the first entry came, in seconds since 1970.
    begun: u64,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// When the last of its entries expires.
    expires: u64,
}

/// All slots, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) slots: Vec<Slot>,
    next: u32,
}

/// Bytes that an entry takes.
pub(super) fn cost(content: usize) -> u64 {
    BESIDE + content as u64
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Limits {
    /// Bytes of all entries.
    fn room(&self) -> u64 {
        self.bytes / SPREAD * 100
    }

    fn share(&self) -> (u64, u64) {
        (self.entries.div_ceil(SLOTS), self.room().div_ceil(SLOTS))
    }
}

impl Slot {
    /// Takes note of an entry in it.
    pub(super) fn add(&mut self, content: usize, expires: Option<SystemTime>, now: SystemTime) {
        if self.entries == 0 {
            self.begun = seconds(now);
        }
        self.entries += 1;
        self.bytes += cost(content);
        self.expires = self.expires.max(expires.map_or(u64::MAX, seconds));
    }

    /// Takes note that an entry is no longer in it.
    pub(super) fn subtract(&mut self, content: usize) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(cost(content));
    }
}

impl Layout {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok().filter(|layout: &Self| layout.slots.len() <= MOST)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("memory takes everything")
    }

    /// Entries and their bytes.
    pub(super) fn totals(&self) -> (u64, u64) {
        self.slots.iter().fold((0, 0), |(entries, bytes), slot| {
            (entries.saturating_add(slot.entries), bytes.saturating_add(slot.bytes))
        })
    }

    /// Bytes that the entries take in a file, about.
    pub(super) fn extent(&self) -> u64 {
        self.totals().1 / 100 * SPREAD
    }

    /// True if the next entry belongs into a slot of its own.
    pub(super) fn wants_another(&self, limits: &Limits, now: SystemTime) -> bool {
        let Some(newest) = self.slots.last() else { return true };
        let (entries, bytes) = limits.share();
        let age = seconds(now).saturating_sub(newest.begun);
        let is_old = newest.entries > 0 && age >= limits.ttl.as_secs() / (SLOTS - 1);
        is_old || newest.entries >= entries || newest.bytes >= bytes
    }

    /// True if the oldest slot has to make room before another one can be begun.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        let ((entries, bytes), share) = (self.totals(), limits.share());
        let fits = entries + share.0 <= limits.entries.max(share.0) && bytes + share.1 <= limits.room().max(share.1);
        !self.slots.is_empty() && (!fits || self.slots.len() >= MOST)
    }

    /// True if there is more than may be, such as after a change of the limits.
    pub(super) fn is_too_much(&self, limits: &Limits) -> bool {
        let (entries, bytes) = self.totals();
        self.slots.len() > 1 && (entries > limits.entries.max(SLOTS) || bytes > limits.room())
    }

    /// True if nothing in the oldest slot counts any more.
    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        self.slots
            .first()
            .is_some_and(|oldest| oldest.entries == 0 && self.slots.len() > 1 || oldest.expires <= seconds(now))
    }

    /// True if a slot is among the older half.
    pub(super) fn is_old(&self, slot: usize) -> bool {
        slot < self.slots.len() / 2
    }

    /// Begins another slot.
    pub(super) fn begin(&mut self, now: SystemTime) -> Slot {
        let slot = Slot { id: self.next, begun: seconds(now), entries: 0, bytes: 0, expires: 0 };
        self.next = self.next.wrapping_add(1);
        self.slots.push(slot);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { entries: 800, bytes: 1 << 30, ttl: Duration::from_hours(7) };

    fn fill(layout: &mut Layout, entries: u64, now: SystemTime) {
        for _ in 0..entries {
            if layout.wants_another(&LIMITS, now) {
                while layout.has_expired(now) || layout.is_full(&LIMITS) {
                    layout.slots.remove(0);
                }
                layout.begin(now);
            }
            layout.slots.last_mut().unwrap().add(100, Some(now + LIMITS.ttl), now);
        }
    }

    #[test]
    fn a_slot_ends_when_it_is_full_or_old_and_the_oldest_makes_room() {
        let (mut layout, mut now) = (Layout::default(), UNIX_EPOCH + Duration::from_hours(1000));
        fill(&mut layout, 250, now);
        assert_eq!(layout.slots.iter().map(|slot| slot.entries).collect::<Vec<_>>(), [100, 100, 50]);
        now += Duration::from_hours(1);
        fill(&mut layout, 1, now);
        assert_eq!(layout.slots.len(), 4, "an hour is a seventh of the longest life");
        fill(&mut layout, 10_000, now);
        assert!((700..=800).contains(&layout.totals().0), "{layout:?}");
    }

    #[test]
    fn what_came_in_one_span_goes_once_the_last_of_it_has_expired() {
        let (mut layout, mut now) = (Layout::default(), UNIX_EPOCH + Duration::from_hours(1000));
        for hour in 0..100_u64 {
            fill(&mut layout, 1, now);
            assert_eq!(layout.totals().0, (hour + 1).min(7), "after {hour} hours");
            now += Duration::from_hours(1);
        }
    }

    #[test]
    fn a_slot_for_a_single_entry_is_enough() {
        let limits = Limits { entries: 1, ..LIMITS };
        let (mut layout, now) = (Layout::default(), SystemTime::now());
        layout.begin(now).add(1, None, now);
        layout.slots[0].add(1, None, now);
        assert!(layout.wants_another(&limits, now) && layout.is_full(&limits));
        layout.slots.clear();
        assert!(layout.wants_another(&limits, now) && !layout.is_full(&limits));
    }

    #[test]
    fn what_is_written_of_a_layout_is_read_again() {
        let mut layout = Layout::default();
        layout.begin(SystemTime::now()).add(5, None, SystemTime::now());
        assert_eq!(Layout::read(&layout.write()), Some(layout));
        assert_eq!(Layout::read(&[0xff; 3]), None);
    }
}

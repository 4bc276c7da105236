//! Rich text: objects in it, which are not taken out.

use std::io::{Read, Seek};

use super::{Opened, Source, tally::Tally};

/// Bytes that are searched.
const SEARCHED: u64 = 8 << 20;

/// Bytes that are searched at a time; a word may be cut by the end of one part, so parts share some.
const PART: usize = 64 * 1024;
const SHARED: usize = 32;

/// Updated when the text is opened, without being asked.
const FETCHED: [&[u8]; 2] = [b"\\objupdate", b"\\objautlink"];

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    let (mut at, mut objects) = (0, 0_u64);
    while at < source.size.min(SEARCHED) {
        let part = source.some_at(at, PART);
        let own = if part.len() < PART { part.len() } else { PART - SHARED };
        objects += memchr::memmem::find_iter(&part, b"\\objdata").filter(|found| *found < own).count() as u64;
        tally.active |= FETCHED.iter().any(|word| memchr::memmem::find(&part, word).is_some());
        if own == 0 || part.len() < PART {
            break;
        }
        at += own as u64;
    }
    if objects > 0 {
        tally.enter(depth);
        tally.unseen();
        tally.inside.entries += objects;
    }
    Opened::default()
}

//! Rich text: objects in it, which are not taken out.

use std::io::{Read, Seek};

use super::{Opened, Source, tally::Tally};

/// Bytes that are searched.
const SEARCHED: u64 = 8 << 20;

/// Bytes that are searched at a time; a word may be cut by the end of one part, so parts share some.
const PART: usize = 64 * 1024;
const SHARED: usize = 1024;

/// Bytes of the address of a template.
const TARGET: usize = 512;

/// Updated when the text is opened, without being asked.
const FETCHED: [&[u8]; 2] = [b"\\objupdate", b"\\objautlink"];

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    let (mut at, mut objects) = (0, 0_u64);
    while at < source.size.min(SEARCHED) {
        let part = source.some_at(at, PART);
        let own = if part.len() < PART { part.len() } else { PART - SHARED };
        objects += memchr::memmem::find_iter(&part, b"\\objdata").filter(|found| *found < own).count() as u64;
        tally.active |= FETCHED.iter().any(|word| memchr::memmem::find(&part, word).is_some()) || is_templated(&part);
        if own == 0 || part.len() < PART {
            break;
        }
        at += own as u64;
    }
    if objects > 0 || source.size > SEARCHED {
        tally.enter(depth);
        tally.unseen();
        tally.inside.entries += objects;
    }
    Opened::default()
}

/// True if there is a template that is not a file nearby, or whose address is written so that nobody reads it.
fn is_templated(part: &[u8]) -> bool {
    const WORD: &[u8] = b"\\template";
    memchr::memmem::find_iter(part, WORD).any(|at| {
        let target = part[at + WORD.len()..].trim_ascii_start();
        // Cut first: a file can be full of this word, with no end behind any. What follows the next one is looked at there.
        let target = &target[..target.len().min(TARGET)];
        let target = &target[..memchr::memmem::find(target, WORD).unwrap_or(target.len())];
        let target = target.split(|byte| *byte == b'}').next().unwrap_or_default().to_ascii_lowercase();
        let has = |mark: &[u8]| memchr::memmem::find(&target, mark).is_some();
        let is_coded = has(b"\\'") || target.windows(3).any(|three| matches!(three, [b'\\', b'u', b'-' | b'0'..=b'9']));
        // A backslash is written as two.
        is_coded || has(b"://") || target.starts_with(b"\\\\\\\\")
    })
}

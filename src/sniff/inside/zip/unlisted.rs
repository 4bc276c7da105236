//! Archives without a directory: cut ones. Many programs unpack them all the same, one entry after another.

use std::io::{Read, Seek};

use rawzip::CompressionMethod;

use super::{Package, Walk, content};

const HEADER: usize = 30;

pub(super) fn walk<R: Read + Seek>(walk: &mut Walk<'_, '_, R>) {
    let mut at = 0;
    while let Some(end) = one(walk, at) {
        at = end;
    }
}

/// Looks at the entry at a place, and returns the next one's.
fn one<R: Read + Seek>(walk: &mut Walk<'_, '_, R>, at: u64) -> Option<u64> {
    let header = walk.source.some_at(at, HEADER);
    if header.len() < HEADER || !header.starts_with(b"PK\x03\x04") {
        return None;
    }
    let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let long = |at: usize| u64::from(u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    let (flags, method, name_len) = (short(6), CompressionMethod::new(short(8)), short(26));
    let (packed, size) = (long(18), long(22));
    let name = walk.source.some_at(at + HEADER as u64, name_len.into());
    let name = String::from_utf8_lossy(&name).into_owned();
    let start = at + HEADER as u64 + u64::from(name_len) + u64::from(short(28));
    // With this flag sizes come after the content, so where it ends is not known.
    let is_known = flags & 8 == 0 && packed < u64::from(u32::MAX);
    let end = if is_known { start + packed } else { walk.source.size };
    if !walk.tally.list(&name, size) {
        return None;
    }
    let most = Package::wanted(&name);
    match content(walk.source, method, start..end.min(walk.source.size).max(start)) {
        Some(content) if flags & 1 == 0 => {
            let mut content = walk.tally.metered(content);
            let head = walk.tally.look(&mut content, is_known.then_some(size), walk.depth, most);
            if Package::is_cut(&name, &head) {
                walk.tally.unseen();
            }
            walk.package.see(&name, &head);
        }
        _ if flags & 1 != 0 => walk.tally.encrypted(),
        _ => {}
    }
    (is_known && end > at).then_some(end)
}

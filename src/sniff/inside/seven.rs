//! 7-Zip: what its header shows without being unpacked, which is whether it is encrypted.

use std::io::{Read, Seek};

use super::{Opened, Source, tally::Tally};

/// Bytes of the header that are read. One that is packed itself has some 40.
const HEADER: usize = 64 * 1024;

/// Id of AES-256 with SHA-256, after the byte that says how long it is.
const ENCRYPTED: &[u8] = b"\x06\xf1\x07\x01";

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    tally.enter(depth);
    tally.unseen();
    let start = source.some_at(12, 16);
    let long = |at: usize| start.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let (Some(offset), Some(len)) = (long(0), long(8)) else { return Opened::default() };
    let Some(at) = offset.checked_add(32) else { return Opened::default() };
    let header = source.some_at(at, usize::try_from(len).unwrap_or(usize::MAX).min(HEADER));
    if memchr::memmem::find(&header, ENCRYPTED).is_some() {
        tally.list("", 0);
        tally.encrypted();
    }
    Opened { trailing: at.checked_add(len).and_then(|end| source.size.checked_sub(end)), ..Opened::default() }
}

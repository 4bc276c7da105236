//! Cabinets: names and sizes of files, which lie together in the header. What they hold is not unpacked.

use std::io::{Read, Seek};

use super::{Opened, Source, tally::Tally};

/// Bytes of a header that are read: some thousands of files.
const HEADER: usize = 512 * 1024;

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    tally.enter(depth);
    tally.unseen();
    let header = source.some_at(0, HEADER);
    let long = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (Some(size), Some(files), Some(count)) = (long(8), long(16), long(28)) else { return Opened::default() };
    let mut at = usize::try_from(files).unwrap_or(usize::MAX);
    for _ in 0..count & 0xffff {
        let Some(size) = header.get(at..).and_then(|_| long(at)) else { break };
        let Some(name) = header.get(at + 16..).and_then(|rest| rest.split(|byte| *byte == 0).next()) else { break };
        // Folders in names are written the DOS way.
        if !tally.list(&String::from_utf8_lossy(name).replace('\\', "/"), size.into()) {
            break;
        }
        at += 16 + name.len() + 1;
    }
    Opened { trailing: source.size.checked_sub(size.into()), ..Opened::default() }
}

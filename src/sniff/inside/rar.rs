//! RAR 4 and 5: headers of files. What they hold is not unpacked.

use std::io::{Read, Seek};

use super::{Opened, Source, tally::Tally};

/// Bytes of one header.
const HEADER: usize = 4096;

/// Headers that are followed.
const MOST: usize = 10_000;

/// What is extra to a header, of which archivers write three or four.
const MOST_EXTRA: usize = 32;

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    tally.enter(depth);
    tally.unseen();
    let (new, mut at) = match source.some_at(6, 2).as_slice() {
        [1, 0] => (true, 8),
        _ => (false, 7),
    };
    for _ in 0..MOST {
        let header = source.some_at(at, HEADER);
        let block = if new { five(source, at, &header) } else { four(&header) };
        let Some(block) = block else { break };
        if let Some((name, size)) = &block.file
            && !tally.list(name, *size)
        {
            break;
        }
        if block.encrypted {
            // With encrypted headers, nothing shows how many files there are.
            if block.file.is_none() {
                tally.list("", 0);
            }
            tally.encrypted();
        }
        match at.checked_add(block.len) {
            Some(next) if block.len > 0 && !block.is_last => at = next,
            _ => break,
        }
    }
    Opened::default()
}

struct Block {
    /// Bytes, with what follows the header.
    len: u64,
    file: Option<(String, u64)>,
    encrypted: bool,
    /// Nothing can be read after it.
    is_last: bool,
}

fn four(header: &[u8]) -> Option<Block> {
    let short = |at: usize| Some(u64::from(u16::from_le_bytes(header.get(at..at + 2)?.try_into().ok()?)));
    let long = |at: usize| Some(u64::from(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?)));
    let (kind, flags, len) = (*header.get(2)?, short(3)?, short(5)?);
    let (mut file, mut encrypted, mut data) = (None, false, 0);
    match kind {
        0x73 => encrypted = flags & 0x80 != 0,
        0x74 => {
            data = long(7)?;
            let start = if flags & 0x100 == 0 { 32 } else { 40 };
            let name = header.get(start..)?;
            let name = &name[..name.len().min(usize::try_from(short(26)?).ok()?)];
            // A name in Unicode follows one in the local character set.
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let is_folder = flags & 0xe0 == 0xe0;
            encrypted = flags & 4 != 0;
            file = (!is_folder).then(|| Some((String::from_utf8_lossy(name).replace('\\', "/"), long(11)?)))?;
        }
        _ if flags & 0x8000 != 0 => data = long(7)?,
        0x72..=0x7b => {}
        _ => return None,
    }
    let is_last = kind == 0x7b || kind == 0x73 && encrypted;
    Some(Block { len: len.checked_add(data)?, file, encrypted, is_last })
}

fn five<R: Read + Seek>(source: &Source<'_, R>, at: u64, header: &[u8]) -> Option<Block> {
    let mut fields = Fields { bytes: header.get(4..)? };
    let len = fields.next()?;
    let start = (header.len() - fields.bytes.len()) as u64;
    let (kind, flags) = (fields.next()?, fields.next()?);
    let extra = if flags & 1 != 0 { fields.next()? } else { 0 };
    let data = if flags & 2 != 0 { fields.next()? } else { 0 };
    let (mut file, mut encrypted) = (None, kind == 4);
    let end = start.checked_add(len)?;
    if kind == 2 {
        let file_flags = fields.next()?;
        let (size, _) = (fields.next()?, fields.next()?);
        let skipped = if file_flags & 2 != 0 { 4 } else { 0 } + if file_flags & 4 != 0 { 4 } else { 0 };
        fields.bytes = fields.bytes.get(skipped..)?;
        let (_, _, name_len) = (fields.next()?, fields.next()?, fields.next()?);
        let name = fields.bytes.get(..usize::try_from(name_len).ok()?)?;
        let extra = end.checked_sub(extra).filter(|extra| *extra >= start)?;
        encrypted = is_encrypted(source, at.checked_add(extra)?, at.checked_add(end)?);
        file = (file_flags & 1 == 0).then(|| (String::from_utf8_lossy(name).into_owned(), size));
    }
    Some(Block { len: end.checked_add(data)?, file, encrypted, is_last: matches!(kind, 4 | 5) })
}

/// True if encryption is among what is extra to the header of a file, in whatever order, or could be behind what is followed.
fn is_encrypted<R: Read + Seek>(source: &Source<'_, R>, mut at: u64, end: u64) -> bool {
    for _ in 0..MOST_EXTRA {
        if at >= end {
            return false;
        }
        let bytes = source.some_at(at, 20);
        let mut fields = Fields { bytes: &bytes };
        let Some(len) = fields.next() else { return false };
        let own = (bytes.len() - fields.bytes.len()) as u64;
        match (fields.next(), at.checked_add(own).and_then(|at| at.checked_add(len))) {
            (Some(1), _) => return true,
            (Some(_), Some(next)) => at = next,
            _ => return false,
        }
    }
    true
}

/// Numbers of seven bits a byte, the lowest first.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl Fields<'_> {
    fn next(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

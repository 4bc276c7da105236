//! Sectors of a compound file, and chains of them.
//!
//! Read here, since libraries hold all of a table in memory and refuse files that office programs open.

use std::io::{Read, Seek};

use super::Source;

/// Streams and storages that are looked at.
const MOST_ITEMS: usize = 4096;

/// Steps along chains, all together: chains can have rings, and each step can be a read.
const MOST_STEPS: u32 = 32_768;

/// Streams of less than this lie in the stream of small ones.
const SMALL: u64 = 4096;

/// Sectors of the stream of small ones that are known.
const MOST_SMALL: usize = 8192;

/// Higher numbers are no sectors.
const LAST: u32 = 0xffff_fffa;

/// A file that is open.
pub(super) struct Chains<'a, 'b, R> {
    source: &'a Source<'b, R>,
    header: Vec<u8>,
    /// Bytes of a sector, as a power of two.
    shift: u32,
    /// Sectors of the stream of small streams, once it was asked for.
    small: Option<Vec<u32>>,
    root: Option<(u32, u64)>,
    /// Sectors that the table of the table continues in.
    more: Vec<u32>,
    steps: u32,
    is_whole: bool,
}

/// A stream or a storage.
pub(super) struct Item {
    pub(super) name: String,
    pub(super) is_stream: bool,
    pub(super) class: Vec<u8>,
    pub(super) size: u64,
    start: u32,
}

impl<'a, 'b, R: Read + Seek> Chains<'a, 'b, R> {
    pub(super) fn open(source: &'a Source<'b, R>) -> Option<Self> {
        let header = source.some_at(0, 512);
        let shift = header.get(30..32).map(|shift| u32::from(u16::from_le_bytes([shift[0], shift[1]])))?;
        if !matches!(shift, 9 | 12) || header.len() < 512 {
            return None;
        }
        let (small, root, more) = (None, None, Vec::new());
        Some(Self { source, header, shift, small, root, more, steps: MOST_STEPS, is_whole: true })
    }

    /// False if a bound was reached or something was not where it should be.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// All that is in it, as far as that is looked at; the root comes first.
    pub(super) fn directory(&mut self) -> Vec<Item> {
        let (mut items, mut sector) = (Vec::new(), long(&self.header, 48));
        while sector < LAST {
            let bytes = self.sector(sector);
            for record in bytes.chunks_exact(128).filter(|record| record[66] != 0) {
                items.push(item(record, self.shift));
            }
            if items.len() > MOST_ITEMS || bytes.is_empty() {
                self.is_whole = false;
                break;
            }
            sector = self.next(sector);
        }
        self.root = items.first().map(|root: &Item| (root.start, root.size));
        items
    }

    /// A stream, or as much of its beginning as `most`.
    pub(super) fn content(&mut self, item: &Item, most: usize) -> Option<Vec<u8>> {
        let most = usize::try_from(item.size).unwrap_or(usize::MAX).min(most);
        let (mut bytes, mut sector) = (Vec::new(), item.start);
        let is_small = item.size < SMALL;
        while bytes.len() < most {
            let part = match is_small {
                true => self.small_sector(sector),
                false => self.sector(sector),
            };
            if part.is_empty() {
                self.is_whole = false;
                return None;
            }
            bytes.extend_from_slice(&part);
            sector = if is_small { self.next_small(sector) } else { self.next(sector) };
        }
        bytes.truncate(most);
        Some(bytes)
    }

    fn sector(&self, sector: u32) -> Vec<u8> {
        match sector < LAST {
            true => self.source.some_at((u64::from(sector) + 1) << self.shift, 1 << self.shift),
            false => Vec::new(),
        }
    }

    /// The sector after one, by the table.
    fn next(&mut self, sector: u32) -> u32 {
        let Some(left) = self.steps.checked_sub(1) else {
            self.is_whole = false;
            return u32::MAX;
        };
        self.steps = left;
        let each = 1_u32 << (self.shift - 2);
        let table = self.table(sector / each);
        self.long_in(table, sector % each)
    }

    /// The sector that a part of the table is in.
    fn table(&mut self, part: u32) -> u32 {
        if part < 109 {
            return long(&self.header, 76 + part as usize * 4);
        }
        // The last number in each sector is that of the next.
        let each = (1_u32 << (self.shift - 2)) - 1;
        let (link, within) = ((part - 109) / each, (part - 109) % each);
        while self.more.len() <= link as usize {
            let Some(left) = self.steps.checked_sub(1) else { return u32::MAX };
            self.steps = left;
            let next = match self.more.last() {
                Some(last) => self.long_in(*last, each),
                None => long(&self.header, 68),
            };
            if next >= LAST {
                return u32::MAX;
            }
            self.more.push(next);
        }
        self.long_in(self.more[link as usize], within)
    }

    fn long_in(&self, sector: u32, index: u32) -> u32 {
        if sector >= LAST {
            return u32::MAX;
        }
        let bytes = self.source.some_at(((u64::from(sector) + 1) << self.shift) + u64::from(index) * 4, 4);
        bytes.try_into().map_or(u32::MAX, u32::from_le_bytes)
    }

    /// Sectors of small streams have 64 bytes.
    fn small_sector(&mut self, sector: u32) -> Vec<u8> {
        let (at, mask) = (u64::from(sector) * 64, (1_u64 << self.shift) - 1);
        if self.small.is_none() {
            self.small = Some(self.small_sectors());
        }
        let holder = usize::try_from(at >> self.shift).ok().and_then(|index| self.small.as_ref()?.get(index).copied());
        let Some(holder) = holder else { return Vec::new() };
        self.source.some_at(((u64::from(holder) + 1) << self.shift) + (at & mask), 64)
    }

    fn small_sectors(&mut self) -> Vec<u32> {
        self.chain(self.root.map_or(u32::MAX, |(start, _)| start), MOST_SMALL)
    }

    fn chain(&mut self, mut sector: u32, most: usize) -> Vec<u32> {
        let mut sectors = Vec::new();
        while sector < LAST && sectors.len() < most {
            sectors.push(sector);
            sector = self.next(sector);
        }
        sectors
    }

    fn next_small(&mut self, sector: u32) -> u32 {
        let each = 1_u32 << (self.shift - 2);
        let mut table = long(&self.header, 60);
        for _ in 0..sector / each {
            table = self.next(table);
            if table >= LAST {
                return u32::MAX;
            }
        }
        self.long_in(table, sector % each)
    }
}

fn long(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes)
}

fn item(record: &[u8], shift: u32) -> Item {
    let len = usize::from(u16::from_le_bytes([record[64], record[65]])).saturating_sub(2).min(62);
    let size = u64::from(long(record, 120)) | u64::from(long(record, 124)) << 32;
    Item {
        name: super::binary::wide(&record[..len]),
        is_stream: record[66] == 2,
        class: record[80..96].to_vec(),
        // With small sectors the upper half is not always cleared.
        size: if shift == 9 { size & u64::from(u32::MAX) } else { size },
        start: long(record, 116),
    }
}

//! PDF: whether it is encrypted, whether it starts something, and whether files are attached to it. They are not taken out.
//!
//! It is searched for names, and not read as readers do: by its tables, of which several may be there, and readers that repair
//! damaged ones disagree.

mod name;

use std::io::{BufReader, Read, Seek};

use flate2::bufread::ZlibDecoder;
use rawzip::RangeReader;

use self::name::{Name, is_packed_once, names};
use super::{Opened, Source, tally::Tally};

/// Bytes that are searched, from the beginning: half of what may be read.
const SEARCHED: u64 = 32 << 20;

/// Bytes at the end that are, too: what a reader begins with.
const TAIL: u64 = 64 * 1024;

/// Bytes that are searched at a time; parts share some, so that nothing is lost where they are cut.
const PART: usize = 256 * 1024;
const SHARED: usize = 1024;

/// Bytes of one stream of objects before and after it is unpacked, and how many of them are. Honest documents of thousands of
/// pages have hundreds, of some 20 KiB each.
const PACKED: u64 = 1 << 20;
const UNPACKED: u64 = 1 << 20;
const STREAMS: u32 = 2000;

/// Before and after the name of a stream of objects: its dictionary, up to its content.
const DICTIONARY: usize = 1024;

/// What was found.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that can be there")]
struct Seen {
    encrypted: bool,
    active: bool,
    /// Streams of attached files, and what leads to some.
    files: u64,
    specifications: u64,
    attached: bool,
    streams: u32,
    /// Where the last stream of objects begins.
    last: u64,
    /// Some of it could not be searched.
    unseen: bool,
}

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    let mut seen = Seen::default();
    let searched = source.size.min(SEARCHED);
    parts(source, 0, searched, &mut seen, tally);
    let tail = source.size.saturating_sub(TAIL).max(searched);
    seen.unseen |= tail > searched;
    parts(source, tail, source.size, &mut seen, tally);
    tally.active |= seen.active;
    let attached = seen.files.max(seen.specifications).max(seen.attached.into());
    if attached > 0 || seen.unseen {
        tally.enter(depth);
        tally.unseen();
        tally.inside.entries += attached;
    }
    Opened { locked: seen.encrypted, ..Opened::default() }
}

fn parts<R: Read + Seek>(source: &Source<'_, R>, from: u64, to: u64, seen: &mut Seen, tally: &Tally) {
    let mut at = from;
    while at < to {
        let part = source.some_at(at, PART);
        let own = if part.len() < PART { part.len() } else { PART - SHARED };
        if own == 0 {
            // No more may be read.
            seen.unseen = true;
            break;
        }
        // What begins in this part is of this part, wherever it ends: the next one begins behind its beginning.
        for (place, name) in names(&part).take_while(|(place, _)| place.start < own) {
            seen.note(name);
            if matches!(name, Name::Objects | Name::First) {
                objects(source, at + place.end as u64, name, (seen, tally));
            }
        }
        at += own as u64;
    }
}

impl Seen {
    fn note(&mut self, name: Name) {
        match name {
            Name::Encrypt => self.encrypted = true,
            Name::File => self.files += 1,
            Name::Files => self.specifications += 1,
            Name::Attached => self.attached = true,
            Name::Rich => (self.attached, self.active) = (true, true),
            Name::Active => self.active = true,
            Name::Objects | Name::First => {}
        }
    }
}

/// Looks into a stream of objects, of which a name in its dictionary is before this place.
fn objects<R: Read + Seek>(source: &Source<'_, R>, after: u64, name: Name, (seen, tally): (&mut Seen, &Tally)) {
    let from = after.saturating_sub(DICTIONARY as u64);
    let near = source.some_at(from, DICTIONARY * 2);
    let (before, behind) = near.split_at(near.len().min(usize::try_from(after - from).unwrap_or(DICTIONARY)));
    let start = memchr::memmem::find(behind, b"stream");
    // What has no stream is something else that has a first one.
    let ends = memchr::memmem::find(behind, b"endobj").is_some_and(|end| start.is_none_or(|start| end < start));
    if name == Name::First && (ends || start.is_none()) {
        return;
    }
    let Some(start) = start else {
        seen.unseen = true;
        return;
    };
    let begins = memchr::memmem::rfind(before, b"endobj").unwrap_or_default();
    let dictionary = [&before[begins..], &behind[..start]].concat();
    let start = start + "stream".len();
    let blanks = behind[start..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let start = after + (start + blanks) as u64;
    if start == seen.last {
        return;
    }
    seen.last = start;
    seen.streams += 1;
    if seen.streams > STREAMS {
        seen.unseen = true;
        return;
    }
    seen.unseen |= !is_packed_once(&dictionary);
    let packed = BufReader::with_capacity(4096, RangeReader::new(source, start..source.size.min(start + PACKED)));
    let mut text = Vec::new();
    let unpacked = tally.metered(ZlibDecoder::new(packed)).take(UNPACKED).read_to_end(&mut text);
    // What came out before an error counts.
    seen.unseen |= unpacked.is_err() || text.len() as u64 == UNPACKED;
    names(&text).for_each(|(_, name)| seen.note(name));
}

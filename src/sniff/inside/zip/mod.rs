//! ZIP, by its directory, and what its entries say of themselves where they lie.

mod entry;
mod package;
mod spans;
mod unlisted;

use std::io::{Read, Seek};

use rawzip::{ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};

use self::{
    entry::{Listed, content, name_in_unicode},
    package::Package,
    spans::Spans,
};
use super::{Opened, Source, names, tally::Tally};

/// A record of the directory: its name, extra field and comment can have 64 KiB each.
const BUFFER: usize = 3 * 64 * 1024 + 64;

/// What is in front of the content of an entry: a name and an extra field.
const LOCAL: usize = 2 * 64 * 1024;

/// How far from the end of the bytes that of the archive is looked for.
const SEARCHED: u64 = 256 * 1024;

/// Length of the record at the end, without its comment.
const END: usize = 22;

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    tally.enter(depth);
    // Neither needs more room than the archive has, which matters for small ones in large numbers.
    let most = usize::try_from(source.size).unwrap_or(usize::MAX).max(4096);
    let (mut buffer, local) = (vec![0; BUFFER.min(most)], vec![0; LOCAL.min(most)]);
    let located = ZipLocator::new().max_search_space(SEARCHED).locate_in_reader(source, &mut buffer, source.size);
    let (mut package, mut spans) = (Package::default(), Spans::default());
    let mut walk = Walk { source, depth, tally, package: &mut package, spans: &mut spans, local };
    let trailing = match located {
        Ok(archive) => {
            directory(&archive, &mut buffer, &mut walk);
            let end = archive.end_offset();
            tally.inside.overlapping |= spans.are_dishonest(source, archive.directory_offset());
            tally.inside.overlapping |= has_two_ends(source, archive.directory_offset(), archive.eocd_offset());
            source.size.checked_sub(end)
        }
        Err(_) => {
            walk.tally.unseen();
            unlisted::walk(&mut walk);
            None
        }
    };
    tally.macros |= package.has_macros();
    tally.active |= package.is_active();
    let refined = package.media_type();
    if package.is_encrypted() {
        tally.unseen();
    }
    Opened { refined, locked: package.is_encrypted(), trailing }
}

/// All that an entry is looked at with.
struct Walk<'a, 'b, R> {
    source: &'a Source<'b, R>,
    depth: u8,
    tally: &'a mut Tally,
    package: &'a mut Package,
    spans: &'a mut Spans,
    /// Room for what is in front of an entry.
    local: Vec<u8>,
}

fn directory<R: Read + Seek>(archive: &ZipArchive<&Source<'_, R>>, buffer: &mut [u8], walk: &mut Walk<'_, '_, R>) {
    let (mut entries, mut count) = (archive.entries(buffer), 0_u64);
    loop {
        match entries.next_entry() {
            Ok(Some(record)) => {
                count += 1;
                let path = record.file_path();
                let (listed, at) = (Listed::of(&record, path.as_ref()), record.wayfinder());
                name_in_unicode(&listed.name, record.extra_fields(), walk.tally);
                if !one(archive, &listed, at, walk) {
                    return;
                }
            }
            Ok(None) => break,
            Err(_) => return walk.tally.unseen(),
        }
    }
    // Short records count modulo 65536.
    walk.tally.inside.overlapping |= count % 65536 != archive.entries_hint() % 65536;
}

/// Looks at one entry; false if no more may be looked at.
fn one<R: Read + Seek>(
    archive: &ZipArchive<&Source<'_, R>>,
    listed: &Listed<'_>,
    at: ZipArchiveEntryWayfinder,
    walk: &mut Walk<'_, '_, R>,
) -> bool {
    let is_new = walk.spans.is_new_name(&listed.name);
    walk.tally.inside.deceptive_names |= !is_new || listed.is_cut();
    let entry = if walk.spans.has_room() { archive.get_entry(at).ok() } else { None };
    let Some(entry) = entry else {
        walk.tally.unseen();
        return listed.is_folder() || walk.tally.list(&listed.name, listed.size);
    };
    let (start, end) = entry.compressed_data_range();
    walk.spans.add(listed.at, end);
    match entry.local_header(&mut walk.local) {
        Ok(local) => listed.compare(&local, walk.tally),
        Err(_) => walk.tally.unseen(),
    }
    if listed.is_folder() {
        walk.tally.name(listed.name.trim_end_matches('/'));
        return true;
    }
    if !walk.tally.list(&listed.name, listed.size) {
        return false;
    }
    look(listed, start..end, walk);
    true
}

/// Looks at the content of an entry.
fn look<R: Read + Seek>(listed: &Listed<'_>, span: std::ops::Range<u64>, walk: &mut Walk<'_, '_, R>) {
    let most = Package::wanted(&listed.name);
    let head = match content(walk.source, listed.method, span) {
        _ if listed.encrypted => {
            walk.tally.encrypted();
            Vec::new()
        }
        Some(content) => {
            let mut content = walk.tally.metered(content);
            walk.tally.look(&mut content, Some(listed.size), walk.depth, most)
        }
        None => {
            walk.tally.unseen();
            Vec::new()
        }
    };
    if Package::is_cut(&listed.name, &head) {
        walk.tally.unseen();
    }
    walk.package.see(&listed.name, &head);
}

/// True if the record that ends an archive is at the very end of something else.
pub(super) fn hangs_on<R: Read + Seek>(source: &Source<'_, R>) -> bool {
    let tail = source.some_at(source.size.saturating_sub(1024), 1024);
    ends(&tail).any(|at| {
        let comment = u16::from_le_bytes([tail[at + 20], tail[at + 21]]);
        at + END + usize::from(comment) == tail.len() && tail[at + 10..at + 12] != [0, 0]
    })
}

/// True if there is another end of an archive beside the one at `end`: readers differ in which they take.
fn has_two_ends<R: Read + Seek>(source: &Source<'_, R>, directory: u64, end: u64) -> bool {
    const MOST: usize = 256 * 1024;
    let from = directory.max(source.size.saturating_sub(MOST as u64)).min(end);
    let most = usize::try_from(source.size.saturating_sub(from)).unwrap_or(usize::MAX);
    let tail = source.some_at(from, most.min(MOST * 2));
    ends(&tail).any(|at| from + at as u64 != end)
}

fn ends(tail: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memchr::memmem::find_iter(tail, b"PK\x05\x06").filter(|at| at + END <= tail.len())
}

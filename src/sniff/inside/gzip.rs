//! gzip: one compressed file, most often a tape archive.

use std::io::{BufReader, Cursor, Read, Seek};

use flate2::bufread::MultiGzDecoder;
use rawzip::RangeReader;

use super::{
    super::told::Told,
    Opened, Source,
    tally::{HEAD, Tally},
    tar, types,
};

/// Bytes that are inflated only to be counted, since what the end says of them need not be so.
const MOST_COUNTED: u64 = 4 << 20;

pub(super) fn walk<R: Read + Seek>(source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    tally.enter(depth);
    let input = BufReader::with_capacity(16 * 1024, RangeReader::new(source, 0..source.size));
    let mut content = tally.metered(Counted { reader: MultiGzDecoder::new(input), count: 0 });
    let mut head = Vec::new();
    let failed = (&mut content).take(HEAD as u64).read_to_end(&mut head).is_err();
    let name = content.get_ref().reader.header().and_then(|header| header.filename());
    let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    tally.list(&name, 0);
    if failed && head.is_empty() {
        tally.unseen();
        return Opened::default();
    }
    if tar::is_header(&head) {
        tally.kind(Told::default(), Some(types::TAR));
        let mut whole = Cursor::new(head).chain(&mut content);
        tar::walk(&mut tar::Tape::<Cursor<Vec<u8>>>::Stream(&mut whole), depth + 1, tally);
    } else {
        tally.look(&mut Cursor::new(head).chain(&mut content), None, depth, HEAD);
    }
    let rest = std::io::copy(&mut (&mut content).take(MOST_COUNTED), &mut std::io::sink());
    // The last four bytes say how many there are, of the last member and but for multiples of 4 GiB.
    let told = source.some_at(source.size.saturating_sub(4), 4).try_into().map_or(0, u32::from_le_bytes);
    let count = content.get_ref().count;
    let is_counted = rest.is_ok_and(|rest| rest < MOST_COUNTED || u64::from(told) > count);
    if failed || !is_counted {
        tally.unseen();
    }
    tally.grow(count.max(told.into()));
    Opened::default()
}

/// Counts what comes out.
struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buf)?;
        self.count += read as u64;
        Ok(read)
    }
}

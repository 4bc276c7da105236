//! Whatever is looked into, it ends, reads no more than it may, and tells nothing that cannot be.

#![no_main]

use std::io::{Cursor, Read, Seek, SeekFrom};

use lazaret::{
    facts::{Group, Inside},
    sniff::{
        inside::{Found, look, types},
        told::tell,
    },
};
use libfuzzer_sys::fuzz_target;

/// Bytes that may be read of one container, and a little more for what is looked at around it.
const MOST_READ: u64 = (64 << 20) + 4096;

struct Counted<'a> {
    bytes: Cursor<&'a [u8]>,
    read: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read(buf)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let size = bytes.len() as u64;
    let told = tell(&bytes[..bytes.len().min(1024)], size);
    let mut reader = Counted { bytes: Cursor::new(bytes), read: 0 };
    let found = look(&mut reader, size, &told).expect("the reader never fails");
    assert!(reader.read <= MOST_READ, "{} bytes were read", reader.read);
    if let Some(found) = found {
        hold(&found, size);
    }
});

/// What must hold of all that is found.
fn hold(found: &Found, size: u64) {
    assert!(found.refined.is_none_or(|refined| types::ALL.contains(&refined)));
    assert!(found.trailing.is_none_or(|trailing| trailing <= size));
    let Some(inside) = &found.inside else { return };
    assert!((1..=5).contains(&inside.depth));
    assert!(inside.types.len() <= Inside::MOST && inside.extensions.len() <= Inside::MOST);
    // What was not seen could be anything.
    assert!(inside.encrypted == 0 || !inside.complete);
    assert!(inside.complete || inside.groups.contains(&Group::Unknown));
    assert!(inside.entries > 0 || inside.expanded == 0);
}

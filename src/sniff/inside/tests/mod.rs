//! What is found in containers that are made here.

mod attached;
mod bounds;
mod corpus;
mod dishonest;
mod documents;
mod pack;
mod several;

use std::{
    cell::Cell,
    io::{Cursor, Read, Seek, SeekFrom},
};

use super::{super::told::tell, Found, look, tally::HEAD};

/// Counts what is read of it.
struct Counted<'a> {
    bytes: Cursor<&'a [u8]>,
    read: &'a Cell<u64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let read = self.bytes.read(buf)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// What is found, and how many bytes were read for it.
fn counted(bytes: &[u8]) -> (Option<Found>, u64) {
    let read = Cell::new(0);
    let told = tell(&bytes[..bytes.len().min(HEAD)], bytes.len() as u64);
    let mut reader = Counted { bytes: Cursor::new(bytes), read: &read };
    let found = look(&mut reader, bytes.len() as u64, &told).unwrap();
    (found, read.get())
}

fn found(bytes: &[u8]) -> Found {
    counted(bytes).0.expect("it is a container")
}

//! A reader that counts what is read of it.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// Counts what is read of it.
pub(super) struct Counted<'a> {
    bytes: Cursor<&'a [u8]>,
    /// Bytes that were read, each time again.
    pub(super) read: u64,
}

impl<'a> Counted<'a> {
    /// At the beginning of these.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Cursor::new(bytes), read: 0 }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buf)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

//! The bytes that are looked into.

use std::{
    cell::RefCell,
    io::{self, Read, Seek, SeekFrom},
};

use rawzip::ReaderAt;

/// Bytes read ahead. Entries mostly lie one after another, and their headers are small.
const WINDOW: usize = 4096;

/// Bytes of one container that are read at most, those that are read twice counted twice. More than what the other bounds come
/// to for any honest one; a hostile one can make reads overlap.
const MOST_READ: u64 = 64 << 20;

/// Something with bytes at places. It tells errors of its reader, which are kept for the end, from damage in the bytes.
pub(super) struct Source<'a, R> {
    /// How many there are.
    pub(super) size: u64,
    state: RefCell<State<'a, R>>,
}

struct State<'a, R> {
    reader: &'a mut R,
    /// Where the reader is.
    position: u64,
    window: Vec<u8>,
    window_at: u64,
    left: u64,
    failed: Option<io::Error>,
}

impl<'a, R: Read + Seek> Source<'a, R> {
    pub(super) fn new(reader: &'a mut R, size: u64) -> Self {
        // No position is this one, so that the first read seeks.
        let (position, window) = (u64::MAX, Vec::new());
        let state = State { reader, position, window, window_at: 0, left: MOST_READ, failed: None };
        Self { size, state: RefCell::new(state) }
    }

    /// What the reader failed with, if it did.
    pub(super) fn end(self) -> io::Result<()> {
        self.state.into_inner().failed.map_or(Ok(()), Err)
    }

    /// As many bytes from a place on as there are, at most `most`; fewer or none if they cannot be had.
    pub(super) fn some_at(&self, at: u64, most: usize) -> Vec<u8> {
        let most = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX).min(most);
        let (mut bytes, mut filled) = (vec![0; most], 0);
        while filled < most {
            match self.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) | Err(_) => break,
                Ok(more) => filled += more,
            }
        }
        bytes.truncate(filled);
        bytes
    }
}

impl<R: Read + Seek> ReaderAt for Source<'_, R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let most = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        self.state.borrow_mut().read_at(&mut buf[..most], offset)
    }
}

impl<R: Read + Seek> State<'_, R> {
    fn read_at(&mut self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if buf.len() >= WINDOW {
            return self.fetch(buf, at);
        }
        let within = at.checked_sub(self.window_at).and_then(|within| usize::try_from(within).ok());
        let within = match within.filter(|within| *within < self.window.len()) {
            Some(within) => within,
            None => {
                let mut window = std::mem::take(&mut self.window);
                window.resize(WINDOW, 0);
                let read = self.fetch(&mut window, at)?;
                window.truncate(read);
                (self.window, self.window_at) = (window, at);
                0
            }
        };
        let found = &self.window[within..];
        let most = found.len().min(buf.len());
        buf[..most].copy_from_slice(&found[..most]);
        Ok(most)
    }

    fn fetch(&mut self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        if self.left < buf.len() as u64 {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let read = self.read_from(buf, at);
        match &read {
            Ok(read) => {
                self.left -= *read as u64;
                self.position = at + *read as u64;
            }
            Err(error) => {
                self.position = u64::MAX;
                self.failed.get_or_insert_with(|| io::Error::new(error.kind(), error.to_string()));
            }
        }
        read
    }

    fn read_from(&mut self, buf: &mut [u8], at: u64) -> io::Result<usize> {
        if self.position != at {
            self.reader.seek(SeekFrom::Start(at))?;
        }
        loop {
            match self.reader.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Fails wherever it is read.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }

    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn bytes_are_found_at_their_places_in_any_order() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
        let mut reader = Cursor::new(&bytes);
        let source = Source::new(&mut reader, bytes.len() as u64);
        for (at, most) in [(0, 10), (4090, 20), (5, 5), (99_990, 100), (60_000, 10_000), (100_000, 5), (u64::MAX, 5)] {
            let start = usize::try_from(at).unwrap().min(bytes.len());
            assert_eq!(source.some_at(at, most), bytes[start..bytes.len().min(start.saturating_add(most))]);
        }
        source.end().unwrap();
    }

    #[test]
    fn errors_of_the_reader_are_told_at_the_end() {
        let mut reader = Broken;
        let source = Source::new(&mut reader, 10);
        assert!(source.some_at(0, 4).is_empty());
        assert_eq!(source.end().unwrap_err().to_string(), "the disk is gone");
    }

    #[test]
    fn what_is_read_over_and_over_comes_to_an_end() {
        let bytes = vec![0; 1 << 20];
        let mut reader = Cursor::new(&bytes);
        let source = Source::new(&mut reader, bytes.len() as u64);
        let read: u64 = (0..100).map(|_| source.some_at(0, bytes.len()).len() as u64).sum();
        assert_eq!(read, MOST_READ);
        source.end().unwrap();
    }
}

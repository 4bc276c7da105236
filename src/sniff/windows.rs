//! The parts of a medium that are looked at.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes at the beginning. All signatures begin in the first 36 KiB, a disk image's being the last.
const HEAD: u64 = 64 * 1024;

/// Bytes in the middle.
const MIDDLE: u64 = 16 * 1024;

/// Bytes at the end: a ZIP archive's end record and its comment take 65557.
const TAIL: u64 = 66 * 1024;

/// White space at the beginning that is passed over, for what comes after it.
const BLANKS: u64 = 2 * 1024 * 1024;

/// What was read. The windows do not overlap, and are shorter or empty where there is no more.
#[derive(Debug)]
pub(super) struct Windows {
    /// From the start.
    pub(super) head: Vec<u8>,
    /// Around the middle.
    pub(super) middle: Vec<u8>,
    /// Up to the end.
    pub(super) tail: Vec<u8>,
    /// Length of the whole.
    pub(super) size: u64,
}

impl Windows {
    pub(super) fn open<R: Read + Seek>(bytes: &mut R, size: u64) -> io::Result<Self> {
        let head = read_at(bytes, 0, HEAD.min(size))?;
        let tail_at = size.saturating_sub(TAIL).max(head.len() as u64);
        let middle_at = (size / 2).max(head.len() as u64);
        let middle = read_at(bytes, middle_at, tail_at.saturating_sub(middle_at).min(MIDDLE))?;
        let tail = read_at(bytes, tail_at, size.saturating_sub(tail_at))?;
        Ok(Self { head, middle, tail, size })
    }

    /// What comes after white space that fills all of the head.
    pub(super) fn behind_blanks<R: Read + Seek>(&self, bytes: &mut R) -> io::Result<Option<Vec<u8>>> {
        let is_blank = |part: &[u8]| part.trim_ascii_start().is_empty();
        if !self.is_cut() || !is_blank(&self.head) {
            return Ok(None);
        }
        let mut at = HEAD;
        while at < BLANKS.min(self.size) {
            let part = read_at(bytes, at, HEAD)?;
            if part.is_empty() {
                break;
            }
            if !is_blank(&part) {
                let blanks = part.len() - part.trim_ascii_start().len();
                return read_at(bytes, at + blanks as u64, HEAD).map(Some);
            }
            at += HEAD;
        }
        Ok(None)
    }

    /// True if there is more than the head.
    pub(super) fn is_cut(&self) -> bool {
        (self.head.len() as u64) < self.size
    }

    pub(super) fn all(&self) -> [&[u8]; 3] {
        [&self.head, &self.middle, &self.tail]
    }

    /// The end: the last window, or all of what is no longer than the first.
    pub(super) fn end(&self) -> &[u8] {
        if self.tail.is_empty() { &self.head } else { &self.tail }
    }

    /// Where [`Windows::end`] begins.
    pub(super) fn end_at(&self) -> u64 {
        self.size.saturating_sub(self.end().len() as u64)
    }
}

/// At most `len` bytes from `at`: fewer at the end.
pub(super) fn read_at<R: Read + Seek>(bytes: &mut R, at: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    if len > 0 {
        bytes.seek(SeekFrom::Start(at))?;
        bytes.take(len).read_to_end(&mut piece)?;
    }
    Ok(piece)
}

/// A view of a medium for readers that know no bound: it ends when `left` bytes were read of it, and it remembers errors that
/// they take for the medium's.
#[derive(Debug)]
pub(super) struct Bounded<'a, R> {
    bytes: &'a mut R,
    size: u64,
    at: u64,
    left: u64,
    error: Option<io::Error>,
}

/// Readers with a buffer fill it after each step to another place; this is more than a structure's length.
const STEP: usize = 512;

impl<'a, R: Read + Seek> Bounded<'a, R> {
    pub(super) fn new(bytes: &'a mut R, size: u64, left: u64) -> Self {
        Self { bytes, size, at: 0, left, error: None }
    }

    /// The error that reading met, if any.
    pub(super) fn into_error(self) -> Option<io::Error> {
        self.error
    }

    fn fill(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.bytes.seek(SeekFrom::Start(self.at))?;
        self.bytes.read(piece)
    }
}

impl<R: Read + Seek> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.left.min(self.size.saturating_sub(self.at));
        let len = buffer.len().min(STEP).min(usize::try_from(there).unwrap_or(STEP));
        if len == 0 {
            return Ok(0);
        }
        let read = self.fill(&mut buffer[..len]).map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            io::Error::from(kind)
        })?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

impl<R: Read + Seek> Seek for Bounded<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

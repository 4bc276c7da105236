//! Tape archives, as files and as what comes out of a decoder.
//!
//! Read here, since libraries hold names of any length in memory.

use std::io::{self, Read, Seek};

use rawzip::ReaderAt;

use super::{
    Opened, Source,
    tally::{HEAD, Tally},
    types,
};

const BLOCK: usize = 512;

/// Longer names are cut, and what follows them is not looked at.
const LONGEST_NAME: u64 = 64 * 1024;

/// Where an archive is read from.
pub(super) enum Tape<'a, 'b, R> {
    /// A file, in which content is skipped.
    File(&'a Source<'b, R>, u64),
    /// A decoder.
    Stream(&'a mut dyn Read),
}

impl<'a, 'b, R: Read + Seek> Tape<'a, 'b, R> {
    pub(super) fn new(source: &'a Source<'b, R>) -> Self {
        Self::File(source, 0)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        match self {
            Self::File(source, at) => {
                *at = at.checked_add(bytes).filter(|at| *at <= source.size).ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(())
            }
            Self::Stream(stream) => match io::copy(&mut stream.take(bytes), &mut io::sink())? {
                skipped if skipped == bytes => Ok(()),
                _ => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }
}

impl<R: Read + Seek> Read for Tape<'_, '_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.read(buf),
            Self::File(source, at) => {
                let read = source.read_at(buf, *at)?;
                *at += read as u64;
                Ok(read)
            }
        }
    }
}

pub(super) fn walk<R: Read + Seek>(tape: &mut Tape<'_, '_, R>, depth: u8, tally: &mut Tally) -> Opened {
    tally.enter(depth);
    if entries(tape, depth, tally).is_err() {
        tally.unseen();
    }
    // Old ones have no signature.
    Opened { refined: Some(types::TAR), ..Opened::default() }
}

/// Bytes after the end that are looked at. Writers fill up to some KiB with zeros.
const MOST_AFTER: u64 = 1 << 20;

/// What headers before that of an entry say of it.
#[derive(Default)]
struct Ahead {
    name: Option<String>,
    /// What a file with holes is called.
    sparse_name: Option<String>,
    size: Option<u64>,
    /// Its content is not what lies there.
    is_sparse: bool,
}

impl Ahead {
    fn note(&mut self, key: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match key {
            b"path" => self.name = Some(text()),
            b"size" => self.size = text().parse().ok(),
            b"GNU.sparse.name" => (self.sparse_name, self.is_sparse) = (Some(text()), true),
            _ => self.is_sparse |= key.starts_with(b"GNU.sparse.") || key.starts_with(b"SCHILY.realsize"),
        }
    }

    fn name(&mut self, block: &[u8; BLOCK]) -> String {
        let told = self.sparse_name.take().or_else(|| self.name.take());
        told.unwrap_or_else(|| name(block))
    }
}

fn entries<R: Read + Seek>(tape: &mut Tape<'_, '_, R>, depth: u8, tally: &mut Tally) -> io::Result<()> {
    let (mut block, mut ahead) = ([0; BLOCK], Ahead::default());
    while next(tape, &mut block)? {
        let size = number(&block[124..136]).ok_or(io::ErrorKind::InvalidData)?;
        match block[156] {
            b'L' => {
                let text = text(tape, size)?;
                ahead.name = Some(String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned());
            }
            b'x' => records(&text(tape, size)?, |key, value| ahead.note(key, value))?,
            b'g' => {
                // Some readers take it for all that follows.
                let mut all = Ahead::default();
                records(&text(tape, size)?, |key, value| all.note(key, value))?;
                if all.name.is_some() || all.size.is_some() || all.is_sparse {
                    tally.unseen();
                }
            }
            b'K' => tape.skip(padded(size)?)?,
            b'5' | b'1' | b'2' | b'3' | b'4' | b'6' => {
                let (mut ahead, target) = (std::mem::take(&mut ahead), field(&block[157..257]));
                tally.inside.deceptive_names |= block[156] == b'2' && target.starts_with('/');
                // Some readers skip content here, and others take it for the next header.
                if ahead.size.unwrap_or(size) != 0 {
                    tally.unseen();
                }
                tally.name(&ahead.name(&block));
            }
            kind => {
                let mut ahead = std::mem::take(&mut ahead);
                let (name, size) = (ahead.name(&block), ahead.size.unwrap_or(size));
                let is_folder = name.ends_with('/') && size > 0;
                if kind == b'S' || ahead.is_sparse || is_folder {
                    tally.unseen();
                }
                if kind == b'S' {
                    skip_map(tape, &block)?;
                }
                if !tally.list(&name, size) {
                    return Ok(());
                }
                let mut content = tape.by_ref().take(size);
                tally.look(&mut content, Some(size), depth, HEAD);
                let rest = content.limit() + (padded(size)? - size);
                tape.skip(rest)?;
            }
        }
    }
    // Some readers go on behind empty blocks.
    if !is_empty(tape)? {
        tally.unseen();
    }
    Ok(())
}

/// The places of what is in a file with holes, where they have blocks of their own in front of the content.
fn skip_map<R: Read + Seek>(tape: &mut Tape<'_, '_, R>, header: &[u8; BLOCK]) -> io::Result<()> {
    let (mut goes_on, mut block) = (header[482] != 0, [0; BLOCK]);
    while goes_on {
        tape.read_exact(&mut block)?;
        goes_on = block[504] != 0;
    }
    Ok(())
}

/// True if nothing but zeros is left, and not much of these.
fn is_empty<R: Read + Seek>(tape: &mut Tape<'_, '_, R>) -> io::Result<bool> {
    let (mut block, mut left) = ([0; 4096], MOST_AFTER);
    loop {
        let read = tape.read(&mut block)?;
        if read == 0 {
            return Ok(true);
        }
        left = left.saturating_sub(read as u64);
        if left == 0 || block[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
}

/// Reads the next header; false at the end.
fn next<R: Read + Seek>(tape: &mut Tape<'_, '_, R>, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < BLOCK {
        match tape.read(&mut block[filled..])? {
            // Some archives end without the two empty blocks.
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => filled += more,
        }
    }
    match block.iter().all(|byte| *byte == 0) {
        true => Ok(false),
        false if is_header(block) => Ok(true),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// True for what begins with a header whose sum is right.
pub(super) fn is_header(head: &[u8]) -> bool {
    let Some(block) = head.get(..BLOCK) else { return false };
    let sum = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 0x20 } else { u64::from(*byte) });
    block[0] != 0 && number(&block[148..156]) == Some(sum.sum())
}

/// Octal digits, or a big-endian number after a byte with the highest bit set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let more = field[1..].iter().try_fold(u64::from(field[0] & 0x7f), |number, byte| {
            number.checked_mul(256)?.checked_add(u64::from(*byte))
        });
        return more;
    }
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(8)?;
        number.checked_mul(8)?.checked_add(digit.into())
    })
}

fn padded(size: u64) -> io::Result<u64> {
    size.checked_next_multiple_of(BLOCK as u64).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn field(field: &[u8]) -> String {
    String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn name(block: &[u8; BLOCK]) -> String {
    let (name, prefix) = (field(&block[..100]), field(&block[345..500]));
    match &block[257..262] == b"ustar" && &block[257..265] != b"ustar  \0" && !prefix.is_empty() {
        true => format!("{prefix}/{name}"),
        false => name,
    }
}

/// What a header that is about the next one holds.
fn text<R: Read + Seek>(tape: &mut Tape<'_, '_, R>, size: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    tape.by_ref().take(size.min(LONGEST_NAME)).read_to_end(&mut text)?;
    match size > LONGEST_NAME {
        true => Err(io::ErrorKind::InvalidData.into()),
        false => tape.skip(padded(size)? - size).map(|()| text),
    }
}

/// Records of `length key=value`, each with a line break at its end. Values may have more of these, so it is by its length that a record
/// ends.
fn records(mut text: &[u8], mut note: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
    let mut one = || {
        let digits = text.iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
        let len: usize = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
        let (record, rest) = text.split_at_checked(len)?;
        let pair = record.get(digits..)?.strip_prefix(b" ")?.strip_suffix(b"\n")?;
        let at = memchr::memchr(b'=', pair)?;
        text = rest;
        note(&pair[..at], &pair[at + 1..]);
        Some(rest.iter().all(|byte| *byte == 0))
    };
    loop {
        match one() {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

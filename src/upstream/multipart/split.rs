//! Taking the content out of a body that comes in pieces.

use std::{mem, ops::Range};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::LOCATION};
use memchr::memmem::Finder;

use super::{
    Boundary, MAX_AROUND, MultipartError, Parts,
    prefix::{self, Prefix},
};

/// Splits a body as it comes, without keeping its content. Two dashes and the boundary have no place in a body except in
/// its three delimiters; anywhere else they are an error, since lenient readers would see a delimiter there.
#[derive(Debug)]
pub struct Splitter {
    dashed: Finder<'static>,
    state: State,
}

#[derive(Debug)]
enum State {
    Prefix(BytesMut),
    Content { known: Known, held: Bytes },
    Suffix { known: Known, suffix: BytesMut },
    Refused,
}

/// What is known once the content began.
#[derive(Debug)]
struct Known {
    prefix: Bytes,
    first: Range<usize>,
    headers: HeaderMap,
}

/// At most two pieces: what was held back, and what came.
type Pieces = [Bytes; 2];

impl Splitter {
    /// Starts before the first byte of a body.
    pub fn new(boundary: &Boundary) -> Self {
        let dashed = Finder::new(&boundary.dashed()).into_owned();
        Self { dashed, state: State::Prefix(BytesMut::new()) }
    }

    /// Takes the next bytes of the body. Gives the next bytes of the content, in order; a few, which may turn out to
    /// belong to a delimiter, are held back. Whether the body as a whole is in order is known from
    /// [`Splitter::finish`] only. An error stays.
    pub fn feed(&mut self, bytes: Bytes) -> Result<impl Iterator<Item = Bytes> + use<>, MultipartError> {
        let (state, pieces) = match mem::replace(&mut self.state, State::Refused) {
            State::Prefix(gathered) => self.prefix(gathered, &bytes)?,
            State::Content { known, held } => self.content(known, held, bytes)?,
            State::Suffix { known, suffix } => (State::suffix(known, suffix, &bytes)?, Pieces::default()),
            State::Refused => return Err(MultipartError::Refused),
        };
        self.state = state;
        Ok(pieces.into_iter().filter(|piece| !piece.is_empty()))
    }

    /// Ends the body. All content was given before.
    pub fn finish(self) -> Result<Parts, MultipartError> {
        match self.state {
            State::Suffix { known: Known { prefix, first, headers }, suffix } => {
                let delimiter = b"\r\n".len() + self.dashed.needle().len();
                match is_last(&suffix[delimiter..]) {
                    true => Ok(Parts { prefix, headers, suffix: suffix.freeze(), first }),
                    false => Err(MultipartError::Delimiter),
                }
            }
            State::Prefix(_) | State::Content { .. } => Err(MultipartError::Truncated),
            State::Refused => Err(MultipartError::Refused),
        }
    }

    fn prefix(&self, mut gathered: BytesMut, bytes: &Bytes) -> Result<(State, Pieces), MultipartError> {
        let before = gathered.len();
        let taken = bytes.len().min(MAX_AROUND - before);
        gathered.extend_from_slice(&bytes[..taken]);
        let Some(Prefix { len, first, headers }) = prefix::read(&gathered, &self.dashed)? else {
            return match gathered.len() < MAX_AROUND {
                true => Ok((State::Prefix(gathered), Pieces::default())),
                false => Err(MultipartError::TooLong),
            };
        };
        // It was incomplete without these bytes, so it ends within them.
        let content = bytes.slice(len - before..);
        gathered.truncate(len);
        self.content(Known { prefix: gathered.freeze(), first, headers }, Bytes::new(), content)
    }

    fn content(&self, known: Known, held: Bytes, bytes: Bytes) -> Result<(State, Pieces), MultipartError> {
        let delimiter = b"\r\n".len() + self.dashed.needle().len();
        let (len, mut both) = (held.len() + bytes.len(), Pieces::from([held, bytes]));
        let Some(dashes) = self.find(&both) else {
            // All but the last byte of a delimiter may be here already.
            let held = split_off(&mut both, len.saturating_sub(delimiter - 1)).concat().into();
            known.may_have(&both)?;
            return Ok((State::Content { known, held }, both));
        };
        let end = dashes.checked_sub(2).ok_or(MultipartError::Delimiter)?;
        let rest = split_off(&mut both, end);
        if !rest.iter().flatten().take(2).eq(b"\r\n") {
            return Err(MultipartError::Delimiter);
        }
        known.may_have(&both)?;
        let [begin, more] = rest;
        let suffix = State::suffix(known, BytesMut::from(begin), &more)?;
        Ok((suffix, both))
    }

    /// Where the dashes and the boundary are in two pieces of which the first has none.
    fn find(&self, [held, bytes]: &Pieces) -> Option<usize> {
        let seam = [held, &bytes[..bytes.len().min(self.dashed.needle().len())]].concat();
        self.dashed.find(&seam).or_else(|| self.dashed.find(bytes).map(|at| held.len() + at))
    }
}

impl State {
    fn suffix(known: Known, mut suffix: BytesMut, bytes: &[u8]) -> Result<Self, MultipartError> {
        if suffix.len() + bytes.len() > MAX_AROUND {
            return Err(MultipartError::TooLong);
        }
        suffix.extend_from_slice(bytes);
        Ok(Self::Suffix { known, suffix })
    }
}

impl Known {
    fn may_have(&self, content: &Pieces) -> Result<(), MultipartError> {
        let elsewhere = self.headers.contains_key(LOCATION);
        match elsewhere && content.iter().any(|piece| !piece.is_empty()) {
            true => Err(MultipartError::Location),
            false => Ok(()),
        }
    }
}

/// Leaves the first `at` bytes of both pieces in place and gives what follows.
fn split_off(both: &mut Pieces, at: usize) -> Pieces {
    let first = at.min(both[0].len());
    let second = at - first;
    [both[0].split_off(first), both[1].split_off(second)]
}

/// True for what may follow the last boundary: dashes, which ruma leaves out, and a line end.
fn is_last(rest: &[u8]) -> bool {
    matches!(rest.strip_prefix(b"--").unwrap_or(rest), b"" | b"\r\n")
}

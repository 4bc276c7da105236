//! All that comes before the content: two delimiters, the first part, the headers of the second.

use std::ops::Range;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
};
use memchr::memmem::{self, Finder};
use serde::de::IgnoredAny;

use super::{MultipartError, TELLING};
use crate::json;

/// Most headers of a part.
const MAX_HEADERS: usize = 16;

const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// What was read.
#[derive(Debug)]
pub(super) struct Prefix {
    /// Its length in bytes.
    pub(super) len: usize,
    /// Where the first part is, from its headers to the last byte of its content.
    pub(super) first: Range<usize>,
    /// Headers of the second part.
    pub(super) headers: HeaderMap,
}

/// Why nothing could be read.
#[derive(Debug)]
enum Stop {
    /// More bytes are needed.
    Incomplete,
    /// No bytes would help.
    Wrong(MultipartError),
}

impl From<MultipartError> for Stop {
    fn from(error: MultipartError) -> Self {
        Self::Wrong(error)
    }
}

/// Reads the prefix of a body that begins with `body`; `None` if there is more of it to come.
pub(super) fn read(body: &[u8], dashed: &Finder<'_>) -> Result<Option<Prefix>, MultipartError> {
    match (Cursor { body, at: 0, dashed }).prefix() {
        Ok(prefix) => Ok(Some(prefix)),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Wrong(error)) => Err(error),
    }
}

struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
    /// Finds two dashes and the boundary.
    dashed: &'a Finder<'a>,
}

impl<'a> Cursor<'a> {
    fn prefix(mut self) -> Result<Prefix, Stop> {
        // Only Go begins without this line end.
        if self.rest().first() == Some(&b'\r') {
            self.expect(b"\r\n")?;
        }
        self.expect(self.dashed.needle())?;
        self.end_of_delimiter()?;
        let first = self.at;
        let metadata_headers = self.headers()?;
        let metadata = self.content()?;
        let first = first..self.at;
        self.expect(b"\r\n")?;
        self.expect(self.dashed.needle())?;
        self.end_of_delimiter()?;
        let headers = self.headers()?;
        is_metadata(&metadata_headers, metadata)?;
        Ok(Prefix { len: self.at, first, headers })
    }

    fn rest(&self) -> &'a [u8] {
        &self.body[self.at..]
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<(), Stop> {
        let rest = self.rest();
        let known = rest.len().min(wanted.len());
        if rest[..known] != wanted[..known] {
            return Err(MultipartError::Delimiter.into());
        }
        if known < wanted.len() {
            return Err(Stop::Incomplete);
        }
        self.at += known;
        Ok(())
    }

    /// The line end. Padding (RFC 2046 §5.1.1), which nobody writes, is the beginning of content to some readers.
    fn end_of_delimiter(&mut self) -> Result<(), Stop> {
        self.expect(b"\r\n")
    }

    /// A block of headers and the empty line after it.
    fn headers(&mut self) -> Result<HeaderMap, Stop> {
        let rest = self.rest();
        let len = match rest.starts_with(b"\r\n") {
            true => 2,
            false => memmem::find(rest, b"\r\n\r\n").ok_or(Stop::Incomplete)? + 4,
        };
        self.at += len;
        match self.dashed.find(&rest[..len]) {
            Some(_) => Err(MultipartError::Delimiter.into()),
            None => Ok(headers(&rest[..len])?),
        }
    }

    /// Everything up to the line end of the next delimiter.
    fn content(&mut self) -> Result<&'a [u8], Stop> {
        let rest = self.rest();
        let end = self.dashed.find(rest).ok_or(Stop::Incomplete)?;
        let content = rest[..end].strip_suffix(b"\r\n").ok_or(MultipartError::Delimiter)?;
        self.at += content.len();
        Ok(content)
    }
}

/// Parses a block of headers that ends with an empty line. Every header that could make readers differ in what the
/// content is, is an error.
fn headers(block: &[u8]) -> Result<HeaderMap, MultipartError> {
    // The library also takes lines that end without a carriage return.
    let bare = |at: &usize| *at == 0 || block[at - 1] != b'\r';
    if memchr::memchr_iter(b'\n', block).any(|at| bare(&at)) {
        return Err(MultipartError::Headers);
    }
    let mut parsed = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let Ok(httparse::Status::Complete((len, parsed))) = httparse::parse_headers(block, &mut parsed) else {
        return Err(MultipartError::Headers);
    };
    let mut headers = HeaderMap::new();
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| MultipartError::Headers)?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| MultipartError::Headers)?;
        let twice = headers.append(&name, value);
        if (twice && TELLING.contains(&name)) || name == CONTENT_ENCODING {
            return Err(MultipartError::Headers);
        }
    }
    let unchanged = |value: &HeaderValue| {
        [&b"binary"[..], b"8bit", b"7bit"].iter().any(|name| value.as_bytes().eq_ignore_ascii_case(name))
    };
    let as_it_is = headers.get_all(CONTENT_TRANSFER_ENCODING).iter().all(unchanged);
    (len == block.len() && as_it_is).then_some(headers).ok_or(MultipartError::Headers)
}

/// Synapse takes no other type than exactly this one.
fn is_metadata(headers: &HeaderMap, content: &[u8]) -> Result<(), MultipartError> {
    let is_json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let is_object = json::object::<IgnoredAny>(content).is_ok();
    (is_json && is_object && !headers.contains_key(LOCATION)).then_some(()).ok_or(MultipartError::Metadata)
}

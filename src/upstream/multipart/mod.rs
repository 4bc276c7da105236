//! Federation media answers: `multipart/mixed` of exactly two parts, JSON about the medium and then the medium itself or
//! the `Location` of it (Matrix server-server API, "Content Repository"; MSC3916).
//!
//! What Synapse, ruma, Dendrite and matrix-media-repo write is read, and hardly more: a receiver that splits the body
//! elsewhere than here would see bytes that nobody scanned. The bytes of an answer are never written anew, so its parts
//! are given as they came: [`Parts::prefix`], what [`Splitter::feed`] gave, [`Parts::suffix`].

mod prefix;
mod split;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION},
};
use mime::Mime;

pub use self::split::Splitter;

/// Most bytes before the content of the medium, and most bytes after it. Real ones have a few hundred.
pub const MAX_AROUND: usize = 16 * 1024;

/// Headers that say what a part is. Given twice, readers would differ in which they take.
const TELLING: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_DISPOSITION, LOCATION];

/// Why an answer cannot be split so that everybody would split it there.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    /// The content type is no `multipart/mixed`, or there is more than one.
    #[error("the answer is not multipart/mixed")]
    Type,
    /// No boundary, more than one, or one that could not be written without quotes.
    #[error("the boundary is missing, ambiguous, or needs quotes")]
    Boundary,
    /// Something else than a delimiter stands where one has to be, or the other way round.
    #[error("a delimiter is misplaced")]
    Delimiter,
    /// A part's headers are malformed, ambiguous, or say that its content is encoded.
    #[error("the headers of a part are malformed or ambiguous")]
    Headers,
    /// Part 1 is not a JSON object.
    #[error("the first part is not a JSON object")]
    Metadata,
    /// A part that has its content elsewhere has some here, too.
    #[error("a part with a Location has content")]
    Location,
    /// More than [`MAX_AROUND`] bytes before or after the content.
    #[error("too many bytes around the content")]
    TooLong,
    /// The body ended early.
    #[error("the body ended before its last delimiter")]
    Truncated,
    /// An earlier piece of this body was refused.
    #[error("an earlier piece of the body was refused")]
    Refused,
}

/// What separates the parts of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// Longest boundary, in bytes (RFC 2046 §5.1.1).
    const MAX: usize = 70;

    /// Takes the boundary from the one `Content-Type` of an answer.
    pub fn of(headers: &HeaderMap) -> Result<Self, MultipartError> {
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(MultipartError::Type) };
        let kind: Mime = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or(MultipartError::Type)?;
        if kind.essence_str() != "multipart/mixed" {
            return Err(MultipartError::Type);
        }
        // `boundary*` and `boundary*0` are the same parameter to those who know RFC 2231.
        let mut boundaries = kind.params().filter(|(name, _)| name.as_str().starts_with("boundary"));
        match (boundaries.next(), boundaries.next()) {
            (Some((name, value)), None) if name == mime::BOUNDARY => Self::new(value.as_str()),
            _ => Err(MultipartError::Boundary),
        }
    }

    /// The characters that RFC 2046 allows in a boundary and RFC 9110 allows without quotes: Synapse reads no quotes.
    fn new(text: &str) -> Result<Self, MultipartError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'+_-.".contains(&byte);
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.to_owned())).ok_or(MultipartError::Boundary)
    }

    /// A boundary that nobody can have foreseen.
    fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{:032x}", u128::from_ne_bytes(bytes))))
    }

    /// The content type to send with it: no quotes, and the boundary last, since Synapse takes all that follows
    /// `boundary=`.
    pub fn content_type(&self) -> HeaderValue {
        HeaderValue::try_from(format!("multipart/mixed; boundary={}", self.0)).expect("plain characters")
    }

    /// The two dashes and the boundary.
    fn dashed(&self) -> Vec<u8> {
        format!("--{}", self.0).into_bytes()
    }
}

/// An answer without the content of its second part.
#[derive(Debug)]
pub struct Parts {
    /// All bytes before the content.
    pub prefix: Bytes,
    /// Headers of the second part. At most one each of `Content-Type`, `Content-Disposition` and `Location`; the content
    /// is empty if there is a `Location`.
    pub headers: HeaderMap,
    /// All bytes after the content, from the line end that belongs to the last delimiter.
    pub suffix: Bytes,
    /// Where in the prefix the first part is, its headers included.
    first: Range<usize>,
}

/// What to put around a content to make an answer of it.
#[derive(Debug)]
pub struct Frame {
    /// The content type of the answer.
    pub content_type: HeaderValue,
    /// Bytes before the content.
    pub prefix: Bytes,
    /// Bytes after the content.
    pub suffix: Bytes,
}

/// Frames the content that a `Location` led to: the first part as it was, then the content with the `Content-Type` and
/// `Content-Disposition` of `headers`. The boundary is a fresh one, which whoever serves the content could not know and
/// write into it. Fails only if the system has no randomness to give.
pub fn reframe(parts: &Parts, headers: &HeaderMap) -> Result<Frame, getrandom::Error> {
    let boundary = Boundary::random()?;
    let (dashed, first) = (boundary.dashed(), &parts.prefix[parts.first.clone()]);
    let mut prefix = BytesMut::new();
    for piece in [b"\r\n", &dashed[..], b"\r\n", first, b"\r\n", &dashed[..], b"\r\n"] {
        prefix.extend_from_slice(piece);
    }
    for (name, written) in [(CONTENT_TYPE, "Content-Type"), (CONTENT_DISPOSITION, "Content-Disposition")] {
        if let Some(value) = headers.get(&name) {
            for piece in [written.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                prefix.extend_from_slice(piece);
            }
        }
    }
    prefix.extend_from_slice(b"\r\n");
    let suffix = [b"\r\n", &dashed[..], b"--\r\n"].concat();
    Ok(Frame { content_type: boundary.content_type(), prefix: prefix.freeze(), suffix: suffix.into() })
}

#[cfg(test)]
mod tests;

//! What the raw head of an HTTP/1 request says and hyper does not pass on.
//!
//! hyper drops a `#fragment` and, beside `Transfer-Encoding`, a `Content-Length`; it merges equal lengths, takes
//! `gzip, chunked` for `chunked`, and ends lines at a bare line feed. Whoever stands in front of us may read such a head
//! differently, and then one of us takes bytes of a body for a request (RFC 9112 §11.2). So it is refused. Pure.

use http::{Method, uri::PathAndQuery};

/// How the end of a request's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Framing {
    /// By a number of bytes; 0 if there is no body.
    Length(u64),
    /// By the last chunk.
    Chunked,
}

/// A head that was read off the connection.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Head {
    /// The request line, without its end.
    line: Vec<u8>,
    /// The framing, or what the head is refused for.
    pub(in crate::http) framing: Result<Framing, &'static str>,
}

impl Head {
    /// Reads a head with all its line ends, the last empty line included.
    pub(super) fn read(raw: &[u8]) -> Self {
        let end = raw.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(raw.len());
        Self { line: raw[..end].to_vec(), framing: framing(raw) }
    }

    /// True if this is the head of that request, word for word.
    pub(in crate::http) fn is_of(&self, method: &Method, target: Option<&PathAndQuery>) -> bool {
        let parts = [method.as_str(), " ", target.map_or("", PathAndQuery::as_str), " HTTP/1."];
        let rest = parts.iter().try_fold(&*self.line, |line, part| line.strip_prefix(part.as_bytes()));
        matches!(rest, Some(b"0" | b"1"))
    }
}

fn framing(raw: &[u8]) -> Result<Framing, &'static str> {
    let mut lines = raw.split_inclusive(|byte| *byte == b'\n').map(line);
    if target(lines.next().ok_or("The request has no head")??).contains(&b'#') {
        return Err("The request target must have no fragment");
    }
    let (mut length, mut encoding) = (None, None);
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            once(&mut length, value, "The request must have one length")?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            once(&mut encoding, value, "The request must have one transfer encoding")?;
        }
    }
    match (length, encoding) {
        (None, None) => Ok(Framing::Length(0)),
        (Some(length), None) => number(length).map(Framing::Length).ok_or("The request's length must be a number"),
        (None, Some(encoding)) if encoding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (None, Some(_)) => Err("The request's transfer encoding must be chunked"),
        (Some(_), Some(_)) => Err("The request must have a length or a transfer encoding, not both"),
    }
}

/// A line without its end, which must be CR LF.
fn line(line: &[u8]) -> Result<&[u8], &'static str> {
    let bare = line.strip_suffix(b"\r\n").ok_or("Lines of the request's head must end with CR LF")?;
    match bare.iter().any(|byte| matches!(byte, b'\0' | b'\r')) {
        true => Err("The request's head must not contain control characters"),
        false => Ok(bare),
    }
}

/// What stands between method and version.
fn target(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b' ').nth(1).unwrap_or_default()
}

/// Name and value of a header.
fn header(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err("Headers must not be folded");
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or("Headers must have a colon")?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    match name.iter().any(u8::is_ascii_whitespace) {
        true => Err("Names of headers must not contain blanks"),
        false => Ok((name, value.trim_ascii())),
    }
}

fn once<'a>(place: &mut Option<&'a [u8]>, value: &'a [u8], otherwise: &'static str) -> Result<(), &'static str> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(otherwise),
    }
}

/// A number of digits alone: `+5` and `5, 5` are none.
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Framing, &'static str> {
        Head::read(head.as_bytes()).framing
    }

    #[test]
    fn a_plain_head_says_how_its_body_ends() {
        for (headers, framing) in [
            ("", Framing::Length(0)),
            ("Host: a\r\nContent-Length: 0\r\n", Framing::Length(0)),
            ("content-LENGTH:\t18446744073709551615 \r\n", Framing::Length(u64::MAX)),
            ("Transfer-Encoding:Chunked\r\nX: a:b#c\r\nEmpty:\r\n", Framing::Chunked),
        ] {
            assert_eq!(read(&format!("POST /x?y HTTP/1.1\r\n{headers}\r\n")), Ok(framing), "{headers:?}");
        }
    }

    #[test]
    fn a_head_that_could_be_read_in_two_ways_is_refused() {
        for head in [
            "GET /x#y HTTP/1.1\r\n\r\n",
            "GET /x HTTP/1.1\n\r\n",
            "GET /x HTTP/1.1\r\nX: y\n\r\n",
            "GET /x HTTP/1.1\r\nX: y\r\n\n",
            "GET /x HTTP/1.1\r\nX: y\r\r\n\r\n",
            "GET /x HTTP/1.1\r\nX: \0\r\n\r\n",
            "GET /x HTTP/1.1\r\nX: y\r\n z\r\n\r\n",
            "GET /x HTTP/1.1\r\nX : y\r\n\r\n",
            "GET /x HTTP/1.1\r\nX\r\n\r\n",
            "GET /x HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
            "GET /x HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            "GET /x HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "GET /x HTTP/1.1\r\nContent-Length:\r\n\r\n",
            "GET /x HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n",
            "GET /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /x HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "GET /x HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            "GET /x HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
            "GET /x HTTP/1.1\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n",
            "",
        ] {
            assert!(read(head).is_err(), "{head:?}");
        }
    }

    #[test]
    fn a_head_belongs_to_its_own_request_alone() {
        let head = Head::read(b"GET /x?y=z HTTP/1.1\r\n\r\n");
        let is_of = |method, target| head.is_of(&method, Some(&PathAndQuery::from_static(target)));
        assert!(is_of(Method::GET, "/x?y=z"));
        assert!(!is_of(Method::POST, "/x?y=z") && !is_of(Method::GET, "/x?y=") && !is_of(Method::GET, "/x"));
        assert!(!head.is_of(&Method::GET, None));
    }
}

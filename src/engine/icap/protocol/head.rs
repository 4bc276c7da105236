//! Heads of ICAP answers.
//!
//! They have the form of HTTP's with another word in front, so HTTP's parser reads them; but what it forgives, such as
//! lines that end in a bare line feed, is not forgiven here: two readers could find different ends.

use memchr::memmem;

/// More than any answer needs.
pub(super) const MAX_HEAD: usize = 32 * 1024;

/// Fields of one head.
const MAX_FIELDS: usize = 64;

const VERSION: &[u8] = b"ICAP/1.0 ";

/// The answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin like one.
    #[error("the answer is not ICAP/1.0")]
    NotIcap,
    /// It has no end.
    #[error("the answer's head is too long")]
    TooLong,
    /// It is not of the form that heads have.
    #[error("the answer's head is not well-formed")]
    Form,
    /// What may be there once is there more than once.
    #[error("the answer has several {0}")]
    Repeated(&'static str),
    /// `Encapsulated` cannot be understood.
    #[error("the answer's Encapsulated is not understood")]
    Encapsulated,
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its three digits.
    pub status: u16,
    fields: Vec<(String, String)>,
}

/// Reads a head and says how long it is; `None` if its end is still to come.
pub fn parse(received: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
    let begun = received.len().min(VERSION.len());
    if received[..begun] != VERSION[..begun] {
        return Err(Malformed::NotIcap);
    }
    let Some(end) = memmem::find(received, b"\r\n\r\n").map(|at| at + 4) else {
        return if received.len() > MAX_HEAD { Err(Malformed::TooLong) } else { Ok(None) };
    };
    if end > MAX_HEAD {
        return Err(Malformed::TooLong);
    }
    read(&received[..end]).map(|head| Some((head, end))).ok_or(Malformed::Form)
}

fn read(head: &[u8]) -> Option<Head> {
    if !has_whole_line_ends(head) {
        return None;
    }
    let as_http = [b"HTTP", &head[4..]].concat();
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = httparse::ParserConfig::default()
        // `X-Violations-Found` comes in lines.
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response(&mut response, &as_http);
    let whole = parsed.is_ok_and(|length| length == httparse::Status::Complete(head.len()));
    let field = |field: &httparse::Header<'_>| {
        (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).into_owned())
    };
    let status = response.code.filter(|_| whole)?;
    Some(Head { status, fields: response.headers.iter().map(field).collect() })
}

fn has_whole_line_ends(head: &[u8]) -> bool {
    let follows = |at: usize, byte| head.get(at + 1) == Some(&byte);
    let precedes = |at: usize, byte| at.checked_sub(1).and_then(|at| head.get(at)) == Some(&byte);
    head.iter().enumerate().all(|(at, byte)| match byte {
        b'\r' => follows(at, b'\n'),
        b'\n' => precedes(at, b'\r'),
        _ => true,
    })
}

impl Head {
    /// The value of a field, whose `name` is in small letters; of the first, where there are several.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.trim())
    }

    /// The value of a field that may be there but once.
    pub fn only(&self, name: &'static str) -> Result<Option<&str>, Malformed> {
        let several = self.fields.iter().filter(|(other, _)| other == name).count() > 1;
        if several { Err(Malformed::Repeated(name)) } else { Ok(self.first(name)) }
    }

    /// True if a list of words, which may come in several fields, has `word`.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        let values = self.fields.iter().filter(|(other, _)| other == name);
        values.flat_map(|(_, value)| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    /// The state of the service that answered.
    pub fn istag(&self) -> Result<Option<&str>, Malformed> {
        self.only("istag")
    }

    /// True if the connection may be used again, as far as the server is concerned.
    pub fn keeps_connection(&self) -> bool {
        !self.lists("connection", "close")
    }

    /// What follows the head.
    pub fn encapsulated(&self) -> Result<Encapsulated, Malformed> {
        self.only("encapsulated")?.map_or(Ok(Encapsulated::Nothing), Encapsulated::parse)
    }
}

/// What follows the head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulated {
    /// Nothing.
    Nothing,
    /// The head of an HTTP response of so many bytes, and perhaps a body.
    Response(usize),
    /// The head of a request, or a body without a head.
    Other,
}

impl Encapsulated {
    fn parse(text: &str) -> Result<Self, Malformed> {
        let part = |part: &str| {
            let (name, at) = part.trim().split_once('=')?;
            let digits = !at.is_empty() && at.bytes().all(|byte| byte.is_ascii_digit());
            Some((name.to_ascii_lowercase(), at.parse::<usize>().ok().filter(|_| digits)?))
        };
        let parts: Option<Vec<_>> = text.split(',').map(part).collect();
        let parts = parts.ok_or(Malformed::Encapsulated)?;
        let named: Vec<_> = parts.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        match named[..] {
            [("null-body", 0)] => Ok(Self::Nothing),
            [("res-hdr", 0), ("res-body" | "null-body", end)] if (1..=MAX_HEAD).contains(&end) => {
                Ok(Self::Response(end))
            }
            [("req-hdr", 0), ("req-body" | "null-body", _)] | [("res-body" | "req-body" | "opt-body", 0)] => {
                Ok(Self::Other)
            }
            _ => Err(Malformed::Encapsulated),
        }
    }
}

/// The status of an encapsulated HTTP response.
pub fn page_status(head: &[u8]) -> Option<u16> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    httparse::ParserConfig::default()
        .allow_obsolete_multiline_headers_in_responses(true)
        .parse_response(&mut response, head)
        .ok()
        .filter(httparse::Status::is_complete)?;
    response.code
}

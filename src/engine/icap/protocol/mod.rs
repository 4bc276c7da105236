//! What is said to an ICAP server and what its answers mean ([RFC 3507](https://www.rfc-editor.org/rfc/rfc3507)). Pure.
//!
//! | answer | when | verdict |
//! |---|---|---|
//! | 200, 204 or 403 with `X-Infection-Found`, `X-Virus-ID` or `X-Violations-Found` | at any time | infected; opaque or incomplete if that is what the name says |
//! | 204 | after the whole medium | **clean** |
//! | 204 | after a preview | incomplete: the rest was never looked at |
//! | 200 with a response of 400 to 499 | at any time | infected, "Blocked" |
//! | 200 with any other response below 500, or a request | at any time | incomplete: servers return what they did not look into |
//! | 503, 429 | | none: busy |
//! | all else, and 204 before the end | | none |
//!
//! Nothing of the medium's sender, address or declared type is told: a name without ending, constant headers, the length.

mod head;
mod options;

pub use self::{
    head::{Encapsulated, Head, Malformed, page_status, parse},
    options::{Offer, Unfit, offer},
};
use super::{address::Address, config::Method};
use crate::verdict::{Clean, Detection, Verdict};

/// Longest name of what was found.
const MAX_NAME: usize = 200;

/// How much of a medium a server had when it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    All,
    /// The preview, after which it was to say whether it wants the rest.
    Preview,
    /// Some of it.
    Part,
}

/// An answer that is no statement about the medium.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It has too much to do.
    #[error("the server is busy ({0})")]
    Busy(u16),
    /// It could not, or would not.
    #[error("the server answered {0}")]
    Status(u16),
    /// It says that it has no objection, and yet sends something.
    #[error("the server sent a body with 204")]
    Contradiction,
    /// It has no objection to what it has not seen.
    #[error("the server answered 204 before it had all bytes")]
    Premature,
    /// It made a page about a trouble of its own.
    #[error("the server answered with a page of status {0}")]
    Page(u16),
}

/// The state of the service that gave an answer, fit for logs.
pub fn state(head: &Head) -> Result<Option<String>, Malformed> {
    Ok(head.istag()?.map(printable).filter(|tag| !tag.is_empty()))
}

/// Asks what a service offers.
pub fn options_request(address: &Address) -> Vec<u8> {
    request("OPTIONS", address, "", "null-body=0").into_bytes()
}

/// The heads that precede a medium of `len` bytes, of which `preview` come first.
pub fn scan_request(address: &Address, method: Method, len: u64, preview: Option<usize>) -> Vec<u8> {
    let about = format!("Content-Type: application/octet-stream\r\nContent-Length: {len}\r\n\r\n");
    let (heads, encapsulated) = match method {
        Method::Respmod => {
            let request = "GET http://lazaret.invalid/medium HTTP/1.1\r\nHost: lazaret.invalid\r\n\r\n";
            let heads = format!("{request}HTTP/1.1 200 OK\r\n{about}");
            let parts = format!("req-hdr=0, res-hdr={}, res-body={}", request.len(), heads.len());
            (heads, parts)
        }
        Method::Reqmod => {
            let heads = format!("PUT http://lazaret.invalid/medium HTTP/1.1\r\nHost: lazaret.invalid\r\n{about}");
            let parts = format!("req-hdr=0, req-body={}", heads.len());
            (heads, parts)
        }
    };
    let preview = preview.map(|bytes| format!("Preview: {bytes}\r\n")).unwrap_or_default();
    (request(method.token(), address, &format!("Allow: 204\r\n{preview}"), &encapsulated) + &heads).into_bytes()
}

fn request(method: &str, address: &Address, fields: &str, encapsulated: &str) -> String {
    let host = address.authority();
    format!(
        "{method} {address} ICAP/1.0\r\nHost: {host}\r\nUser-Agent: lazaret\r\n{fields}Encapsulated: {encapsulated}\r\n\r\n"
    )
}

/// Length of the head of the response in an answer whose own head does not tell what the answer means.
pub fn page_length(head: &Head) -> Option<usize> {
    match head.encapsulated() {
        Ok(Encapsulated::Response(length)) if head.status == 200 && found(head).is_none() => Some(length),
        _ => None,
    }
}

/// What an answer says of a medium of which the server had so much; `page` is the status of the HTTP response in it.
pub fn judge(head: &Head, page: Option<u16>, extent: Extent) -> Result<Verdict, Unusable> {
    if let (200 | 204 | 403, Some(found)) = (head.status, found(head)) {
        return Ok(found);
    }
    match (head.status, page) {
        (204, _) => no_objection(head, extent),
        (200, Some(400..=499)) => Ok(Verdict::Infected { detection: Detection("Blocked".to_owned()) }),
        (200, Some(status @ 500..)) => Err(Unusable::Page(status)),
        (200, _) => {
            head.encapsulated()?;
            Ok(Verdict::Incomplete { why: Detection("Icap.Returned".to_owned()) })
        }
        (status @ (429 | 503), _) => Err(Unusable::Busy(status)),
        (status, _) => Err(Unusable::Status(status)),
    }
}

fn no_objection(head: &Head, extent: Extent) -> Result<Verdict, Unusable> {
    head.istag()?;
    match (head.encapsulated()?, extent) {
        (Encapsulated::Nothing, Extent::All) =>
        {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the exact clean reply to a medium that was sent in full"
            )]
            Ok(Verdict::Clean(Clean::attest()))
        }
        (Encapsulated::Nothing, Extent::Preview) => {
            Ok(Verdict::Incomplete { why: Detection("Icap.Preview".to_owned()) })
        }
        (Encapsulated::Nothing, Extent::Part) => Err(Unusable::Premature),
        (Encapsulated::Response(_) | Encapsulated::Other, _) => Err(Unusable::Contradiction),
    }
}

/// What was found, if the head names it.
fn found(head: &Head) -> Option<Verdict> {
    let (name, is_container) = if let Some(text) = head.first("x-infection-found") {
        infection(text)
    } else if let Some(text) = head.first("x-virus-id") {
        (text, false)
    } else {
        (violation(head.first("x-violations-found")?)?, false)
    };
    let name = printable(name);
    let name = if name.is_empty() { "Unnamed".to_owned() } else { name };
    Some(classify(Detection(name), is_container))
}

/// `Type=0; Resolution=2; Threat=NAME;`: type 2 is a container that could not be opened or is too deep.
fn infection(text: &str) -> (&str, bool) {
    let value = |key: &str| {
        let parts = text.split(';').filter_map(|part| part.trim().split_once('='));
        parts.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.trim())
    };
    (value("Threat").unwrap_or_default(), value("Type") == Some("2"))
}

/// A number, and for each of so many: file, name, number, what was done, each in a line of its own. None if there are none.
fn violation(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim);
    let number = lines.next().unwrap_or_default();
    if number == "0" { None } else { Some(lines.nth(1).unwrap_or_default()) }
}

/// clamd is often what is behind an ICAP server; its names for what it could not look into are no infection.
fn classify(detection: Detection, is_container: bool) -> Verdict {
    if detection.0.starts_with("Heuristics.Limits.Exceeded") {
        Verdict::Incomplete { why: detection }
    } else if is_container || detection.0.starts_with("Heuristics.Encrypted.") {
        Verdict::Opaque { why: detection }
    } else {
        Verdict::Infected { detection }
    }
}

/// Words of a server, fit for logs.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests;

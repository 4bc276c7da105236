//! Conditional and partial requests (RFC 9110 §13, §14), and how long answers may be kept (RFC 9111 §5.2.2).
//!
//! The homeserver is asked for the whole medium each time; what a client has of it already is settled here, with
//! validators of our own. Whatever is not understood leads to the whole medium, which is never wrong.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use headers::{ETag, HeaderMapExt, IfNoneMatch, IfRange};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{CACHE_CONTROL, IF_RANGE, RANGE},
};

/// A strong validator for the bytes that `identity` names: a digest of them, or what else changes with every bit.
pub fn etag(identity: &[u8]) -> ETag {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(identity)).parse().expect("Base64 has no quotes")
}

/// What a client wants, by what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The medium.
    Full,
    /// Only to know that its copy is the current one: 304.
    NotModified,
}

/// Compares `If-None-Match` with the validator of what would be sent. Dates are not looked at: no date of ours exists.
pub fn precondition(request: &HeaderMap, etag: &ETag) -> Precondition {
    match request.typed_get::<IfNoneMatch>() {
        // `*` is any copy, also one from before a verdict changed.
        Some(wanted) if wanted != IfNoneMatch::any() && !wanted.precondition_passes(etag) => Precondition::NotModified,
        _ => Precondition::Full,
    }
}

/// How much of a medium to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All: 200.
    Full,
    /// From the byte at `first` to the one at `last`, both included: 206.
    Partial {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte; less than the length.
        last: u64,
    },
    /// None, since the range begins after the end: 416.
    Unsatisfiable,
}

/// The part of a medium of `len` bytes that is asked for. Only one range is served; who asks for several gets all.
pub fn range(method: &Method, request: &HeaderMap, etag: &ETag, len: u64) -> Part {
    let mut ranges = request.get_all(RANGE).iter();
    let (Some(value), None) = (ranges.next(), ranges.next()) else { return Part::Full };
    if method != Method::GET || !is_for(request, etag) {
        return Part::Full;
    }
    value.to_str().ok().and_then(|value| one_range(value, len)).unwrap_or(Part::Full)
}

/// True unless `If-Range` asks for a part of something else. Dates are something else.
fn is_for(request: &HeaderMap, etag: &ETag) -> bool {
    let mut conditions = request.get_all(IF_RANGE).iter();
    match (conditions.next(), conditions.next()) {
        (None, _) => true,
        (Some(_), None) => {
            request.typed_get::<IfRange>().is_some_and(|condition| !condition.is_modified(Some(etag), None))
        }
        (Some(_), Some(_)) => false,
    }
}

/// `None` if it is malformed, of another unit, or more than one. `headers::Range` lets signs and ranges that end before
/// they begin pass, and takes a suffix longer than the whole for none at all.
fn one_range(value: &str, len: u64) -> Option<Part> {
    let (unit, range) = value.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let end = len.checked_sub(1);
    Some(match (first, last) {
        ("", suffix) => match (number(suffix)?, end) {
            (0, _) => Part::Unsatisfiable,
            (suffix, Some(end)) => Part::Partial { first: len.saturating_sub(suffix), last: end },
            (_, None) => Part::Full,
        },
        (first, last) => {
            let first = number(first)?;
            let last = if last.is_empty() { u64::MAX } else { number(last)? };
            match end {
                _ if last < first => return None,
                Some(end) if first <= end => Part::Partial { first, last: last.min(end) },
                _ => Part::Unsatisfiable,
            }
        }
    })
}

/// A number of digits only. One that is too large is as large as can be.
fn number(digits: &str) -> Option<u64> {
    let digits =
        Some(digits).filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// Directives that are kept as they are.
const KEPT: [&str; 7] =
    ["public", "private", "no-cache", "no-store", "no-transform", "must-revalidate", "proxy-revalidate"];

/// The homeserver's `Cache-Control` with ages of at most `cap`; `None` if nothing is left to say. Directives that let a
/// copy be used without asking again (`immutable`, `stale-while-revalidate`, `stale-if-error`) are dropped, and so are
/// unknown ones: a verdict may change.
pub fn cap_max_age(upstream: &HeaderMap, cap: Duration) -> Option<HeaderValue> {
    let mut said: Vec<(&str, Option<u64>)> = Vec::new();
    for line in upstream.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()) {
        let mut quoted = false;
        let between = |c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        };
        for (name, age) in line.split(between).filter_map(|directive| capped(directive.trim(), cap.as_secs())) {
            match said.iter_mut().find(|(other, _)| *other == name) {
                Some((_, other)) => *other = age.min(*other),
                None => said.push((name, age)),
            }
        }
    }
    let said = said.into_iter().map(|(name, age)| age.map_or_else(|| name.to_owned(), |age| format!("{name}={age}")));
    let said = said.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(said).ok().filter(|value| !value.is_empty())
}

/// A directive's name and, if it is an age, its seconds. An age that is no number counts as over (RFC 9111 §4.2.1). What
/// is said of some headers only, as `private="Set-Cookie"`, is said of all.
fn capped(directive: &str, cap: u64) -> Option<(&'static str, Option<u64>)> {
    let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
    let is = |known: &&str| known.eq_ignore_ascii_case(name.trim());
    let age = || number(argument.trim().trim_matches('"')).unwrap_or(0).min(cap);
    let aged = ["max-age", "s-maxage"].into_iter().find(is).map(|name| (name, Some(age())));
    aged.or_else(|| KEPT.into_iter().find(is).map(|name| (name, None)))
}

#[cfg(test)]
mod tests;

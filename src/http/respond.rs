//! Answers: media with the headers that are safe to pass on, and JSON of our own.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
        CONTENT_SECURITY_POLICY, CONTENT_TYPE, DATE, LOCATION, REFERRER_POLICY, RETRY_AFTER, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::json;

use super::{
    disposition,
    surface::Surface,
    validators::{self, Part},
};
use crate::{
    body::{self, Body},
    spool::Spool,
    upstream::headers::strip_hop_by_hop,
};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Headers of the homeserver that go on with a medium. Everything else, cookies and validators included, stays behind.
const PASSED_ON: [HeaderName; 14] = [
    CONTENT_TYPE,
    CONTENT_DISPOSITION,
    CONTENT_SECURITY_POLICY,
    HeaderName::from_static("x-content-security-policy"),
    RESOURCE_POLICY,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    REFERRER_POLICY,
    HeaderName::from_static("x-robots-tag"),
    X_CONTENT_TYPE_OPTIONS,
    VARY,
    HeaderName::from_static("synapse-trace-id"),
];

/// Headers that a medium has once.
const SINGLE: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_DISPOSITION];

/// What the specification asks of
/// [content served to browsers](https://spec.matrix.org/v1.16/client-server-api/#serving-inline-content).
const SANDBOX: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                       style-src 'unsafe-inline'; media-src 'self'; object-src 'self';";

/// The head of a medium that was let through: what the homeserver said of it and is safe to say, and what it should have
/// said. Clients and caches keep it for `max_age` at most.
pub(super) fn media_head(surface: Surface, upstream: &HeaderMap, max_age: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        for value in upstream.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    for name in SINGLE {
        // Of two, some readers would believe the one and some the other.
        if let Some(first) = headers.get(&name).cloned() {
            headers.insert(name, first);
        }
    }
    if surface == Surface::Scanner
        && headers.get(CONTENT_DISPOSITION).is_some_and(|value| !disposition::is_readable(value))
    {
        // Some clients give up on a medium for a name that they cannot read; none at all would have browsers show it.
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    headers.extend(validators::cap_max_age(upstream, max_age).map(|capped| (CACHE_CONTROL, capped)));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(SANDBOX));
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("cross-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if surface == Surface::Scanner || !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        surface.allow_origins(&mut headers);
    }
    headers
}

/// A medium of `len` bytes.
pub(super) fn media(mut headers: HeaderMap, len: u64, body: Body) -> Response<Body> {
    headers.insert(CONTENT_LENGTH, len.into());
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// The bytes of a medium that its reader asked for.
pub(super) fn part(mut headers: HeaderMap, part: &Part, spool: &Arc<Spool>) -> Response<Body> {
    let len = spool.len();
    match *part {
        Part::Full => media(headers, len, body::spooled(spool)),
        Part::Partial { first, last } => {
            headers.insert(CONTENT_RANGE, range_value(&format!("{first}-{last}"), len));
            let mut response = media(headers, last - first + 1, body::part_of(spool, first..last + 1));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            response
        }
        Part::Unsatisfiable => {
            let error = json!({"errcode": "M_INVALID_PARAM", "error": "The range is outside of the file"});
            let mut response = json(Surface::Native, StatusCode::RANGE_NOT_SATISFIABLE, &error);
            response.headers_mut().insert(CONTENT_RANGE, range_value("*", len));
            response
        }
    }
}

fn range_value(range: &str, len: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes {range}/{len}")).expect("digits are a valid value")
}

/// A medium of `len` bytes for another homeserver, with what stands before and after it.
pub(super) fn multipart(
    upstream: &HeaderMap,
    content_type: HeaderValue,
    (prefix, suffix): (&Bytes, &Bytes),
    (len, medium): (u64, Body),
) -> Response<Body> {
    let len = prefix.len() as u64 + len + suffix.len() as u64;
    let body = body::chained([body::full(prefix.clone()), medium, body::full(suffix.clone())]);
    let mut headers = HeaderMap::new();
    for name in [CACHE_CONTROL, CONTENT_DISPOSITION, VARY] {
        if let Some(value) = upstream.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, content_type);
    media(headers, len, body)
}

/// Tells a reader that what it has is still what it would be given.
pub(super) fn not_modified(mut headers: HeaderMap) -> Response<Body> {
    headers.remove(CONTENT_TYPE);
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = headers;
    response
}

/// An answer of our own.
pub(super) fn json(surface: Surface, status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).expect("plain structs of text can be written");
    json_text(surface, status, text.into())
}

/// An answer with a JSON text, ours or the homeserver's.
fn json_text(surface: Surface, status: StatusCode, text: Bytes) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    surface.allow_origins(headers);
    response
}

/// The homeserver's JSON, with some of it changed.
pub(super) fn changed(upstream: &HeaderMap, value: &impl Serialize) -> Response<Body> {
    let mut response = json(Surface::Native, StatusCode::OK, value);
    if let Some(cache_control) = upstream.get(CACHE_CONTROL) {
        response.headers_mut().insert(CACHE_CONTROL, cache_control.clone());
    }
    response
}

/// The homeserver's own refusal, with its JSON body and nothing that could be a medium.
pub(super) fn refusal(status: StatusCode, upstream: &HeaderMap, text: Bytes) -> Response<Body> {
    let mut response = json_text(Surface::Native, status, text);
    for name in [RETRY_AFTER, DATE] {
        if let Some(value) = upstream.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// What the homeserver answered to something that is no medium, as it comes.
pub(super) fn relay(answer: Response<Incoming>, stall: Duration) -> Response<Body> {
    let (mut parts, incoming) = answer.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    Response::from_parts(parts, body::relayed(incoming, stall))
}

/// Sends a client of the scanner to another path of ours; `None` if that cannot be said in a header.
pub(super) fn moved(path: &str, query: Option<&str>) -> Option<Response<Body>> {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut response = Response::new(body::full("308: Permanent Redirect"));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::try_from(target).ok()?);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Surface::Scanner.allow_origins(headers);
    Some(response)
}

/// The answer to a preflight request.
pub(super) fn preflight(surface: Surface) -> Response<Body> {
    let mut response = Response::new(body::empty());
    surface.allow_origins(response.headers_mut());
    response
}

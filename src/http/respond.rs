//! Answers: media with the headers that are safe to pass on, and JSON of our own.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
        CONTENT_TYPE, DATE, REFERRER_POLICY, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use hyper::body::Incoming;
use serde::Serialize;

use super::surface::Surface;
use crate::{
    body::{self, Body},
    spool::Spool,
    upstream::headers::strip_hop_by_hop,
};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Headers of the homeserver that go on with a medium. Everything else, cookies and validators included, stays behind.
const PASSED_ON: [HeaderName; 15] = [
    CONTENT_TYPE,
    CONTENT_DISPOSITION,
    CONTENT_SECURITY_POLICY,
    HeaderName::from_static("x-content-security-policy"),
    RESOURCE_POLICY,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    CACHE_CONTROL,
    REFERRER_POLICY,
    HeaderName::from_static("x-robots-tag"),
    X_CONTENT_TYPE_OPTIONS,
    VARY,
    HeaderName::from_static("synapse-trace-id"),
];

/// What the specification asks of
/// [content served to browsers](https://spec.matrix.org/v1.16/client-server-api/#serving-inline-content).
const SANDBOX: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                       style-src 'unsafe-inline'; media-src 'self'; object-src 'self';";

/// A medium that was let through, with the head that the homeserver gave it.
pub(super) fn media(surface: Surface, upstream: &HeaderMap, spool: &Arc<Spool>) -> Response<Body> {
    let mut response = Response::new(body::spooled(spool));
    let headers = response.headers_mut();
    for name in PASSED_ON {
        for value in upstream.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(CONTENT_LENGTH, spool.len().into());
    let sandbox = HeaderValue::from_static(SANDBOX);
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(sandbox);
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("cross-origin"));
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    if surface == Surface::Scanner || !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        surface.allow_origins(headers);
    }
    response
}

/// An answer of our own.
pub(super) fn json(surface: Surface, status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).expect("plain structs of text can be written");
    json_text(surface, status, text.into())
}

/// An answer with a JSON text, ours or the homeserver's.
fn json_text(surface: Surface, status: StatusCode, text: bytes::Bytes) -> Response<Body> {
    let mut response = Response::new(body::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    surface.allow_origins(headers);
    response
}

/// The homeserver's own refusal, with its JSON body and nothing that could be a medium.
pub(super) fn refusal(status: StatusCode, upstream: &HeaderMap, text: bytes::Bytes) -> Response<Body> {
    let mut response = json_text(Surface::Native, status, text);
    for name in [RETRY_AFTER, DATE] {
        if let Some(value) = upstream.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// What the homeserver answered to something that is no medium, as it comes.
pub(super) fn relay(answer: Response<Incoming>, stall: std::time::Duration) -> Response<Body> {
    let (mut parts, incoming) = answer.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    Response::from_parts(parts, body::relayed(incoming, stall))
}

/// The answer to a preflight request.
pub(super) fn preflight(surface: Surface) -> Response<Body> {
    let mut response = Response::new(body::empty());
    surface.allow_origins(response.headers_mut());
    response
}

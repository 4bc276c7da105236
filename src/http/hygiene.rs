//! What a request must be before it is looked at any further, wherever it goes.

use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, HOST, UPGRADE},
    request::Parts,
    uri::PathAndQuery,
};
use hyper::body::Incoming;

use super::{error::ApiError, route::Route, watch::Head};

/// Longest target, in bytes. Synapse takes no longer lines.
const MAX_TARGET: usize = 16 * 1024;

/// What Matrix uses. Others, `get` among them, mean different things to different servers.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];

/// Refuses what others could read differently, and what nobody needs. `head` is the raw head of an HTTP/1 request.
pub(super) fn check(request: &Request<Incoming>, route: &Route, head: Option<&Head>) -> Result<(), ApiError> {
    let is_http1 = request.version() != Version::HTTP_2;
    if is_http1 {
        let head = head.ok_or(ApiError::Framing("The request must not follow others before their end"))?;
        head.framing.map_err(ApiError::Framing)?;
    }
    if !METHODS.contains(request.method()) {
        return Err(ApiError::WrongMethod);
    }
    let target = request.uri().path_and_query();
    if is_http1 && !head.is_some_and(|head| head.is_of(request.method(), target)) {
        return Err(ApiError::Framing("The request target must be a path"));
    }
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET) {
        return Err(ApiError::TargetTooLong);
    }
    if *route != Route::Passthrough && !request.headers().get_all(UPGRADE).iter().all(is_h2c) {
        return Err(ApiError::BadRequest("Media is not served over other protocols"));
    }
    Ok(())
}

/// Clients offer this beside an ordinary request, and get on without it.
fn is_h2c(upgrade: &HeaderValue) -> bool {
    upgrade.as_bytes().eq_ignore_ascii_case(b"h2c")
}

/// The target exactly as it was sent, if it is a path on the one host that the request names. What is classified here is
/// what is forwarded, so forms that others could read differently are refused.
pub(super) fn origin_form(parts: &Parts) -> Result<PathAndQuery, ApiError> {
    let is_h2 = parts.version == Version::HTTP_2;
    if !is_h2 && (parts.uri.scheme().is_some() || parts.uri.authority().is_some()) {
        return Err(ApiError::BadRequest("The request target must be a path"));
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some()
        || (host.is_none() && parts.version == Version::HTTP_11)
        || contradicts(host, &parts.uri)
        || names_a_user(&parts.uri)
    {
        return Err(ApiError::BadRequest("The request must name exactly one host"));
    }
    if parts.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(ApiError::BadRequest("The request must have one length"));
    }
    let target = parts.uri.path_and_query().filter(|target| target.as_str().starts_with('/'));
    target.cloned().ok_or(ApiError::BadRequest("The request target must be a path"))
}

fn contradicts(host: Option<&HeaderValue>, uri: &Uri) -> bool {
    let (Some(host), Some(authority)) = (host, uri.authority()) else { return false };
    !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
}

/// RFC 9113 §8.3.1 has no users in `:authority`. It becomes the `Host`, of which readers would take one part or the other.
fn names_a_user(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

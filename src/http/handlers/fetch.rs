//! Media of the homeserver that a caller may have: asked for, followed to where it lies, taken in.

use std::sync::Arc;

use http::{
    HeaderMap, Method, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING},
    uri::PathAndQuery,
};
use serde_json::json;

use super::{Handled, MAX_ERROR, let_oversize_through};
use crate::{
    body::{self, Body, HOLD},
    facts::Occasion,
    http::{Context, error::ApiError, respond, route::Kind},
    media::MediaRef,
    policy::Refusal,
    spool::{Spool, gunzip},
    upstream::{Purpose, headers::ask_for_all_of_it, query::thumbnail_address},
};

/// A medium of the homeserver that this caller may have, in full but not yet judged.
pub(super) struct Fetched {
    pub headers: HeaderMap,
    pub spool: Arc<Spool>,
    /// The form in which it came, if that was another: an engine is to see both.
    pub encoded: Option<Arc<Spool>>,
    /// The request, and what the medium is called where it comes from.
    pub occasion: Arc<Occasion>,
}

/// Makes the name of an address, which only some requests need.
pub(super) type Address<'a> = dyn Fn() -> String + Send + Sync + 'a;

/// The name under which what is found is remembered.
pub(super) fn address(media: &MediaRef, kind: Kind, query: Option<&str>) -> String {
    match kind {
        Kind::Full => media.path(),
        Kind::Thumbnail => thumbnail_address(media, query),
    }
}

/// Asks for a medium with the caller's own credentials. Where the homeserver points elsewhere, we go there: a client that
/// did would have what nobody looked at.
pub(super) async fn ask(
    context: &Context,
    mut headers: HeaderMap,
    target: PathAndQuery,
) -> Result<Response<Body>, ApiError> {
    ask_for_all_of_it(&mut headers);
    let answer = context.homeserver()?.send(Purpose::Media, Method::GET, target, headers, body::empty()).await?;
    match answer.headers().get(LOCATION) {
        Some(location) if answer.status().is_redirection() => Ok(context.follower.fetch(location).await?),
        _ => Ok(answer.map(body::incoming)),
    }
}

/// The length of an answer that is too large to be scanned, and could be passed on as it comes: what has no length, or another
/// form than its reader will see, could not.
pub(super) fn oversize(context: &Context, answer: &HeaderMap) -> Option<u64> {
    let is_plain = !(answer.contains_key(CONTENT_ENCODING) || answer.contains_key(TRANSFER_ENCODING));
    declared_length(answer).filter(|length| is_plain && *length > context.bounds.max_media_bytes)
}

/// Takes in the body of a 200. Of several who are given the same medium, one does, unless it is small.
pub(super) async fn take_in(
    context: &Context,
    address: Option<&Address<'_>>,
    answer: Response<Body>,
    occasion: Arc<Occasion>,
) -> Result<Fetched, ApiError> {
    let (parts, body) = answer.into_parts();
    let (bounds, declared) = (&context.bounds, declared_length(&parts.headers));
    let is_encoded = is_gzip(&parts.headers)?;
    if let Some(length) = declared.filter(|length| *length > bounds.max_media_bytes) {
        // Whoever could pass it on looked at its length before.
        let_oversize_through(context, &occasion, length, false)?;
        return Err(ApiError::Refused(Refusal::Oversize));
    }
    let (spooler, max, stall) = (Arc::clone(&context.spooler), bounds.max_media_bytes, bounds.stall);
    let taken_in = context.metrics.taken_in("download");
    let receive = move || async move {
        let received = body::receive(body, spooler.begin(max, declared), stall).await;
        received.inspect(|spool| taken_in.inc_by(spool.len()))
    };
    let received = match address.filter(|_| !is_encoded && declared.is_some_and(|length| length > HOLD)) {
        Some(address) => context.arrivals.join((context.inspector.location(&address()), declared), receive).await,
        None => receive().await.map(Arc::new).map_err(Arc::new),
    };
    let spool = received.map_err(|error| ApiError::from_upstream(&error))?;
    match is_encoded {
        false => Ok(Fetched { headers: parts.headers, spool, encoded: None, occasion }),
        true => decode(context, parts.headers, spool, occasion).await,
    }
}

/// We ask for no encoding. One that comes all the same is undone, so that readers and engine see the same.
async fn decode(
    context: &Context,
    headers: HeaderMap,
    encoded: Arc<Spool>,
    occasion: Arc<Occasion>,
) -> Result<Fetched, ApiError> {
    let filling = context.spooler.begin(context.bounds.max_media_bytes, None);
    let spool = gunzip(&encoded, filling).await.map_err(|error| ApiError::from_gunzip(&error))?;
    Ok(Fetched { headers, spool: Arc::new(spool), encoded: Some(encoded), occasion })
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter().filter(|encoding| *encoding != "identity");
    match (encodings.next(), encodings.next()) {
        (None, _) => Ok(false),
        (Some(encoding), None) if encoding == "gzip" => Ok(true),
        _ => Err(ApiError::UpstreamAnswer("encoded although identity was asked for")),
    }
}

/// The length that a head declares.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Passes on why the homeserver did not give the medium. A redirect or a partial answer would be a medium that nobody
/// looked at, and so would be an error with a large or binary body.
pub(super) async fn relay_refusal(context: &Context, answer: Response<Body>) -> Handled {
    let (parts, body) = answer.into_parts();
    if !parts.status.is_client_error() && !parts.status.is_server_error() {
        return Err(ApiError::UpstreamAnswer("neither the medium nor an error"));
    }
    let is_json = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let text = if is_json { body::small(body, MAX_ERROR, context.bounds.stall).await.ok() } else { None };
    let response = match text.filter(|text| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()) {
        Some(text) => respond::refusal(parts.status, &parts.headers, text),
        None => {
            // To homeservers and clients alike, a 404 without JSON says that there is no such route.
            let errcode = if parts.status == StatusCode::NOT_FOUND { "M_UNRECOGNIZED" } else { "M_UNKNOWN" };
            let replacement = json!({"errcode": errcode, "error": "The homeserver answered with an error"});
            respond::refusal(parts.status, &parts.headers, replacement.to_string().into())
        }
    };
    Ok((response, "upstream_refused"))
}

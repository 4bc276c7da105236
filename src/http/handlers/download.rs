//! Native reads: media and thumbnails.

use http::{HeaderMap, Method, Response, StatusCode, header::CONTENT_TYPE, uri::PathAndQuery};
use hyper::body::Incoming;
use serde_json::json;

use super::{Handled, MAX_ERROR, inspect, take_in};
use crate::{
    body,
    http::{Context, error::ApiError, respond, surface::Surface},
    media::MediaRef,
    upstream::{Purpose, headers::ask_for_all_of_it},
};

/// Fetches with the caller's own credentials, and serves from the very bytes that were judged.
pub(crate) async fn download(
    context: &Context,
    media: &MediaRef,
    mut headers: HeaderMap,
    target: PathAndQuery,
) -> Handled {
    ask_for_all_of_it(&mut headers);
    let answer = context.upstream.send(Purpose::Media, Method::GET, target, headers, body::empty()).await?;
    if answer.status() != StatusCode::OK {
        return relay_refusal(context, answer).await;
    }
    let fetched = take_in(context, answer).await?;
    inspect(context, Some(media), &fetched.spool, None).await?;
    Ok((respond::media(Surface::Native, &fetched.headers, &fetched.spool), "served"))
}

/// Passes on why the homeserver did not give the medium. A redirect or a partial answer would be a medium that nobody
/// looked at, and so would be an error with a large or binary body.
async fn relay_refusal(context: &Context, answer: Response<Incoming>) -> Handled {
    let (parts, incoming) = answer.into_parts();
    if !parts.status.is_client_error() && !parts.status.is_server_error() {
        return Err(ApiError::UpstreamAnswer("neither the medium nor an error"));
    }
    let is_json = parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let text = if is_json { body::small(incoming, MAX_ERROR, context.bounds.stall).await.ok() } else { None };
    let response = match text.filter(|text| serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()) {
        Some(text) => respond::refusal(parts.status, &parts.headers, text),
        None => {
            let replacement = json!({"errcode": "M_UNKNOWN", "error": "The homeserver answered with an error"});
            respond::refusal(parts.status, &parts.headers, replacement.to_string().into())
        }
    };
    Ok((response, "upstream_refused"))
}

//! Everything that is not media: passed through as it comes, in both directions.

use http::{header::CONTENT_LENGTH, request::Parts, uri::PathAndQuery};
use hyper::body::Incoming;

use super::Handled;
use crate::{
    body,
    http::{Context, respond},
    upstream::Purpose,
};

/// Passes a request through.
pub(crate) async fn pass(context: &Context, mut parts: Parts, target: PathAndQuery, incoming: Incoming) -> Handled {
    // The body knows its length; a header that says otherwise must not be believed by anyone.
    parts.headers.remove(CONTENT_LENGTH);
    let stall = context.bounds.stall;
    let body = body::relayed(incoming, stall);
    let answer = context.homeserver()?.send(Purpose::Passthrough, parts.method, target, parts.headers, body).await?;
    Ok((respond::relay(answer, stall), "passed"))
}

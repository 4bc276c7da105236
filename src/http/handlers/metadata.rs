//! JSON of the homeserver's media routes that has to be changed on its way.

use http::{Method, StatusCode, request::Parts, uri::PathAndQuery};
use hyper::body::Incoming;
use serde_json::{Map, Value};

use super::{Handled, MAX_ERROR, fetch::relay_refusal};
use crate::{
    body,
    http::{Context, error::ApiError, respond},
    json,
    upstream::{Purpose, headers::ask_for_all_of_it},
};

/// Largest upload, in bytes, in the answer of
/// [`/config`](https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1mediaconfig).
const UPLOAD_SIZE: &str = "m.upload.size";

/// Where to upload to instead
/// ([MSC3870](https://github.com/matrix-org/matrix-spec-proposals/pull/3870)): past us.
const UPLOAD_URL: [&str; 2] = ["com.beeper.msc3870.upload_url", "upload_url"];

/// The homeserver's limits, lowered to ours. It may have none, we do, unless the policy lets larger uploads pass.
pub(crate) async fn config(context: &Context, parts: Parts, target: PathAndQuery) -> Handled {
    let ours = context.bounds.max_media_bytes;
    let is_open = context.inspector.passes_oversize_uploads();
    let lower = |object: &mut Map<String, Value>| {
        let theirs = object.get(UPLOAD_SIZE).and_then(Value::as_u64);
        if is_open {
            return;
        }
        object.insert(UPLOAD_SIZE.to_owned(), theirs.unwrap_or(ours).min(ours).into());
    };
    changed(context, Method::GET, parts, target, body::empty(), lower).await
}

/// The name of a medium that is uploaded later.
pub(crate) async fn create(context: &Context, parts: Parts, target: PathAndQuery, incoming: Incoming) -> Handled {
    let body = body::relayed(incoming, context.bounds.stall);
    let strip = |object: &mut Map<String, Value>| object.retain(|name, _| !UPLOAD_URL.contains(&name.as_str()));
    changed(context, Method::POST, parts, target, body, strip).await
}

async fn changed(
    context: &Context,
    method: Method,
    mut parts: Parts,
    target: PathAndQuery,
    body: body::Body,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Handled {
    ask_for_all_of_it(&mut parts.headers);
    let answer = context.homeserver()?.send(Purpose::Passthrough, method, target, parts.headers, body).await?;
    if answer.status() != StatusCode::OK {
        return relay_refusal(context, answer.map(|incoming| body::relayed(incoming, context.bounds.stall))).await;
    }
    let (head, incoming) = answer.into_parts();
    let text = body::small(body::incoming(incoming), MAX_ERROR, context.bounds.stall).await;
    let text = text.map_err(|_| ApiError::UpstreamAnswer("metadata that is no short text"))?;
    let mut object: Map<String, Value> =
        json::object(&text).map_err(|_| ApiError::UpstreamAnswer("metadata that is no object"))?;
    change(&mut object);
    Ok((respond::changed(&head.headers, &object), "passed"))
}

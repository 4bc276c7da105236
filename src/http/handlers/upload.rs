//! Native uploads: the homeserver sees nothing of a file before it was let through.

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
    uri::PathAndQuery,
};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    Handled, caller,
    fetch::{declared_length, relay_refusal},
    inspect_spool,
};
use crate::{
    body,
    http::{Context, error::ApiError, respond},
    inspect::Way,
    upstream::Purpose,
};

/// A mark of requests whose client sends no body before it is told to.
#[derive(Clone, Copy)]
pub(crate) struct AwaitsContinue;

/// Takes the file in, has it inspected, and sends it on with an exact length: Synapse refuses chunked uploads.
pub(crate) async fn upload(context: &Context, mut parts: Parts, target: PathAndQuery, incoming: Incoming) -> Handled {
    let bounds = &context.bounds;
    if let Some(refused) = refuse_early(context, &parts.headers, &target).await {
        read_off(&parts, incoming, bounds.stall).await;
        return refused;
    }
    let filling = context.spooler.begin(bounds.max_media_bytes, declared_length(&parts.headers));
    let received = body::receive(body::incoming(incoming), filling, bounds.stall).await;
    let spool = Arc::new(received.map_err(ApiError::from_request)?);
    context.metrics.taken_in("upload").inc_by(spool.len());
    let inspecting = inspect_spool(context, None, &spool, Way::Upload(None));
    timeout(context.native.upload_timeout, inspecting).await.map_err(|_| ApiError::Late)??;
    parts.headers.insert(CONTENT_LENGTH, spool.len().into());
    let body = body::spooled(&spool);
    let answer = context.homeserver()?.send(Purpose::Upload, parts.method, target, parts.headers, body).await?;
    Ok((respond::relay(answer, bounds.stall), "forwarded"))
}

/// Reads off the body of a refused request, unless its client waits to be asked for it.
pub(crate) async fn read_off(parts: &Parts, incoming: Incoming, within: Duration) {
    if parts.extensions.get::<AwaitsContinue>().is_none() {
        body::discard(incoming, within).await;
    }
}

/// What the head of an upload is refused for, if it is, before its body is looked at: nobody can have files scanned who could
/// not upload them.
async fn refuse_early(context: &Context, headers: &HeaderMap, target: &PathAndQuery) -> Option<Handled> {
    if let Err(error) = check_encoding(headers) {
        return Some(Err(error));
    }
    if declared_length(headers).is_some_and(|length| length > context.bounds.max_media_bytes) {
        return Some(Err(ApiError::UploadTooLarge));
    }
    match caller::refusal(context, headers.clone(), target.query()).await {
        Ok(None) => None,
        Ok(Some(answer)) => Some(relay_refusal(context, answer).await),
        Err(error) => Some(Err(error)),
    }
}

/// Homeservers store encoded bodies as they are, so what is scanned would not be what some reader decodes; and a form
/// is no file.
fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(ApiError::UploadEncoded("Uploads must not have a content encoding"));
    }
    let mut kinds = headers.get_all(CONTENT_TYPE).iter().map(|kind| kind.as_bytes().to_ascii_lowercase());
    let kind = kinds.next().unwrap_or_default();
    if kinds.next().is_some() {
        return Err(ApiError::BadRequest("Uploads must have one content type"));
    }
    if kind.starts_with(b"multipart/form-data") {
        return Err(ApiError::UploadEncoded("Uploads must be the file itself, not a form"));
    }
    Ok(())
}

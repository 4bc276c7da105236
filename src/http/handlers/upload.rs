//! Native uploads: the homeserver sees nothing of a file before it was let through.

use std::sync::Arc;

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
    uri::PathAndQuery,
};
use hyper::body::Incoming;

use super::{Handled, declared_length, inspect};
use crate::{
    body,
    http::{Context, error::ApiError, respond},
    upstream::Purpose,
};

/// Takes the file in, has it inspected, and sends it on with an exact length: Synapse refuses chunked uploads.
pub(crate) async fn upload(context: &Context, mut parts: Parts, target: PathAndQuery, incoming: Incoming) -> Handled {
    let bounds = &context.bounds;
    check_encoding(&parts.headers)?;
    let declared = declared_length(&parts.headers);
    if declared.is_some_and(|length| length > bounds.max_media_bytes) {
        return Err(ApiError::UploadTooLarge);
    }
    let filling = context.spooler.begin(bounds.max_media_bytes, declared);
    let spool = Arc::new(body::receive(incoming, filling, bounds.stall).await.map_err(ApiError::from_request)?);
    context.metrics.took_in("upload", spool.len());
    inspect(context, None, &spool, None).await?;
    parts.headers.insert(CONTENT_LENGTH, spool.len().into());
    let body = body::spooled(&spool);
    let answer = context.upstream.send(Purpose::Upload, parts.method, target, parts.headers, body).await?;
    Ok((respond::relay(answer, bounds.stall), "forwarded"))
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

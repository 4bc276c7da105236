//! One file per kind of route, and what they share: taking a body in and having it inspected.

pub(super) mod download;
pub(super) mod passthrough;
pub(super) mod scanner;
pub(super) mod upload;

use std::sync::Arc;

use http::{
    HeaderMap, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH},
};
use hyper::body::Incoming;

use super::{Context, error::ApiError};
use crate::{
    body::{self, Body},
    crypto::attachment::AttachmentKey,
    media::MediaRef,
    policy::{Decision, Refusal},
    spool::Spool,
};

/// An answer and the outcome's name in metrics and logs.
pub(in crate::http) type Answer = (Response<Body>, &'static str);

/// What a handler gives.
pub(in crate::http) type Handled = Result<Answer, ApiError>;

/// No error message of a homeserver is longer, in bytes.
const MAX_ERROR: usize = 64 * 1024;

/// A medium of the homeserver that this caller may have, in full but not yet judged.
struct Fetched {
    headers: HeaderMap,
    spool: Arc<Spool>,
}

/// Takes in the body of a 200 of the homeserver.
async fn take_in(context: &Context, answer: Response<Incoming>) -> Result<Fetched, ApiError> {
    let (parts, incoming) = answer.into_parts();
    let bounds = &context.bounds;
    if parts.headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
        return Err(ApiError::UpstreamAnswer("encoded although identity was asked for"));
    }
    let declared = declared_length(&parts.headers);
    if declared.is_some_and(|length| length > bounds.max_media_bytes) {
        return Err(ApiError::Refused(Refusal::Oversize));
    }
    let filling = context.spooler.begin(bounds.max_media_bytes, declared);
    let spool = body::receive(incoming, filling, bounds.stall).await.map_err(ApiError::from_upstream)?;
    context.metrics.took_in("download", spool.len());
    Ok(Fetched { headers: parts.headers, spool: Arc::new(spool) })
}

/// The length that a head declares.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Lets a body through or refuses it. `media` is its address, if it has one yet.
async fn inspect(
    context: &Context,
    media: Option<&MediaRef>,
    spool: &Arc<Spool>,
    key: Option<&AttachmentKey>,
) -> Result<(), ApiError> {
    let inspection = context.inspector.inspect(spool, key).await?;
    match inspection.decision {
        Decision::Allow => Ok(()),
        Decision::Block(refusal) => {
            let record = &inspection.record;
            let (verdict, backend) = (&record.verdict, &record.provenance.backend);
            tracing::info!(media = media.map(tracing::field::display), ?verdict, backend, scan = %spool.id(), "refused");
            Err(ApiError::Refused(refusal))
        }
    }
}

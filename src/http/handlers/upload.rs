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
    Handled,
    caller::{self, Caller},
    fetch::{declared_length, relay_refusal},
    inspect_spool, let_oversize_through,
};
use crate::{
    body,
    facts::{Direction, Occasion},
    http::{Context, error::ApiError, occasion, respond},
    inspect::Way,
    media::MediaRef,
    policy::Refusal,
    upstream::Purpose,
};

/// A mark of requests whose client sends no body before it is told to.
#[derive(Clone, Copy)]
pub(crate) struct AwaitsContinue;

/// Takes the file in, has it inspected, and sends it on with an exact length: Synapse refuses chunked uploads.
pub(crate) async fn upload(
    context: &Context,
    mut parts: Parts,
    target: PathAndQuery,
    incoming: Incoming,
    route: &'static str,
) -> Handled {
    let bounds = &context.bounds;
    let admitted = match admit(context, &parts.headers, &target, route).await {
        Ok(admitted) => admitted,
        Err(refused) => {
            read_off(&parts, incoming, bounds.stall).await;
            return *refused;
        }
    };
    let body = match admitted {
        Admitted::Unscanned => body::guarded(body::incoming(incoming), bounds.stall),
        Admitted::ToScan(occasion) => {
            let filling = context.spooler.begin(bounds.max_media_bytes, declared_length(&parts.headers));
            let received = body::receive(body::incoming(incoming), filling, bounds.stall).await;
            let spool = Arc::new(received.map_err(ApiError::from_request)?);
            context.metrics.taken_in("upload").inc_by(spool.len());
            let inspecting = inspect_spool(context, None, &spool, Way::Upload(None), &occasion);
            timeout(context.native.upload_timeout, inspecting).await.map_err(|_| ApiError::Late)??;
            parts.headers.insert(CONTENT_LENGTH, spool.len().into());
            body::spooled(&spool)
        }
    };
    let answer = context.homeserver()?.send(Purpose::Upload, parts.method, target, parts.headers, body).await?;
    Ok((respond::relay(answer, bounds.stall), "forwarded"))
}

/// An upload whose body may come.
enum Admitted {
    /// It is let through only when it was scanned.
    ToScan(Arc<Occasion>),
    /// It is too large for that, and passes.
    Unscanned,
}

/// Reads off the body of a refused request, unless its client waits to be asked for it.
pub(crate) async fn read_off(parts: &Parts, incoming: Incoming, within: Duration) {
    if parts.extensions.get::<AwaitsContinue>().is_none() {
        body::discard(incoming, within).await;
    }
}

/// Looks at the head of an upload, and refuses it, if it does, before there is a body: nobody can have files scanned who could not
/// upload them.
async fn admit(
    context: &Context,
    headers: &HeaderMap,
    target: &PathAndQuery,
    route: &'static str,
) -> Result<Admitted, Box<Handled>> {
    let refused = |error: ApiError| Box::new(Err(error));
    check_encoding(headers).map_err(refused)?;
    if occasion::is_ambiguous(target.query()) {
        return Err(refused(ApiError::BadRequest("The name of the file is ambiguous")));
    }
    let oversize = declared_length(headers).filter(|length| *length > context.bounds.max_media_bytes);
    if oversize.is_some() && !context.inspector.may_pass_oversize(Direction::Upload) {
        return Err(refused(ApiError::UploadTooLarge));
    }
    let user = match caller::identify(context, headers.clone(), target.query()).await.map_err(refused)? {
        Caller::Known(user) => user,
        Caller::Refused(answer) => return Err(Box::new(relay_refusal(context, answer).await)),
    };
    let occasion = Occasion { user, ..occasion(context, headers, target, route) };
    let Some(length) = oversize else { return Ok(Admitted::ToScan(Arc::new(occasion))) };
    match let_oversize_through(context, &occasion, length, true) {
        Ok(()) => Ok(Admitted::Unscanned),
        Err(ApiError::Refused(Refusal::Oversize)) => Err(refused(ApiError::UploadTooLarge)),
        Err(error) => Err(refused(error)),
    }
}

/// The request. What is uploaded has an address already if it was reserved.
fn occasion(context: &Context, headers: &HeaderMap, target: &PathAndQuery, route: &'static str) -> Occasion {
    let mut segments = target.path().rsplit('/');
    let address = segments.next().zip(segments.next()).filter(|_| segments.next() == Some("upload"));
    let media = address.and_then(|(id, server)| MediaRef::from_segments(server, id).ok());
    let occasion = match media {
        Some(media) => occasion::of_media(context, Direction::Upload, route, &media),
        None => Occasion { server: occasion::our_server(context), ..Occasion::new(Direction::Upload, route) },
    };
    let declared = occasion::declared_by_upload(headers, target.query());
    Occasion { is_local: Some(true), declared, ..occasion }
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

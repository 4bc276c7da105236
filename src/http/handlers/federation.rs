//! Reads of other homeservers: two parts, of which the second is the medium.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, LOCATION},
    uri::PathAndQuery,
};
use hyper::body::Frame;

use super::{
    Handled,
    fetch::{ask, declared_length, relay_refusal, take_in},
    inspect, inspect_spool, reader,
};
use crate::{
    body::{self, Body, BoxError},
    http::{Context, error::ApiError, respond},
    inspect::Way,
    policy::Refusal,
    spool::Spool,
    upstream::multipart::{self, Boundary, MultipartError, Parts, Splitter},
};

/// What the other homeserver sent reaches our own as it is: method, target and authorization are signed.
pub(crate) async fn federation(context: &Context, headers: HeaderMap, target: PathAndQuery) -> Handled {
    let reader = reader::server(context, &headers);
    let answer = ask(context, headers, target).await?;
    if answer.status() != StatusCode::OK {
        return relay_refusal(context, answer).await;
    }
    let (head, body) = answer.into_parts();
    let head = head.headers;
    let boundary = Boundary::of(&head).map_err(|error| unusable(&error))?;
    let (parts, spool) = split(context, &head, &boundary, body).await?;
    let response = match parts.headers.get(LOCATION) {
        None => {
            inspect_spool(context, None, &spool, Way::Keyless(reader)).await?;
            respond::multipart(&head, boundary.content_type(), (&parts.prefix, &parts.suffix), &spool)
        }
        Some(location) => {
            let fetched = take_in(context, None, context.follower.fetch(location).await?).await?;
            inspect(context, None, &fetched, Way::Keyless(reader), None).await?;
            let frame = multipart::reframe(&parts, &fetched.headers);
            let frame = frame.map_err(|error| ApiError::Internal(error.to_string()))?;
            respond::multipart(&head, frame.content_type, (&frame.prefix, &frame.suffix), &fetched.spool)
        }
    };
    Ok((response, "served"))
}

/// Takes in the content of the second part. The bytes around it are kept as they came.
async fn split(
    context: &Context,
    head: &HeaderMap,
    boundary: &Boundary,
    body: Body,
) -> Result<(Parts, Arc<Spool>), ApiError> {
    if head.contains_key(CONTENT_ENCODING) {
        return Err(ApiError::UpstreamAnswer("encoded although identity was asked for"));
    }
    let (bounds, declared) = (&context.bounds, declared_length(head));
    if declared.is_some_and(|length| length > bounds.max_media_bytes + 2 * multipart::MAX_AROUND as u64) {
        return Err(ApiError::Refused(Refusal::Oversize));
    }
    let mut splitter = Splitter::new(boundary);
    let second = Content { body, splitter: &mut splitter, ready: Vec::new().into_iter() };
    let filling = context.spooler.begin(bounds.max_media_bytes, declared);
    let spool = body::receive(second, filling, bounds.stall).await;
    let spool = spool.map_err(|error| ApiError::from_upstream(&error))?;
    let parts = splitter.finish().map_err(|error| unusable(&error))?;
    context.metrics.taken_in("download").inc_by(spool.len());
    Ok((parts, Arc::new(spool)))
}

fn unusable(error: &MultipartError) -> ApiError {
    tracing::debug!(%error, "not the two parts of a medium");
    ApiError::UpstreamAnswer("not the two parts of a medium")
}

/// The content of the second part of a body.
struct Content<'a> {
    body: Body,
    splitter: &'a mut Splitter,
    ready: std::vec::IntoIter<Bytes>,
}

impl http_body::Body for Content<'_> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(bytes) = self.ready.next() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => {
                    let pieces: Vec<Bytes> = self.splitter.feed(bytes)?.collect();
                    self.ready = pieces.into_iter();
                }
                Some(Err(_)) => (),
                None => return Poll::Ready(None),
            }
        }
    }
}

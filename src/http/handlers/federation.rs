//! Reads of other homeservers: two parts, of which the second is the medium.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, Response, StatusCode,
    header::{CONTENT_ENCODING, LOCATION, TRANSFER_ENCODING},
    uri::PathAndQuery,
};
use hyper::body::Frame;
use percent_encoding::percent_decode_str;

use super::{
    Handled,
    fetch::{self, ask, declared_length, relay_refusal, take_in},
    inspect, inspect_spool, let_oversize_through, reader,
};
use crate::{
    body::{self, Body, BoxError},
    cache::key::Reader,
    facts::{Direction, Occasion},
    http::{Context, error::ApiError, occasion, respond},
    inspect::Way,
    spool::Spool,
    upstream::multipart::{self, Boundary, MultipartError, Parts, Splitter},
};

/// What the other homeserver sent reaches our own as it is: method, target and authorization are signed.
pub(crate) async fn federation(
    context: &Context,
    headers: HeaderMap,
    target: PathAndQuery,
    route: &'static str,
) -> Handled {
    let reader = reader::server(context, &headers);
    let asked = occasion(context, route, &target);
    let answer = ask(context, headers, target).await?;
    if answer.status() != StatusCode::OK {
        return relay_refusal(context, answer).await;
    }
    let (head, body) = answer.into_parts();
    let head = head.headers;
    let boundary = Boundary::of(&head).map_err(|error| unusable(&error))?;
    if head.contains_key(CONTENT_ENCODING) {
        return Err(ApiError::UpstreamAnswer("encoded although identity was asked for"));
    }
    if let Some(len) = oversize(context, &head) {
        let_oversize_through(context, &asked, len, !head.contains_key(TRANSFER_ENCODING))?;
        let medium = (len, body::guarded(body, context.bounds.stall));
        let around = (&Bytes::new(), &Bytes::new());
        return Ok((respond::multipart(&head, boundary.content_type(), around, medium), "unscanned"));
    }
    let (parts, spool) = split(context, &head, &boundary, body).await?;
    let Some(location) = parts.headers.get(LOCATION) else {
        let occasion = Arc::new(Occasion { declared: occasion::declared(&parts.headers), ..asked });
        inspect_spool(context, None, &spool, Way::Keyless(reader), &occasion).await?;
        let medium = (spool.len(), body::spooled(&spool));
        let around = (&parts.prefix, &parts.suffix);
        return Ok((respond::multipart(&head, boundary.content_type(), around, medium), "served"));
    };
    let answer = context.follower.fetch(location).await?;
    let (medium, headers, outcome) = elsewhere(context, asked, answer, reader).await?;
    let frame = multipart::reframe(&parts, &headers).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok((respond::multipart(&head, frame.content_type, (&frame.prefix, &frame.suffix), medium), outcome))
}

/// The request. Other homeservers ask only for what was uploaded here.
fn occasion(context: &Context, route: &'static str, target: &PathAndQuery) -> Occasion {
    let segment = target.path().rsplit('/').next().unwrap_or_default();
    let media_id = percent_decode_str(segment).decode_utf8().ok().map(Into::into);
    let server = occasion::our_server(context);
    Occasion { server, media_id, is_local: Some(true), ..Occasion::new(Direction::Federation, route) }
}

/// A medium that is not in the answer itself: its length and its bytes, and what it is called where it is.
async fn elsewhere(
    context: &Context,
    asked: Occasion,
    answer: Response<Body>,
    reader: Reader,
) -> Result<((u64, Body), HeaderMap, &'static str), ApiError> {
    let occasion = Arc::new(Occasion { declared: occasion::declared(answer.headers()), ..asked });
    if let Some(len) = fetch::oversize(context, answer.headers()) {
        let_oversize_through(context, &occasion, len, true)?;
        let (head, body) = answer.into_parts();
        return Ok(((len, body::guarded(body, context.bounds.stall)), head.headers, "unscanned"));
    }
    let fetched = take_in(context, None, answer, occasion).await?;
    inspect(context, None, &fetched, Way::Keyless(reader), None).await?;
    Ok(((fetched.spool.len(), body::spooled(&fetched.spool)), fetched.headers, "served"))
}

/// The length of an answer whose second part is too large to be scanned, whatever is around it.
fn oversize(context: &Context, head: &HeaderMap) -> Option<u64> {
    let most = context.bounds.max_media_bytes.saturating_add(2 * multipart::MAX_AROUND as u64);
    declared_length(head).filter(|length| *length > most)
}

/// Takes in the content of the second part. The bytes around it are kept as they came.
async fn split(
    context: &Context,
    head: &HeaderMap,
    boundary: &Boundary,
    body: Body,
) -> Result<(Parts, Arc<Spool>), ApiError> {
    let (bounds, declared) = (&context.bounds, declared_length(head));
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

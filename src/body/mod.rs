//! The one body type of requests and responses on both sides.

mod held_back;
mod leased;

use std::{
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, BodyStream, Full, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep, timeout};

pub use self::{
    held_back::{HOLD, held_back},
    leased::leased,
};
use crate::spool::{Filling, Spool, SpoolError};

/// A boxed error of whatever produces a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body on its way to a client or to the homeserver.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Why a body could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// No byte came for too long.
    #[error("the body stalled")]
    Stalled,
    /// The sender broke off or sent no valid body.
    #[error("the body broke off: {0}")]
    Broken(#[source] BoxError),
    /// It could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A body without bytes.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The body that a spool holds.
pub fn spooled(spool: &Arc<Spool>) -> Body {
    part_of(spool, 0..spool.len())
}

/// Some of the bytes that a spool holds.
pub fn part_of(spool: &Arc<Spool>, range: Range<u64>) -> Body {
    if let Some(bytes) = spool.bytes() {
        let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        return full(bytes.slice(within(range.start)..within(range.end)));
    }
    let frames = spool.stream_range(range).map_ok(Frame::data).map_err(BoxError::from);
    StreamBody::new(frames).boxed_unsync()
}

/// One body after another.
pub fn chained(parts: impl IntoIterator<Item = Body, IntoIter: Send + 'static>) -> Body {
    let frames = stream::iter(parts).flat_map(BodyStream::new);
    StreamBody::new(frames).boxed_unsync()
}

/// A body as it comes.
pub fn incoming(body: Incoming) -> Body {
    body.map_err(BoxError::from).boxed_unsync()
}

/// A body passed on as it comes; cut when it stalls.
pub fn relayed(body: Incoming, stall: Duration) -> Body {
    guarded(body, stall)
}

/// As [`relayed`], for a body of any kind.
pub fn guarded<B>(body: B, stall: Duration) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    Guarded { body, stall, timer: Box::pin(sleep(stall)) }.boxed_unsync()
}

/// Fails when no frame came for `stall`. Keeps the inner body's length, so that it is framed as it came.
struct Guarded<B> {
    body: B,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<B> http_body::Body for Guarded<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let deadline = Instant::now() + self.stall;
            self.timer.as_mut().reset(deadline);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.timer.as_mut().poll(cx).map(|()| Some(Err(ReceiveError::Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that keeps `held` until its last byte was taken, or nobody wants it any more.
pub fn holding(body: Body, held: impl Send + Unpin + 'static) -> Body {
    Holding { body, _held: held }.boxed_unsync()
}

struct Holding<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> http_body::Body for Holding<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes per second that a body must reach on average in either direction, once
/// [`stall`](crate::limits::Config::stall_timeout) has passed: below this it is not slow but held open.
const MIN_RATE: u64 = 1024;

/// Most bytes of a refused body that are read off.
const MAX_DISCARDED: usize = 4 * 1024 * 1024;

/// Receives a body into a spool.
pub async fn receive<B>(mut body: B, mut into: Filling, stall: Duration) -> Result<Spool, ReceiveError>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    let (begun, mut received) = (Instant::now(), 0);
    while let Some(frame) = timeout(stall, body.frame()).await.map_err(|_| ReceiveError::Stalled)? {
        // Trailers carry nothing of a medium.
        if let Ok(bytes) = frame.map_err(ReceiveError::Broken)?.into_data() {
            received += bytes.len() as u64;
            if is_too_slow(begun, received, stall) {
                return Err(ReceiveError::Stalled);
            }
            into.write(&bytes).await?;
        }
    }
    Ok(into.finish().await?)
}

/// True if so many bytes since then are fewer than an honest sender has sent.
pub fn is_too_slow(begun: Instant, received: u64, stall: Duration) -> bool {
    begun.elapsed() > stall + Duration::from_secs(received / MIN_RATE)
}

/// Reads off the body of an upload that is refused, within bounds: who is still sending it reads no answer before, and would find the
/// connection reset instead.
pub async fn discard(body: Incoming, within: Duration) {
    let mut rest = Limited::new(body, MAX_DISCARDED);
    let reading = async { while let Some(Ok(_)) = rest.frame().await {} };
    let _whole_or_not = timeout(within, reading).await;
}

/// Why a small body could not be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmallError {
    /// It has more bytes than allowed.
    TooLarge,
    /// It did not come in time.
    Stalled,
    /// It broke off.
    Broken,
}

/// A body of at most `max` bytes, received in at most `within`.
pub async fn small(body: Body, max: usize, within: Duration) -> Result<Bytes, SmallError> {
    // Boxed, since the compiler cannot see that a future that converts one boxed error into another can be sent.
    let collecting = Limited::new(body, max).collect().boxed();
    let collected = timeout(within, collecting).await.map_err(|_| SmallError::Stalled)?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| match error.is::<LengthLimitError>() {
        true => SmallError::TooLarge,
        false => SmallError::Broken,
    })
}

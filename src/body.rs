//! The one body type of requests and responses on both sides.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::Body as _;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep, sleep, sleep_until, timeout},
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
    Broken(#[source] hyper::Error),
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
    if let Some(bytes) = spool.bytes() {
        return full(bytes.clone());
    }
    let frames = spool.stream().map_ok(Frame::data).map_err(BoxError::from);
    StreamBody::new(frames).boxed_unsync()
}

/// A body passed on as it comes; cut when it stalls.
pub fn relayed(body: Incoming, stall: Duration) -> Body {
    Guarded { body, stall, timer: Box::pin(sleep(stall)) }.boxed_unsync()
}

/// Fails when no frame came for `stall`. Keeps the inner body's length, so that it is framed as it came.
struct Guarded {
    body: Incoming,
    stall: Duration,
    timer: Pin<Box<Sleep>>,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let deadline = Instant::now() + self.stall;
            self.timer.as_mut().reset(deadline);
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
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

/// Bytes that a leased body gives at a time. Who takes longer than the lease for these few is not slow.
const LEASED_PIECE: usize = 16 * 1024;

/// A body that is dropped, with all it holds, when nobody asks for its next bytes within `stall`. An HTTP/2 client that
/// opens no window does not stall the connection, so no timer of the connection sees it.
pub fn leased(body: Body, stall: Duration) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let lease = Arc::new(Mutex::new(Lease { body: Some(body), rest: Bytes::new(), asked: Instant::now() }));
    let guarded = Arc::clone(&lease);
    let watcher = tokio::spawn(async move {
        loop {
            let due = {
                let mut lease = guarded.lock().expect("no panic while held");
                let due = lease.asked + stall;
                if due <= Instant::now() {
                    (lease.body, lease.rest) = (None, Bytes::new());
                    return;
                }
                due
            };
            sleep_until(due).await;
        }
    });
    Leased { lease, watcher: watcher.abort_handle() }.boxed_unsync()
}

struct Lease {
    body: Option<Body>,
    /// What is left of a frame that was too large to be given at once.
    rest: Bytes,
    /// When its bytes were last asked for.
    asked: Instant,
}

struct Leased {
    lease: Arc<Mutex<Lease>>,
    watcher: AbortHandle,
}

impl http_body::Body for Leased {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut lease = self.lease.lock().expect("no panic while held");
        lease.asked = Instant::now();
        if lease.rest.is_empty() {
            let Some(body) = &mut lease.body else { return Poll::Ready(Some(Err(ReceiveError::Stalled.into()))) };
            match ready!(Pin::new(body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => lease.rest = bytes,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        let piece = LEASED_PIECE.min(lease.rest.len());
        Poll::Ready(Some(Ok(Frame::data(lease.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        let lease = self.lease.lock().expect("no panic while held");
        lease.rest.is_empty() && lease.body.as_ref().is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let lease = self.lease.lock().expect("no panic while held");
        let exact = lease.body.as_ref().and_then(|body| body.size_hint().exact());
        exact.map_or_else(SizeHint::default, |bytes| SizeHint::with_exact(bytes + lease.rest.len() as u64))
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// Bytes per second that a body must reach on average, once [`stall`](crate::limits::Config::stall_timeout) has passed:
/// below this it is not slow but held open.
const MIN_RATE: u64 = 1024;

/// Receives a body into a spool.
pub async fn receive(mut body: Incoming, mut into: Filling, stall: Duration) -> Result<Spool, ReceiveError> {
    let (begun, mut received) = (Instant::now(), 0);
    while let Some(frame) = timeout(stall, body.frame()).await.map_err(|_| ReceiveError::Stalled)? {
        // Trailers carry nothing of a medium.
        if let Ok(bytes) = frame.map_err(ReceiveError::Broken)?.into_data() {
            received += bytes.len() as u64;
            if begun.elapsed() > stall + Duration::from_secs(received / MIN_RATE) {
                return Err(ReceiveError::Stalled);
            }
            into.write(&bytes).await?;
        }
    }
    Ok(into.finish().await?)
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
pub async fn small(body: Incoming, max: usize, within: Duration) -> Result<Bytes, SmallError> {
    let collected = timeout(within, Limited::new(body, max).collect()).await.map_err(|_| SmallError::Stalled)?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| match error.is::<LengthLimitError>() {
        true => SmallError::TooLarge,
        false => SmallError::Broken,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_leased_body_comes_in_small_pieces_and_whole() {
        let bytes: Bytes = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        let mut body = leased(full(bytes.clone()), Duration::from_secs(1));
        assert_eq!(body.size_hint().exact(), Some(100_000));
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= 16 * 1024, "{}", piece.len());
            read.extend_from_slice(&piece);
            assert_eq!(body.size_hint().exact(), Some(100_000 - read.len() as u64));
            // Slow, but each time within the lease.
            sleep(Duration::from_millis(900)).await;
        }
        assert_eq!(read, bytes);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_runs_out_gives_up_what_was_held() {
        let held = Arc::new(());
        let mut body = leased(holding(full(vec![1; 100_000]), Arc::clone(&held)), Duration::from_secs(1));
        body.frame().await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        sleep(Duration::from_millis(1100)).await;
        assert_eq!(Arc::strong_count(&held), 1, "while the body itself is still there");
        assert!(body.frame().await.unwrap().is_err(), "and its end is no end that a client could take for the file's");
    }
}

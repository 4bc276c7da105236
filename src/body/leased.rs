//! Bodies that are given up when their reader is too slow.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use super::{Body, BoxError, MIN_RATE, ReceiveError};

/// A body that gives at most `piece` bytes at a time, and is dropped with all it holds when nobody asks for its next bytes
/// within `stall`, or they are asked for more slowly than 1 KiB/s. No timer of the connection sees either: an HTTP/2
/// client that opens no window does not stall it, nor does one that takes a byte now and then.
///
/// Only where `has_rate` does the rate count: of what passes through as it comes, the sender may be the slow one.
pub fn leased(body: Body, stall: Duration, piece: usize, has_rate: bool) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let begun = Instant::now();
    let lease =
        Lease { body: Some(body), rest: Bytes::new(), reader: None, piece, has_rate, given: 0, begun, asked: begun };
    let lease = Arc::new(Mutex::new(lease));
    let guarded = Arc::clone(&lease);
    let watcher = tokio::spawn(async move {
        loop {
            let due = {
                let mut lease = guarded.lock().expect("no panic while held");
                let due = lease.due(stall);
                if due <= Instant::now() {
                    (lease.body, lease.rest) = (None, Bytes::new());
                    // Its reader may be waiting for a body that is gone.
                    if let Some(reader) = lease.reader.take() {
                        reader.wake();
                    }
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
    /// Who waits for more.
    reader: Option<Waker>,
    /// Most bytes to give at a time.
    piece: usize,
    has_rate: bool,
    /// Bytes given so far.
    given: u64,
    begun: Instant,
    /// When its bytes were last asked for.
    asked: Instant,
}

impl Lease {
    /// When it runs out, if nothing more is asked for.
    fn due(&self, stall: Duration) -> Instant {
        let stalled = self.asked + stall;
        let too_slow = self.begun + stall + Duration::from_secs(self.given / MIN_RATE);
        if self.has_rate { stalled.min(too_slow) } else { stalled }
    }
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
        lease.reader = Some(cx.waker().clone());
        if lease.rest.is_empty() {
            let Some(body) = &mut lease.body else { return Poll::Ready(Some(Err(ReceiveError::Stalled.into()))) };
            match ready!(Pin::new(body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => lease.rest = bytes,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        let piece = lease.piece.min(lease.rest.len());
        lease.given += piece as u64;
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

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::body::{full, holding};

    #[tokio::test(start_paused = true)]
    async fn a_leased_body_comes_in_small_pieces_and_whole() {
        let bytes: Bytes = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        let mut body = leased(full(bytes.clone()), Duration::from_secs(1), 16 * 1024, true);
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
        let mut body =
            leased(holding(full(vec![1; 100_000]), Arc::clone(&held)), Duration::from_secs(1), 16 * 1024, true);
        body.frame().await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        sleep(Duration::from_millis(1100)).await;
        assert_eq!(Arc::strong_count(&held), 1, "while the body itself is still there");
        assert!(body.frame().await.unwrap().is_err(), "and its end is no end that a client could take for the file's");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_below_the_lowest_rate_is_given_up_though_it_never_stalls() {
        let held = Arc::new(());
        let mut body = leased(holding(full(vec![1; 100_000]), Arc::clone(&held)), Duration::from_secs(10), 512, true);
        let mut pieces = 0;
        while Arc::strong_count(&held) == 2 {
            body.frame().await.unwrap().unwrap();
            pieces += 1;
            // 512 bytes in each of which there should have been 1024.
            sleep(Duration::from_secs(1)).await;
        }
        assert!((20..=22).contains(&pieces), "half of the rate uses up the grace of ten seconds in twenty: {pieces}");
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_rate_does_not_count_only_a_stall_does() {
        let mut body = leased(full(vec![1; 30_000]), Duration::from_secs(10), 512, false);
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            sleep(Duration::from_secs(9)).await;
        }
    }
}

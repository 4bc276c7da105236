//! A body as the parser of forms may have it. By itself it would read ahead for as long as there is something to read, and
//! hold heads of any length.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use crate::{
    body::{BoxError, is_too_slow},
    http::error::ApiError,
};

/// Bytes of a form that are not its file: boundaries, heads, the part `file`, and parts that nobody reads.
pub(in super::super) const MAX_AROUND: u64 = 128 * 1024;

/// Bytes that the parser is given at a time, if there are so many: it copies them, and looks through all that it holds.
const PIECE: usize = 16 * 1024;

/// Why the parser is given no more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("too much around the file")]
    TooLarge,
    #[error("too slow")]
    Stalled,
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooLarge => Self::FormTooLarge,
            Refused::Stalled => Self::RequestStalled,
        }
    }
}

/// The bytes of a body, one piece for each time that they are asked for.
pub(super) struct Pieces<'a> {
    body: &'a mut Incoming,
    /// What came and was not given yet.
    rest: BytesMut,
    given: u64,
    /// Of these, what has become part of the file.
    delivered: Arc<AtomicU64>,
    /// A piece was given, and the parser asks for the next before it has looked at it.
    pauses: bool,
    begun: Instant,
    stall: Duration,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(body: &'a mut Incoming, delivered: Arc<AtomicU64>, stall: Duration) -> Self {
        Self { body, rest: BytesMut::new(), given: 0, delivered, pauses: false, begun: Instant::now(), stall }
    }

    fn check(&self) -> Result<(), Refused> {
        if self.given - self.delivered.load(Ordering::Relaxed) > MAX_AROUND {
            return Err(Refused::TooLarge);
        }
        if is_too_slow(self.begun, self.given, self.stall) {
            return Err(Refused::Stalled);
        }
        Ok(())
    }
}

impl Stream for Pieces<'_> {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.pauses) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Err(refused) = this.check() {
            return Poll::Ready(Some(Err(refused.into())));
        }
        while this.rest.len() < PIECE {
            match Pin::new(&mut *this.body).poll_frame(cx) {
                Poll::Ready(Some(frame)) => this.rest.extend_from_slice(&frame?.into_data().unwrap_or_default()),
                _ if !this.rest.is_empty() => break,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE)).freeze();
        this.given += piece.len() as u64;
        this.pauses = true;
        Poll::Ready(Some(Ok(piece)))
    }
}

//! Sees the raw heads of HTTP/1 requests on their way to hyper.
//!
//! Bytes are followed, never held back or changed: heads, bodies by their framing, and so the next heads, pipelined ones
//! included. What is understood less strictly than hyper does is not followed any further, and a request whose own head
//! was not seen is refused; so a disagreement can cost a request, but never hide one.

mod follower;
mod head;

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::follower::Follower;
pub(super) use self::{follower::MAX_HEAD, head::Head};

/// Heads that were seen and whose requests hyper has yet to give; oldest first. hyper reads ahead no more than its
/// buffer holds, so there are few.
#[derive(Clone, Default)]
pub(super) struct Heads(Arc<Mutex<VecDeque<Head>>>);

impl Heads {
    /// The head of the next request, if it was seen.
    pub(super) fn next(&self) -> Option<Head> {
        self.0.lock().expect("no panic while held").pop_front()
    }

    fn push(&self, head: Head) {
        self.0.lock().expect("no panic while held").push_back(head);
    }
}

/// A connection whose heads are seen.
pub(super) struct Watched<S> {
    stream: S,
    follower: Follower,
}

impl<S> Watched<S> {
    /// Watches a connection from its first byte on.
    pub(super) fn new(stream: S) -> (Self, Heads) {
        let heads = Heads::default();
        (Self { stream, follower: Follower::new(heads.clone()) }, heads)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.follower.see(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

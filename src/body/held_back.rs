//! Bodies whose end leaves only when all of it is known to be what was expected.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use sha2::{Digest as _, Sha256};

use super::{Body, BoxError};
use crate::spool::Digest;

/// Bytes that a body holds back until its end has come. A client that gets fewer bytes than were announced discards
/// what it has, so any would do; this many also keep the end of most formats from being read early.
pub const HOLD: u64 = 64 * 1024;

/// The bytes that came are not those that were expected.
#[derive(Debug, thiserror::Error)]
#[error("the body is not the one that was scanned")]
struct Changed;

/// Passes a body on while it is hashed. Its last [`HOLD`] bytes wait until `confirm` agrees to the digest of all of
/// them; if it does not, the body fails, and whoever sends it must cut the connection.
///
/// `len` bytes are expected, and whoever sends them announced so many: it must not stop there while more come, before the
/// end was confirmed.
pub fn held_back(body: Body, len: u64, confirm: impl FnOnce(&Digest) -> bool + Send + Unpin + 'static) -> Body {
    let (hash, held) = (Sha256::new(), VecDeque::new());
    HeldBack { body, hash, held, bytes: 0, missing: len, confirm: Some(confirm) }.boxed_unsync()
}

struct HeldBack<F> {
    body: Body,
    hash: Sha256,
    held: VecDeque<Bytes>,
    /// Bytes in `held`.
    bytes: u64,
    /// Bytes that are still to come.
    missing: u64,
    /// Gone once the whole body is confirmed.
    confirm: Option<F>,
}

impl<F: FnOnce(&Digest) -> bool> HeldBack<F> {
    /// The first of what is held, if it may leave.
    fn release(&mut self) -> Option<Bytes> {
        let len = self.held.front()?.len() as u64;
        let may_leave = self.confirm.is_none() || self.bytes >= len + HOLD;
        let piece = if may_leave { self.held.pop_front() } else { None };
        self.bytes -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        piece
    }

    /// False if these bytes are more than were expected.
    fn hold(&mut self, bytes: Bytes) -> bool {
        let len = bytes.len() as u64;
        let Some(missing) = self.missing.checked_sub(len) else { return false };
        self.hash.update(&bytes);
        (self.missing, self.bytes) = (missing, self.bytes + len);
        self.held.push_back(bytes);
        true
    }

    /// True if all of it came, and was what was expected.
    fn confirm(&mut self) -> bool {
        let digest = std::mem::take(&mut self.hash).finalize().into();
        self.missing == 0 && self.confirm.take().is_some_and(|confirm| confirm(&digest))
    }

    fn fail(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        (self.held, self.bytes) = (VecDeque::new(), 0);
        Poll::Ready(Some(Err(Changed.into())))
    }
}

impl<F: FnOnce(&Digest) -> bool + Unpin> http_body::Body for HeldBack<F> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(piece) = self.release() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if self.confirm.is_none() {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => {
                    if !self.hold(bytes) {
                        return self.fail();
                    }
                }
                // Trailers carry nothing of a medium.
                Some(Err(_)) => (),
                None if self.confirm() => (),
                None => return self.fail(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.confirm.is_none() && self.held.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.body.size_hint().exact();
        rest.map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::StreamBody;

    use super::*;

    fn pieces(len: usize, piece: usize) -> (Vec<u8>, Body) {
        let bytes: Vec<u8> = (0..251).cycle().take(len).collect();
        let frames: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        (bytes, StreamBody::new(stream::iter(frames)).boxed_unsync())
    }

    /// What came, and whether it came whole.
    async fn read(body: Body) -> (Vec<u8>, bool) {
        let (mut read, mut frames) = (Vec::new(), http_body_util::BodyStream::new(body));
        while let Some(frame) = frames.next().await {
            let Ok(frame) = frame else { return (read, false) };
            read.extend_from_slice(&frame.into_data().unwrap());
        }
        (read, true)
    }

    #[tokio::test]
    async fn a_confirmed_body_comes_whole() {
        for (len, piece) in [(0, 1), (1, 1), (65_536, 65_536), (65_537, 10_000), (300_000, 7_000), (200_000, 200_000)] {
            let (bytes, body) = pieces(len, piece);
            let expected: Digest = Sha256::digest(&bytes).into();
            let (read, whole) = read(held_back(body, len as u64, move |digest| *digest == expected)).await;
            assert!(whole && read == bytes, "{len} in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn the_end_of_a_changed_body_never_leaves() {
        for (len, piece) in [(0, 1), (1, 1), (65_536, 65_536), (65_537, 10_000), (300_000, 7_000), (200_000, 200_000)] {
            let (_, body) = pieces(len, piece);
            let (read, whole) = read(held_back(body, len as u64, |_| false)).await;
            assert!(!whole && read.len() + 65_536 <= len.max(65_536), "{} of {len} in pieces of {piece}", read.len());
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_confirmed() {
        let frames = [Ok(Frame::data(Bytes::from(vec![0; 100_000]))), Err("broken".into())];
        let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
        let (read, whole) = read(held_back(body, 200_000, |_| panic!("asked to confirm what is not whole"))).await;
        assert!(!whole && read.len() <= 100_000 - 65_536);
    }

    #[tokio::test]
    async fn of_a_body_with_more_or_fewer_bytes_than_announced_the_end_never_leaves() {
        for (len, announced) in [(300_000, 100_000), (300_000, 299_999), (300_000, 300_001), (100_000, 0)] {
            let (_, body) = pieces(len, 10_000);
            let (read, whole) = read(held_back(body, announced, |_| true)).await;
            let announced = usize::try_from(announced).unwrap();
            assert!(!whole && read.len() + 65_536 <= announced.max(65_536), "{} of {announced}", read.len());
        }
    }
}

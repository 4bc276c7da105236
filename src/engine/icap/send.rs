//! A medium on its way to an ICAP server: in chunks, a part of it first if the server wants that.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::conn::{ConnError, STALL_TIMEOUT};

/// Longest piece of a medium that is sent at a time.
const MAX_CHUNK: usize = 64 * 1024;

/// A medium on its way.
pub(super) struct Pieces<S> {
    source: S,
    /// What was read and is not yet sent.
    rest: Bytes,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Pieces<S> {
    pub(super) fn of(source: S) -> Self {
        Self { source, rest: Bytes::new() }
    }

    /// The next bytes, `most` of them; `None` if there are none, or none are wanted.
    async fn next(&mut self, most: usize) -> Result<Option<Bytes>, ConnError> {
        if most == 0 {
            return Ok(None);
        }
        if self.rest.is_empty() {
            let Some(piece) = self.source.next().await else { return Ok(None) };
            self.rest = piece.map_err(ConnError::Spool)?;
        }
        let length = self.rest.len().min(most);
        Ok(Some(self.rest.split_to(length)))
    }

    /// Sends `opening` and the first `length` bytes.
    pub(super) async fn send_preview(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        opening: Vec<u8>,
        length: usize,
    ) -> Result<(), ConnError> {
        let mut preview = BytesMut::with_capacity(length);
        while let Some(piece) = self.next(length - preview.len()).await? {
            preview.extend_from_slice(&piece);
        }
        write(writer, Buf::chain(opening.as_slice(), chunk(preview.freeze())).chain(END)).await
    }

    /// Sends `opening` and all the rest.
    pub(super) async fn send(
        &mut self,
        writer: &mut (impl AsyncWrite + Unpin),
        opening: Vec<u8>,
        handed: &AtomicBool,
    ) -> Result<(), ConnError> {
        write(writer, opening.as_slice()).await?;
        while let Some(piece) = self.next(MAX_CHUNK).await? {
            write(writer, chunk(piece)).await?;
        }
        handed.store(true, Ordering::SeqCst);
        write(writer, END).await
    }
}

/// The end of a body, and of a preview that is not all there is.
const END: &[u8] = b"0\r\n\r\n";

/// An empty chunk would be the end.
fn chunk(piece: Bytes) -> impl Buf {
    let frame = match piece.is_empty() {
        true => (String::new(), ""),
        false => (format!("{:x}\r\n", piece.len()), "\r\n"),
    };
    Bytes::from(frame.0).chain(piece).chain(frame.1.as_bytes())
}

/// Writes all of it, at a pace.
pub(super) async fn write(writer: &mut (impl AsyncWrite + Unpin), mut bytes: impl Buf) -> Result<(), ConnError> {
    let writing = async {
        writer.write_all_buf(&mut bytes).await?;
        writer.flush().await
    };
    match timeout(STALL_TIMEOUT, writing).await {
        Ok(written) => written.map_err(ConnError::Lost),
        Err(_) => Err(ConnError::Stalled),
    }
}

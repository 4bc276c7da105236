//! One scan, one connection.
//!
//! A connection of its own leaves a scan no session whose state could be mistaken for that of another scan. There are no
//! timers here but for connecting: the caller's deadline ends the future, and dropping it closes the socket.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
    pin::pin,
    time::Duration,
};

use futures_util::{StreamExt, future::Either};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{
    Address,
    protocol::{self, Command, ProtocolError, Reply},
};
use crate::{plaintext::Plaintext, verdict::Verdict};

/// More than any reply: a signature name of this length does not exist.
const MAX_REPLY: u64 = 16 * 1024;

/// A clamd that is not even reachable in this time counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How bytes get to clamd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    /// By descriptor where there is one. Needs a socket in the file system and the same kernel.
    Descriptor,
    /// Through the connection.
    Stream,
}

/// Why a conversation gave no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnError {
    /// Nobody listens.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke before a reply was complete.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
    /// Our copy of the bytes cannot be read.
    #[error("cannot read the spool: {0}")]
    Spool(#[source] io::Error),
    /// The reply is none.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// clamd judged a stream that it had not received in full.
    #[error("clamd said OK before it had all bytes")]
    Premature,
}

/// Has clamd scan `plaintext` and gives its reply to exactly that.
pub(super) async fn scan(address: &Address, transfer: Transfer, plaintext: &Plaintext) -> Result<Reply, ConnError> {
    match address {
        Address::Unix(path) => {
            let stream = connect(UnixStream::connect(path)).await?;
            let descriptor = match transfer {
                Transfer::Descriptor => plaintext.descriptor().map_err(ConnError::Spool)?,
                Transfer::Stream => None,
            };
            match descriptor {
                Some(file) => fildes(stream, file.as_fd()).await,
                None => instream(stream, plaintext).await,
            }
        }
        Address::Tcp(authority) => {
            let stream = connect(TcpStream::connect(authority)).await?;
            stream.set_nodelay(true).map_err(ConnError::Connect)?;
            instream(stream, plaintext).await
        }
    }
}

/// Success says nothing about acceptance: clamd's listen queue takes connections that clamd never sees.
async fn connect<S>(connecting: impl Future<Output = io::Result<S>>) -> Result<S, ConnError> {
    let outcome = timeout(CONNECT_TIMEOUT, connecting).await;
    outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(ConnError::Connect)
}

async fn fildes(mut stream: UnixStream, file: BorrowedFd<'_>) -> Result<Reply, ConnError> {
    let sent = async {
        stream.write_all(b"zFILDES\0").await?;
        stream.async_io(Interest::WRITABLE, || pass_descriptor(&stream, file)).await
    };
    // Even if writing failed, clamd may have said why before it closed.
    let sent = sent.await;
    let received = receive(&mut stream).await.map_err(ConnError::Lost)?;
    match sent {
        Err(error) if received.is_empty() => Err(ConnError::Lost(error)),
        _ => Ok(protocol::parse(&received, Command::Fildes)?),
    }
}

/// Sends one byte that carries the descriptor.
fn pass_descriptor(stream: &UnixStream, file: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [file];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    sendmsg(stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Reads while it writes: clamd answers as soon as a limit is passed and then closes, which a mere writer sees as a
/// broken pipe or a reset that swallows the answer.
async fn instream<S>(stream: S, plaintext: &Plaintext) -> Result<Reply, ConnError>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = pin!(send_chunks(&mut writer, plaintext));
    let receiving = pin!(receive(&mut reader));
    match futures_util::future::select(receiving, sending).await {
        Either::Left((received, _unsent)) => {
            let reply = protocol::parse(&received.map_err(ConnError::Lost)?, Command::Instream)?;
            match reply {
                Reply::Verdict(Verdict::Clean(_)) => Err(ConnError::Premature),
                reply => Ok(reply),
            }
        }
        Either::Right((sent, receiving)) => {
            if let Err(error @ ConnError::Spool(_)) = sent {
                return Err(error);
            }
            let received = receiving.await.unwrap_or_default();
            let reply = protocol::parse(&received, Command::Instream);
            match (sent, reply) {
                (Ok(()), reply) => Ok(reply?),
                (Err(_), Ok(Reply::Verdict(Verdict::Clean(_)))) => Err(ConnError::Premature),
                (Err(_), Ok(reply)) => Ok(reply),
                (Err(error), Err(_)) => Err(error),
            }
        }
    }
}

async fn send_chunks(writer: &mut (impl AsyncWrite + Unpin), plaintext: &Plaintext) -> Result<(), ConnError> {
    writer.write_all(b"zINSTREAM\0").await.map_err(ConnError::Lost)?;
    let mut pieces = pin!(plaintext.stream());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(ConnError::Spool)?;
        let len = u32::try_from(piece.len()).expect("pieces are small");
        writer.write_all(&len.to_be_bytes()).await.map_err(ConnError::Lost)?;
        writer.write_all(&piece).await.map_err(ConnError::Lost)?;
    }
    writer.write_all(&0_u32.to_be_bytes()).await.map_err(ConnError::Lost)?;
    writer.flush().await.map_err(ConnError::Lost)
}

/// All that clamd sends until it closes the connection, or until a reset, which may follow a reply.
async fn receive(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut received = Vec::new();
    match reader.take(MAX_REPLY).read_to_end(&mut received).await {
        Err(error) if received.is_empty() => Err(error),
        _ => Ok(received),
    }
}

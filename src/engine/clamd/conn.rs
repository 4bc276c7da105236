//! One scan, one connection.
//!
//! A connection of its own leaves a scan no session whose state could be mistaken for that of another scan. In a session
//! (`IDSESSION`) that can happen: when one ends with a job under way, clamd 1.4 writes that job's reply to whatever
//! connection has got the number of the closed descriptor by then, and if that is a session, too, the numbers fit: "clean",
//! said of another file (`tests/clamd_truth/sessions.rs` shows it). Held sessions would win 10 to 46 % on scans of 10 KB and nothing
//! on larger ones (`tests/bench/README.md`).
//!
//! There are no timers here but for connecting and for each piece of a stream: the caller's deadline ends the future, and dropping it closes the socket.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Buf;
use futures_util::{StreamExt, future::Either as First};
use rustix::{
    io::Errno,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::either::Either;

use super::{
    address::Address,
    protocol::{self, Command, ProtocolError, Said},
};
use crate::{plaintext::Plaintext, verdict::Verdict};

/// More than any reply: a signature name of this length does not exist.
const MAX_REPLY: usize = 16 * 1024;

/// A clamd that is not even reachable in this time counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time that clamd may take for a piece of a stream, or for a question that needs no worker.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The ways by which bytes may get to a clamd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// By descriptor where there is one. Needs a socket in the file system and the same kernel.
    pub(super) descriptors: bool,
    /// Through the connection.
    pub(super) stream: bool,
}

impl Route {
    /// By descriptor only.
    pub(super) const DESCRIPTORS: Self = Self { descriptors: true, stream: false };
    /// Through the connection only.
    pub(super) const STREAM: Self = Self { descriptors: false, stream: true };
    /// Either way.
    pub(super) const BOTH: Self = Self { descriptors: true, stream: true };
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
    /// Its one receiving thread sleeps while it is full.
    #[error("clamd neither took nor gave a byte for {STALL_TIMEOUT:?}")]
    Stalled,
    /// The only way left for these bytes is one that no canary has gone.
    #[error("there is no room to hand the medium over, and streams are not proven")]
    Unproven,
    /// The reply is none.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// clamd judged a stream that it had not received in full.
    #[error("clamd said OK before it had all bytes")]
    Premature,
}

impl ConnError {
    /// Its name in metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Connect(_) => "refused",
            Self::Lost(_) | Self::Protocol(ProtocolError::Empty | ProtocolError::CutOff) => "end_of_file",
            Self::Protocol(_) | Self::Premature => "protocol",
            Self::Spool(_) => "spool",
            Self::Stalled => "stalled",
            Self::Unproven => "unproven",
        }
    }

    /// True if it says nothing about the clamd: our files, our descriptors, our memory, or a queue that is full.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Spool(_) | Self::Stalled | Self::Unproven => true,
            Self::Connect(error) => {
                let shortage = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN];
                shortage.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
            }
            Self::Lost(_) | Self::Protocol(_) | Self::Premature => false,
        }
    }
}

/// A connection to a clamd.
pub(super) type Stream = Either<UnixStream, TcpStream>;

/// Connects. Success says nothing about acceptance: clamd's listen queue takes connections that clamd never sees.
pub(super) async fn connect(address: &Address) -> Result<Stream, ConnError> {
    let connecting = async {
        match address {
            Address::Unix(path) => UnixStream::connect(path).await.map(Either::Left),
            Address::Tcp(authority) => {
                let stream = TcpStream::connect(authority).await?;
                stream.set_nodelay(true)?;
                Ok(Either::Right(stream))
            }
        }
    };
    let outcome = timeout(CONNECT_TIMEOUT, connecting).await;
    outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(ConnError::Connect)
}

/// Gives a command that takes no bytes and reads the reply to it.
pub(super) async fn ask(address: &Address, command: Command) -> Result<Said, ConnError> {
    let mut stream = connect(address).await?;
    stream.write_all(command.bytes()).await.map_err(ConnError::Lost)?;
    reply(&mut stream, command).await
}

/// Has clamd scan `plaintext` and gives its reply to exactly that, by whichever way of `route` these bytes can go.
/// `handed` is set once clamd has all it needs, so that it will scan whether we wait for it or not.
pub(super) async fn scan(
    address: &Address,
    route: Route,
    plaintext: &Plaintext,
    handed: &AtomicBool,
) -> Result<Said, ConnError> {
    let descriptor = match route.descriptors {
        true => plaintext.descriptor().map_err(ConnError::Spool)?,
        false => None,
    };
    match (connect(address).await?, descriptor) {
        (Either::Left(stream), Some(file)) => fildes(stream, file.as_fd(), handed).await,
        (stream, _) if route.stream => instream(stream, plaintext, handed).await,
        _ => Err(ConnError::Unproven),
    }
}

async fn fildes(mut stream: UnixStream, file: BorrowedFd<'_>, handed: &AtomicBool) -> Result<Said, ConnError> {
    let sent = async {
        stream.write_all(Command::Fildes.bytes()).await?;
        handed.store(true, Ordering::SeqCst);
        stream.async_io(Interest::WRITABLE, || pass_descriptor(&stream, file)).await
    };
    // Even if writing failed, clamd may have said why before it closed.
    let sent = sent.await;
    reconcile(sent.map_err(ConnError::Lost), reply(&mut stream, Command::Fildes).await)
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
async fn instream<S>(stream: S, plaintext: &Plaintext, handed: &AtomicBool) -> Result<Said, ConnError>
where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = pin!(send_chunks(&mut writer, plaintext, handed));
    let receiving = pin!(reply_after(&mut reader, Command::Instream, handed));
    match futures_util::future::select(receiving, sending).await {
        First::Left((Ok(Said::Verdict(Verdict::Clean(_))), _unsent)) => Err(ConnError::Premature),
        First::Left((early, _unsent)) => early,
        First::Right((Err(error @ ConnError::Spool(_)), _receiving)) => Err(error),
        First::Right((sent, receiving)) => reconcile(sent, receiving.await),
    }
}

/// A reply to what could not be sent in full may say why, but not that all is well.
fn reconcile(sent: Result<(), ConnError>, reply: Result<Said, ConnError>) -> Result<Said, ConnError> {
    match (sent, reply) {
        (Ok(()), reply) => reply,
        (Err(_), Ok(Said::Verdict(Verdict::Clean(_)))) => Err(ConnError::Premature),
        (Err(_), Ok(said)) => Ok(said),
        (Err(error), Err(_)) => Err(error),
    }
}

async fn send_chunks(
    writer: &mut (impl AsyncWrite + Unpin),
    plaintext: &Plaintext,
    handed: &AtomicBool,
) -> Result<(), ConnError> {
    write(writer, Command::Instream.bytes()).await?;
    let mut pieces = pin!(plaintext.stream());
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(ConnError::Spool)?;
        let len = u32::try_from(piece.len()).expect("pieces are small");
        write(writer, Buf::chain(len.to_be_bytes().as_slice(), piece)).await?;
    }
    handed.store(true, Ordering::SeqCst);
    write(writer, 0_u32.to_be_bytes().as_slice()).await
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), mut bytes: impl Buf) -> Result<(), ConnError> {
    match timeout(STALL_TIMEOUT, writer.write_all_buf(&mut bytes)).await {
        Ok(written) => written.map_err(ConnError::Lost),
        Err(_) => Err(ConnError::Stalled),
    }
}

/// Reads a reply, and if it is a clean one, on until clamd closes the connection, so that a second reply cannot be missed.
/// clamd does not reset after a clean reply; after others it may, and with a broken engine it does not even close.
pub(super) async fn reply(reader: &mut (impl AsyncRead + Unpin), command: Command) -> Result<Said, ConnError> {
    reply_after(reader, command, &AtomicBool::new(true)).await
}

/// The same, where a clean reply that is there before `handed` is set is about something else.
async fn reply_after(
    reader: &mut (impl AsyncRead + Unpin),
    command: Command,
    handed: &AtomicBool,
) -> Result<Said, ConnError> {
    let mut received = Vec::with_capacity(128);
    loop {
        let read = reader.read_buf(&mut received).await;
        let is_over = !matches!(read, Ok(1..)) || received.len() > MAX_REPLY;
        match (protocol::parse(&received, command), read) {
            (Ok(Said::Verdict(Verdict::Clean(_))), _) if !handed.load(Ordering::SeqCst) => {
                return Err(ConnError::Premature);
            }
            (Ok(Said::Verdict(Verdict::Clean(_))) | Err(ProtocolError::Empty), Err(error)) => {
                return Err(ConnError::Lost(error));
            }
            (Ok(Said::Verdict(Verdict::Clean(_))) | Err(ProtocolError::CutOff), _) if !is_over => (),
            (said, _) => return Ok(said?),
        }
    }
}

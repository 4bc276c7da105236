//! A connection to an ICAP server, and what is said on it.
//!
//! There are no timers here but for connecting and for each piece of a medium: the caller's deadline ends the future, and
//! dropping it closes the connection. A connection on which anything went otherwise than it should is not used again.

use std::{
    io,
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use futures_util::{FutureExt, future::Either as First};
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadHalf, WriteHalf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};
use tokio_util::either::Either;

use super::{
    address::Address,
    protocol::{self, Encapsulated, Extent, Head, Malformed, Unusable},
    send::{Pieces, write},
};
use crate::{plaintext::Plaintext, verdict::Verdict};

/// A server that is not even reachable in this time counts as down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time that a server may take for such a piece.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a conversation gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnError {
    /// Nobody listens.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke before an answer was complete.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
    /// It was closed before an answer began.
    #[error("the server closed the connection without an answer")]
    Empty,
    /// Our copy of the bytes cannot be read.
    #[error("cannot read the spool: {0}")]
    Spool(#[source] io::Error),
    /// It is there and does nothing.
    #[error("the server did not take a byte for {STALL_TIMEOUT:?}")]
    Stalled,
    /// The answer says nothing of the medium.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It wants what it has got already.
    #[error("the server asked for more than there is")]
    Insatiable,
    /// What follows an answer that nothing may follow.
    #[error("the server sent more than an answer")]
    Trailing,
}

impl From<Malformed> for ConnError {
    fn from(malformed: Malformed) -> Self {
        Self::Unusable(malformed.into())
    }
}

/// What there is to know for a scan.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) address: Address,
    pub(super) method: super::config::Method,
    /// Bytes that the server wants first.
    pub(super) preview: Option<usize>,
}

impl Request {
    /// How much of `len` bytes to send first. Always less than all: whoever has no objection to a preview that is all there
    /// is may have looked at it or not, but whoever has none to a part has not seen the rest.
    fn preview(&self, len: u64) -> Option<usize> {
        let most = usize::try_from(len.saturating_sub(1)).unwrap_or(usize::MAX);
        self.preview.map(|wanted| wanted.min(most)).filter(|_| len > 1)
    }
}

/// A server's answer about a medium.
pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// The state of the service that gave it.
    pub(super) istag: Option<String>,
    /// The connection is as good as new.
    pub(super) reusable: bool,
}

type Io = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connection.
pub(super) struct Conn {
    reader: ReadHalf<Io>,
    writer: WriteHalf<Io>,
    received: BytesMut,
}

impl Conn {
    /// Connects, with TLS where the address says so.
    pub(super) async fn open(address: &Address, tls: &Arc<rustls::ClientConfig>) -> Result<Self, ConnError> {
        let connecting = async {
            let stream = TcpStream::connect(address.authority()).await?;
            stream.set_nodelay(true)?;
            if !address.tls {
                return Ok(Either::Left(stream));
            }
            let host = address.host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
            Ok(Either::Right(Box::new(stream)))
        };
        let outcome = timeout(CONNECT_TIMEOUT, connecting).await;
        let stream = outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(ConnError::Connect)?;
        let (reader, writer) = tokio::io::split(stream);
        Ok(Self { reader, writer, received: BytesMut::new() })
    }

    /// True if it is neither closed nor has anything come that nobody asked for.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.received.is_empty() && self.reader.read_buf(&mut self.received).now_or_never().is_none()
    }

    /// Asks what the service offers.
    pub(super) async fn options(&mut self, address: &Address) -> Result<Head, ConnError> {
        write(&mut self.writer, protocol::options_request(address).as_slice()).await?;
        let head = head(&mut self.reader, &mut self.received).await?;
        Ok(head)
    }

    /// Has the server look at `plaintext`. `handed` is set once it has all of it, so that it may be the medium that it
    /// dies of.
    pub(super) async fn scan(
        &mut self,
        request: &Request,
        plaintext: &Plaintext,
        handed: &AtomicBool,
    ) -> Result<Answer, ConnError> {
        let preview = request.preview(plaintext.len());
        let opening = protocol::scan_request(&request.address, request.method, plaintext.len(), preview);
        let source = pin!(plaintext.stream());
        let mut pieces = Pieces::of(source);
        let Self { reader, writer, received } = self;
        let (head, extent) = if let Some(preview) = preview {
            let asking = async { pieces.send_preview(writer, opening, preview).await };
            match converse(reader, received, asking).await? {
                (Head { status: 100, .. }, true) if received.is_empty() => {
                    let (head, all) = converse(reader, received, pieces.send(writer, Vec::new(), handed)).await?;
                    (head, if all { Extent::All } else { Extent::Part })
                }
                (head, all) => (head, if all { Extent::Preview } else { Extent::Part }),
            }
        } else {
            let (head, all) = converse(reader, received, pieces.send(writer, opening, handed)).await?;
            (head, if all { Extent::All } else { Extent::Part })
        };
        self.conclude(&head, extent).await
    }

    async fn conclude(&mut self, head: &Head, extent: Extent) -> Result<Answer, ConnError> {
        if head.status == 100 {
            return Err(ConnError::Insatiable);
        }
        let page = match protocol::page_length(head) {
            Some(length) => self.page(length).await?,
            None => None,
        };
        let verdict = protocol::judge(head, page, extent)?;
        if matches!(verdict, Verdict::Clean(_)) && !self.received.is_empty() {
            return Err(ConnError::Trailing);
        }
        let istag = protocol::state(head)?;
        // All of the request was sent, and the answer has no body.
        let ends = head.encapsulated()? == Encapsulated::Nothing;
        let reusable = head.status == 204 && ends && extent != Extent::Part && head.keeps_connection();
        Ok(Answer { verdict, istag, reusable: reusable && self.received.is_empty() })
    }

    /// The status of the response that follows.
    async fn page(&mut self, length: usize) -> Result<Option<u16>, ConnError> {
        while self.received.len() < length {
            let read = self.reader.read_buf(&mut self.received).await.map_err(ConnError::Lost)?;
            if read == 0 {
                return Err(ConnError::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Ok(protocol::page_status(&self.received[..length]))
    }
}

/// Reads while it writes: a server may answer as soon as it has seen enough and then close, which a mere writer sees as a
/// broken pipe or a reset that swallows the answer. True if all was sent by the time of the answer.
async fn converse(
    reader: &mut (impl AsyncRead + Unpin),
    received: &mut BytesMut,
    sending: impl Future<Output = Result<(), ConnError>>,
) -> Result<(Head, bool), ConnError> {
    let (sending, receiving) = (pin!(sending), pin!(head(reader, received)));
    match futures_util::future::select(receiving, sending).await {
        First::Left((early, _unsent)) => Ok((early?, false)),
        First::Right((Err(error @ ConnError::Spool(_)), _receiving)) => Err(error),
        First::Right((Ok(()), receiving)) => Ok((receiving.await?, true)),
        // Even if writing failed, the server may have said why before it closed.
        First::Right((Err(error), receiving)) => match receiving.await {
            Ok(head) => Ok((head, false)),
            Err(ConnError::Empty) => Err(ConnError::Empty),
            Err(_) => Err(error),
        },
    }
}

async fn head(reader: &mut (impl AsyncRead + Unpin), received: &mut BytesMut) -> Result<Head, ConnError> {
    loop {
        if let Some((head, length)) = protocol::parse(received)? {
            received.advance(length);
            return Ok(head);
        }
        match reader.read_buf(received).await {
            Ok(1..) => (),
            _ if received.is_empty() => return Err(ConnError::Empty),
            Ok(_) => return Err(ConnError::Lost(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => return Err(ConnError::Lost(error)),
        }
    }
}

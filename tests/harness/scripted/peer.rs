//! Where a scripted clamd listens, and the client at the other end of a connection.

use std::{
    io::{self, IoSliceMut},
    mem::MaybeUninit,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::PathBuf,
    time::Duration,
};

use futures_util::future::BoxFuture;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream},
};

/// An address that stays the same over a crash.
pub(super) enum Place {
    /// The socket is bound and never listens: it keeps others from getting the port meanwhile.
    Tcp(SocketAddr, #[expect(dead_code, reason = "held for its port")] TcpSocket),
    Unix(PathBuf),
}

impl Place {
    pub(super) fn tcp() -> Self {
        let socket = reusable("127.0.0.1:0".parse().unwrap());
        Self::Tcp(socket.local_addr().unwrap(), socket)
    }

    /// As in the configuration.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(address, _) => format!("tcp:{address}"),
            Self::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    pub(super) fn listen(&self) -> Listener {
        match self {
            Self::Tcp(address, _) => Listener::Tcp(reusable(*address).listen(128).unwrap()),
            Self::Unix(path) => {
                // The one of before a crash is still there.
                let _missing = std::fs::remove_file(path);
                Listener::Unix(UnixListener::bind(path).unwrap())
            }
        }
    }
}

fn reusable(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    // So that what is not read is soon felt at the other end.
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.bind(address).unwrap();
    socket
}

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(super) async fn accept(&self) -> Box<dyn Peer> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await.unwrap();
                // A byte that is sent alone is to arrive alone.
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
            Self::Unix(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

/// A connected client.
pub(super) trait Peer: AsyncRead + AsyncWrite + Send + Unpin {
    /// Has its end be a reset.
    fn end_with_reset(&self);

    /// Takes one byte, and the descriptor that comes with it.
    fn descriptor(&self) -> BoxFuture<'_, io::Result<Option<OwnedFd>>>;
}

impl Peer for TcpStream {
    fn end_with_reset(&self) {
        sockopt::set_socket_linger(self, Some(Duration::ZERO)).unwrap();
    }

    fn descriptor(&self) -> BoxFuture<'_, io::Result<Option<OwnedFd>>> {
        Box::pin(async { Ok(None) })
    }
}

impl Peer for UnixStream {
    fn end_with_reset(&self) {}

    fn descriptor(&self) -> BoxFuture<'_, io::Result<Option<OwnedFd>>> {
        Box::pin(self.async_io(Interest::READABLE, || receive_descriptor(self)))
    }
}

fn receive_descriptor(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let descriptors = |message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    };
    Ok(control.drain().find_map(descriptors))
}

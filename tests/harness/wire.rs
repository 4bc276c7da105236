//! Bytes over a bare socket, in both directions: what no HTTP library would send.

use std::{net::SocketAddr, time::Duration};

use rustix::net::sockopt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::App;

/// All that came over a connection until it was closed.
pub struct Wire(pub Vec<u8>);

impl Wire {
    /// The status of the first answer; 0 if the connection was just closed.
    pub fn status(&self) -> u16 {
        let text = String::from_utf8_lossy(&self.0);
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Everything after the first head.
    pub fn body(&self) -> &[u8] {
        let end = self.0.windows(4).position(|window| window == b"\r\n\r\n");
        end.map_or(&[], |end| &self.0[end + 4..])
    }

    /// True if these bytes are anywhere in it.
    pub fn contains(&self, bytes: &[u8]) -> bool {
        self.0.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Heads of answers in it.
    pub fn answers(&self) -> usize {
        self.0.windows(9).filter(|window| window == b"HTTP/1.1 ").count()
    }
}

/// Sends bytes and reads until the connection is closed.
pub async fn raw(app: &App, sent: impl AsRef<[u8]>) -> Wire {
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    // It may be closed before it has read everything.
    let _sent_or_refused = stream.write_all(sent.as_ref()).await;
    read_to_end(stream).await
}

/// Uploads so many bytes, without a token, and reads the status only when all are sent. In between, the application has
/// time to answer; if it then closed the connection instead of reading on, sending would fail.
pub async fn late_upload(app: &App, len: usize) -> u16 {
    const PIECE: usize = 64 * 1024;
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    let head = "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: hs.test\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Content-Length: {len}\r\n\r\n").as_bytes()).await.unwrap();
    for sent in (0..len).step_by(PIECE) {
        assert_eq!(app.admin.get("/livez").await.status, 200);
        let piece = vec![0; PIECE.min(len - sent)];
        stream.write_all(&piece).await.unwrap_or_else(|error| panic!("{error} after {sent} bytes"));
    }
    read_to_end(stream).await.status()
}

/// Everything until the end of a connection. A reset after the answer is as good as an end.
async fn read_to_end(mut stream: TcpStream) -> Wire {
    let mut answer = Vec::new();
    let limit = Duration::from_mins(1);
    let _end_or_reset = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await.expect("it is closed");
    Wire(answer)
}

/// A request without a body for a target that is sent as it is, with the token that the fake homeserver accepts.
pub fn target(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: hs.test\r\nAuthorization: Bearer token\r\nConnection: close\r\n\r\n")
}

/// A homeserver that answers everything with the same bytes and closes, or resets the connection if there are none.
pub struct BareHomeserver {
    /// Where it listens.
    pub address: SocketAddr,
}

impl BareHomeserver {
    pub async fn start(answer: impl Into<Vec<u8>>) -> Self {
        let (listener, answer) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), answer.into());
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, answer.clone()));
            }
        });
        Self { address }
    }
}

/// Takes a request and answers it.
async fn converse(mut stream: TcpStream, answer: Vec<u8>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if !stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
            return;
        }
    }
    if answer.is_empty() {
        // Its end is a reset.
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    }
    let _sent_or_refused = stream.write_all(&answer).await;
}

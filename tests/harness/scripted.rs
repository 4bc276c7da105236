//! A clamd that passes its canaries and then says of media whatever the test wants.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    sync::{Notify, watch},
};

use super::eicar;

/// Media in the order of their arrival.
type Media = Vec<Vec<u8>>;

/// What it does with a medium.
#[derive(Clone)]
pub enum Script {
    /// Takes all bytes, then sends this and closes.
    Reply(&'static [u8]),
    /// Sends this before it has read anything, and closes.
    Early(&'static [u8]),
    /// Takes all bytes and answers when notified.
    Held(Arc<Notify>, &'static [u8]),
    /// Also gets its canaries wrong: says this of everything.
    Always(&'static [u8]),
}

/// A running scripted clamd.
pub struct ScriptedClamd {
    address: String,
    _dir: Option<tempfile::TempDir>,
    answering: Answering,
    /// Media that it took all bytes of.
    pub received: watch::Receiver<Media>,
}

impl ScriptedClamd {
    /// Starts one that listens on TCP.
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp:{}", listener.local_addr().unwrap());
        let (answering, received) = Answering::new(script);
        let answers = answering.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answers.clone().converse(stream);
            }
        });
        Self { address, _dir: None, answering, received }
    }

    /// Starts one that listens on a local socket and may not read what is passed to it.
    pub fn start_without_descriptors(script: Script) -> Self {
        let dir = tempfile::Builder::new().prefix("lz").tempdir_in("/tmp").unwrap();
        let socket = dir.path().join("clamd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let address = format!("unix:{}", socket.display());
        let (answering, received) = Answering::new(script);
        let answers = answering.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answers.clone().converse(stream);
            }
        });
        Self { address, _dir: Some(dir), answering, received }
    }

    /// Changes the version that it gives from now on.
    pub fn set_version(&self, version: &'static str) {
        *self.answering.version.lock().unwrap() = version;
    }

    /// Waits until it has answered `count` more canaries.
    pub async fn has_answered_canaries(&self, count: usize) {
        let mut canaries = self.answering.canaries.subscribe();
        let before = *canaries.borrow();
        canaries.wait_for(|answered| *answered >= before + count).await.unwrap();
    }

    /// Changes what it does from the next connection on.
    pub fn set(&self, script: Script) {
        *self.answering.script.lock().unwrap() = script;
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Waits until it has all bytes of `count` media.
    pub async fn has_received(&self, count: usize) {
        self.received.clone().wait_for(|media| media.len() >= count).await.unwrap();
    }
}

/// What a listener gives to each connection.
#[derive(Clone)]
struct Answering {
    script: Arc<Mutex<Script>>,
    version: Arc<Mutex<&'static str>>,
    canaries: Arc<watch::Sender<usize>>,
    media: Arc<watch::Sender<Media>>,
}

impl Answering {
    fn new(script: Script) -> (Self, watch::Receiver<Media>) {
        let (media, received) = watch::channel(Vec::new());
        let answering = Self {
            script: Arc::new(Mutex::new(script)),
            version: Arc::new(Mutex::new("ClamAV 1.4.6/1/Scripted\0")),
            canaries: Arc::new(watch::channel(0).0),
            media: Arc::new(media),
        };
        (answering, received)
    }

    fn converse(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        tokio::spawn(async move { converse(stream, &self).await.unwrap_or_default() });
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, answering: &Answering) -> std::io::Result<()> {
    let script = answering.script.lock().unwrap().clone();
    let media = &answering.media;
    let mut command = Vec::new();
    while !matches!(command.last(), Some(0 | b'\n')) {
        command.push(stream.read_u8().await?);
    }
    if command.starts_with(b"zVERSION") || command.starts_with(b"nVERSION") || command.starts_with(b"VERSION") {
        let version = *answering.version.lock().unwrap();
        return stream.write_all(version.as_bytes()).await;
    }
    if command.starts_with(b"zFILDES") {
        // The byte that carries the descriptor.
        stream.read_u8().await?;
        return stream.write_all(b"fd[9]: Access denied. ERROR\0").await;
    }
    let mut first = stream.read_u32().await? as usize;
    let mut bytes = vec![0; first];
    // The first piece tells a canary; an early reply to anything else comes before the rest is read.
    stream.read_exact(&mut bytes).await?;
    let is_canary = bytes.starts_with(b"Lazaret canary") || bytes == eicar();
    if let (Script::Early(reply), false) = (&script, is_canary) {
        return stream.write_all(reply).await;
    }
    while first != 0 {
        first = stream.read_u32().await? as usize;
        let mut piece = vec![0; first];
        stream.read_exact(&mut piece).await?;
        bytes.append(&mut piece);
    }
    let reply = match script {
        Script::Always(reply) => reply,
        _ if bytes == eicar() => b"stream: Eicar-Test-Signature FOUND\0",
        _ if is_canary => b"stream: OK\0",
        Script::Reply(reply) | Script::Early(reply) => {
            media.send_modify(|media| media.push(bytes));
            reply
        }
        Script::Held(until, reply) => {
            media.send_modify(|media| media.push(bytes));
            until.notified().await;
            reply
        }
    };
    stream.write_all(reply).await?;
    if is_canary {
        answering.canaries.send_modify(|answered| *answered += 1);
    }
    Ok(())
}

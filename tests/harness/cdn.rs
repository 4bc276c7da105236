//! Where a homeserver keeps its media: an https server with a certificate of its own.

use std::{io::Write as _, net::SocketAddr, path::Path, sync::Arc};

use axum::serve::Listener;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::homeserver::{Homeserver, Seen, Stored};

/// A server's side of TLS with a certificate of its own, which is in the file.
pub fn tls_for(names: &[&str]) -> (TlsAcceptor, NamedTempFile) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut ca = NamedTempFile::new().unwrap();
    ca.write_all(cert.pem().as_bytes()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), ca)
}

/// A running CDN, by default on `127.0.0.1`, which is also `localhost`.
pub struct Cdn {
    server: Homeserver,
    ca: NamedTempFile,
}

impl Cdn {
    /// Starts one that answers 404 to everything.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1").await
    }

    /// Starts one on another address, too.
    pub async fn start_on(address: &str) -> Self {
        let (acceptor, ca) = tls_for(&["localhost", address]);
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        Self { server: Homeserver::behind(Tls { listener, acceptor }), ca }
    }

    /// Sets the answer on a path, without its query: with nothing but these headers.
    pub fn put(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) {
        let stored = Stored::media(body).open().without_headers();
        let stored = headers.iter().fold(stored, |stored, (name, value)| stored.header(name, value));
        self.put_stored(path, stored);
    }

    /// Sets any other answer on a path, without its query.
    pub fn put_stored(&self, path: &str, stored: Stored) {
        self.server.put(path, stored.open());
    }

    /// Sends whoever asks for a path to another place.
    pub fn put_redirect(&self, path: &str, status: u16, location: &str) {
        self.put_stored(path, Stored::json(status, "{}").header("location", location));
    }

    /// The server itself, for whatever it answers else.
    pub fn server(&self) -> &Homeserver {
        &self.server
    }

    /// Its name and port, as in the name of a server.
    pub fn authority(&self) -> String {
        self.server.address().to_string()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.server.address())
    }

    /// The same by name.
    pub fn url_by_name(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.address().port())
    }

    /// What to trust for it.
    pub fn ca_file(&self) -> &Path {
        self.ca.path()
    }

    /// The section of the configuration that follows redirects to it.
    pub fn settings(&self) -> String {
        let (address, ca_file) = (self.server.address(), self.ca_file().display());
        let hosts = format!("['{address}', 'localhost:{}']", address.port());
        format!("redirects: {{hosts: {hosts}, private_networks: [127.0.0.0/8, '::1/128'], ca_file: '{ca_file}'}}")
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.server.seen()
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, peer) = self.listener.accept().await.unwrap();
            // Who does not trust us breaks off here.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

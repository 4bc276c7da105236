//! TLS on the public side.

use std::{net::SocketAddr, path::Path, sync::Arc};

use http::{Request, Response, Version};
use http_body_util::Empty;
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::harness::{App, AppBuilder, Clamd, Homeserver, eventually, lazaret, put_policy, replace, request};

/// A certificate for `hs.test` and its key.
struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["hs.test".to_owned()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem(), der: made.cert.der().clone() }
    }

    /// Puts the pair where the application looks for it, one file after the other.
    fn put(&self, dir: &Path) {
        replace(&dir.join("certificate.pem"), &self.certificate);
        replace(&dir.join("key.pem"), &self.key);
    }
}

/// The `tls` section for files in `dir`, which are looked at as often.
fn section(dir: &Path, interval: &str) -> String {
    let dir = dir.display();
    format!("tls: {{certificate: '{dir}/certificate.pem', key: '{dir}/key.pem', reload_interval: {interval}}}")
}

async fn start(pair: &Pair, settings: &str) -> (Homeserver, Clamd, App, tempfile::TempDir) {
    start_looking(pair, "20ms", settings).await
}

async fn start_looking(pair: &Pair, interval: &str, settings: &str) -> (Homeserver, Clamd, App, tempfile::TempDir) {
    let (homeserver, clamd, dir) = (Homeserver::start().await, Clamd::start().await, tempfile::tempdir().unwrap());
    pair.put(dir.path());
    let app =
        AppBuilder::new(&homeserver).clamd(&clamd).with(&section(dir.path(), interval)).with(settings).start().await;
    (homeserver, clamd, app, dir)
}

/// Shakes hands, trusting nothing but that one certificate.
async fn connect(address: SocketAddr, trusted: &Pair, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("hs.test".try_into().unwrap(), stream).await
}

async fn client(address: SocketAddr, trusted: &Pair) -> http1::SendRequest<Empty<Bytes>> {
    let stream = connect(address, trusted, "http/1.1").await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// GET on a path that the homeserver does not know.
async fn get(sender: &mut http1::SendRequest<Empty<Bytes>>) -> Response<Incoming> {
    sender.ready().await.unwrap();
    let request = Request::get("/x").header("host", "hs.test").body(Empty::new()).unwrap();
    sender.send_request(request).await.unwrap()
}

/// Waits until the files were found changed that often, with that outcome.
async fn reloaded(app: &App, outcome: &str, times: u64) {
    let series = format!("lazaret_tls_reloads_total{{outcome=\"{outcome}\"}}");
    eventually(&series, || async { app.metric(&series).await == times }).await;
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_over_tls() {
    let pair = Pair::new();
    let (homeserver, _clamd, app, _dir) = start(&pair, "").await;

    let mut one = client(app.public, &pair).await;
    let answer = get(&mut one).await;
    assert_eq!((answer.status().as_u16(), answer.version()), (404, Version::HTTP_11));
    assert_eq!(homeserver.last().header("x-forwarded-proto"), Some("https"));

    let stream = connect(app.public, &pair, "h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut two, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = two.send_request(Request::get("https://hs.test/y").body(Empty::<Bytes>::new()).unwrap()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (404, Version::HTTP_2));
    let seen = homeserver.last();
    assert_eq!((seen.target.as_str(), seen.header("x-forwarded-proto")), ("/y", Some("https")));
    assert_eq!(seen.header("host"), Some("hs.test"));
}

#[tokio::test]
async fn raw_heads_are_watched_inside_tls() {
    let pair = Pair::new();
    let (homeserver, _clamd, app, _dir) = start(&pair, "").await;
    let mut stream = connect(app.public, &pair, "http/1.1").await.unwrap();
    let sent = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", answer.escape_ascii());
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_old_ones_go_on() {
    let (old, new) = (Pair::new(), Pair::new());
    let (_homeserver, _clamd, app, dir) = start(&old, "").await;
    let mut before = client(app.public, &old).await;
    assert_eq!(get(&mut before).await.status(), 404);

    new.put(dir.path());
    reloaded(&app, "loaded", 1).await;
    assert!(connect(app.public, &old, "http/1.1").await.is_err(), "the old one is not shown any more");
    assert_eq!(get(&mut client(app.public, &new).await).await.status(), 404);
    assert_eq!(get(&mut before).await.status(), 404, "the old connection is still there");
    let expiry = app.metric("lazaret_tls_certificate_expiry_timestamp_seconds").await;
    assert!(expiry > 4_000_000_000, "the certificates of these tests are for very long: {expiry}");
}

#[tokio::test]
async fn a_reload_does_not_wait_for_the_next_look() {
    let (old, new) = (Pair::new(), Pair::new());
    let (_homeserver, _clamd, app, dir) = start_looking(&old, "1h", "").await;
    assert_eq!(get(&mut client(app.public, &old).await).await.status(), 404);
    new.put(dir.path());
    assert_eq!(app.admin.send(request("POST", "/reload"), b"").await.status, 200);
    reloaded(&app, "loaded", 1).await;
    assert_eq!(get(&mut client(app.public, &new).await).await.status(), 404);
}

#[tokio::test]
async fn a_pair_that_does_not_load_changes_nothing() {
    let (old, new) = (Pair::new(), Pair::new());
    let (_homeserver, _clamd, app, dir) = start(&old, "").await;
    let certificate = dir.path().join("certificate.pem");
    for (times, content) in [(1, "no certificate"), (2, &*new.certificate)] {
        replace(&certificate, content);
        reloaded(&app, "failed", times).await;
        assert_eq!(get(&mut client(app.public, &old).await).await.status(), 404);
    }
    std::fs::remove_file(&certificate).unwrap();
    reloaded(&app, "failed", 3).await;
    assert_eq!(get(&mut client(app.public, &old).await).await.status(), 404);
    old.put(dir.path());
    reloaded(&app, "loaded", 1).await;
    assert_eq!(get(&mut client(app.public, &old).await).await.status(), 404);
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let pair = Pair::new();
    let (_homeserver, _clamd, app, _dir) = start(&pair, "limits: {head_timeout: 300ms}").await;
    // A record of a handshake that announces more than comes; nothing; and no TLS at all.
    for begun in [&b"\x16\x03\x01\x02\x00\x01"[..], b"", b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = TcpStream::connect(app.public).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut answer = Vec::new();
        let limit = std::time::Duration::from_mins(1);
        let _end_or_reset = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await.expect("it is closed");
        assert!(!answer.starts_with(b"HTTP"), "{}", answer.escape_ascii());
    }
    eventually("nothing is held", || async { app.metric("lazaret_connections").await == 0 }).await;
}

#[tokio::test]
async fn stalled_handshakes_take_no_one_else_down() {
    let pair = Pair::new();
    let (_homeserver, _clamd, app, _dir) = start(&pair, "limits: {head_timeout: 1h}").await;
    let mut stalled = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(app.public).await.unwrap();
        stream.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        stalled.push(stream);
    }
    eventually("all of them are taken", || async { app.metric("lazaret_connections").await == 32 }).await;
    assert_eq!(get(&mut client(app.public, &pair).await).await.status(), 404);
    app.stop().await;
    assert!(app.ended().await, "they do not keep the process from ending");
}

/// Runs `lazaret check` with that certificate and key.
async fn check(certificate: &str, key: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("certificate.pem"), certificate).unwrap();
    std::fs::write(dir.path().join("key.pem"), key).unwrap();
    put_policy(dir.path(), "a.yaml", "version: 1\nrules: []\n");
    let file = dir.path().join("lazaret.yaml");
    let text = format!(
        "homeserver: {{url: 'http://127.0.0.1:1'}}\npolicy: {{dir: '{0}/policies'}}\n\
         crypto: {{request_secret_path: '{0}/secret'}}\ncache: {{store: memory}}\n{1}\n",
        dir.path().display(),
        section(dir.path(), "20ms")
    );
    std::fs::write(&file, text).unwrap();
    let output = lazaret(&["check", "--config"]).arg(&file).output().await.unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn check_finds_files_that_are_no_pair() {
    let (one, other) = (Pair::new(), Pair::new());
    assert!(check(&one.certificate, &one.key).await.0);
    for (certificate, key, problem) in [
        (&one.certificate, &other.key, "no usable pair"),
        (&one.key, &one.key, "no certificate"),
        (&one.certificate, &one.certificate, "not a private key"),
    ] {
        let (succeeds, says) = check(certificate, key).await;
        assert!(!succeeds && says.contains(problem), "{says}");
        assert!(says.contains("tls.certificate") && !says.contains("BEGIN"), "{says}");
    }
}

#[tokio::test]
async fn check_says_that_a_certificate_has_expired() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut wanted = rcgen::CertificateParams::new(["hs.test".to_owned()]).unwrap();
    wanted.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certificate = wanted.self_signed(&key).unwrap();
    let (succeeds, says) = check(&certificate.pem(), &key.serialize_pem()).await;
    assert!(succeeds && says.contains("has expired"), "{says}");
}

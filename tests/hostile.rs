//! Requests that no client library would send, over a bare socket.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{App, AppBuilder, Clamd, Homeserver, Stored, eicar, start};

/// Sends bytes and gives the status line of the answer; empty if the connection was just closed.
async fn raw(app: &App, sent: &str) -> String {
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _end_or_reset = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn requests_that_others_could_read_differently_are_refused() {
    let (homeserver, _clamd, app) = start().await;
    let media = "/_matrix/media/v3/download/hs.test/m";
    for sent in [
        format!("GET http://hs.test{media} HTTP/1.1\r\nHost: hs.test\r\n"),
        format!("GET {media} HTTP/1.1\r\nHost: a\r\nHost: b\r\n"),
        format!("GET {media} HTTP/1.1\r\n"),
        "OPTIONS * HTTP/1.1\r\nHost: hs.test\r\n".to_owned(),
        "CONNECT hs.test:80 HTTP/1.1\r\nHost: hs.test:80\r\n".to_owned(),
        "GET relative HTTP/1.1\r\nHost: hs.test\r\n".to_owned(),
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n".to_owned(),
    ] {
        let status = raw(&app, &format!("{sent}Connection: close\r\n\r\n")).await;
        assert!(status.starts_with("HTTP/1.1 400"), "{sent:?}: {status:?}");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn no_spelling_sent_over_a_bare_socket_leaks_an_infected_medium() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(&eicar()));
    for target in [
        "/_matrix/media/v3/download/hs.test/m",
        "/_matrix/media/v3/download/hs.test/m?x=/../..",
        "/_matrix/media/v3/download/hs.test/m/",
        "/_matrix/media/v3/download/hs.test/m;x",
        "/_matrix/media/v3/download/hs.test/m#x",
        "/_matrix/media/v3\\download/hs.test/m",
        "//_matrix/media/v3/download/hs.test/m",
        "/_matrix/media/v3/./download/hs.test/m",
    ] {
        for method in ["GET", "HEAD", "get", "POST"] {
            let sent = format!("{method} {target} HTTP/1.1\r\nHost: hs.test\r\nConnection: close\r\n\r\n");
            let status = raw(&app, &sent).await;
            assert!(status.starts_with("HTTP/1.1 4"), "{method} {target}: {status:?}");
        }
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {head_timeout: 200ms}").start().await;
    assert_eq!(raw(&app, "GET /_matrix/client/versions HTTP/1.1\r\nHost: hs").await, "", "closed");
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let (homeserver, _clamd, app) = start().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(500));
    for sent in [long, many] {
        let status = raw(&app, &sent).await;
        assert!(status.is_empty() || status.starts_with("HTTP/1.1 4"), "{status:?}");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

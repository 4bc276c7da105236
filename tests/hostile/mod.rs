//! Requests that no client library would send, over a bare socket.

mod framing;
mod http2;
mod methods;
mod slow;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{App, AppBuilder, Clamd, Homeserver, Stored, eicar, request, start};

/// Sends bytes and gives the status line of the answer; empty if the connection was just closed.
async fn raw(app: &App, sent: &str) -> String {
    exchange(app, sent).await.lines().next().unwrap_or_default().to_owned()
}

/// Sends bytes and gives all that comes back until the connection is closed.
async fn exchange(app: &App, sent: &str) -> String {
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

/// All that comes until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let limit = std::time::Duration::from_mins(1);
    let _end_or_reset = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await.expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

/// What comes up to and including the first `end`.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.ends_with(end) {
        let limit = std::time::Duration::from_mins(1);
        let byte = tokio::time::timeout(limit, stream.read_u8()).await.expect("more comes");
        answer.push(char::from(byte.unwrap_or_else(|error| panic!("{error} after {answer:?}"))));
    }
    answer
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
    for begun in [
        "GET /_matrix/client/versions HTTP/1.1\r\nHost: hs",
        "",
        "PRI * HTTP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        // Closed, after no more than the settings that HTTP/2 begins with.
        assert!(!raw(&app, begun).await.starts_with("HTTP/1.1 2"), "{begun:?}");
    }
}

#[tokio::test]
async fn connection_cannot_take_away_what_a_request_is_about() {
    let (homeserver, _clamd, app) = start().await;
    let sent = request("GET", "/x").header("host", "hs.test").header("authorization", "Bearer token");
    app.client.send(sent.header("connection", "host, authorization"), b"").await;
    let seen = homeserver.last();
    assert_eq!((seen.header("host"), seen.header("authorization")), (Some("hs.test"), Some("Bearer token")));
}

#[tokio::test]
async fn a_refused_head_has_no_body_over_http2() {
    let (_homeserver, _clamd, app) = start().await;
    let answer = app.client.http2().send(request("HEAD", "/_matrix/media/v3/nonsense"), b"").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (404, 0));
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let (homeserver, _clamd, app) = start().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000));
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(100_000));
    let with_headers = |count: usize| {
        let head = "GET /_matrix/media/v3/nonsense HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        format!("{head}{}\r\n", "X: y\r\n".repeat(count - 2))
    };
    for sent in [long, large, with_headers(129)] {
        let status = raw(&app, &sent).await;
        assert!(status.starts_with("HTTP/1.1 431") || status.starts_with("HTTP/1.1 414"), "{status:?}");
    }
    assert!(raw(&app, &with_headers(128)).await.starts_with("HTTP/1.1 404"), "up to the limit they are read");
    assert_eq!(homeserver.seen().len(), 0);
}

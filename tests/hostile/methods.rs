//! Methods, targets and protocols that nobody needs.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{exchange, raw};
use crate::harness::{AppBuilder, Clamd, Homeserver, Stored, request, start};

const MEDIUM: &str = "/_matrix/client/v1/media/download/hs.test/m";

#[tokio::test]
async fn methods_that_matrix_does_not_use_are_refused_on_every_path() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    for method in ["get", "Get", "TRACE", "PROPFIND", "QUERY", "X"] {
        for path in ["/x", MEDIUM, "/_matrix/media/v3/upload", "/_matrix/media_proxy/unstable/public_key"] {
            let sent = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token\r\n");
            let answer = exchange(&app, &format!("{sent}Connection: close\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 405"), "{method} {path}: {answer:?}");
            assert!(answer.contains("M_UNRECOGNIZED"), "{answer:?}");
        }
    }
    let connect = "CONNECT hs.test:80 HTTP/1.1\r\nHost: hs.test:80\r\nConnection: close\r\n\r\n";
    assert!(raw(&app, connect).await.starts_with("HTTP/1.1 405"));
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn a_target_longer_than_homeservers_take_is_refused() {
    let (homeserver, _clamd, app) = start().await;
    for (length, status) in [(16 * 1024, 404), (16 * 1024 + 1, 414)] {
        let target = format!("/x?{}", "y".repeat(length - 3));
        for client in [app.client.clone(), app.client.http2()] {
            assert_eq!(client.get(&target).await.status, status);
        }
    }
    app.client.get(&format!("{MEDIUM}?{}", "y".repeat(16 * 1024))).await.assert_matrix_error(414, "M_UNKNOWN");
    assert_eq!(homeserver.seen().len(), 2);
}

#[tokio::test]
async fn media_are_not_served_over_other_protocols() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let upgrading = |path: &str, to: &str| {
        let sent = request("GET", path).header("authorization", "Bearer token");
        app.client.send(sent.header("connection", "upgrade").header("upgrade", to), b"")
    };
    for (path, to, status) in [
        (MEDIUM, "websocket", 400),
        (MEDIUM, "h2c, websocket", 400),
        ("/_matrix/media_proxy/unstable/public_key", "x", 400),
        (MEDIUM, "H2C", 200),
        ("/x", "websocket", 404),
    ] {
        assert_eq!(upgrading(path, to).await.status, status, "{path} {to}");
        assert!(homeserver.seen().iter().all(|seen| seen.header("upgrade").is_none()));
    }
    assert_eq!(homeserver.seen().len(), 2);
}

#[tokio::test]
async fn nothing_goes_through_a_homeserver_that_switches_protocols() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let switching = tokio::spawn(async move {
        let mut received = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfrom behind";
            stream.write_all(answer).await.unwrap();
            // A reset is as good as an end.
            let _end_or_reset = stream.read_to_end(&mut received).await;
        }
        received
    });
    let app = AppBuilder::new(&homeserver).homeserver_at(address).clamd(&clamd).start().await;
    for path in ["/x", "/_matrix/media/v3/download/hs.test/m"] {
        let upgrade = if path == "/x" { "Connection: upgrade\r\nUpgrade: x\r\n" } else { "" };
        let sent = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{upgrade}\r\nfrom the front\r\n\r\n");
        let answer = exchange(&app, &sent).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{path}: {answer:?}");
        assert!(!answer.contains("from behind"), "{path}: {answer:?}");
    }
    assert_eq!(switching.await.unwrap(), b"", "nothing came after the requests");
}

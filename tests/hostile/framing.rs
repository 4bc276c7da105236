//! Where one request ends and the next begins: everyone must read it alike, or nobody reads it.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{exchange, rest, until};
use crate::harness::{App, Homeserver, Stored, eicar, start};

const UPLOAD: &str = "/_matrix/media/v3/upload";

/// A second request, hidden behind the first by whoever reads it otherwise.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

fn stores(homeserver: &Homeserver) {
    homeserver.put(UPLOAD, Stored::json(200, r#"{"content_uri":"mxc://hs.test/m"}"#));
}

/// Asserts one answer, a 400, and that the homeserver heard nothing.
async fn assert_refused(homeserver: &Homeserver, app: &App, sent: &str) -> String {
    let answer = exchange(app, sent).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{sent:?}: {answer:?}");
    assert_eq!(answer.matches("HTTP/1.").count(), 1, "{sent:?}: {answer:?}");
    assert_eq!(homeserver.seen().len(), 0, "{sent:?}");
    answer
}

#[tokio::test]
async fn a_head_that_can_be_read_in_two_ways_goes_nowhere() {
    let (homeserver, _clamd, app) = start().await;
    for target in ["/x", UPLOAD, "/_matrix/media_proxy/unstable/scan_encrypted"] {
        for (headers, body) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
            ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
            ("Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
            ("Content-Length: 1\r\nContent-Length: 1", "x"),
            ("X: y\nContent-Length: 1", "x"),
            ("X: y\n", ""),
        ] {
            let sent = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{body}{HIDDEN}");
            let answer = assert_refused(&homeserver, &app, &sent).await;
            assert!(answer.contains("connection: close\r\n") && answer.contains("M_UNKNOWN"), "{answer:?}");
        }
    }
    let answer = assert_refused(&homeserver, &app, &format!("GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}")).await;
    assert!(answer.contains("connection: close\r\n") && answer.contains("fragment"), "{answer:?}");
}

/// These end in hyper, which says no more than a status.
#[tokio::test]
async fn a_head_that_is_none_goes_nowhere() {
    let (homeserver, _clamd, app) = start().await;
    for headers in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 1",
        "Content-Length: +1",
        "Content-Length: -1",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding : chunked",
        "Content-Length : 1",
        "X: y\r\n Content-Length: 1",
        "X: y\r\n\tz",
        "X: \0",
        "X: a\rb",
        "X\0: a",
        ": a",
        "X",
    ] {
        let sent = format!("POST /x HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\nx{HIDDEN}");
        assert_refused(&homeserver, &app, &sent).await;
    }
    let old = format!("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}");
    assert_refused(&homeserver, &app, &old).await;
}

#[tokio::test]
async fn pipelined_requests_are_each_read_by_their_own_head() {
    let (homeserver, _clamd, app) = start().await;
    let good = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\
                POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n\
                POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let bad = "POST /d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = exchange(&app, &format!("{good}{bad}{HIDDEN}")).await;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["404", "404", "404", "400"], "{answer:?}");
    let targets: Vec<_> = homeserver.seen().into_iter().map(|seen| (seen.target, seen.body.len())).collect();
    assert_eq!(targets, [("/a".to_owned(), 1), ("/b".to_owned(), HIDDEN.len()), ("/c".to_owned(), 0)]);
}

#[tokio::test]
async fn a_connection_serves_uploads_of_both_framings_one_after_the_other() {
    let (homeserver, _clamd, app) = start().await;
    stores(&homeserver);
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    for (framing, body) in [
        ("Transfer-Encoding: chunked", "6;x=y\r\nGET / \r\n2\r\nH \r\n0\r\nX: y\r\n\r\n"),
        ("Content-Length: 8", "GET / H "),
        ("transfer-encoding:CHUNKED", "8\r\nGET / H \r\n0\r\n\r\n"),
    ] {
        let head = format!("POST {UPLOAD} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token\r\n{framing}\r\n\r\n");
        for part in [&*head, body] {
            stream.write_all(part.as_bytes()).await.unwrap();
        }
        let answer = until(&mut stream, r#"{"content_uri":"mxc://hs.test/m"}"#).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        assert_eq!(&homeserver.last().body[..], b"GET / H ", "{framing}");
    }
}

#[tokio::test]
async fn an_infected_upload_in_chunks_is_found() {
    let (homeserver, _clamd, app) = start().await;
    stores(&homeserver);
    let chunks: Vec<String> = eicar().iter().map(|byte| format!("1\r\n{}\r\n", char::from(*byte))).collect();
    let head = format!("POST {UPLOAD} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    let answer = exchange(&app, &format!("{head}{}0\r\n\r\n", chunks.concat())).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer:?}");
    assert!(homeserver.seen().iter().all(|seen| seen.target != UPLOAD));
}

#[tokio::test]
async fn a_body_is_asked_for_when_it_is_wanted() {
    let (homeserver, _clamd, app) = start().await;
    stores(&homeserver);
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    let expecting = |headers: &str| {
        format!(
            "POST {UPLOAD} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token\r\nExpect: 100-continue\r\n{headers}\r\n\r\n"
        )
    };
    stream.write_all(expecting("Content-Length: 4").as_bytes()).await.unwrap();
    assert_eq!(until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    let answer = until(&mut stream, r#"{"content_uri":"mxc://hs.test/m"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    assert_eq!(&homeserver.last().body[..], b"body");

    let refused = "Content-Length: 4\r\nTransfer-Encoding: chunked";
    stream.write_all(expecting(refused).as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400") && !answer.contains("100 Continue"), "{answer:?}");
}

//! Clients that take their time.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::rest;
use crate::harness::{AppBuilder, Clamd, Homeserver, eventually};

const UPLOAD: &str = "/_matrix/media/v3/upload";

#[tokio::test]
async fn a_head_that_comes_a_byte_at_a_time_is_cut() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {head_timeout: 300ms}").start().await;
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
    // Each byte is in time, all of them together are not.
    let sending = async {
        while stream.write_all(b"X: y\r\n").await.is_ok() {
            pause.tick().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), sending).await.expect("it is cut");
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_and_holds_nothing() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {stall_timeout: 300ms}").start().await;
    for (path, status) in [(UPLOAD, "408"), ("/x", "502")] {
        for (framing, begun) in [("Content-Length: 5", "a"), ("Transfer-Encoding: chunked", "5\r\na")] {
            let mut stream = TcpStream::connect(app.public).await.unwrap();
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token\r\n{framing}\r\n\r\n");
            stream.write_all(format!("{head}{begun}").as_bytes()).await.unwrap();
            let answer = rest(&mut stream).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {framing}: {answer:?}");
        }
    }
    for gauge in ["lazaret_media_requests", "lazaret_spool_memory_bytes"] {
        eventually(gauge, || async { app.metric(gauge).await == 0 }).await;
    }
    assert!(homeserver.seen().iter().all(|seen| seen.target != UPLOAD));
}

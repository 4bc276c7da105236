//! Native uploads: the homeserver gets what was let through, and nothing of anything else.

use std::sync::Arc;

use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::Notify;

use crate::harness::{App, AppBuilder, Clamd, Homeserver, Stored, eicar, late_upload, marker, request};

const ROUTES: [(&str, &str); 4] = [
    ("POST", "/_matrix/media/v3/upload"),
    ("POST", "/_matrix/media/r0/upload"),
    ("POST", "/_matrix/media/v1/upload"),
    ("PUT", "/_matrix/media/v3/upload/hs.test/m"),
];

async fn start(settings: &str) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    for (_, path) in ROUTES {
        homeserver.put(path, Stored::json(200, r#"{"content_uri":"mxc://hs.test/m"}"#));
    }
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(settings).start().await;
    (homeserver, clamd, app)
}

#[tokio::test]
async fn clean_uploads_are_forwarded_as_they_came() {
    let (homeserver, _clamd, app) = start("").await;
    let body: Vec<u8> = (0..2_000_000_u32).map(|i| (i % 241) as u8).collect();
    for (method, path) in ROUTES {
        let target = format!("{path}?filename=a%20b.png");
        let sent = request(method, &target).header("authorization", "Bearer token").header("content-type", "image/png");
        let answer = app.client.send(sent, &body).await;
        assert_eq!(answer.text(), r#"{"content_uri":"mxc://hs.test/m"}"#);
        let seen = homeserver.last();
        assert_eq!((seen.method.as_str(), &seen.target), (method, &target));
        assert_eq!(
            (seen.header("authorization"), seen.header("content-type")),
            (Some("Bearer token"), Some("image/png"))
        );
        assert_eq!((seen.header("content-length"), seen.header("transfer-encoding")), (Some("2000000"), None));
        assert!(seen.body == body);
    }
}

#[tokio::test]
async fn a_chunked_upload_reaches_the_homeserver_with_a_length() {
    let (homeserver, _clamd, app) = start("").await;
    let chunks = ["in ", "several ", "chunks"].map(|text| Ok::<_, std::io::Error>(Frame::data(text.as_bytes())));
    let body = StreamBody::new(futures_util::stream::iter(chunks));
    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{}/_matrix/media/v3/upload", app.public)).body(body).unwrap();
    assert_eq!(pool.request(request).await.unwrap().status(), 200);
    let seen = homeserver.last();
    assert_eq!((&seen.body[..], seen.header("content-length")), (&b"in several chunks"[..], Some("17")));
    assert_eq!(seen.header("transfer-encoding"), None);
}

#[tokio::test]
async fn the_homeserver_sees_nothing_of_an_infected_upload() {
    let (homeserver, _clamd, app) = start("").await;
    for (method, path) in ROUTES {
        for specimen in [eicar(), marker(3_000_000)] {
            app.client.send(request(method, path), &specimen).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
    }
    assert_eq!(homeserver.uploads(), 0);
    assert_eq!(app.scans("infected").await, 2, "the same content is refused again without a scan");
}

#[tokio::test]
async fn a_file_is_scanned_for_nobody_whom_the_homeserver_does_not_know() {
    let (homeserver, _clamd, app) = start("").await;
    homeserver.put("/_matrix/client/v3/account/whoami", Stored::media(b"{}"));
    for (method, path) in ROUTES {
        let target = format!("{path}?filename=a&user_id=%40bridge%3Ahs.test");
        app.client.send(request(method, &target), &eicar()).await.assert_matrix_error(401, "M_MISSING_TOKEN");
        assert_eq!(
            homeserver.last().target,
            "/_matrix/client/v3/account/whoami?filename=a&user_id=%40bridge%3Ahs.test"
        );
        let sent = request(method, &target).header("authorization", "Bearer token");
        app.client.send(sent, &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert_eq!((homeserver.uploads(), app.scans("infected").await), (0, 1));
}

#[tokio::test]
async fn a_client_that_reads_only_after_it_has_sent_all_learns_why_it_was_refused() {
    let (homeserver, _clamd, app) = start("limits: {max_media_bytes: 1MiB}").await;
    homeserver.put("/_matrix/client/v3/account/whoami", Stored::media(b"{}"));
    for (len, status) in [(1 << 20, 401), (3 << 20, 413)] {
        assert_eq!(late_upload(&app, len).await, status);
    }
}

#[tokio::test]
async fn a_homeserver_that_serves_only_media_is_not_asked_for_users_in_vain() {
    let (homeserver, _clamd, app) = start("").await;
    for status in [404, 405, 500, 502] {
        homeserver.put("/_matrix/client/v3/account/whoami", Stored::json(status, "{}"));
        assert_eq!(app.post("/_matrix/media/v3/upload", b"a medium").await.status, 200, "{status}");
    }
}

#[tokio::test]
async fn uploads_larger_than_the_limit_are_refused() {
    let (homeserver, _clamd, app) = start("limits: {max_media_bytes: 1000}").await;
    app.post("/_matrix/media/v3/upload", &[0; 1001]).await.assert_matrix_error(413, "M_TOO_LARGE");
    assert_eq!(homeserver.uploads(), 0);
    assert_eq!(app.post("/_matrix/media/v3/upload", &[0; 1000]).await.status, 200);
}

#[tokio::test]
async fn an_upload_without_a_length_is_cut_at_the_limit() {
    let (homeserver, _clamd, app) = start("limits: {max_media_bytes: 100000}").await;
    let endless = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Frame::data(&[0_u8; 10_000][..])));
    let body = StreamBody::new(futures_util::stream::iter(endless.take(50)));
    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{}/_matrix/media/v3/upload", app.public)).body(body).unwrap();
    assert_eq!(pool.request(request).await.unwrap().status(), 413);
    assert_eq!(homeserver.uploads(), 0);
}

#[tokio::test]
async fn an_upload_that_stalls_is_cut() {
    let (homeserver, _clamd, app) = start("limits: {stall_timeout: 200ms}").await;
    let never = Arc::new(Notify::new());
    let stalling = async move {
        never.notified().await;
        Ok::<_, std::io::Error>(Frame::data(&b"never sent"[..]))
    };
    let first = futures_util::stream::iter([Ok(Frame::data(&b"the beginning"[..]))]);
    let body = StreamBody::new(futures_util::StreamExt::chain(first, Box::pin(futures_util::stream::once(stalling))));
    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{}/_matrix/media/v3/upload", app.public)).body(body).unwrap();
    assert_eq!(pool.request(request).await.unwrap().status(), 408);
    assert_eq!(homeserver.uploads(), 0);
}

#[tokio::test]
async fn uploads_that_readers_would_decode_differently_are_refused() {
    let (homeserver, _clamd, app) = start("").await;
    for (name, value) in [
        ("content-encoding", "gzip"),
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-type", "Multipart/Form-Data"),
    ] {
        let sent = request("POST", "/_matrix/media/v3/upload").header(name, value);
        app.client.send(sent, b"x").await.assert_matrix_error(415, "M_UNKNOWN");
    }
    let sent = request("POST", "/_matrix/media/v3/upload").header("content-type", "image/png");
    app.client
        .send(sent.header("content-type", "multipart/form-data"), b"x")
        .await
        .assert_matrix_error(400, "M_UNKNOWN");
    assert_eq!(homeserver.uploads(), 0);
}

#[tokio::test]
async fn an_upload_that_homeservers_would_name_differently_is_refused() {
    let (homeserver, _clamd, app) = start("").await;
    for (method, path) in [("POST", "upload"), ("PUT", "upload/hs.test/abc")] {
        let target = format!("/_matrix/media/v3/{path}?a=;filename=a.png&filename=a.exe");
        app.client.send(request(method, &target), b"x").await.assert_matrix_error(400, "M_UNKNOWN");
    }
    assert_eq!(homeserver.uploads(), 0);
    let escaped = request("POST", "/_matrix/media/v3/upload?filename=a%3Bb.png");
    assert_eq!(app.client.send(escaped, b"x").await.status, 200);
}

#[tokio::test]
async fn an_upload_that_trickles_is_cut() {
    let (homeserver, _clamd, app) = start("limits: {stall_timeout: 200ms}").await;
    let pause = tokio::time::interval(std::time::Duration::from_millis(20));
    let trickle = futures_util::stream::unfold(pause, |mut pause| async move {
        pause.tick().await;
        Some((Ok::<_, std::io::Error>(Frame::data(&b"x"[..])), pause))
    });
    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let body = StreamBody::new(Box::pin(trickle));
    let request = http::Request::post(format!("http://{}/_matrix/media/v3/upload", app.public)).body(body).unwrap();
    assert_eq!(pool.request(request).await.unwrap().status(), 408);
    assert_eq!(homeserver.uploads(), 0);
}

#[tokio::test]
async fn what_the_homeserver_says_of_an_upload_is_passed_on() {
    let (homeserver, _clamd, app) = start("").await;
    let body = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many","retry_after_ms":5}"#;
    homeserver.put("/_matrix/media/v3/upload", Stored::json(429, body).header("retry-after", "1"));
    let answer = app.post("/_matrix/media/v3/upload", b"x").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str(), answer.header("retry-after")), (429, body, Some("1")));
}

#[tokio::test]
async fn an_async_upload_needs_a_well_formed_address() {
    let (homeserver, _clamd, app) = start("").await;
    for path in
        ["/_matrix/media/v3/upload/hs.test/..", "/_matrix/media/v1/upload/hs.test/m", "/_matrix/media/v3/upload/"]
    {
        app.client.send(request("PUT", path), b"x").await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    assert_eq!(homeserver.uploads(), 0);
}

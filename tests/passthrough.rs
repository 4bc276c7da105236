//! What is not media is passed through as it came.

use std::sync::Arc;

use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use crate::harness::{AppBuilder, Clamd, Client, Homeserver, Stored, request, start};

#[tokio::test]
async fn other_requests_and_answers_pass_untouched() {
    let (homeserver, _clamd, app) = start().await;
    let path = "/_matrix/client/v3/rooms/!a%3Ahs.test/state/x%2Fy/media";
    homeserver
        .put(path, Stored::json(418, r#"{"errcode":"M_TEAPOT"}"#).header("x-kept", "1").header("set-cookie", "a=b"));

    let target = format!("{path}?a=%20b&&c=d%2F?e");
    let sent = request("PATCH", &target).header("x-mine", "kept").header("cookie", "c=d").header("host", "hs.test");
    let answer = app.client.send(sent, b"body").await;

    assert_eq!((answer.status.as_u16(), &answer.body[..]), (418, &br#"{"errcode":"M_TEAPOT"}"#[..]));
    assert_eq!(answer.header("content-length"), Some("22"), "framed as it came");
    assert_eq!((answer.header("x-kept"), answer.header("set-cookie")), (Some("1"), Some("a=b")));
    let seen = homeserver.last();
    assert_eq!((seen.method.as_str(), &seen.target, &seen.body[..]), ("PATCH", &target, &b"body"[..]));
    assert_eq!((seen.header("x-mine"), seen.header("cookie")), (Some("kept"), Some("c=d")));
    assert_eq!((seen.header("host"), seen.header("content-length")), (Some("hs.test"), Some("4")));
}

#[tokio::test]
async fn headers_of_a_connection_end_here() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put("/x", Stored::json(200, "{}").header("connection", "x-theirs").header("x-theirs", "1"));
    let sent = request("GET", "/x").header("connection", "x-mine").header("x-mine", "1").header("upgrade", "websocket");
    let answer = app.client.send(sent, b"").await;
    assert_eq!(answer.header("x-theirs"), None);
    let seen = homeserver.last();
    assert_eq!((seen.header("x-mine"), seen.header("upgrade"), seen.header("connection")), (None, None, None));
}

#[tokio::test]
async fn the_homeserver_learns_who_the_client_is() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let claims = |builder: http::request::Builder| {
        builder.header("x-forwarded-for", "6.6.6.6, 203.0.113.9").header("x-forwarded-proto", "https")
    };
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    app.client.send(claims(request("GET", "/x")), b"").await;
    let seen = homeserver.last();
    assert_eq!(
        (seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")),
        (Some("203.0.113.9"), Some("https"))
    );

    let wary = AppBuilder::new(&homeserver).clamd(&clamd).with("trusted_proxies: []").start().await;
    wary.client.send(claims(request("GET", "/x")), b"").await;
    let seen = homeserver.last();
    assert_eq!((seen.header("x-forwarded-for"), seen.header("x-forwarded-proto")), (Some("127.0.0.1"), Some("http")));
}

#[tokio::test]
async fn an_answer_is_streamed_as_it_comes() {
    let (homeserver, _clamd, app) = start().await;
    let rest = Arc::new(Notify::new());
    homeserver.put("/slow", Stored::json(200, "").held(b"first", &rest, b"second"));

    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::get(format!("http://{}/slow", app.public)).body(String::new()).unwrap();
    let mut body = pool.request(request).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"first", "came before the homeserver was told to send the rest");
    rest.notify_one();
    assert_eq!(&body.collect().await.unwrap().to_bytes()[..], b"second");
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put("/x", Stored::json(200, "{}"));
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let client = app.client.http2();
    assert_eq!(client.send(request("POST", "/x"), b"body").await.status, 200);
    let seen = homeserver.last();
    assert_eq!((&seen.body[..], seen.header("host")), (&b"body"[..], Some(app.public.to_string().as_str())));
    let answer = client
        .send(
            request("GET", "/_matrix/client/v1/media/download/hs.test/m").header("authorization", "Bearer token"),
            b"",
        )
        .await;
    assert_eq!(&answer.body[..], b"a medium");
}

#[tokio::test]
async fn metadata_of_media_passes() {
    let (homeserver, _clamd, app) = start().await;
    for path in ["/_matrix/client/v1/media/preview_url", "/_matrix/media/v3/preview_url", "/_matrix/client/versions"] {
        homeserver.put(path, Stored::json(200, r#"{"x":1}"#));
        assert_eq!(app.get(path).await.text(), r#"{"x":1}"#);
    }
}

#[tokio::test]
async fn a_homeserver_that_is_away_is_a_bad_gateway() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = AppBuilder::new(&homeserver).clamd(&clamd).homeserver_at(nobody).start().await;
    app.get("/_matrix/client/versions").await.assert_matrix_error(502, "M_UNKNOWN");
    app.get("/_matrix/client/v1/media/download/hs.test/m").await.assert_matrix_error(502, "M_UNKNOWN");
    let gone = Client::new(nobody).try_send(request("GET", "/"), b"").await;
    assert!(gone.is_err(), "nobody listens there");
}

#[tokio::test]
async fn a_request_body_is_streamed_as_it_comes() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = AppBuilder::new(&homeserver).clamd(&clamd).homeserver_at(upstream.local_addr().unwrap()).start().await;
    let mut client = tokio::net::TcpStream::connect(app.public).await.unwrap();
    client.write_all(b"POST /x HTTP/1.1\r\nHost: hs.test\r\nContent-Length: 11\r\n\r\nfirst").await.unwrap();

    let (mut stream, _) = upstream.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"first") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{}", seen.escape_ascii());
    }
    client.write_all(b"second").await.unwrap();
    while !seen.ends_with(b"second") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{}", seen.escape_ascii());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn headers_that_name_another_request_stay_behind() {
    let (homeserver, _clamd, app) = start().await;
    let media = "/_matrix/media/v3/download/hs.test/m";
    let sent =
        ["x-original-url", "x-rewrite-url"].iter().fold(request("GET", "/x"), |sent, name| sent.header(*name, media));
    let sent =
        ["x-http-method-override", "x-method-override"].iter().fold(sent, |sent, name| sent.header(*name, "PUT"));
    app.client.send(sent, b"").await;
    let seen = homeserver.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/x"));
    for name in ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-method-override"] {
        assert_eq!(seen.header(name), None, "some servers would take it for what is asked");
    }
}

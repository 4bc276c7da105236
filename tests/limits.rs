//! Each bound, when reached, gives a clear answer, and room again when it is left.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::harness::{
    AppBuilder, Clamd, Homeserver, Script, ScriptedClamd, Stored, eicar, eventually, late_upload, seal,
};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";

#[tokio::test]
async fn an_upload_without_a_place_is_told_so_though_it_reads_only_at_its_end() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_requests: 1}").start().await;
    let never = Arc::new(Notify::new());
    homeserver.put_media("m", &Stored::media(b"").held(b"a ", &never, b"medium"));
    let first = app.get(V1);
    tokio::pin!(first);
    tokio::select! {
        answer = first.as_mut() => panic!("{answer:?}"),
        () = eventually("the first is under way", || async { homeserver.seen().len() == 1 }) => (),
    }
    assert_eq!(late_upload(&app, 3 << 20).await, 503);
}

#[tokio::test]
async fn one_request_too_many_is_asked_to_come_again() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_requests: 1}").start().await;
    let rest = Arc::new(Notify::new());
    homeserver.put_media("m", &Stored::media(b"").held(b"a ", &rest, b"medium"));
    let first = app.get(V1);
    tokio::pin!(first);
    tokio::select! {
        answer = first.as_mut() => panic!("{answer:?}"),
        () = eventually("the first is under way", || async { homeserver.seen().len() == 1 }) => (),
    }
    let second = app.get(V1).await;
    second.assert_matrix_error(503, "M_UNKNOWN");
    assert!(second.header("retry-after").is_some());
    app.get("/_matrix/media_proxy/unstable/scan/hs.test/m").await.assert_scanner_error(503, "M_UNKNOWN");
    assert_eq!(app.get("/_matrix/client/versions").await.status, 404, "what is no media still passes");
    assert_eq!(app.admin.get("/readyz").await.status, 200);
    rest.notify_one();
    assert_eq!(&first.await.body[..], b"a medium");
    homeserver.put_media("m", &Stored::media(b"another"));
    eventually("there is room again", || async { app.get(V1).await.status == 200 }).await;
}

#[tokio::test]
async fn a_full_spool_is_said_and_emptied() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let settings = "limits: {max_media_bytes: 100KiB, memory_bytes: 0}\nspool: {dir: DIR/spool, max_bytes: 100KiB}";
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(settings).start().await;
    let rest = Arc::new(Notify::new());
    homeserver.put_media("big", &Stored::media(b"").held(&vec![1; 60_000], &rest, &[1; 10_000]));
    homeserver.put_media("m", &Stored::media(&vec![2; 60_000]));
    let first = app.get("/_matrix/client/v1/media/download/hs.test/big");
    tokio::pin!(first);
    let taken = || async { app.metric("lazaret_spool_disk_bytes").await >= 60_000 };
    tokio::select! {
        answer = first.as_mut() => panic!("{answer:?}"),
        () = eventually("most of the spool is taken", taken) => (),
    }
    let second = app.get(V1).await;
    second.assert_matrix_error(503, "M_UNKNOWN");
    assert!(second.header("retry-after").is_some());
    rest.notify_one();
    assert_eq!(first.await.body.len(), 70_000);
    eventually("there is room again", || async { app.get(V1).await.status == 200 }).await;
    eventually("all was given back", || async { app.metric("lazaret_spool_disk_bytes").await == 0 }).await;
}

#[tokio::test]
async fn an_attachment_that_memory_has_no_room_for_is_scanned_all_the_same() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {memory_bytes: 4KiB}").start().await;
    let mut infected = vec![0; 500_000];
    infected.extend(crate::harness::marker(100_000));
    for (plaintext, clean) in [(vec![7; 500_000], true), (infected, false), (eicar(), false)] {
        let sealed = seal(&plaintext, "m", 5);
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
        let answer = app.post("/_matrix/media_proxy/unstable/scan_encrypted", &sealed.body()).await;
        assert_eq!(answer.json()["clean"], clean, "{answer:?}");
    }
}

#[tokio::test]
async fn scans_beyond_the_slots_wait_and_then_are_asked_to_come_again() {
    let homeserver = Homeserver::start().await;
    let finish = Arc::new(Notify::new());
    let clamd = ScriptedClamd::start(Script::held(&finish, b"stream: OK\0"));
    let app =
        AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings("max_scans: 1, queue_timeout: 2s").start().await;
    homeserver.put_media("m", &Stored::media(b"the first"));
    homeserver.put_media("n", &Stored::media(b"the second"));
    let first = app.get(V1);
    tokio::pin!(first);
    tokio::select! {
        answer = first.as_mut() => panic!("{answer:?}"),
        () = clamd.has_received(1) => (),
    }
    let in_use = format!("lazaret_engine_slots_in_use{{backend=\"{}\"}}", clamd.address());
    assert_eq!(app.metric(&in_use).await, 1);
    app.get("/_matrix/client/v1/media/download/hs.test/n").await.assert_matrix_error(503, "M_UNKNOWN");
    finish.notify_one();
    assert_eq!(first.await.status, 200);
    eventually("the slot is free", || async { app.metric(&in_use).await == 0 }).await;
}

/// Waits until nothing is held for anyone.
async fn everything_is_given_back(app: &crate::harness::App) {
    for gauge in ["lazaret_spool_disk_bytes", "lazaret_media_requests"] {
        eventually(gauge, || async { app.metric(gauge).await == 0 }).await;
    }
}

#[tokio::test]
async fn a_reader_that_stalls_is_dropped() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {stall_timeout: 300ms}").start().await;
    homeserver.put_media("m", &Stored::media(&vec![1; 16 << 20]));
    let mut stream = tokio::net::TcpStream::connect(app.public).await.unwrap();
    let head = format!("GET {V1} HTTP/1.1\r\nHost: hs.test\r\nAuthorization: Bearer token\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    eventually("it is served", || async { app.scans("clean").await == 1 }).await;
    everything_is_given_back(&app).await;
    drop(stream);
}

/// Such a client answers pings and reads from its connection, so no timer of the connection sees it.
#[tokio::test]
async fn an_http2_reader_that_opens_no_window_is_dropped() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {stall_timeout: 300ms}").start().await;
    homeserver.put_media("m", &Stored::media(&vec![1; 16 << 20]));
    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .http2_initial_stream_window_size(1)
        .build_http();
    let request = http::Request::get(format!("http://{}{V1}", app.public)).header("authorization", "Bearer token");
    let answer = pool.request(request.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    everything_is_given_back(&app).await;
    drop(answer);
}

#[tokio::test]
async fn a_slow_http2_reader_gets_all_of_it() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {stall_timeout: 1s}").start().await;
    let body: Vec<u8> = (0..400_000_u32).map(|i| (i % 251) as u8).collect();
    homeserver.put_media("m", &Stored::media(&body));
    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .http2_initial_stream_window_size(8 * 1024)
        .build_http();
    let request = http::Request::get(format!("http://{}{V1}", app.public)).header("authorization", "Bearer token");
    let mut answer = pool.request(request.body(String::new()).unwrap()).await.unwrap().into_body();
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(50));
    let mut read = Vec::new();
    while let Some(frame) = http_body_util::BodyExt::frame(&mut answer).await {
        read.extend_from_slice(frame.unwrap().data_ref().unwrap());
        pause.tick().await;
    }
    assert!(read == body);
}

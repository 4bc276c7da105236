//! A stop lets requests end, and does not wait for ever.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::harness::{App, AppBuilder, Clamd, Homeserver, Stored, eventually, request};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";

/// An application with a download that ends when `rest` is notified.
async fn busy(settings: &str) -> (Homeserver, Clamd, App, Arc<Notify>, tokio::task::JoinHandle<Option<usize>>) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(settings).start().await;
    let rest = Arc::new(Notify::new());
    homeserver.put_media("m", &Stored::media(b"").held(b"a ", &rest, b"medium"));
    let client = app.client.clone();
    let download = tokio::spawn(async move {
        let sent = request("GET", V1).header("authorization", "Bearer token");
        client.try_send(sent, b"").await.ok().map(|answer| answer.body.len())
    });
    eventually("the download is under way", || async { homeserver.seen().len() == 1 }).await;
    (homeserver, clamd, app, rest, download)
}

#[tokio::test]
async fn requests_under_way_end_and_new_ones_are_not_taken() {
    let (_homeserver, _clamd, app, rest, download) = busy("").await;
    app.stop().await;
    eventually("readiness fails", || async { app.admin.get("/readyz").await.status == 503 }).await;
    assert_eq!(app.admin.get("/readyz").await.text(), "draining\n");
    let public = app.public;
    eventually("nothing new is taken", || async { tokio::net::TcpStream::connect(public).await.is_err() }).await;
    rest.notify_one();
    assert_eq!(download.await.unwrap(), Some(8));
    assert!(app.ended().await, "nothing was cut off");
}

#[tokio::test]
async fn readiness_fails_before_the_listener_closes() {
    let (_homeserver, _clamd, app, rest, download) = busy("shutdown: {delay: 1h}").await;
    app.stop().await;
    eventually("readiness fails", || async { app.admin.get("/readyz").await.status == 503 }).await;
    assert_eq!(app.client.get("/_matrix/client/versions").await.status, 404, "still served");
    rest.notify_one();
    assert_eq!(download.await.unwrap(), Some(8));
    app.stop().await;
    assert!(!app.ended().await, "a second stop does not wait for the delay");
}

#[tokio::test]
async fn the_deadline_ends_what_does_not_end() {
    let (_homeserver, _clamd, app, _rest, download) = busy("shutdown: {deadline: 200ms}").await;
    app.stop().await;
    assert!(!app.ended().await);
    assert_eq!(download.await.unwrap(), None, "cut off");
}

#[tokio::test]
async fn a_second_stop_ends_at_once() {
    let (_homeserver, _clamd, app, _rest, download) = busy("shutdown: {deadline: 1h}").await;
    app.stop().await;
    app.stop().await;
    assert!(!app.ended().await);
    assert_eq!(download.await.unwrap(), None, "cut off");
}

//! What many want to know at once is found out once, and goes on when they leave.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::harness::{AppBuilder, Homeserver, Script, ScriptedClamd, Stored, eventually, marker, request, seal, start};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";

#[tokio::test]
async fn many_first_requests_make_one_scan() {
    let (homeserver, _clamd, app) = start().await;
    let body = vec![7; 2 << 20];
    homeserver.put_media("m", &Stored::media(&body));
    let answers = join_all((0..60).map(|_| app.get(V1))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == body));
    assert_eq!(app.scans("clean").await, 1);
    assert_eq!(homeserver.seen().len(), 60, "access was asked for each of them");
}

#[tokio::test]
async fn many_requests_for_one_attachment_make_one_scan() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(&marker(2 << 20), "m", 1);
    homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
    let body = sealed.body();
    let scans = (0..30).map(|_| app.post("/_matrix/media_proxy/unstable/scan_encrypted", &body));
    assert!(join_all(scans).await.iter().all(|answer| answer.json()["clean"] == false));
    assert_eq!(app.scans("infected").await, 1);
}

#[tokio::test]
async fn a_scan_outlives_its_client_and_is_there_for_the_next() {
    let homeserver = Homeserver::start().await;
    let finish = Arc::new(Notify::new());
    let clamd = ScriptedClamd::start(Script::held(&finish, b"stream: OK\0"));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));

    let hasty = app.client.clone();
    let sent = request("GET", V1).header("authorization", "Bearer token");
    let waiting = tokio::spawn(async move { hasty.send(sent, b"").await });
    clamd.has_received(1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let gone = r#"lazaret_requests_total{outcome="client_gone",route="download"}"#;
    eventually("its going was noticed", || async { app.metric(gone).await == 1 }).await;

    let next = app.get(V1);
    tokio::pin!(next);
    let early = tokio::time::timeout(Duration::from_millis(50), next.as_mut()).await;
    assert!(early.is_err(), "waits for the scan under way");
    finish.notify_one();
    assert_eq!(next.await.status, 200);
    assert_eq!(app.scans("clean").await, 1);
    assert_eq!(clamd.received.borrow().len(), 1, "clamd saw it once");
}

//! For how long anyone waits, and how many may.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{FEDERATION, UPLOAD, V1, start_with};
use crate::harness::{AppBuilder, Flavour, Homeserver, Script, ScriptedClamd, Stored, eventually, request};

#[tokio::test]
async fn an_upload_without_a_verdict_in_time_is_asked_to_come_again_and_then_finds_it() {
    let (homeserver, finish) = (Homeserver::start().await, Arc::new(Notify::new()));
    let clamd = ScriptedClamd::start(Script::held(&finish, b"stream: OK\0"));
    let settings = "native: {upload_timeout: 200ms}";
    let app = AppBuilder::new(&homeserver).scripted(&clamd).with(settings).start().await;
    homeserver.put(UPLOAD, Stored::json(200, r#"{"content_uri":"mxc://hs.test/m"}"#));
    for _ in 0..2 {
        let late = app.post(UPLOAD, b"a file").await;
        late.assert_matrix_error(503, "M_UNKNOWN");
        assert!(late.header("retry-after").is_some());
    }
    assert_eq!(homeserver.uploads(), 0, "nothing of it was sent on");
    clamd.has_received(1).await;
    assert_eq!(clamd.received.borrow().len(), 1, "the second waited for the scan of the first");
    finish.notify_one();
    eventually("the scan that went on has ended", || async { app.scans("clean").await == 1 }).await;
    assert_eq!(app.post(UPLOAD, b"a file").await.status, 200);
    assert_eq!((homeserver.uploads(), clamd.received.borrow().len()), (1, 1));
}

#[tokio::test]
async fn another_homeserver_is_told_that_there_is_nothing_before_it_gives_up() {
    let (homeserver, never) = (Homeserver::start().await, Arc::new(Notify::new()));
    let clamd = ScriptedClamd::start(Script::clean());
    let settings = "native: {federation_timeout: 1s}";
    let app = AppBuilder::new(&homeserver).scripted(&clamd).with(settings).start().await;
    let medium = || Flavour::Synapse.multipart(b"a medium", "image/png");
    homeserver.put(FEDERATION, medium());
    assert_eq!(app.get(FEDERATION).await.status, 200);
    for (what, stored) in [
        ("no head", Stored::silent()),
        ("no end", medium().held(b"\r\n--6067d4698f8d40a0a794ea7d7379d53a\r\n", &never, b"")),
    ] {
        homeserver.put(FEDERATION, stored);
        let answer = app.get(FEDERATION).await;
        assert_eq!(answer.status, 404, "{what}");
        answer.assert_matrix_error(404, "M_NOT_FOUND");
    }
    clamd.set(Script::held(&never, b"stream: OK\0"));
    homeserver.put(FEDERATION, Flavour::Synapse.multipart(b"another medium", "image/png"));
    app.get(FEDERATION).await.assert_matrix_error(404, "M_NOT_FOUND");
    never.notify_one();
    eventually("the scan that went on has ended", || async { app.scans("clean").await == 2 }).await;
    assert_eq!(app.get(FEDERATION).await.status, 200);
}

#[tokio::test]
async fn one_client_has_a_share_of_all_places() {
    let (homeserver, _clamd, app) = start_with("limits: {max_media_requests_per_client: 2}").await;
    let rest = Arc::new(Notify::new());
    homeserver.put_media("slow", &Stored::media(b"").held(b"begun ", &rest, b"and done"));
    homeserver.put_media("m", &Stored::media(b"a medium").open());
    let slow = "/_matrix/client/v1/media/download/hs.test/slow";
    let reading = futures_util::future::join(app.get(slow), app.get(slow));
    tokio::pin!(reading);
    let taken = || async { app.metric("lazaret_media_requests").await == 2 };
    tokio::select! {
        _ = reading.as_mut() => panic!("it ended"),
        () = eventually("two places are taken", taken) => (),
    }
    app.get(V1).await.assert_matrix_error(503, "M_UNKNOWN");
    let by_query = app.client.get(&format!("{V1}?access_token=token")).await;
    by_query.assert_matrix_error(503, "M_UNKNOWN");
    let another = request("GET", V1).header("authorization", "Bearer another");
    assert_eq!(app.client.send(another, b"").await.status, 200);
    assert_eq!(app.client.get(V1).await.status, 200, "who has no token is told by its address");
    assert_eq!(app.get("/_matrix/client/versions").await.status, 404, "what is no media still passes");
    for _ in 0..2 {
        rest.notify_one();
        tokio::task::yield_now().await;
    }
    let (first, second) = reading.await;
    assert_eq!((&first.body[..], &second.body[..]), (&b"begun and done"[..], &b"begun and done"[..]));
}

//! Rows 22 and 23: who takes all there is, and who asks to learn what is known.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{UPLOAD, V1, assert_refused};
use crate::harness::{Answer, App, AppBuilder, Clamd, Homeserver, Stored, eicar, eventually, raw, request, start};

async fn get_as(app: &App, token: &str, id: &str) -> Answer {
    let path = format!("/_matrix/media/v3/download/hs.test/{id}");
    app.client.send(request("GET", &path).header("authorization", format!("Bearer {token}")), b"").await
}

/// Many slow transfers at once, or one that is announced to be huge, leave no room for others.
#[tokio::test]
async fn row_22_one_client_cannot_take_all_places() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let limits = "limits: {max_media_requests: 4, max_media_requests_per_client: 1, max_media_bytes: 100000}";
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(limits).start().await;
    let rest = Arc::new(Notify::new());
    homeserver.put_media("slow", &Stored::media(b"").held(b"begun ", &rest, b"and done"));
    homeserver.put_media("m", &Stored::media(b"harmless"));
    let places = || async { app.metric("lazaret_media_requests").await };

    let slow = async |token| {
        let reading = get_as(&app, token, "slow").await;
        assert_eq!(&reading.body[..], b"begun and done", "{token}");
    };
    let both = futures_util::future::join(slow("alice"), async {
        eventually("one place is taken", || async { places().await == 1 }).await;
        let again = get_as(&app, "alice", "m").await;
        again.assert_matrix_error(503, "M_UNKNOWN");
        assert!(again.header("retry-after").is_some());
        assert_eq!(get_as(&app, "bob", "m").await.status, 200, "the place of another client");
        assert_eq!(homeserver.seen().len(), 2, "who has no place asks nothing of the homeserver");
        eventually("it is given back", || async { places().await == 1 }).await;
        slow("bob").await;
    });
    let refused = async {
        eventually("both places are taken", || async { homeserver.seen().len() == 3 }).await;
        get_as(&app, "carol", "m").await.assert_matrix_error(503, "M_UNKNOWN");
        app.get(UPLOAD).await.assert_matrix_error(405, "M_UNRECOGNIZED");
        rest.notify_one();
        rest.notify_one();
    };
    futures_util::future::join(both, refused).await;
    eventually("they are given back", || async { places().await == 0 }).await;
    assert_eq!(get_as(&app, "alice", "m").await.status, 200);

    // By what is announced, before any of it comes.
    let asked = homeserver.seen().len();
    let announced = format!("POST {UPLOAD} HTTP/1.1\r\nHost: hs.test\r\nContent-Length: 100001\r\n");
    let sent = format!("{announced}Expect: 100-continue\r\nConnection: close\r\n\r\n");
    assert_refused(&raw(&app, sent).await, 413, "an upload");
    assert_eq!(homeserver.seen().len(), asked);
    let never = Arc::new(Notify::new());
    homeserver.put_media("m", &Stored::media(b"").header("content-length", "100001").held(b"begun", &never, b""));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
}

/// A refusal that comes before the homeserver was asked tells everyone what is known, and what is not.
#[tokio::test]
async fn row_23_nobody_learns_a_verdict_whom_the_homeserver_refuses() {
    let (homeserver, _clamd, app) = start().await;
    for (id, medium) in [("clean", vec![7; 100_000]), ("bad", eicar())] {
        homeserver.put_media(id, &Stored::media(&medium));
        let path = format!("/_matrix/client/v1/media/download/hs.test/{id}");
        let status = app.get(&path).await.status;
        assert_eq!(status, if id == "bad" { 403 } else { 200 });
        let asked = homeserver.seen().len();
        app.client.get(&path).await.assert_matrix_error(401, "M_MISSING_TOKEN");
        let revoked = || request("GET", &path).header("authorization", "Bearer revoked");
        app.client.send(revoked(), b"").await.assert_matrix_error(401, "M_UNKNOWN_TOKEN");
        let conditional = revoked().header("if-none-match", "*").header("range", "bytes=0-0");
        app.client.send(conditional, b"").await.assert_matrix_error(401, "M_UNKNOWN_TOKEN");
        assert_eq!(homeserver.seen().len(), asked + 3, "the homeserver decides each time");
    }
    homeserver.put_media("bad", &Stored::json(404, r#"{"errcode":"M_NOT_FOUND","error":"Not found"}"#));
    let path = "/_matrix/client/v1/media/download/hs.test/bad";
    app.get(path).await.assert_matrix_error(404, "M_NOT_FOUND");
    homeserver.put("/_matrix/client/v3/account/whoami", Stored::media(b"{}"));
    let scans = (app.scans("clean").await, app.scans("infected").await);
    for medium in [b"never seen before".to_vec(), eicar()] {
        app.client.send(request("POST", UPLOAD), &medium).await.assert_matrix_error(401, "M_MISSING_TOKEN");
    }
    assert_eq!((app.scans("clean").await, app.scans("infected").await), scans);
}

//! What operators have forgotten.

use serde_json::json;

use super::{download, entry, identity, overrule, post, scans};
use crate::harness::{App, Homeserver, Stored, marker, request, start};

/// Media that were served once, each of which took a scan.
async fn serve(homeserver: &Homeserver, app: &App, ids: &[&str]) {
    for id in ids {
        homeserver.put_media(id, &Stored::media(format!("medium {id}").as_bytes()));
        assert_eq!(app.get(&download(id)).await.status, 200);
    }
}

/// True if serving a medium again takes a scan.
async fn takes_a_scan(app: &App, id: &str) -> bool {
    let before = scans(app).await;
    assert_eq!(app.get(&download(id)).await.status, 200);
    scans(app).await > before
}

#[tokio::test]
async fn what_was_purged_is_scanned_again_and_nothing_else_is() {
    let (homeserver, _clamd, app) = start().await;
    serve(&homeserver, &app, &["a", "b", "c"]).await;
    let purged = post(&app, "/cache/purge", &json!({"mxc": "mxc://hs.test/a"})).await;
    assert_eq!(purged.json(), json!({"removed": {"addresses": 1, "records": 1}}));
    let purged = post(&app, "/cache/purge", &json!({"identity": identity(&app, "b").await})).await;
    assert_eq!(purged.json(), json!({"removed": {"records": 1}}));
    for (id, scanned) in [("a", true), ("b", true), ("c", false), ("a", false)] {
        assert_eq!(takes_a_scan(&app, id).await, scanned, "{id}");
    }
}

#[tokio::test]
async fn only_stale_verdicts_are_purged_as_stale_and_an_epoch_by_its_name() {
    let (homeserver, _clamd, app) = start().await;
    serve(&homeserver, &app, &["a", "b"]).await;
    let stale = json!({"epoch": "stale"});
    assert_eq!(post(&app, "/cache/purge", &stale).await.json(), json!({"removed": {}}));
    let before = entry(&app, "a").await["record"]["epoch"]["state"].clone();
    assert_eq!(app.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
    assert!(takes_a_scan(&app, "a").await);
    assert_eq!(
        [&entry(&app, "a").await, &entry(&app, "b").await].map(|known| known["record"]["currency"].clone()),
        ["current", "stale"]
    );
    assert_eq!(post(&app, "/cache/purge", &json!({"epoch": before})).await.json(), json!({"removed": {"records": 1}}));
    assert_eq!(post(&app, "/cache/purge", &stale).await.json(), json!({"removed": {}}), "it is gone already");
    assert!(entry(&app, "b").await["record"].is_null());
    assert!(!takes_a_scan(&app, "a").await);
    assert_eq!(app.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
    assert_eq!(post(&app, "/cache/purge", &stale).await.json(), json!({"removed": {"records": 1}}));
}

#[tokio::test]
async fn all_is_purged_but_what_the_security_team_says() {
    let (homeserver, _clamd, app) = start().await;
    serve(&homeserver, &app, &["a", "b"]).await;
    homeserver.put_media("bad", &Stored::media(&marker(1000)));
    app.get(&download("bad")).await.assert_matrix_error(403, "M_FORBIDDEN");
    overrule(&app, "clean", ("mxc", "mxc://hs.test/bad")).await;
    let before = app.admin.get("/cache/stats").await.json();
    assert_eq!((&before["store"], &before["degraded"]), (&json!("memory"), &json!(false)), "{before}");
    let removed = post(&app, "/cache/purge", &json!({"all": true})).await.json()["removed"].clone();
    assert_eq!((&removed["records"], &removed["addresses"]), (&json!(3), &json!(3)), "{removed}");
    let after = app.admin.get("/cache/stats").await.json();
    assert!(after["entries"].as_u64().unwrap() < before["entries"].as_u64().unwrap(), "{before} {after}");
    assert!(takes_a_scan(&app, "a").await && takes_a_scan(&app, "bad").await, "the override is still in force");
}

//! What operators are told, and what they are not.

use serde_json::json;

use super::{MARKER, download, entry, identity, post, saying};
use crate::harness::{Stored, marker, request, start};

#[tokio::test]
async fn what_is_known_of_a_medium_is_told_by_its_address_and_by_its_identity() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(&marker(1000)));
    app.get(&download("m")).await.assert_matrix_error(403, "M_FORBIDDEN");
    let known = entry(&app, "m").await;
    assert_eq!(known["length"], 1000);
    for (member, value) in [
        ("verdict", json!("infected")),
        ("detection", json!(MARKER)),
        ("currency", json!("current")),
        ("engine", json!("clamd")),
    ] {
        assert_eq!(known["record"][member], value, "{known}");
    }
    assert_eq!(known["record"]["facts"]["size"], 1000);
    let state = app.admin.get("/cache/stats").await.json();
    assert_eq!(known["record"]["epoch"], state["epoch"], "{state}");
    assert_eq!(state["lookups"]["miss"], 1, "{state}");
    let path = format!("/cache/entry?identity={}", identity(&app, "m").await);
    assert_eq!(app.admin.get(&path).await.json()["record"], known["record"]);

    homeserver.put("/_matrix/client/v1/media/thumbnail/hs.test/n", Stored::media(b"small"));
    let query = "width=1&height=2&method=crop";
    assert_eq!(app.get(&format!("/_matrix/client/v1/media/thumbnail/hs.test/n?{query}")).await.status, 200);
    let thumbnail = app.admin.get(&format!("/cache/entry?mxc=mxc://hs.test/n&{query}")).await;
    assert_eq!(thumbnail.json()["length"], 5, "{thumbnail:?}");
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_what_is_unknown_is_not_found() {
    let (_homeserver, _clamd, app) = start().await;
    let unknown = "0".repeat(64);
    for (query, status) in [
        ("", 400),
        ("mxc=nonsense", 400),
        ("mxc=mxc://hs.test/a/b", 400),
        ("identity=abc", 400),
        ("mxc=mxc://foreign.test/m", 404),
        (&format!("identity={unknown}"), 404),
    ] {
        let answer = app.admin.get(&format!("/cache/entry?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(answer.json()["error"].is_string());
    }
    for (body, status) in [
        (json!({}), 400),
        (json!({"mxc": "mxc://hs.test/m", "all": true}), 400),
        (json!({"everything": true}), 400),
        (json!({"mxc": "nonsense"}), 400),
        (json!({"mxc": "mxc://hs.test/m"}), 404),
        (json!({"identity": unknown}), 404),
        (json!({"epoch": "x".repeat(20_000)}), 413),
    ] {
        assert_eq!(post(&app, "/cache/purge", &body).await.status, status, "{body}");
    }
    for (member, value, status) in [
        ("identity", json!("abc"), 400),
        ("mxc", json!("nonsense"), 400),
        ("mxc", json!("mxc://foreign.test/m"), 404),
        ("signature", json!(""), 400),
        ("effect", json!("maybe"), 400),
        ("until", json!("2020-01-01"), 400),
        ("until", json!("400d"), 400),
        ("author", json!("two\nlines"), 400),
        ("reason", json!(null), 400),
        ("other", json!(1), 400),
    ] {
        let mut new = saying("clean", "30d");
        if !["identity", "mxc", "signature"].contains(&member) {
            new["signature"] = "X".into();
        }
        new[member] = value;
        assert_eq!(post(&app, "/cache/overrides", &new).await.status, status, "{new}");
    }
    assert_eq!(post(&app, "/cache/overrides", &saying("clean", "30d")).await.status, 400, "it is about nothing");
    for (path, status) in [("none?author=kim", 404), ("01ARZ3NDEKTSV4RRFFQ69G5FAV?author=kim", 404), ("x", 400)] {
        let answer = app.admin.send(request("DELETE", &format!("/cache/overrides/{path}")), b"").await;
        assert_eq!(answer.status, status, "{path}");
    }
    assert_eq!(app.admin.get("/cache/overrides").await.json(), json!({"overrides": []}));
}

#[tokio::test]
async fn browsers_are_told_nothing_and_change_nothing() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"text"));
    assert_eq!(app.get(&download("m")).await.status, 200);
    let mut new = saying("infected", "30d");
    new["mxc"] = "mxc://hs.test/m".into();
    for (method, path, body) in [
        ("GET", "/cache/stats", json!(null)),
        ("GET", "/cache/entry?mxc=mxc://hs.test/m", json!(null)),
        ("GET", "/cache/overrides", json!(null)),
        ("POST", "/cache/overrides", new),
        ("POST", "/cache/purge", json!({"all": true})),
        ("DELETE", "/cache/overrides/x?author=kim", json!(null)),
    ] {
        let from_page = request(method, path).header("origin", "https://evil.test");
        assert_eq!(app.admin.send(from_page, body.to_string().as_bytes()).await.status, 403, "{method} {path}");
    }
    assert_eq!(entry(&app, "m").await["override"], json!(null));
    assert_eq!(app.get(&download("m")).await.status, 200);
    for path in ["/cache/stats", "/cache/overrides"] {
        assert_eq!(app.client.get(path).await.status, 404, "the public side knows nothing of it");
    }
}

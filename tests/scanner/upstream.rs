//! What the homeserver is asked, on which of its routes and with which headers.

use serde_json::json;

use super::{READS, error, outcome, path};
use crate::harness::{Homeserver, Stored, request, start};

/// What the homeserver was asked about a medium.
fn targets(homeserver: &Homeserver, id: &str) -> Vec<String> {
    let about = format!("/hs.test/{id}");
    let path = |target: String| target.split('?').next().unwrap().to_owned();
    let targets = homeserver.seen().into_iter().map(|seen| path(seen.target));
    targets.filter(|target| target.ends_with(&about)).collect()
}

#[tokio::test]
async fn the_query_of_a_thumbnail_goes_on_verbatim_and_no_other() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let query = "width=96&height=96&method=crop&animated=true&&width=1&x=%2F..%20&access_token=y";
    for (route, target) in [
        ("scan", "download/hs.test/m".to_owned()),
        ("download", "download/hs.test/m".to_owned()),
        ("thumbnail", format!("thumbnail/hs.test/m?{query}")),
    ] {
        assert_eq!(app.get(&path(&format!("{route}/hs.test/m?{query}"))).await.status, 200, "{route}");
        assert_eq!(homeserver.last().target, format!("/_matrix/client/v1/media/{target}"));
    }
}

#[tokio::test]
async fn without_a_token_the_old_routes_are_asked_the_oldest_last() {
    let (homeserver, _clamd, app) = start().await;
    let medium = Stored::media(b"a medium").open();
    let unrecognized = Stored::json(400, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#);
    let rows = [
        ("current", Some(medium.clone()), None, 200, 1),
        ("retried", None, Some(medium.clone()), 200, 2),
        ("unrecognized", Some(unrecognized.clone()), Some(medium.clone()), 200, 2),
        ("missing", None, None, 404, 2),
        ("unknown", Some(unrecognized.clone()), Some(unrecognized), 404, 2),
        ("broken", Some(Stored::json(500, "{}")), Some(medium.clone()), 502, 1),
        ("closed", Some(Stored::media(b"")), Some(medium), 401, 1),
    ];
    for (route, kind) in READS {
        for (row, v3, r0, status, asked) in rows.clone() {
            let id = format!("{route}-{row}");
            let native = ["v3", "r0"].map(|version| format!("/_matrix/media/{version}/{kind}/hs.test/{id}"));
            for (target, stored) in native.iter().zip([v3, r0]) {
                if let Some(stored) = stored {
                    homeserver.put(target, stored);
                }
            }
            let answer = app.client.get(&path(&format!("{route}/hs.test/{id}"))).await;
            assert_eq!(answer.status.as_u16(), status, "{id}");
            assert_eq!(targets(&homeserver, &id), native[..asked], "{id}");
        }
    }
}

#[tokio::test]
async fn with_a_token_only_the_authenticated_route_is_asked() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    for (route, kind) in READS {
        let target = format!("/_matrix/client/v1/media/{kind}/hs.test/m");
        for refusal in [(404, "M_NOT_FOUND"), (400, "M_UNRECOGNIZED")] {
            homeserver.put(&target, Stored::json(refusal.0, &json!({"errcode": refusal.1}).to_string()));
            let before = homeserver.seen().len();
            let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
            assert_eq!(outcome(&answer), error(404, "M_NOT_FOUND", "File not found"), "{route}: {refusal:?}");
            let asked: Vec<String> = homeserver.seen()[before..].iter().map(|seen| seen.target.clone()).collect();
            assert_eq!(asked, [target.as_str()]);
        }
    }
}

#[tokio::test]
async fn the_authorization_goes_on_as_it_is() {
    let (homeserver, _clamd, app) = start().await;
    for value in ["Bearer (null)", "Bearer token", "bearer  x", "Basic eDp5"] {
        for (route, kind) in READS {
            app.client
                .send(request("GET", &path(&format!("{route}/hs.test/m"))).header("authorization", value), b"")
                .await;
            let seen = homeserver.last();
            assert_eq!(seen.header("authorization"), Some(value));
            assert_eq!(seen.target, format!("/_matrix/client/v1/media/{kind}/hs.test/m"), "{value}");
        }
    }
}

#[tokio::test]
async fn the_homeserver_is_asked_for_all_of_it_and_told_nothing_more() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let sent = request("GET", &path("download/hs.test/m"))
        .header("authorization", "Bearer token")
        .header("accept-encoding", "gzip")
        .header("range", "bytes=0-1")
        .header("if-none-match", "\"1\"")
        .header("cookie", "a=b")
        .header("x-other", "1");
    assert_eq!(&app.client.send(sent, b"").await.body[..], b"a medium");
    let seen = homeserver.last();
    assert_eq!((seen.method.as_str(), seen.header("accept-encoding")), ("GET", Some("identity")));
    for dropped in ["range", "if-none-match", "cookie", "x-other"] {
        assert_eq!(seen.header(dropped), None, "{dropped}");
    }
}

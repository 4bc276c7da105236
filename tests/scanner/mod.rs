//! The scanner API on plain media: every outcome that its contract names.

use base64::{Engine as _, prelude::*};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{Answer, App, AppBuilder, Clamd, Homeserver, Stored, eicar, encrypted_zip, nested_gzip, request};

const CLEAN: &str = r#"{"clean":true,"info":"File is clean"}"#;
const INFECTED: &str = r#"{"clean":false,"info":"***VIRUS DETECTED***"}"#;
const MALFORMED: &str = r#"{"clean":false,"info":"Malformed media ID"}"#;

/// The routes that read a medium, and the kind of native route that each stands for.
const READS: [(&str, &str); 3] = [("scan", "download"), ("download", "download"), ("thumbnail", "thumbnail")];

/// What browsers must be told with every answer.
const CORS: [(&str, &str); 3] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-allow-headers", "Origin, X-Requested-With, Content-Type, Accept, Authorization"),
];

async fn start() -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    (homeserver, clamd, app)
}

/// A path below the prefix of the scanner API.
fn path(rest: &str) -> String {
    format!("/_matrix/media_proxy/unstable/{rest}")
}

/// Status and body of an answer.
fn outcome(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

/// Status and body of an error: these two members and no third.
fn error(status: u16, reason: &str, info: &str) -> (u16, Value) {
    (status, json!({"reason": reason, "info": info}))
}

fn remote_error() -> (u16, Value) {
    error(502, "MCS_MEDIA_REQUEST_FAILED", "The remote server responded with an error")
}

fn unreachable() -> (u16, Value) {
    error(502, "MCS_MEDIA_REQUEST_FAILED", "Failed to reach the remote server")
}

/// What the homeserver was asked about a medium.
fn targets(homeserver: &Homeserver, id: &str) -> Vec<String> {
    let about = format!("/hs.test/{id}");
    homeserver.seen().into_iter().map(|seen| seen.target).filter(|target| target.ends_with(&about)).collect()
}

/// Scans so far that found the file clean, and infected.
async fn scans(app: &App) -> (u64, u64) {
    (app.scans("clean").await, app.scans("infected").await)
}

/// Asserts one outcome of all routes that read `mxc://hs.test/m`.
async fn assert_reads(app: &App, expected: &(u16, Value), what: &str) {
    for (route, _) in READS {
        let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
        assert_eq!(&outcome(&answer), expected, "{route}: {what}");
        answer.assert_scanner_error(expected.0, expected.1["reason"].as_str().unwrap());
    }
}

#[track_caller]
fn assert_cors(answer: &Answer, what: &str) {
    for (name, value) in CORS {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{name} of {what}");
    }
}

#[tokio::test]
async fn the_public_key_is_unpadded_base64_for_everyone() {
    let (homeserver, _clamd, app) = start().await;
    let answer = app.client.get(&path("public_key")).await;
    let key = answer.json()["public_key"].as_str().unwrap().to_owned();
    assert_eq!((answer.status.as_u16(), answer.text()), (200, format!(r#"{{"public_key":"{key}"}}"#)));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((key.len(), BASE64_STANDARD_NO_PAD.decode(&key).unwrap().len()), (43, 32));
    assert_eq!(app.get(&path("public_key")).await.body, answer.body, "it stays the same");
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn clean_media_is_called_clean_and_served() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let scan = app.get(&path("scan/hs.test/m")).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, CLEAN));
    assert_eq!(scan.header("content-type"), Some("application/json"));
    for route in ["download", "thumbnail"] {
        let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"a medium"[..]), "{route}");
        assert_eq!(answer.header("content-length"), Some("8"), "{route}");
    }
    assert_eq!(scans(&app).await, (1, 0), "one content, one scan");
}

#[tokio::test]
async fn infected_media_is_called_infected_and_refused() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(&eicar()));
    let scan = app.get(&path("scan/hs.test/m")).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, INFECTED));
    for route in ["download", "thumbnail"] {
        let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
        assert_eq!(outcome(&answer), error(403, "MCS_MEDIA_NOT_CLEAN", "***VIRUS DETECTED***"), "{route}");
    }
}

#[tokio::test]
async fn an_empty_file_is_clean() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b""));
    assert_eq!(app.get(&path("scan/hs.test/m")).await.text(), CLEAN);
    let answer = app.get(&path("download/hs.test/m")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, Some("0")));
}

/// Clients keep a `clean: false` for good, so it must not be said of what nobody found anything in.
#[tokio::test]
async fn what_cannot_be_looked_at_in_full_is_refused_and_not_called_infected() {
    let (homeserver, _clamd, app) = start().await;
    for (body, info) in [
        (nested_gzip(), "This file was refused: it could not be scanned completely"),
        (encrypted_zip(), "This file was refused: it contains encrypted content that cannot be scanned"),
    ] {
        homeserver.put_media("m", &Stored::media(&body));
        assert_reads(&app, &error(403, "MCS_MEDIA_NOT_CLEAN", info), info).await;
    }
}

#[tokio::test]
async fn media_larger_than_the_limit_is_refused_and_not_called_infected() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_bytes: 1000}").start().await;
    let refused = error(403, "MCS_MEDIA_NOT_CLEAN", "This file was refused: it is too large to be scanned");
    homeserver.put_media("m", &Stored::media(&[0; 1001]));
    assert_reads(&app, &refused, "one byte too many").await;
    homeserver.put_media("m", &Stored::media(b"").chunked(&[&[0; 600], &[0; 600]]));
    assert_reads(&app, &refused, "without a length").await;
    homeserver.put_media("m", &Stored::media(&[0; 1000]));
    assert_eq!(app.get(&path("scan/hs.test/m")).await.text(), CLEAN);
}

#[tokio::test]
async fn malformed_addresses_are_answered_without_asking_the_homeserver() {
    let (homeserver, _clamd, app) = start().await;
    for address in [
        "..%2Fpreview_url",
        "../preview_url",
        "%2E%2E/preview_url",
        "..%2Fpreview_url/m",
        "hs.test/..",
        "hs.test/..%2F..%2Fpreview_url",
        "hs.test/%252e%252e",
        "hs.test%2Fm",
        "hs.test/m%2Fx",
        "hs.test/m%5Cx",
        "hs.test/m%00",
        "hs.test/m%3Fx",
        "hs.test/m/",
        "hs.test/m/x",
        "hs.test//m",
        "hs.test",
        "hs.test/",
        "/m",
        "hs..test/m",
        "hs.test:99999/m",
    ] {
        for query in ["", "?url=http://hs.test/"] {
            let scan = app.get(&path(&format!("scan/{address}{query}"))).await;
            assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, MALFORMED), "{address}{query}");
            for route in ["download", "thumbnail"] {
                let answer = app.get(&path(&format!("{route}/{address}{query}"))).await;
                let expected = error(403, "MCS_MEDIA_NOT_CLEAN", "Malformed media ID");
                assert_eq!(outcome(&answer), expected, "{route}/{address}{query}");
            }
        }
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn every_spelling_of_an_address_asks_for_the_same_medium() {
    let (homeserver, _clamd, app) = start().await;
    for (spelling, address) in [
        ("hs.test/m", "hs.test/m"),
        ("hs%2Etest/%6d", "hs.test/m"),
        ("hs.test:8448/m", "hs.test%3A8448/m"),
        ("hs.test%3A8448/m", "hs.test%3A8448/m"),
        ("hs.test%3a8448/m", "hs.test%3A8448/m"),
        ("10.0.0.1:1/m", "10.0.0.1%3A1/m"),
        ("[::1]:8448/m", "%5B%3A%3A1%5D%3A8448/m"),
        ("%5B%3A%3A1%5D%3A8448/m", "%5B%3A%3A1%5D%3A8448/m"),
    ] {
        for (route, kind) in READS {
            let target = format!("/_matrix/client/v1/media/{kind}/{address}");
            homeserver.put(&target, Stored::media(b"a medium"));
            assert_eq!(app.get(&path(&format!("{route}/{spelling}"))).await.status, 200, "{route}/{spelling}");
            assert_eq!(homeserver.last().target, target, "{route}/{spelling}");
        }
    }
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

#[tokio::test]
async fn refusals_of_the_homeserver_are_told_in_the_words_of_the_scanner() {
    let (homeserver, _clamd, app) = start().await;
    let missing = error(401, "M_MISSING_TOKEN", "Access token missing from request");
    let unknown = error(401, "M_UNKNOWN_TOKEN", "Invalid access token passed");
    let not_found = error(404, "M_NOT_FOUND", "File not found");
    for (status, body, expected) in [
        (401, r#"{"errcode":"M_MISSING_TOKEN","error":"x"}"#, missing),
        (401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x","soft_logout":true}"#, unknown),
        (401, r#"{"errcode":"M_FORBIDDEN"}"#, remote_error()),
        (404, r#"{"errcode":"M_NOT_FOUND"}"#, not_found.clone()),
        (404, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, not_found.clone()),
        (404, "<html>", not_found.clone()),
        (400, r#"{"errcode":"M_UNRECOGNIZED"}"#, not_found),
        (400, r#"{"errcode":"M_MISSING_TOKEN"}"#, remote_error()),
        (400, r#"{"errcode":"M_INVALID_PARAM"}"#, remote_error()),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#, remote_error()),
        (403, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, remote_error()),
        (405, r#"{"errcode":"M_UNRECOGNIZED"}"#, remote_error()),
        (413, r#"{"errcode":"M_TOO_LARGE"}"#, remote_error()),
        (429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1}"#, remote_error()),
        (500, r#"{"errcode":"M_UNKNOWN"}"#, remote_error()),
        (502, "<html>", remote_error()),
        (503, "", remote_error()),
        (504, r#"{"errcode":"M_NOT_YET_UPLOADED"}"#, remote_error()),
    ] {
        homeserver.put_media("m", &Stored::json(status, body));
        assert_reads(&app, &expected, &format!("{status} {body}")).await;
    }
}

#[tokio::test]
async fn error_bodies_that_are_no_matrix_errors_are_errors_all_the_same() {
    let (homeserver, _clamd, app) = start().await;
    let huge = format!(r#"{{"errcode":"M_UNKNOWN_TOKEN","x":"{}"}}"#, "x".repeat(100_000));
    let bodies =
        ["", "{", "{}", "[]", "7", "null", r#""M_UNKNOWN_TOKEN""#, r#"{"errcode":7}"#, r#"{"errcode":null}"#, &huge];
    for status in [400, 401] {
        for body in bodies {
            homeserver.put_media("m", &Stored::json(status, body));
            assert_reads(&app, &remote_error(), &format!("{status} {body:.40}")).await;
        }
    }
}

#[tokio::test]
async fn an_error_body_that_is_an_array_says_nothing_of_tokens() {
    let (homeserver, _clamd, app) = start().await;
    for (status, body) in
        [(401, r#"["M_UNKNOWN_TOKEN"]"#), (401, r#"["M_MISSING_TOKEN"]"#), (400, r#"["M_UNRECOGNIZED"]"#)]
    {
        homeserver.put_media("m", &Stored::json(status, body));
        assert_reads(&app, &remote_error(), body).await;
    }
}

#[tokio::test]
async fn no_status_but_200_is_a_medium_and_no_redirect_is_followed() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put("/elsewhere", Stored::media(b"another medium").open());
    let elsewhere = format!("{}/elsewhere", homeserver.url());
    for status in [201, 203, 204, 206, 300, 301, 302, 303, 304, 307, 308] {
        homeserver.put_media("m", &Stored::media(b"").status(status).header("location", &elsewhere));
        assert_reads(&app, &remote_error(), &status.to_string()).await;
    }
    assert!(homeserver.seen().iter().all(|seen| seen.target != "/elsewhere"));
    assert_eq!(scans(&app).await, (0, 0));
}

#[tokio::test]
async fn a_homeserver_that_is_away_is_told() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = AppBuilder::new(&homeserver).clamd(&clamd).homeserver_at(nobody).start().await;
    assert_reads(&app, &unreachable(), "nobody listens there").await;
}

#[tokio::test]
async fn a_medium_that_breaks_off_or_stalls_is_never_judged() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {stall_timeout: 200ms}").start().await;
    for beginning in [&b"the beginning"[..], &eicar()] {
        homeserver.put_media("m", &Stored::media(b"").cut_short(beginning));
        assert_reads(&app, &unreachable(), "cut short").await;
        let never = std::sync::Arc::default();
        homeserver.put_media("m", &Stored::media(b"").held(beginning, &never, b""));
        assert_reads(&app, &unreachable(), "stalled").await;
    }
    assert_eq!(scans(&app).await, (0, 0));
}

#[tokio::test]
async fn a_medium_without_exactly_one_content_type_is_not_served() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium").without_headers());
    assert_reads(&app, &remote_error(), "none").await;
    homeserver.put_media("m", &Stored::media(b"a medium").header("content-type", "text/html"));
    assert_reads(&app, &remote_error(), "two").await;
}

#[tokio::test]
async fn an_encoded_medium_is_not_vouched_for() {
    let (homeserver, _clamd, app) = start().await;
    for encoding in ["gzip", "br", "identity, gzip"] {
        homeserver.put_media("m", &Stored::media(b"not even gzip").header("content-encoding", encoding));
        assert_reads(&app, &remote_error(), encoding).await;
    }
    homeserver.put_media("m", &Stored::media(b"a medium").header("content-encoding", "identity"));
    assert_eq!(app.get(&path("scan/hs.test/m")).await.text(), CLEAN);
}

#[tokio::test]
async fn a_second_content_encoding_is_not_overlooked() {
    let (homeserver, _clamd, app) = start().await;
    let stored = Stored::media(b"not even gzip").header("content-encoding", "identity");
    homeserver.put_media("m", &stored.header("content-encoding", "gzip"));
    assert_reads(&app, &remote_error(), "identity, then gzip").await;
}

#[tokio::test]
async fn a_known_verdict_is_told_to_nobody_whom_the_homeserver_refuses() {
    let (homeserver, _clamd, app) = start().await;
    for body in [b"a medium".to_vec(), eicar()] {
        homeserver.put_media("m", &Stored::media(&body));
        assert_eq!(app.get(&path("scan/hs.test/m")).await.status, 200);
        for (route, _) in READS {
            let sent = request("GET", &path(&format!("{route}/hs.test/m"))).header("authorization", "Bearer revoked");
            app.client.send(sent, b"").await.assert_scanner_error(401, "M_UNKNOWN_TOKEN");
        }
        homeserver.put_media("m", &Stored::json(404, "{}"));
        assert_reads(&app, &error(404, "M_NOT_FOUND", "File not found"), "quarantined").await;
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_get_matrix_errors() {
    let (homeserver, _clamd, app) = start().await;
    let refused = json!({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"});
    for rest in
        ["", "nope", "public_key/", "/public_key", "PUBLIC_KEY", "%70ublic_key", "scan_encrypted/", "scans/hs.test/m"]
    {
        for method in ["GET", "POST", "PUT"] {
            let answer = app.client.send(request(method, &path(rest)), b"").await;
            assert_eq!(outcome(&answer), (404, refused.clone()), "{method} {rest}");
            answer.assert_matrix_error(404, "M_UNRECOGNIZED");
        }
    }
    for (method, rest) in [
        ("POST", "public_key"),
        ("PUT", "public_key"),
        ("POST", "scan/hs.test/m"),
        ("DELETE", "download/hs.test/m"),
        ("POST", "thumbnail/hs.test/m"),
        ("GET", "scan_encrypted"),
        ("PUT", "download_encrypted"),
    ] {
        let answer = app.client.send(request(method, &path(rest)), b"").await;
        assert_eq!(outcome(&answer), (405, refused.clone()), "{method} {rest}");
        answer.assert_matrix_error(405, "M_UNRECOGNIZED");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn verdicts_media_and_errors_can_be_read_from_any_origin() {
    let (homeserver, _clamd, app) = start().await;
    // The homeserver's own words on this are replaced.
    let other = |stored: Stored| CORS.iter().fold(stored, |stored, (name, _)| stored.header(name, "other"));
    homeserver.put_media("m", &other(Stored::media(b"a medium")));
    homeserver.put_media("infected", &other(Stored::media(&eicar())));
    homeserver.put_media("broken", &other(Stored::json(500, "{}")));
    assert_cors(&app.get(&path("public_key")).await, "public_key");
    for (route, _) in READS {
        for address in ["hs.test/m", "hs.test/infected", "hs.test/broken", "hs.test/missing", "hs.test/m/malformed"] {
            let rest = format!("{route}/{address}");
            assert_cors(&app.get(&path(&rest)).await, &rest);
        }
    }
    for route in ["scan_encrypted", "download_encrypted"] {
        assert_cors(&app.post(&path(route), b"not JSON").await, route);
    }
}

#[tokio::test]
async fn routing_errors_can_be_read_from_any_origin() {
    let (_homeserver, _clamd, app) = start().await;
    for (method, rest) in [("GET", "nope"), ("POST", "public_key"), ("GET", "scan_encrypted")] {
        let answer = app.client.send(request(method, &path(rest)), b"").await;
        assert_cors(&answer, &format!("{method} {rest}"));
    }
}

#[tokio::test]
async fn preflights_are_answered_on_any_path() {
    let (homeserver, _clamd, app) = start().await;
    for rest in [
        "public_key",
        "scan/hs.test/m",
        "download/hs.test/m/x",
        "scan_encrypted",
        "download_encrypted",
        "nope",
        "",
        "/x",
    ] {
        let sent = request("OPTIONS", &path(rest))
            .header("origin", "https://app.test")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let answer = app.client.send(sent, b"").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{rest}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{rest}");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn preflights_name_what_the_scanner_takes() {
    let (_homeserver, _clamd, app) = start().await;
    for rest in ["public_key", "scan/hs.test/m", "scan_encrypted", "nope"] {
        assert_cors(&app.client.send(request("OPTIONS", &path(rest)), b"").await, rest);
    }
}

/// Headers that depend neither on the time nor on how the body is framed.
fn lasting(mut headers: HeaderMap) -> HeaderMap {
    for name in ["content-length", "transfer-encoding", "date"] {
        headers.remove(name);
    }
    headers
}

#[tokio::test]
async fn a_head_request_gets_the_head_of_a_get() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium").header("content-disposition", "inline"));
    homeserver.put_media("infected", &Stored::media(&eicar()));
    for rest in [
        "public_key",
        "scan/hs.test/m",
        "scan/hs.test/infected",
        "scan/hs.test/missing",
        "scan/malformed",
        "download/hs.test/m",
        "download/hs.test/infected",
        "thumbnail/hs.test/m",
        "nope",
    ] {
        let get = app.get(&path(rest)).await;
        let sent = request("HEAD", &path(rest)).header("authorization", "Bearer token");
        let head = app.client.send(sent, b"").await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{rest}");
        // RFC 9110 §8.6: the length of the GET, or none at all.
        let length = head.header("content-length");
        assert!(length.is_none() || length == get.header("content-length"), "{rest}: {length:?}");
        assert_eq!(lasting(head.headers), lasting(get.headers), "{rest}");
    }
    assert!(homeserver.seen().iter().all(|seen| seen.method == "GET"), "not every homeserver knows HEAD");
}

#[tokio::test]
async fn only_safe_headers_go_on_with_a_medium() {
    let (homeserver, _clamd, app) = start().await;
    let kept = [
        ("content-disposition", "attachment; filename=a.bin"),
        ("content-security-policy", "sandbox"),
        ("cross-origin-resource-policy", "same-site"),
        ("cache-control", "private,max-age=1"),
    ];
    let dropped = [
        ("set-cookie", "session=secret"),
        ("etag", "\"1\""),
        ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("server", "Synapse"),
        ("accept-ranges", "bytes"),
        ("keep-alive", "timeout=5"),
        ("x-other", "1"),
    ];
    let stored =
        kept.iter().chain(&dropped).fold(Stored::media(b"x"), |stored, (name, value)| stored.header(name, value));
    homeserver.put_media("m", &stored);
    for route in ["download", "thumbnail"] {
        // The second answer comes from a known verdict.
        for _ in 0..2 {
            let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            for (name, value) in kept {
                assert_eq!(answer.header(name), Some(value), "{route}: {name}");
            }
            for (name, _) in dropped {
                assert_eq!(answer.header(name), None, "{route}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_medium_without_protective_headers_gets_them() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"<script>"));
    let answer = app.get(&path("download/hs.test/m")).await;
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox; default-src 'none'"));
}

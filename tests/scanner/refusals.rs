//! Answers of the homeserver that are no medium, or none that can be judged and served.

use serde_json::Value;

use super::{READS, assert_reads, error, path};
use crate::harness::{AppBuilder, CLEAN, Clamd, Homeserver, Stored, eicar, request, scans, start};

fn remote_error() -> (u16, Value) {
    error(502, "MCS_MEDIA_REQUEST_FAILED", "The remote server responded with an error")
}

fn unreachable() -> (u16, Value) {
    error(502, "MCS_MEDIA_REQUEST_FAILED", "Failed to reach the remote server")
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

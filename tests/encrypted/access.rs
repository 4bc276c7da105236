//! Attachments that the homeserver refuses, or that it is not even asked for.

use serde_json::json;

use super::{DOWNLOAD, KEY, SCAN, assert_refused, edited, put, with_file};
use crate::harness::{MALFORMED, Stored, eicar, request, scans, seal, start};

#[tokio::test]
async fn malformed_addresses_are_answered_without_asking_the_homeserver() {
    let (homeserver, _clamd, app) = start().await;
    let file = seal(b"x", "m", 1).file;
    for url in [
        "",
        "m",
        "mxc://",
        "mxc:/hs.test/m",
        "http://hs.test/m",
        "abcdefhs.test/m",
        "mxc://hs.test",
        "mxc://hs.test/",
        "mxc:///m",
        "mxc://hs.test/m/",
        "mxc://hs.test/m/x",
        "mxc://hs.test/m?x",
        "mxc://../m",
        "mxc://hs.test/..",
        "mxc://..%2Fpreview_url/m",
        "mxc://hs.test/m%2Fx",
        "mxc://hs.test:99999/m",
        " mxc://hs.test/m",
        KEY,
    ] {
        let body = with_file(&edited(&file, "/url", Some(json!(url))));
        let scan = app.post(SCAN, &body).await;
        assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, MALFORMED), "{url}");
        let download = app.post(DOWNLOAD, &body).await;
        let refusal = json!({"reason": "MCS_MEDIA_NOT_CLEAN", "info": "Malformed media ID"});
        assert_eq!((download.status.as_u16(), download.json()), (403, refusal), "{url}");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn refusals_of_the_homeserver_are_told_in_the_words_of_the_scanner() {
    let (homeserver, _clamd, app) = start().await;
    let body = seal(b"x", "m", 1).body();
    for (status, errcode, expected, reason) in [
        (401, "M_MISSING_TOKEN", 401, "M_MISSING_TOKEN"),
        (401, "M_UNKNOWN_TOKEN", 401, "M_UNKNOWN_TOKEN"),
        (401, "M_FORBIDDEN", 502, "MCS_MEDIA_REQUEST_FAILED"),
        (404, "M_NOT_FOUND", 404, "M_NOT_FOUND"),
        (400, "M_UNRECOGNIZED", 404, "M_NOT_FOUND"),
        (400, "M_UNKNOWN", 502, "MCS_MEDIA_REQUEST_FAILED"),
        (403, "M_FORBIDDEN", 502, "MCS_MEDIA_REQUEST_FAILED"),
        (429, "M_LIMIT_EXCEEDED", 502, "MCS_MEDIA_REQUEST_FAILED"),
        (500, "M_UNKNOWN", 502, "MCS_MEDIA_REQUEST_FAILED"),
        (504, "M_NOT_YET_UPLOADED", 502, "MCS_MEDIA_REQUEST_FAILED"),
    ] {
        homeserver.put_media("m", &Stored::json(status, &json!({"errcode": errcode}).to_string()));
        assert_refused(&app, &body, expected, reason, &format!("{status} {errcode}")).await;
    }
    for (what, stored) in [
        ("cut short", Stored::media(b"").cut_short(b"x")),
        ("partial", Stored::media(b"x").status(206)),
        ("redirected", Stored::media(b"").status(307).header("location", "https://cdn.test/m")),
        ("encoded", Stored::media(b"x").header("content-encoding", "gzip")),
        ("no content type", Stored::media(b"x").without_headers()),
    ] {
        homeserver.put_media("m", &stored);
        assert_refused(&app, &body, 502, "MCS_MEDIA_REQUEST_FAILED", what).await;
    }
}

#[tokio::test]
async fn a_known_verdict_is_told_to_nobody_whom_the_homeserver_refuses() {
    let (homeserver, _clamd, app) = start().await;
    for plaintext in [b"a medium".to_vec(), eicar()] {
        let sealed = put(&homeserver, &plaintext, "m", 1);
        homeserver.put("/_matrix/media/v3/download/hs.test/m", Stored::media(&sealed.ciphertext));
        assert_eq!(app.post(SCAN, &sealed.body()).await.status, 200);
        for route in [SCAN, DOWNLOAD] {
            let revoked = request("POST", route).header("authorization", "Bearer revoked");
            let answer = app.client.send(revoked, &sealed.body()).await;
            answer.assert_scanner_error(401, "M_UNKNOWN_TOKEN");
            let answer = app.client.send(request("POST", route), &sealed.body()).await;
            answer.assert_scanner_error(401, "M_MISSING_TOKEN");
        }
        homeserver.put_media("m", &Stored::json(404, r#"{"errcode":"M_NOT_FOUND"}"#));
        assert_refused(&app, &sealed.body(), 404, "M_NOT_FOUND", "quarantined").await;
    }
    assert_eq!(scans(&app).await, (1, 1), "the verdicts were known");
}

//! What policies let pass that nobody looked at.

use super::{UPLOAD, delivered, federated, multipart, native, rules, start, takes_uploads, thumbnail};
use crate::harness::{App, AppBuilder, Homeserver, Program, Stored, eicar, eventually, path, request};

const LIMIT: &str = "limits: {max_media_bytes: 100KiB}";

async fn upload(app: &App, body: &[u8]) -> crate::harness::Answer {
    let sent = request("POST", UPLOAD).header("authorization", "Bearer token").header("content-type", "a/b");
    app.client.send(sent, body).await
}

/// All engines of an application with these defaults are out.
async fn without_engines(defaults: &str) -> (Homeserver, Program, App) {
    let (homeserver, script) = (Homeserver::start().await, Program::new(Program::RECOGNISES));
    takes_uploads(&homeserver);
    let yaml =
        format!("defaults: {{{defaults}}}\nrules: [{{id: no-zips, match: {{type: application/zip}}, action: block}}]");
    let app = AppBuilder::new(&homeserver).within(rules(&yaml)).with(&script.section("")).start().await;
    script.set("exit 127");
    eventually("the script is out", || async { app.admin.get("/readyz").await.status == 503 }).await;
    for id in ["m", "n"] {
        homeserver.put_media(id, &Stored::media(b"a medium"));
    }
    homeserver.put("/_matrix/client/v1/media/thumbnail/hs.test/m", Stored::media(b"a small medium"));
    homeserver.put(&federated("m"), multipart("Content-Type: a/b", b"a medium"));
    (homeserver, script, app)
}

#[tokio::test]
async fn without_engines_only_directions_pass_that_may() {
    let all = ["upload", "download", "thumbnail", "federation"];
    for open in all {
        let (_homeserver, _script, app) = without_engines(&format!("engine_error: {{{open}: allow}}")).await;
        let answers = [
            upload(&app, b"a medium").await,
            app.get(&native("m")).await,
            app.get(&thumbnail("m")).await,
            app.client.get(&federated("m")).await,
        ];
        for (direction, answer) in all.into_iter().zip(answers) {
            let closed = if direction == "federation" { 404 } else { 503 };
            assert_eq!(answer.status, if direction == open { 200 } else { closed }, "{direction} with {open} open");
            let counted = app.metric(&delivered("", "engine_error", "default:engine_error", direction)).await;
            assert_eq!(counted, u64::from(direction == open));
        }
        let scanned = app.get(&path("scan/hs.test/m")).await;
        scanned.assert_scanner_error(503, "M_UNKNOWN");
    }
}

#[tokio::test]
async fn what_passed_without_engines_is_not_known_and_rules_still_hold() {
    let (homeserver, script, app) = without_engines("engine_error: allow").await;
    homeserver.put_media("infected", &Stored::media(&eicar()));
    homeserver.put_media("zip", &Stored::media(&[b"PK\x03\x04".as_slice(), &[0; 60]].concat()));
    assert_eq!(app.get(&native("infected")).await.status, 200);
    app.get(&native("zip")).await.assert_matrix_error(403, "M_FORBIDDEN");
    let bytes = delivered("_bytes", "engine_error", "default:engine_error", "download");
    assert_eq!(app.metric(&bytes).await, eicar().len() as u64);
    script.set(Program::RECOGNISES);
    app.ready().await;
    app.get(&native("infected")).await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn what_is_too_large_is_refused_unless_its_direction_is_open() {
    let large = vec![b'x'; 1 << 20];
    for open in [None, Some("upload"), Some("download"), Some("thumbnail"), Some("federation")] {
        let defaults = open.map_or(String::new(), |open| format!("defaults: {{oversize: {{{open}: allow}}}}"));
        let (homeserver, _clamd, app) = start(&defaults, LIMIT).await;
        homeserver.put_media("m", &Stored::media(&large).header("content-disposition", "inline; filename=a"));
        homeserver.put("/_matrix/client/v1/media/thumbnail/hs.test/m", Stored::media(&large));
        homeserver.put(&federated("m"), multipart("Content-Type: a/b", &large));
        let expected = |direction, closed| if open == Some(direction) { 200 } else { closed };
        let uploaded = upload(&app, &large).await;
        assert_eq!(uploaded.status, expected("upload", 413), "{open:?}");
        if open == Some("upload") {
            assert!(homeserver.last().body == large);
            assert_eq!(homeserver.last().header("content-length"), Some("1048576"));
        }
        let downloaded = app.get(&native("m")).await;
        assert_eq!(downloaded.status, expected("download", 403), "{open:?}");
        if open == Some("download") {
            assert!(downloaded.body == large);
            assert_eq!(downloaded.header("content-disposition"), Some("inline; filename=a"));
            assert_eq!(
                (downloaded.header("x-content-type-options"), downloaded.header("etag")),
                (Some("nosniff"), None)
            );
        }
        assert_eq!(app.get(&thumbnail("m")).await.status, expected("thumbnail", 403), "{open:?}");
        let federation = app.client.get(&federated("m")).await;
        assert_eq!(federation.status, expected("federation", 404), "{open:?}");
        if open == Some("federation") {
            assert!(federation.body.ends_with(b"xx\r\n--b--\r\n") && federation.body.len() > large.len());
        }
        app.get(&path("download/hs.test/m")).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        for direction in ["upload", "download", "thumbnail", "federation"] {
            let counted = app.metric(&delivered("", "oversize", "default:oversize", direction)).await;
            assert_eq!(counted, u64::from(open == Some(direction)), "{direction} with {open:?} open");
        }
    }
}

#[tokio::test]
async fn what_does_not_say_that_it_is_too_large_does_not_pass() {
    let (homeserver, _clamd, app) = start("defaults: {oversize: allow}", LIMIT).await;
    let large = vec![b'x'; 1 << 20];
    homeserver.put_media("m", &Stored::media(b"").chunked(&[&large]));
    app.get(&native("m")).await.assert_matrix_error(403, "M_FORBIDDEN");
    homeserver.put_media("gz", &Stored::media(&large).header("content-encoding", "gzip"));
    app.get(&native("gz")).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(app.metric(&delivered("", "oversize", "default:oversize", "download")).await, 0);
}

#[tokio::test]
async fn nobody_uploads_past_the_scanner_who_could_not_upload() {
    let (homeserver, _clamd, app) = start("defaults: {oversize: allow}", LIMIT).await;
    let refusal = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"Unknown token"}"#;
    homeserver.put("/_matrix/client/v3/account/whoami", Stored::json(401, refusal));
    upload(&app, &vec![b'x'; 1 << 20]).await.assert_matrix_error(401, "M_UNKNOWN_TOKEN");
    assert_eq!(homeserver.uploads(), 0);
}

#[tokio::test]
async fn clients_are_not_kept_from_uploads_that_would_pass() {
    for (defaults, expected) in [("", 102_400), ("defaults: {oversize: {upload: allow}}", 5_000_000)] {
        let (homeserver, _clamd, app) = start(defaults, LIMIT).await;
        homeserver.put("/_matrix/client/v1/media/config", Stored::json(200, r#"{"m.upload.size":5000000}"#));
        assert_eq!(app.get("/_matrix/client/v1/media/config").await.json()["m.upload.size"], expected);
    }
}

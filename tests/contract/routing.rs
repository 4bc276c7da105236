//! Paths, methods, preflights, and what else all routes have in common.

use base64::{Engine as _, prelude::*};

use super::{
    clean, error, malformed_address, posts, unrecognized,
    vector::{Expected, PREFIX, Sent, Stage, check, row},
};
use crate::harness::{Stored, eicar, seal, start};

#[tokio::test]
async fn there_are_no_other_paths_and_methods() {
    let unknown = ["", "nope", "public_key/", "PUBLIC_KEY", "%70ublic_key", "scans/hs.test/m", "scan_file/"];
    let unknown =
        unknown.map(|path| row(format!("unknown path `{path}`")).get(path).expects(unrecognized(404)).unasked());
    let wrong = [
        ("POST", "public_key"),
        ("PUT", "public_key"),
        ("POST", "scan/hs.test/m"),
        ("DELETE", "download/hs.test/m"),
        ("POST", "thumbnail/hs.test/m"),
        ("GET", "scan_encrypted"),
        ("PUT", "download_encrypted"),
        ("GET", "scan_file"),
    ];
    let wrong = wrong.map(|(method, path)| {
        row("wrong method").sends([Sent::new(method, path)]).expects(unrecognized(405)).unasked()
    });
    check(unknown.into_iter().chain(wrong)).await;
}

#[tokio::test]
async fn slashes_at_the_end_doubled_and_encoded_mean_what_they_always_meant() {
    let moved = |to: &str| {
        let expected = Expected::bytes(308, "308: Permanent Redirect").with("location", &format!("{PREFIX}{to}"));
        expected.with("content-type", "text/plain; charset=utf-8")
    };
    let medium = Stored::media(b"a medium");
    let target = ["/_matrix/client/v1/media/download/hs.test/m"];
    check([
        row("trailing slash").sends([Sent::new("POST", "scan_encrypted/")]).expects(unrecognized(404)),
        row("trailing slash of an address").get("scan/hs.test/m/").expects(malformed_address()).unasked(),
        row("trailing slash of an address to be served")
            .get("download/hs.test/m/")
            .get("thumbnail/hs.test/m/")
            .expects(error(403, "MCS_MEDIA_NOT_CLEAN", "Malformed media ID"))
            .unasked(),
        row("doubled slash")
            .get("/public_key")
            .expects(moved("public_key"))
            .deviates("pages may follow it: it has CORS"),
        row("doubled slash, with a query")
            .get("//scan/hs.test/m?x=1&y")
            .expects(moved("scan/hs.test/m?x=1&y"))
            .unasked(),
        row("doubled slash, with a body")
            .sends([Sent::new("POST", "/scan_encrypted").body("{}")])
            .expects(moved("scan_encrypted")),
        row("doubled slash, wrong method").sends([Sent::new("POST", "/public_key")]).expects(unrecognized(404)),
        row("doubled slash, unknown path").get("/nope").expects(unrecognized(404)),
        row("doubled slash in an address").get("scan/hs.test//m").expects(malformed_address()).unasked(),
        row("encoded slash")
            .medium(&medium)
            .get("scan/hs.test%2Fm")
            .get("scan/hs.test%2fm")
            .expects(clean())
            .asks(&target),
        row("encoded slash too many")
            .get("scan/hs.test/m%2Fx")
            .get("scan/hs.test%2Fm%2Fx")
            .expects(malformed_address())
            .unasked(),
    ])
    .await;
}

#[tokio::test]
async fn preflights_are_answered_on_every_path() {
    let paths =
        ["public_key", "scan/hs.test/m", "download/x", "scan_encrypted", "scan_file", "nope", "", "/public_key"];
    let sent = paths.map(|path| {
        Sent::new("OPTIONS", path)
            .without_token()
            .header("origin", "https://app.test")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    });
    check([row("OPTIONS").sends(sent).expects(Expected::bytes(200, "")).unasked()]).await;
}

#[tokio::test]
async fn head_does_what_get_does_and_says_less() {
    let head = |path: &str| [Sent::new("HEAD", path)];
    let json = |status| Expected::bytes(status, "").with("content-type", "application/json");
    let asked = |kind: &str| format!("/_matrix/client/v1/media/{kind}/hs.test/m");
    let (medium, infected) =
        (Stored::media(b"a medium").header("content-disposition", "inline"), Stored::media(&eicar()));
    let served = Expected::bytes(200, "").with("content-disposition", "inline");
    check([
        row("HEAD of the key").sends(head("public_key")).expects(json(200)),
        row("HEAD of a scan")
            .medium(&medium)
            .sends(head("scan/hs.test/m"))
            .expects(json(200))
            .asks(&[&asked("download")]),
        row("HEAD of a download")
            .medium(&medium)
            .sends(head("download/hs.test/m"))
            .expects(served.clone())
            .asks(&[&asked("download")]),
        row("HEAD of a thumbnail")
            .medium(&medium)
            .sends(head("thumbnail/hs.test/m"))
            .expects(served)
            .asks(&[&asked("thumbnail")]),
        row("HEAD of what is infected").medium(&infected).sends(head("download/hs.test/m")).expects(json(403)),
        row("HEAD of what is missing").sends(head("scan/hs.test/m")).expects(json(404)),
        row("HEAD of nothing").sends(head("nope")).expects(json(404)),
    ])
    .await;
}

#[tokio::test]
async fn request_bodies_are_read_whatever_they_are_called_up_to_a_mebibyte() {
    let sealed = seal(b"a medium", "m", 1);
    let ciphertext = Stored::media(&sealed.ciphertext);
    let of_len = |len| {
        let mut body = sealed.body();
        body.resize(len, b' ');
        body
    };
    let kinds = ["text/plain", "application/x-www-form-urlencoded", ""];
    let of_any_kind = |route: &str| {
        let unnamed = Sent::new("POST", route).body(sealed.body());
        let mut sent = vec![unnamed.clone()];
        sent.extend(kinds.map(|kind| unnamed.clone().header("content-type", kind)));
        sent
    };
    let mebibyte = 1024 * 1024;
    check([
        row("any content type").medium(&ciphertext).sends(of_any_kind("scan_encrypted")).expects(clean()),
        row("any content type, served")
            .medium(&ciphertext)
            .sends(of_any_kind("download_encrypted"))
            .expects(Expected::bytes(200, &sealed.ciphertext[..])),
        row("1 MiB")
            .medium(&ciphertext)
            .sends([Sent::new("POST", "scan_encrypted").body(of_len(mebibyte))])
            .expects(clean()),
        row("more than 1 MiB")
            .sends(posts(&of_len(mebibyte + 1)))
            .deviates("a body that is too large is the client's fault")
            .expects(error(413, "MCS_MALFORMED_JSON", "The request body is too large"))
            .strictly(error(500, "M_UNKNOWN", "Internal Server Error"))
            .unasked(),
    ])
    .await;
}

/// What no attachment's description needs is paid for.
#[tokio::test]
async fn a_large_request_body_needs_room_in_memory() {
    let stage = Stage::start("limits: {memory_bytes: 0}").await;
    let sealed = seal(b"a medium", "m", 1);
    let of_len = |len| {
        let mut body = sealed.body();
        body.resize(len, b' ');
        [Sent::new("POST", "scan_encrypted").body(body)]
    };
    let row = |what: &str, len| row(what).medium(&Stored::media(&sealed.ciphertext)).sends(of_len(len));
    let later = error(503, "M_UNKNOWN", "Too many requests at the moment; try again later").with("retry-after", "5");
    let why = "memory is bounded, and waiting helps";
    stage
        .check([
            row("64 KiB", 64 * 1024).expects(clean()),
            row("more than 64 KiB", 64 * 1024 + 1).expects(later).unasked().deviates(why),
        ])
        .await;
}

#[tokio::test]
async fn the_public_key_is_unpadded_base64_for_everyone() {
    let (homeserver, _clamd, app) = start().await;
    let answer = app.client.get(&format!("{PREFIX}public_key")).await;
    let key = answer.json()["public_key"].as_str().unwrap().to_owned();
    assert_eq!((answer.status.as_u16(), answer.text()), (200, format!(r#"{{"public_key":"{key}"}}"#)));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((key.len(), BASE64_STANDARD_NO_PAD.decode(&key).unwrap().len()), (43, 32));
    assert_eq!(app.get(&format!("{PREFIX}public_key")).await.body, answer.body, "it stays the same");
    assert_eq!(homeserver.seen().len(), 0);
}

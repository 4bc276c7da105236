//! The Dart SDK of Famedly: no scans of its own, downloads only.

use serde_json::{Value, json};

use super::{authorized, post, text};
use crate::harness::{
    Answer, DOWNLOAD_ENCRYPTED, Sealed, Stored, edited, eicar, path, put_sealed, request, seal, start,
};

/// What it makes of an error: the scanner's words, or else those of Matrix.
fn message(answer: &Answer) -> (String, String) {
    let error = answer.json();
    let of = |scanner, matrix| text(&error, scanner).or(text(&error, matrix)).expect("one of both").to_owned();
    (of("reason", "errcode"), of("info", "error"))
}

/// The map `file` of an event, as it came.
fn map_of_the_event(sealed: &Sealed) -> Value {
    let file = edited(&sealed.file, "/mimetype", Some(json!("video/mp4")));
    let file = edited(&file, "/size", Some(json!(1_048_576)));
    edited(&file, "/info", Some(json!({"w": 640, "h": 480, "xyz.amorgan.blurhash": "L6Pj0^jE"})))
}

/// An address below one that an operator configured, which is given a slash if it has none.
fn below(configured: &str, address: &str) -> String {
    format!("{}/{address}", configured.trim_end_matches('/'))
}

#[tokio::test]
async fn an_attachment_is_asked_for_with_the_map_of_its_event() {
    let (homeserver, _clamd, app) = start().await;
    for (id, plaintext, status) in [("m", b"a medium".to_vec(), 200), ("bad", eicar(), 403)] {
        let sealed = put_sealed(&homeserver, &plaintext, id, 1);
        let body = json!({"file": map_of_the_event(&sealed)}).to_string();
        let answer = post(&app, authorized("POST", DOWNLOAD_ENCRYPTED), body.as_bytes()).await;
        assert_eq!(answer.status.as_u16(), status);
        match status {
            200 => assert_eq!(answer.body, sealed.ciphertext),
            _ => assert_eq!(message(&answer), ("MCS_MEDIA_NOT_CLEAN".to_owned(), "***VIRUS DETECTED***".to_owned())),
        }
    }
}

/// Parameters go on as they are, and a port stands in the path as it is in the address.
#[tokio::test]
async fn thumbnails_and_downloads_come_from_any_server_and_with_any_parameters() {
    let (homeserver, _clamd, app) = start().await;
    let query = "width=800.0&height=600.0&method=crop&animated=true";
    for (server, encoded) in
        [("hs.test", "hs.test"), ("hs.test:8448", "hs.test%3A8448"), ("[::1]:8448", "%5B%3A%3A1%5D%3A8448")]
    {
        for (kind, query) in [("download", String::new()), ("thumbnail", format!("?{query}"))] {
            let target = format!("/_matrix/client/v1/media/{kind}/{encoded}/m");
            homeserver.put(&target, Stored::media(b"a medium"));
            for configured in [path(kind), path(&format!("{kind}/"))] {
                let asked = below(&configured, &format!("{server}/m{query}"));
                let answer = app.client.send(authorized("GET", &asked), b"").await;
                assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"a medium"[..]), "{asked}");
                assert_eq!(homeserver.last().target, format!("{target}{query}"));
            }
        }
    }
}

#[tokio::test]
async fn every_failure_has_words_for_its_user() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let missing = json!({"file": map_of_the_event(&seal(b"x", "missing", 1))}).to_string().into_bytes();
    let spoilt = json!({"file": edited(&sealed.file, "/v", Some(json!("v9")))}).to_string().into_bytes();
    let outdated = request("POST", DOWNLOAD_ENCRYPTED).header("authorization", "Bearer old");
    for (answer, reason) in [
        (post(&app, outdated, &sealed.body()).await, "M_UNKNOWN_TOKEN"),
        (post(&app, authorized("POST", DOWNLOAD_ENCRYPTED), &missing).await, "M_NOT_FOUND"),
        (post(&app, authorized("POST", DOWNLOAD_ENCRYPTED), &spoilt).await, "MCS_MALFORMED_JSON"),
        (app.client.send(authorized("GET", &path("nothing")), b"").await, "M_UNRECOGNIZED"),
    ] {
        let (given, words) = message(&answer);
        assert_eq!(given, reason);
        assert!(!words.is_empty());
    }
}

//! matrix-ios-sdk: classic Element and Tchap on iOS.

use serde_json::{Value, json};
use vodozemac::Curve25519PublicKey;

use super::{post, verdict};
use crate::harness::{
    Answer, App, AppBuilder, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Sealed, Stored, edited, eicar, envelope,
    path, public_key, put_sealed, request, start, with_file,
};

/// What it says when it has no token.
const NULL: &str = "Bearer (null)";

/// The file as it is in an event, with all that else was ever put into one.
fn as_in_its_event(sealed: &Sealed) -> Value {
    let file = edited(&sealed.file, "/mimetype", Some(json!("image/jpeg")));
    let file = edited(&file, "/size", Some(json!(12345)));
    let file = edited(&file, "/name", Some(json!("IMG_0001.JPG")));
    let file = edited(&file, "/key/kid", Some(json!(null)));
    edited(&file, "/hashes/md5", Some(json!("")))
}

/// Asks without a token, as its scans do.
async fn scan(app: &App, body: &[u8]) -> Answer {
    post(app, request("POST", SCAN_ENCRYPTED), body).await
}

#[tokio::test]
async fn scans_without_a_token_and_with_further_members_give_a_verdict() {
    let (homeserver, _clamd, app) = start().await;
    for (id, plaintext, is_clean) in [("m", b"a medium".to_vec(), true), ("bad", eicar(), false)] {
        let file = as_in_its_event(&put_sealed(&homeserver, &plaintext, id, 1));
        let inner = json!({"file": file, "mimetype": "image/jpeg"}).to_string();
        let mut sealed = envelope(public_key(&app).await, inner.as_bytes());
        sealed["version"] = json!(1);
        let body = json!({"encrypted_body": sealed, "room_id": "!room:hs.test"}).to_string();
        assert_eq!(verdict(&scan(&app, body.as_bytes()).await), is_clean);
        assert_eq!(verdict(&scan(&app, inner.as_bytes()).await), is_clean);
        let expected = format!("/_matrix/media/v3/download/hs.test/{id}");
        assert!(homeserver.last().target.starts_with(&expected), "{}", homeserver.last().target);
    }
    homeserver.put_media("plain", &Stored::media(b"a plain medium"));
    assert!(verdict(&app.client.get(&path("scan/hs.test/plain")).await));
}

/// It is a token like any other to us: the homeserver does not know it.
#[tokio::test]
async fn a_token_that_is_null_is_told_to_be_unknown() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let answer = post(&app, request("POST", DOWNLOAD_ENCRYPTED).header("authorization", NULL), &sealed.body()).await;
    answer.assert_scanner_error(401, "M_UNKNOWN_TOKEN");
    for route in ["download/hs.test/m", "thumbnail/hs.test/m?width=800&height=600&method=scale"] {
        let answer = app.client.send(request("GET", &path(route)).header("authorization", NULL), b"").await;
        answer.assert_scanner_error(401, "M_UNKNOWN_TOKEN");
        let seen = homeserver.last();
        assert_eq!((seen.header("authorization"), seen.target.contains("/client/v1/media/")), (Some(NULL), true));
    }
}

/// It keeps the body of any answer as the file, so a refusal must be nothing but a refusal, and kept by nobody else.
#[tokio::test]
async fn a_refusal_is_no_file() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("bad", &Stored::media(&eicar()));
    for route in ["download/hs.test/bad", "thumbnail/hs.test/bad?width=800&height=600&method=scale"] {
        let answer = app.get(&path(route)).await;
        answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        assert!(!answer.body.windows(20).any(|window| eicar().starts_with(window)));
        assert_eq!(answer.header("content-disposition"), None);
    }
}

/// The key that it keeps, and gives up when it is told that it does not fit.
struct Keys(Option<Curve25519PublicKey>);

impl Keys {
    async fn scan(&mut self, app: &App, sealed: &Sealed) -> Answer {
        let key = match self.0 {
            Some(key) => key,
            None => *self.0.insert(public_key(app).await),
        };
        let inner = with_file(&as_in_its_event(sealed));
        let body = json!({"encrypted_body": envelope(key, &inner)}).to_string();
        let answer = scan(app, body.as_bytes()).await;
        if answer.json()["reason"] == "MCS_BAD_DECRYPTION" {
            self.0 = None;
        }
        answer
    }
}

#[tokio::test]
async fn an_outdated_key_is_given_up_and_the_next_attempt_works() {
    let (homeserver, clamd, before) = start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let mut keys = Keys(None);
    assert!(verdict(&keys.scan(&before, &sealed).await));
    let after = another(&homeserver, &clamd).await;
    keys.scan(&after, &sealed).await.assert_scanner_error(403, "MCS_BAD_DECRYPTION");
    assert!(verdict(&keys.scan(&after, &sealed).await));
}

/// An application with a key of its own.
async fn another(homeserver: &Homeserver, clamd: &crate::harness::Clamd) -> App {
    AppBuilder::new(homeserver).clamd(clamd).start().await
}

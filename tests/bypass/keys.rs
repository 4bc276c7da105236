//! Rows 14 and 15: encrypted attachments that two readers decrypt differently.

use base64::{Engine as _, prelude::*};
use serde_json::{Value, json};

use crate::harness::{CLEAN, DOWNLOAD_ENCRYPTED, INFECTED, SCAN_ENCRYPTED, Stored, eicar, seal, start};

/// A wrong key opens infected ciphertext to clean noise, and a verdict by ciphertext would then count for the right one.
#[tokio::test]
async fn row_14_a_wrong_key_vouches_for_nothing_but_itself() {
    let (homeserver, _clamd, app) = start().await;
    for (id, wrong_first) in [("before", true), ("after", false)] {
        let sealed = seal(&eicar(), id, 1);
        let wrong = seal(&eicar(), id, 1).with_key(2);
        homeserver.put_media(id, &Stored::media(&sealed.ciphertext));
        let (right, wrong) = ((sealed.body(), INFECTED), (wrong.body(), CLEAN));
        let order = if wrong_first { [&wrong, &right, &wrong, &right] } else { [&right, &wrong, &right, &wrong] };
        for (body, said) in order {
            assert_eq!(app.post(SCAN_ENCRYPTED, body).await.text(), *said, "{id}");
        }
        app.post(DOWNLOAD_ENCRYPTED, &right.0).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    }
}

/// Implementations count, pad and choose versions differently.
#[tokio::test]
async fn row_15_what_readers_would_decrypt_differently_is_not_decrypted() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(&[b'a'; 64], "m", 1);
    homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
    let with = |pointer: &str, value: Value| {
        let mut file = sealed.file.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        json!({"file": file}).to_string()
    };
    let iv = |bytes: &[u8]| json!(BASE64_STANDARD_NO_PAD.encode(bytes));
    let wrapping = [[1; 8], [0xff; 8]].concat();
    for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
        let answer = app.post(route, with("/iv", iv(&wrapping)).as_bytes()).await;
        answer.assert_scanner_error(400, "MCS_MEDIA_FAILED_TO_DECRYPT");
        let twice = sealed.file.to_string().replacen("\"v\":\"v2\"", "\"v\":\"v2\",\"v\":\"v1\"", 1);
        for (what, body) in [
            ("v0", with("/v", json!("v0"))),
            ("v1", with("/v", json!("v1"))),
            ("half an IV", with("/iv", iv(&[1; 8]))),
            ("a key of 128 bits", with("/key/k", json!(BASE64_URL_SAFE_NO_PAD.encode([1; 16])))),
            ("another cipher", with("/key/alg", json!("A256GCM"))),
            ("no Base64", with("/key/k", json!("****"))),
            ("a member twice", format!("{{\"file\":{twice}}}")),
        ] {
            let answer = app.post(route, body.as_bytes()).await;
            assert_eq!(answer.status, 400, "{what}: {answer:?}");
            assert!(answer.json()["reason"].is_string() && answer.json().get("clean").is_none(), "{what}");
        }
    }
    assert_eq!(app.scans("clean").await, 0);
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), CLEAN);
}

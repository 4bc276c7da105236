//! Files in an envelope: what counts beside them, and that no failure tells what was inside.

use base64::{Engine as _, prelude::*};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, pk_encryption::PkDecryption};

use super::{
    DOWNLOAD, KEY, SCAN, assert_clean, assert_refused, edited, envelope, not_utf8, public_key, put, with_file,
};
use crate::harness::{Answer, eicar, seal, start};

#[tokio::test]
async fn the_envelope_wins_over_the_file() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    let clean = put(&homeserver, b"a medium", "clean", 1);
    let infected = put(&homeserver, &eicar(), "infected", 2);
    for file in [infected.file, json!({"v": "v1"}), json!(KEY), json!([]), json!(null)] {
        let body = json!({"file": file, "encrypted_body": envelope(key, &clean.body())}).to_string();
        assert_clean(&app, body.as_bytes(), &clean.ciphertext, &file.to_string()).await;
    }
    assert!(homeserver.seen().iter().all(|seen| seen.target.ends_with("/clean")));
}

#[tokio::test]
async fn an_array_does_not_stand_for_an_envelope() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    let good = envelope(key, &sealed.body());
    let inner = json!([sealed.file, null]).to_string();
    for sent in [json!([good["ciphertext"], good["mac"], good["ephemeral"]]), envelope(key, inner.as_bytes())] {
        let body = json!({"encrypted_body": sent}).to_string();
        assert_refused(&app, body.as_bytes(), 403, "MCS_BAD_DECRYPTION", &body).await;
    }
}

/// An envelope with one bit of a member flipped.
fn flipped(envelope: &Value, member: &str, at: impl Fn(usize) -> usize) -> Value {
    let mut bytes = BASE64_STANDARD_NO_PAD.decode(envelope[member].as_str().unwrap()).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    edited(envelope, &format!("/{member}"), Some(json!(BASE64_STANDARD_NO_PAD.encode(bytes))))
}

/// Everything that can be wrong with an envelope itself.
fn broken_envelopes(key: Curve25519PublicKey, text: &[u8]) -> Vec<Value> {
    let good = envelope(key, text);
    let mut rows = vec![json!(7), json!(true), json!("text"), json!([]), json!({}), json!([[]])];
    for member in ["/ciphertext", "/mac", "/ephemeral"] {
        let wrong = [json!(null), json!(7), json!([KEY]), json!(""), json!("!"), json!("A"), json!("AAAA"), json!(KEY)];
        rows.extend(wrong.map(|value| edited(&good, member, Some(value))));
        rows.push(edited(&good, member, None));
    }
    rows.push(envelope(PkDecryption::new().public_key(), text));
    rows.push(edited(&good, "/ephemeral", Some(json!("A".repeat(43)))));
    for member in ["ciphertext", "mac", "ephemeral"] {
        rows.push(flipped(&good, member, |_| 0));
        rows.push(flipped(&good, member, |len| len / 2));
    }
    rows.push(flipped(&good, "ciphertext", |len| len - 1));
    rows.push(flipped(&good, "mac", |len| len - 1));
    let ciphertext = BASE64_STANDARD_NO_PAD.decode(good["ciphertext"].as_str().unwrap()).unwrap();
    for shorter in [1, 16] {
        let cut = BASE64_STANDARD_NO_PAD.encode(&ciphertext[..ciphertext.len() - shorter]);
        rows.push(edited(&good, "/ciphertext", Some(json!(cut))));
    }
    rows
}

/// Everything that can be wrong with what comes out of an envelope.
fn broken_texts(file: &Value) -> Vec<Vec<u8>> {
    let once = json!({"file": file}).to_string();
    let mut texts: Vec<Vec<u8>> = [
        "",
        "not JSON",
        "[]",
        "7",
        "null",
        "{}",
        r#"{"file":null}"#,
        r#"{"file":7}"#,
        r#"{"file":{}}"#,
        &once[..once.len() - 1],
        &format!("{once}x"),
        &once.replacen("\"v\":", "\"v\":\"v2\",\"v\":", 1),
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    texts.extend([b"\xff".to_vec(), not_utf8(&json!({"file": edited(file, "/iv", Some(json!("@")))}).to_string())]);
    for (pointer, value) in [
        ("/v", json!("v1")),
        ("/v", json!(KEY)),
        ("/key/alg", json!("A128CTR")),
        ("/key/key_ops", json!([KEY])),
        ("/key/k", json!("AAAA")),
        ("/key/k", json!("!")),
        ("/iv", json!("AAAA")),
        ("/hashes/sha256", json!("AAAA")),
        // Whoever flips bits of a ciphertext would learn from another answer that all the rest was read.
        ("/url", json!("mxc://hs.test")),
        ("/url", json!("mxc://../m")),
    ] {
        texts.push(with_file(&edited(file, pointer, Some(value))));
    }
    texts
}

/// Everything that an answer tells but the time.
fn told(mut answer: Answer) -> (StatusCode, HeaderMap, Bytes) {
    answer.headers.remove("date");
    (answer.status, answer.headers, answer.body)
}

/// The envelope authenticates nothing, so a difference between two failures would tell its sender what it decrypts to.
#[tokio::test]
async fn all_envelopes_that_cannot_be_opened_are_answered_alike() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    let file = edited(&seal(b"x", "m", 1).file, "/key/k", Some(json!(KEY)));
    let mut envelopes = broken_envelopes(key, &with_file(&file));
    envelopes.extend(broken_texts(&file).iter().map(|text| envelope(key, text)));
    let mut first = None;
    for envelope in envelopes {
        // A valid file beside it must not make up for it.
        let body = json!({"file": file, "encrypted_body": envelope}).to_string();
        assert_refused(&app, body.as_bytes(), 403, "MCS_BAD_DECRYPTION", &body).await;
        for route in [SCAN, DOWNLOAD] {
            let told = told(app.post(route, body.as_bytes()).await);
            assert_eq!(&told, first.get_or_insert_with(|| told.clone()), "{route}: {body}");
        }
    }
    assert_eq!(homeserver.seen().len(), 0);
}

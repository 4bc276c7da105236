//! W9: an envelope that cannot be opened tells nothing of why, nor of what is in it.

use base64::{Engine as _, prelude::*};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, pk_encryption::PkDecryption};

use crate::harness::{
    Answer, App, AppBuilder, CLEAN, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, RECOGNISABLE, SCAN_ENCRYPTED, edited,
    envelope, public_key, put_sealed, request, seal, start, with_file,
};

/// The bytes of a member.
fn bytes(envelope: &Value, member: &str) -> Vec<u8> {
    BASE64_STANDARD_NO_PAD.decode(envelope[member].as_str().unwrap()).unwrap()
}

/// An envelope with other bytes in a member.
fn with_bytes(envelope: &Value, member: &str, bytes: &[u8]) -> Value {
    edited(envelope, &format!("/{member}"), Some(json!(BASE64_STANDARD_NO_PAD.encode(bytes))))
}

/// Everything that can be wrong with the members of an envelope.
fn broken_members(key: Curve25519PublicKey, text: &[u8]) -> Vec<Value> {
    let good = envelope(key, text);
    let mut rows = vec![json!(7), json!(true), json!("text"), json!([]), json!({}), json!([[]])];
    for member in ["/ciphertext", "/mac", "/ephemeral"] {
        let wrong = [
            json!(null),
            json!(7),
            json!([RECOGNISABLE]),
            json!(""),
            json!("!"),
            json!("A"),
            json!("AAAA"),
            json!(RECOGNISABLE),
        ];
        rows.extend(wrong.map(|value| edited(&good, member, Some(value))));
        rows.push(edited(&good, member, None));
    }
    rows.push(envelope(PkDecryption::new().public_key(), text));
    rows.push(edited(&good, "/ephemeral", Some(json!("A".repeat(43)))));
    rows.push(json!([good["ciphertext"], good["mac"], good["ephemeral"]]));
    rows
}

/// An envelope with every one of its bytes changed, and with its ciphertext cut at every length.
fn broken_bytes(good: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for (member, masks) in [("ciphertext", &[0x01, 0x80][..]), ("mac", &[0x01, 0x80]), ("ephemeral", &[0x01])] {
        let whole = bytes(good, member);
        for (at, mask) in (0..whole.len()).flat_map(|at| masks.iter().map(move |mask| (at, mask))) {
            let mut changed = whole.clone();
            changed[at] ^= mask;
            rows.push(with_bytes(good, member, &changed));
        }
    }
    let ciphertext = bytes(good, "ciphertext");
    rows.extend((0..ciphertext.len()).map(|len| with_bytes(good, "ciphertext", &ciphertext[..len])));
    rows
}

/// What a padding oracle is asked: each of these ends with a block of the envelope behind one of the attacker's making,
/// and the padding of exactly one of them is right.
fn padding_attack(good: &Value, block: usize) -> Vec<Value> {
    let whole = bytes(good, "ciphertext");
    let target = &whole[16 * block..16 * (block + 1)];
    let made = |last: u8| [[7; 15].as_slice(), &[last], target].concat();
    (0..=255).map(|last| with_bytes(good, "ciphertext", &made(last))).collect()
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
        &json!([file, null]).to_string(),
        &once[..once.len() - 1],
        &format!("{once}x"),
        &once.replacen("\"v\":", "\"v\":\"v2\",\"v\":", 1),
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    texts.extend([b"\xff".to_vec(), [&once.as_bytes()[..once.len() - 2], b",\"x\":\"\xff\"}}"].concat()]);
    for (pointer, value) in [
        ("/v", json!("v1")),
        ("/v", json!(RECOGNISABLE)),
        ("/key/alg", json!("A128CTR")),
        ("/key/key_ops", json!([RECOGNISABLE])),
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

/// Asserts that all of them are answered with the same bytes on both routes.
async fn assert_alike(app: &App, file: &Value, envelopes: Vec<Value>) {
    let expected = &told(app.post(SCAN_ENCRYPTED, br#"{"encrypted_body":7}"#).await);
    let asking = envelopes.into_iter().enumerate().map(|(number, envelope)| async move {
        // A valid file beside it must not make up for it.
        let body = json!({"file": file, "encrypted_body": envelope}).to_string();
        let route = [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED][number % 2];
        let sent = request("POST", route).header("authorization", "Bearer token");
        let told = told(app.client.send(sent, body.as_bytes()).await);
        assert_eq!(&told, expected, "{route}: {body}");
    });
    stream::iter(asking).buffer_unordered(8).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w9_all_envelopes_that_cannot_be_opened_are_answered_alike() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let file = edited(&seal(b"x", "m", 1).file, "/key/k", Some(json!(RECOGNISABLE)));
    for strict in [false, true] {
        let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&format!("compat: {{strict_mcs: {strict}}}"));
        let app = app.start().await;
        let key = public_key(&app).await;
        // Twice, since every second one is sent to each route.
        for skipped in 0..2 {
            let mut envelopes = broken_members(key, &with_file(&file));
            envelopes.extend(broken_texts(&file).iter().map(|text| envelope(key, text)));
            assert_alike(&app, &file, envelopes.split_off(skipped)).await;
        }
    }
    assert_eq!(homeserver.seen().len(), 0);
}

/// The envelope authenticates nothing, so who sits between could ask for one byte after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w9_who_changes_an_envelope_byte_by_byte_learns_nothing() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let good = envelope(public_key(&app).await, &sealed.body());
    assert_alike(&app, &sealed.file, broken_bytes(&good)).await;
    for block in [0, 7] {
        assert_alike(&app, &sealed.file, padding_attack(&good, block)).await;
    }
    assert_eq!(homeserver.seen().len(), 0);
    let whole = json!({"encrypted_body": good}).to_string();
    assert_eq!(app.post(SCAN_ENCRYPTED, whole.as_bytes()).await.text(), CLEAN, "unchanged, it opens");
}

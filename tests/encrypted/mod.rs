//! The scanner API on encrypted attachments: what opens them, and what a verdict under one key is worth under another.

use std::sync::Arc;

use base64::{Engine as _, prelude::*};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;
use vodozemac::{
    Curve25519PublicKey,
    pk_encryption::{PkDecryption, PkEncryption},
};

use crate::harness::{
    Answer, App, AppBuilder, Clamd, Homeserver, Script, ScriptedClamd, Sealed, Stored, eicar, encrypted_zip, marker,
    nested_gzip, request, seal,
};

const SCAN: &str = "/_matrix/media_proxy/unstable/scan_encrypted";
const DOWNLOAD: &str = "/_matrix/media_proxy/unstable/download_encrypted";

const CLEAN: &str = r#"{"clean":true,"info":"File is clean"}"#;
const INFECTED: &str = r#"{"clean":false,"info":"***VIRUS DETECTED***"}"#;
const MALFORMED: &str = r#"{"clean":false,"info":"Malformed media ID"}"#;

/// A key in base64 that is easily recognised where it must not be.
const KEY: &str = "RecognisableKeyTextRecognisableKeyTextAAAAA";

async fn start() -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    (homeserver, clamd, app)
}

/// Encrypts a file as `mxc://hs.test/{id}` and puts it there.
fn put(homeserver: &Homeserver, plaintext: &[u8], id: &str, key: u8) -> Sealed {
    let sealed = seal(plaintext, id, key);
    homeserver.put_media(id, &Stored::media(&sealed.ciphertext));
    sealed
}

/// A value with one member replaced, or removed if there is nothing in its place.
fn edited(value: &Value, pointer: &str, replacement: Option<Value>) -> Value {
    let mut value = value.clone();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let object = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match replacement {
        Some(replacement) => object.insert(member.to_owned(), replacement),
        None => object.remove(member),
    };
    value
}

/// A request body with a file in clear.
fn with_file(file: &Value) -> Vec<u8> {
    json!({"file": file}).to_string().into_bytes()
}

async fn public_key(app: &App) -> Curve25519PublicKey {
    let key = app.client.get("/_matrix/media_proxy/unstable/public_key").await.json();
    Curve25519PublicKey::from_base64(key["public_key"].as_str().unwrap()).unwrap()
}

/// An `encrypted_body` as clients make it.
fn envelope(key: Curve25519PublicKey, text: &[u8]) -> Value {
    let message = PkEncryption::from_key(key).encrypt(text).unwrap();
    let [ciphertext, mac] = [&message.ciphertext, &message.mac].map(|bytes| BASE64_STANDARD_NO_PAD.encode(bytes));
    json!({"ciphertext": ciphertext, "mac": mac, "ephemeral": message.ephemeral_key.to_base64()})
}

/// A request body with its file in an envelope.
fn with_envelope(key: Curve25519PublicKey, file: &Value) -> Vec<u8> {
    json!({"encrypted_body": envelope(key, &with_file(file))}).to_string().into_bytes()
}

/// Scans so far that found the file clean, and infected.
async fn scans(app: &App) -> (u64, u64) {
    (app.scans("clean").await, app.scans("infected").await)
}

async fn assert_clean(app: &App, body: &[u8], ciphertext: &[u8], what: &str) {
    let scan = app.post(SCAN, body).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, CLEAN), "{what}");
    let download = app.post(DOWNLOAD, body).await;
    assert_eq!(download.status, 200, "{what}: {download:?}");
    assert!(download.body == ciphertext, "{what}: the exact ciphertext comes back");
}

async fn assert_infected(app: &App, body: &[u8], what: &str) {
    let scan = app.post(SCAN, body).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, INFECTED), "{what}");
    let download = app.post(DOWNLOAD, body).await;
    let refusal = json!({"reason": "MCS_MEDIA_NOT_CLEAN", "info": "***VIRUS DETECTED***"});
    assert_eq!((download.status.as_u16(), download.json()), (403, refusal), "{what}");
}

/// Asserts the same error of both routes, and that it repeats nothing of the key.
async fn assert_refused(app: &App, body: &[u8], status: u16, reason: &str, what: &str) {
    for route in [SCAN, DOWNLOAD] {
        let answer = app.post(route, body).await;
        assert_eq!(answer.status.as_u16(), status, "{route}: {what}: {answer:?}");
        answer.assert_scanner_error(status, reason);
        assert!(!answer.text().contains("Recognisable"), "{route}: {what}: {answer:?}");
    }
}

async fn assert_malformed(app: &App, body: &[u8], what: &str) {
    assert_refused(app, body, 400, "MCS_MALFORMED_JSON", what).await;
}

#[tokio::test]
async fn clean_attachments_are_called_clean_and_come_back_as_ciphertext() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    // Around the size of a block, and more than is read at once.
    for size in [0, 1, 15, 16, 17, 1_000_001] {
        let sealed = put(&homeserver, &vec![b'x'; size], "m", 1);
        assert_clean(&app, &sealed.body(), &sealed.ciphertext, &format!("{size} bytes, in clear")).await;
        assert_eq!(homeserver.last().target, "/_matrix/client/v1/media/download/hs.test/m");
        let sealed = put(&homeserver, &vec![b'y'; size], "m", 2);
        let body = with_envelope(key, &sealed.file);
        assert_clean(&app, &body, &sealed.ciphertext, &format!("{size} bytes, in an envelope")).await;
    }
}

#[tokio::test]
async fn infected_attachments_are_called_infected_and_refused() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    for (number, plaintext) in [(1, eicar()), (2, marker(5 << 20))] {
        let sealed = put(&homeserver, &plaintext, "m", number);
        assert_infected(&app, &sealed.body(), "in clear").await;
        assert_infected(&app, &with_envelope(key, &sealed.file), "in an envelope").await;
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_in_full_is_refused_and_not_called_infected() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_bytes: 100000}").start().await;
    for (what, plaintext) in
        [("nested", nested_gzip()), ("encrypted", encrypted_zip()), ("one byte too large", vec![0; 100_001])]
    {
        let sealed = put(&homeserver, &plaintext, "m", 1);
        assert_refused(&app, &sealed.body(), 403, "MCS_MEDIA_NOT_CLEAN", what).await;
    }
}

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
async fn null_counts_as_absent() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    let in_clear = json!({"file": sealed.file, "encrypted_body": null}).to_string();
    assert_clean(&app, in_clear.as_bytes(), &sealed.ciphertext, "no envelope").await;
    let inner = json!({"file": sealed.file, "encrypted_body": null}).to_string();
    let in_envelope = json!({"file": null, "encrypted_body": envelope(key, inner.as_bytes())}).to_string();
    assert_clean(&app, in_envelope.as_bytes(), &sealed.ciphertext, "no file").await;
    assert_malformed(&app, br#"{"file":null,"encrypted_body":null}"#, "neither").await;
}

#[tokio::test]
async fn further_members_do_not_matter() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    let mut file = sealed.file.clone();
    file["mimetype"] = json!("image/png");
    file["key"]["key_ops"] = json!(["wrapKey", "decrypt", "encrypt"]);
    file["key"]["kid"] = json!({"x": [1, 2.5, null]});
    file["hashes"]["sha512"] = json!(7);
    file["url"] = json!("mxc://hs.test/m#blurhash");
    let in_clear = json!({"file": file, "x": {"file": 7}}).to_string();
    assert_clean(&app, in_clear.as_bytes(), &sealed.ciphertext, "in clear").await;
    let mut sent = envelope(key, in_clear.as_bytes());
    sent["x"] = json!(["y"]);
    let in_envelope = json!({"encrypted_body": sent, "x": "y"}).to_string();
    assert_clean(&app, in_envelope.as_bytes(), &sealed.ciphertext, "in an envelope").await;
    assert!(homeserver.seen().iter().all(|seen| seen.target == "/_matrix/client/v1/media/download/hs.test/m"));
}

#[tokio::test]
async fn the_content_type_of_a_request_does_not_matter() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    for kind in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("")] {
        let mut sent = request("POST", SCAN).header("authorization", "Bearer token");
        if let Some(kind) = kind {
            sent = sent.header("content-type", kind);
        }
        assert_eq!(app.client.send(sent, &sealed.body()).await.text(), CLEAN, "{kind:?}");
        assert_eq!(homeserver.last().header("content-type"), None, "it says nothing of the request upstream");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_malformed() {
    let (homeserver, _clamd, app) = start().await;
    let file = edited(&seal(b"x", "m", 1).file, "/key/k", Some(json!(KEY)));
    let deep = format!(r#"{{"file":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    for body in [
        "",
        " ",
        "not JSON",
        KEY,
        "{",
        "[]",
        "7",
        "true",
        "null",
        &format!(r#""{KEY}""#),
        &format!(r#"["{KEY}"]"#),
        &format!(r#"{{"{KEY}""#),
        &format!(r#"{{"file":{file}"#),
        &format!(r#"{{"file":{file}}}x"#),
        &format!(r#"{{"file":{file},}}"#),
        &format!("\u{feff}{{\"file\":{file}}}"),
        "{}",
        &format!(r#"{{"File":{file}}}"#),
        &deep,
    ] {
        assert_malformed(&app, body.as_bytes(), &format!("{body:.60}")).await;
    }
    assert_eq!(homeserver.seen().len(), 0);
}

/// A request body whose character `@` is a byte that is in no UTF-8 text.
fn not_utf8(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if byte == b'@' { 0xff } else { byte }).collect()
}

#[tokio::test]
async fn a_body_that_is_not_utf8_is_malformed() {
    let (homeserver, _clamd, app) = start().await;
    let file = put(&homeserver, b"a medium", "m", 1).file;
    for text in [
        "@".to_owned(),
        "@@{}".to_owned(),
        format!(r#"{{"file":{}}}"#, edited(&file, "/iv", Some(json!("@")))),
        format!(r#"{{"file":{}}}"#, edited(&file, "/x", Some(json!("@")))),
        format!(r#"{{"file":{file},"@":1}}"#),
    ] {
        assert_malformed(&app, &not_utf8(&text), &text).await;
    }
}

#[tokio::test]
async fn a_member_that_nobody_reads_must_be_utf8_too() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    let file = put(&homeserver, b"a medium", "m", 1).file;
    let text = not_utf8(&format!(r#"{{"file":{file},"x":"@"}}"#));
    let sealed = json!({"encrypted_body": envelope(key, &text)}).to_string();
    assert_refused(&app, sealed.as_bytes(), 403, "MCS_BAD_DECRYPTION", "in an envelope").await;
    assert_malformed(&app, &text, "in clear").await;
}

#[tokio::test]
async fn what_is_no_version_2_attachment_is_malformed_and_not_repeated() {
    let (homeserver, _clamd, app) = start().await;
    let file = edited(&seal(b"x", "m", 1).file, "/key/k", Some(json!(KEY)));
    let texts = ["/v", "/url", "/iv", "/key/kty", "/key/alg", "/key/k", "/hashes/sha256"];
    let others = ["/key", "/key/ext", "/key/key_ops", "/hashes"];
    let mut rows = Vec::new();
    for pointer in texts {
        let wrong = [json!(null), json!(7), json!(true), json!([KEY]), json!({KEY: KEY})];
        rows.extend(wrong.map(|value| (pointer, Some(value))));
    }
    for pointer in others {
        let wrong = [json!(null), json!(7), json!(KEY), json!({KEY: KEY})];
        rows.extend(wrong.map(|value| (pointer, Some(value))));
    }
    rows.extend(texts.into_iter().chain(others).map(|pointer| (pointer, None)));
    rows.extend([
        ("/v", Some(json!(KEY))),
        ("/v", Some(json!("v1"))),
        ("/v", Some(json!("V2"))),
        ("/key/kty", Some(json!(KEY))),
        ("/key/alg", Some(json!(KEY))),
        ("/key/alg", Some(json!("A128CTR"))),
        ("/key/ext", Some(json!(false))),
        ("/key/ext", Some(json!(1))),
        ("/key/ext", Some(json!("true"))),
        ("/key/key_ops", Some(json!([]))),
        ("/key/key_ops", Some(json!(["decrypt", KEY]))),
        ("/key/key_ops", Some(json!(["encrypt", "decrypt", 7]))),
    ]);
    for (pointer, value) in rows {
        let what = format!("{pointer} is {value:?}");
        assert_malformed(&app, &with_file(&edited(&file, pointer, value)), &what).await;
    }
    for wrong in [json!(KEY), json!(7), json!({}), json!({KEY: KEY})] {
        assert_malformed(&app, &with_file(&wrong), &wrong.to_string()).await;
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn a_member_given_twice_is_malformed() {
    let (homeserver, _clamd, app) = start().await;
    let file = edited(&seal(b"x", "m", 1).file, "/key/k", Some(json!(KEY)));
    let once = json!({"file": file}).to_string();
    for member in [
        "\"v\":",
        "\"url\":",
        "\"iv\":",
        "\"k\":",
        "\"alg\":",
        "\"ext\":",
        "\"key_ops\":",
        "\"hashes\":",
        "\"sha256\":",
    ] {
        let twice = once.replacen(member, &format!("{member}null,{member}"), 1);
        assert_malformed(&app, twice.as_bytes(), &twice).await;
    }
    for twice in [
        once.replacen("\"v\":\"v2\"", "\"v\":\"v2\",\"v\":\"v2\"", 1),
        once.replacen("\"v\":\"v2\"", r#""v":"v2","\u0076":"v2""#, 1),
        format!(r#"{{"file":{file},"file":{file}}}"#),
        format!(r#"{{"file":{file},"fi\u006ce":{file}}}"#),
        format!(r#"{{"file":{file},"encrypted_body":null,"encrypted_body":null}}"#),
    ] {
        assert_malformed(&app, twice.as_bytes(), &twice).await;
    }
    assert_eq!(homeserver.seen().len(), 0);
}

/// Readers in other languages take no array for an object, whatever the order of its elements.
#[tokio::test]
async fn an_array_does_not_stand_for_an_object() {
    let (homeserver, _clamd, app) = start().await;
    let file = put(&homeserver, b"a medium", "m", 1).file;
    let (key, hashes) = (&file["key"], &file["hashes"]);
    let key_array = json!([key["kty"], key["alg"], key["ext"], key["key_ops"], key["k"]]);
    for body in [
        json!([file, null]),
        json!({"file": [file["v"], file["url"], key, file["iv"], hashes]}),
        json!({"file": edited(&file, "/key", Some(key_array))}),
        json!({"file": edited(&file, "/hashes", Some(json!([hashes["sha256"]])))}),
    ] {
        assert_malformed(&app, body.to_string().as_bytes(), &body.to_string()).await;
    }
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

#[tokio::test]
async fn a_body_larger_than_any_description_is_refused() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    let mut body = sealed.body();
    body.resize(64 * 1024, b' ');
    assert_clean(&app, &body, &sealed.ciphertext, "just fits").await;
    body.push(b' ');
    assert_refused(&app, &body, 413, "MCS_MALFORMED_JSON", "one byte more").await;
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

#[tokio::test]
async fn malformed_keys_ivs_and_hashes_do_not_decrypt() {
    let (homeserver, _clamd, app) = start().await;
    let file = edited(&put(&homeserver, &eicar(), "m", 1).file, "/key/k", Some(json!(KEY)));
    let bytes = |len: usize| json!(BASE64_STANDARD_NO_PAD.encode(vec![0xfb; len]));
    let spoilt =
        |pointer: &str, text: &str| json!(format!("{}{text}", file.pointer(pointer).unwrap().as_str().unwrap()));
    let mixed = json!(format!("-+{}", "A".repeat(41)));
    for (pointer, lengths) in [
        ("/key/k", [0, 16, 24, 31, 33, 64]),
        ("/iv", [0, 8, 12, 15, 17, 32]),
        ("/hashes/sha256", [0, 16, 20, 31, 33, 64]),
    ] {
        let mut wrong: Vec<Value> = lengths.map(bytes).into();
        wrong.extend(["!", " ", "\n", "A", "===", "\u{e4}", "\0"].map(|text| spoilt(pointer, text)));
        wrong.extend([json!("!"), json!(KEY[1..]), mixed.clone()]);
        for value in wrong {
            let what = format!("{pointer} is {value}");
            let body = with_file(&edited(&file, pointer, Some(value)));
            assert_refused(&app, &body, 400, "MCS_MEDIA_FAILED_TO_DECRYPT", &what).await;
        }
    }
    assert_eq!(scans(&app).await, (0, 0));
}

#[tokio::test]
async fn padded_unpadded_and_both_alphabets_of_base64_are_read() {
    let (homeserver, _clamd, app) = start().await;
    let public = public_key(&app).await;
    // A key and an IV with both characters in which the alphabets differ. The file is infected: a key that is read
    // wrong would make clean noise of it.
    let sealed = put(&homeserver, &eicar(), "m", 0xfb);
    let (k, iv) = ([0xfb; 32], [[0xfb; 8], [0; 8]].concat());
    let sha256 = BASE64_STANDARD_NO_PAD.decode(sealed.file["hashes"]["sha256"].as_str().unwrap()).unwrap();
    for base64 in [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD] {
        let mut file = sealed.file.clone();
        file["key"]["k"] = json!(base64.encode(k));
        file["iv"] = json!(base64.encode(&iv));
        file["hashes"]["sha256"] = json!(base64.encode(&sha256));
        assert_infected(&app, &with_file(&file), &file.to_string()).await;
        assert_infected(&app, &with_envelope(public, &file), &file.to_string()).await;
    }
    let bits = sealed.file["key"]["k"].as_str().unwrap().strip_suffix('s').map(|text| json!(format!("{text}t")));
    let stray = edited(&sealed.file, "/key/k", Some(bits.expect("the last character has two unused bits")));
    assert_infected(&app, &with_file(&stray), "stray bits at the end").await;

    let mut sent = envelope(public, &sealed.body());
    for member in ["ciphertext", "mac", "ephemeral"] {
        let bytes = BASE64_STANDARD_NO_PAD.decode(sent[member].as_str().unwrap()).unwrap();
        sent[member] = json!(BASE64_STANDARD.encode(bytes));
    }
    assert_infected(&app, json!({"encrypted_body": sent}).to_string().as_bytes(), "a padded envelope").await;
}

#[tokio::test]
async fn a_ciphertext_with_another_hash_is_not_decrypted() {
    let (homeserver, _clamd, app) = start().await;
    for plaintext in [b"a medium".to_vec(), eicar(), Vec::new()] {
        let sealed = seal(&plaintext, "m", 1);
        let other = seal(b"another", "m", 1);
        homeserver.put_media("m", &Stored::media(&other.ciphertext));
        assert_refused(&app, &sealed.body(), 400, "MCS_MEDIA_FAILED_TO_DECRYPT", "other bytes").await;
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
        let wrong = edited(&sealed.file, "/hashes/sha256", Some(other.file["hashes"]["sha256"].clone()));
        assert_refused(&app, &with_file(&wrong), 400, "MCS_MEDIA_FAILED_TO_DECRYPT", "another hash").await;
    }
    assert_eq!(scans(&app).await, (0, 0));
}

#[tokio::test]
async fn a_known_attachment_with_another_hash_is_not_decrypted() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    assert_clean(&app, &sealed.body(), &sealed.ciphertext, "the first time").await;
    homeserver.put_media("m", &Stored::media(&seal(&eicar(), "m", 1).ciphertext));
    assert_refused(&app, &sealed.body(), 400, "MCS_MEDIA_FAILED_TO_DECRYPT", "replaced").await;
}

/// Where the counter wraps, half of all readers see another plaintext than we.
#[tokio::test]
async fn an_attachment_whose_counter_wraps_is_not_decrypted() {
    let (homeserver, _clamd, app) = start().await;
    let iv = |left: u64| json!(BASE64_STANDARD_NO_PAD.encode([[1; 8], (u64::MAX - left).to_be_bytes()].concat()));
    for (len, left, fits) in [(16, 0, true), (17, 0, false), (17, 1, true), (160, 9, true), (161, 9, false)] {
        let sealed = put(&homeserver, &vec![b'x'; len], "m", 1);
        let body = with_file(&edited(&sealed.file, "/iv", Some(iv(left))));
        let what = format!("{len} bytes with {left} more blocks");
        match fits {
            true => assert_clean(&app, &body, &sealed.ciphertext, &what).await,
            false => assert_refused(&app, &body, 400, "MCS_MEDIA_FAILED_TO_DECRYPT", &what).await,
        }
    }
}

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

/// Invariant 4, one after the other.
#[tokio::test]
async fn noise_under_a_wrong_key_unlocks_nothing_in_any_order() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let infected = put(&homeserver, &eicar(), "m", 1);
    let other_iv = edited(&infected.file, "/iv", Some(json!(BASE64_STANDARD_NO_PAD.encode([2; 16]))));
    let (right, wrong) = (infected.body(), [infected.with_key(2).body(), with_file(&other_iv)]);
    for right_first in [true, false] {
        let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
        let key = public_key(&app).await;
        if right_first {
            assert_infected(&app, &right, "under its key, first").await;
        }
        for round in 0..3 {
            for wrong in &wrong {
                assert_clean(&app, wrong, &infected.ciphertext, &format!("noise, round {round}")).await;
                assert_infected(&app, &right, &format!("under its key, round {round}")).await;
                let sealed = with_envelope(key, &infected.file);
                assert_infected(&app, &sealed, &format!("in an envelope, round {round}")).await;
            }
        }
        assert_eq!(scans(&app).await, (2, 1), "one scan for each plaintext");
    }
}

/// Invariant 4, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn noise_under_a_wrong_key_unlocks_nothing_at_the_same_time() {
    let (homeserver, _clamd, app) = start().await;
    for (id, first_wrong) in [("a", 0), ("b", 1), ("c", 0), ("d", 1)] {
        // Content of its own for each round, so that each begins without a verdict.
        let mut plaintext = id.repeat(300_000).into_bytes();
        plaintext.extend(marker(100_000));
        let infected = put(&homeserver, &plaintext, id, 1);
        let (right, wrong) = (infected.body(), infected.with_key(2).body());
        let requests = (0..24).map(|number| {
            let is_wrong = number % 2 == first_wrong;
            let (route, body) = (if number % 3 == 0 { DOWNLOAD } else { SCAN }, if is_wrong { &wrong } else { &right });
            let answer = app.post(route, body);
            async move { (route, is_wrong, answer.await) }
        });
        for (route, is_wrong, answer) in join_all(requests).await {
            match (route, is_wrong) {
                (SCAN, true) => assert_eq!(answer.text(), CLEAN),
                (SCAN, false) => assert_eq!(answer.text(), INFECTED),
                (_, true) => assert!(answer.status == 200 && answer.body == infected.ciphertext),
                (_, false) => answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN"),
            }
        }
        assert_infected(&app, &right, "afterwards").await;
    }
}

/// Invariant 4, with one scan held while the other comes and goes.
#[tokio::test]
async fn a_scan_under_another_key_changes_nothing_of_one_under_way() {
    const VERDICTS: [&[u8]; 2] = [b"stream: Something FOUND\0", b"stream: OK\0"];
    for right_first in [true, false] {
        let homeserver = Homeserver::start().await;
        let sealed = put(&homeserver, b"what the engine will call infected", "m", 1);
        let (right, wrong) = (sealed.body(), sealed.with_key(2).body());
        let (bodies, verdicts) = match right_first {
            true => ([&right, &wrong], VERDICTS),
            false => ([&wrong, &right], [VERDICTS[1], VERDICTS[0]]),
        };
        let finish = Arc::new(Notify::new());
        let clamd = ScriptedClamd::start(Script::Held(Arc::clone(&finish), verdicts[0])).await;
        let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
        let held = app.post(SCAN, bodies[0]);
        tokio::pin!(held);
        tokio::select! {
            answer = held.as_mut() => panic!("{answer:?}"),
            () = clamd.has_received(1) => (),
        }
        clamd.set(Script::Reply(verdicts[1]));
        let meanwhile = app.post(SCAN, bodies[1]).await.text();
        finish.notify_one();
        let held = held.await.text();
        let expected = if right_first { [INFECTED, CLEAN] } else { [CLEAN, INFECTED] };
        assert_eq!([held.as_str(), &meanwhile], expected, "right first: {right_first}");
        assert_infected(&app, &right, "afterwards").await;
        assert_clean(&app, &wrong, &sealed.ciphertext, "afterwards").await;
        assert_eq!(scans(&app).await, (1, 1));
    }
}

/// Asserts that a medium is infected where no key is given.
async fn assert_infected_as_it_is(app: &App) {
    let scan = app.get("/_matrix/media_proxy/unstable/scan/hs.test/m").await;
    assert_eq!(scan.text(), INFECTED);
    for route in ["download", "thumbnail"] {
        let answer = app.get(&format!("/_matrix/media_proxy/unstable/{route}/hs.test/m")).await;
        answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        let answer = app.get(&format!("/_matrix/client/v1/media/{route}/hs.test/m")).await;
        answer.assert_matrix_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn a_clean_verdict_under_a_key_does_not_unlock_the_file_as_it_is() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    // What this key makes of the infected file is noise; the key is a way to read it, for whoever chose the key.
    let noise = seal(&eicar(), "m", 1).ciphertext;
    let sealed = put(&homeserver, &noise, "m", 1);
    assert!(sealed.ciphertext == eicar(), "encrypting twice under one key gives the file itself");
    for keyed_first in [true, false] {
        let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
        if keyed_first {
            assert_clean(&app, &sealed.body(), &eicar(), "under the key, first").await;
        }
        for _ in 0..2 {
            assert_infected_as_it_is(&app).await;
            assert_clean(&app, &sealed.body(), &eicar(), "under the key").await;
        }
    }
}

#[tokio::test]
async fn a_clean_verdict_on_a_ciphertext_does_not_unlock_its_plaintext() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put(&homeserver, &eicar(), "m", 1);
    for _ in 0..2 {
        let scan = app.get("/_matrix/media_proxy/unstable/scan/hs.test/m").await;
        assert_eq!(scan.text(), CLEAN, "ciphertext looks like noise");
        assert_infected(&app, &sealed.body(), "its plaintext").await;
    }
}

#[tokio::test]
async fn the_same_file_under_another_key_costs_no_scan() {
    let (homeserver, _clamd, app) = start().await;
    let first = put(&homeserver, b"a forwarded file", "a", 1);
    let second = put(&homeserver, b"a forwarded file", "b", 2);
    assert_eq!(app.post(SCAN, &first.body()).await.text(), CLEAN);
    let hits = r#"lazaret_cache_lookups_total{result="hit"}"#;
    assert_eq!((app.scans("clean").await, app.metric(hits).await), (1, 0));
    assert_eq!(app.post(SCAN, &second.body()).await.text(), CLEAN);
    assert_eq!((app.scans("clean").await, app.metric(hits).await), (1, 1));
    homeserver.put_media("c", &Stored::media(b"a forwarded file"));
    assert_eq!(app.get("/_matrix/media_proxy/unstable/scan/hs.test/c").await.text(), CLEAN);
    assert_eq!((app.scans("clean").await, app.metric(hits).await), (1, 2), "nor does it without a key");
}

#[tokio::test]
async fn only_safe_headers_go_on_with_a_ciphertext() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(b"a medium", "m", 1);
    let stored = Stored::media(&sealed.ciphertext)
        .header("content-disposition", "attachment")
        .header("set-cookie", "session=secret")
        .header("etag", "\"1\"")
        .header("server", "Synapse");
    homeserver.put_media("m", &stored);
    let answer = app.post(DOWNLOAD, &sealed.body()).await;
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("content-disposition"), Some("attachment"));
    assert_eq!(answer.header("content-length"), Some("8"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, OPTIONS"));
    for dropped in ["set-cookie", "etag", "server"] {
        assert_eq!(answer.header(dropped), None, "{dropped}");
    }
}

//! Which request bodies are read, and which are malformed.

use serde_json::json;

use super::{
    KEY, SCAN, assert_clean, assert_malformed, assert_refused, edited, envelope, not_utf8, public_key, put, with_file,
};
use crate::harness::{CLEAN, request, seal, start};

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
async fn a_body_larger_than_any_description_is_refused() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    let mut body = sealed.body();
    body.resize(64 * 1024, b' ');
    assert_clean(&app, &body, &sealed.ciphertext, "just fits").await;
    body.push(b' ');
    assert_refused(&app, &body, 413, "MCS_MALFORMED_JSON", "one byte more").await;
}

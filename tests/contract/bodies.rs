//! Which request bodies are read, and which are malformed.

use serde_json::{Value, json};

use super::{
    clean, error, infected, malformed_json, post, posts,
    vector::{Expected, Sent, Vector, check, row},
};
use crate::harness::{RECOGNISABLE, Sealed, Stored, edited, eicar, envelope, not_utf8, seal};

fn sealed() -> Sealed {
    seal(b"a medium", "m", 1)
}

/// A row in which a body is read, and nothing in it matters but the file.
fn read(what: &str, sent: Sent) -> Vector {
    row(what).medium(&Stored::media(&sealed().ciphertext)).sends([sent]).expects(clean())
}

/// A row in which it is malformed, on both routes, and nobody is asked.
fn malformed(what: &str, body: &[u8]) -> Vector {
    row(what).sends(posts(body)).expects(malformed_json()).unasked()
}

#[tokio::test]
async fn the_envelope_wins_and_null_is_nothing() {
    let file = sealed().file;
    let (in_clear, bad) = (file.clone(), seal(&eicar(), "m", 1));
    let beside = [bad.file.clone(), json!({"v": "v1"}), json!(RECOGNISABLE), json!([]), json!(null)].map(|beside| {
        let file = file.clone();
        let sealed = move |key| {
            let inner = json!({"file": file, "encrypted_body": null}).to_string();
            json!({"file": beside, "encrypted_body": envelope(key, inner.as_bytes())}).to_string().into_bytes()
        };
        read("a file beside the envelope", Sent::new("POST", "scan_encrypted").sealed(sealed))
    });
    let in_clear = json!({"file": in_clear, "encrypted_body": null}).to_string();
    let rows = [
        read("no envelope", Sent::new("POST", "scan_encrypted").body(in_clear)),
        malformed("neither file nor envelope", br#"{"file":null,"encrypted_body":null}"#),
        malformed("nothing", b"{}"),
        row("the file that counts")
            .medium(&Stored::media(&bad.ciphertext))
            .sends(post("scan_encrypted", &bad.body()))
            .expects(infected()),
    ];
    check(beside.into_iter().chain(rows)).await;
}

#[tokio::test]
async fn further_members_do_not_matter_at_any_level() {
    let mut file = sealed().file;
    file["mimetype"] = json!("image/png");
    file["key"]["key_ops"] = json!(["wrapKey", "decrypt", "encrypt"]);
    file["key"]["kid"] = json!({"x": [1, 2.5, null]});
    file["hashes"]["sha512"] = json!(7);
    let in_clear = json!({"file": file, "x": {"file": 7}}).to_string();
    let text = in_clear.clone();
    let in_envelope = move |key| {
        let mut sent = envelope(key, text.as_bytes());
        sent["x"] = json!(["y"]);
        json!({"encrypted_body": sent, "x": "y"}).to_string().into_bytes()
    };
    check([
        read("further members", Sent::new("POST", "scan_encrypted").body(in_clear)),
        read("further members of an envelope", Sent::new("POST", "scan_encrypted").sealed(in_envelope)),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_json_object_is_malformed() {
    let file = edited(&sealed().file, "/key/k", Some(json!(RECOGNISABLE)));
    let deep = format!(r#"{{"file":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    let bodies = [
        "",
        " ",
        "not JSON",
        RECOGNISABLE,
        "{",
        "[]",
        "7",
        "true",
        "null",
        &format!(r#""{RECOGNISABLE}""#),
        &format!(r#"["{RECOGNISABLE}"]"#),
        &format!(r#"{{"{RECOGNISABLE}""#),
        &format!(r#"{{"file":{file}"#),
        &format!(r#"{{"file":{file}}}x"#),
        &format!(r#"{{"file":{file},}}"#),
        &format!("\u{feff}{{\"file\":{file}}}"),
        &format!(r#"{{"File":{file}}}"#),
        &deep,
    ];
    check(bodies.map(|body| malformed(&format!("body `{body:.60}`"), body.as_bytes()))).await;
}

#[tokio::test]
async fn what_is_not_utf8_is_malformed() {
    let file = sealed().file;
    let texts = [
        "@".to_owned(),
        "@@{}".to_owned(),
        format!(r#"{{"file":{}}}"#, edited(&file, "/iv", Some(json!("@")))),
        format!(r#"{{"file":{}}}"#, edited(&file, "/x", Some(json!("@")))),
        format!(r#"{{"file":{file},"@":1}}"#),
        format!(r#"{{"file":{file},"x":"@"}}"#),
    ];
    let why = "a body that is no text is the client's fault";
    let rows = texts.map(|text| malformed(&format!("not UTF-8: {text:.60}"), &not_utf8(&text)));
    check(rows.map(|row| row.deviates(why).strictly(error(500, "M_UNKNOWN", "Internal Server Error")))).await;
}

/// Each member with what it may not be.
fn wrong_members() -> Vec<(&'static str, Option<Value>)> {
    let texts = ["/v", "/url", "/iv", "/key/kty", "/key/alg", "/key/k", "/hashes/sha256"];
    let others = ["/key", "/key/ext", "/key/key_ops", "/hashes"];
    let mut rows = Vec::new();
    for pointer in texts {
        rows.extend(
            [json!(null), json!(7), json!(true), json!([RECOGNISABLE]), json!({RECOGNISABLE: RECOGNISABLE})]
                .map(|value| (pointer, Some(value))),
        );
    }
    for pointer in others {
        rows.extend(
            [json!(null), json!(7), json!(RECOGNISABLE), json!({RECOGNISABLE: RECOGNISABLE})]
                .map(|value| (pointer, Some(value))),
        );
    }
    rows.extend(texts.into_iter().chain(others).map(|pointer| (pointer, None)));
    rows.extend(["v1", "V2", RECOGNISABLE].map(|text| ("/v", Some(json!(text)))));
    rows.extend(["A128CTR", RECOGNISABLE].map(|text| ("/key/alg", Some(json!(text)))));
    rows.extend([json!(false), json!(1), json!("true")].map(|value| ("/key/ext", Some(value))));
    let operations = [json!([]), json!(["decrypt", RECOGNISABLE]), json!(["encrypt", "decrypt", 7])];
    rows.extend(operations.map(|value| ("/key/key_ops", Some(value))));
    rows.push(("/key/kty", Some(json!(RECOGNISABLE))));
    rows
}

#[tokio::test]
async fn what_is_no_version_2_attachment_is_malformed() {
    let file = edited(&sealed().file, "/key/k", Some(json!(RECOGNISABLE)));
    let members = wrong_members().into_iter().map(|(pointer, value)| {
        let body = json!({"file": edited(&file, pointer, value.clone())}).to_string();
        malformed(&format!("{pointer} is {value:?}"), body.as_bytes())
    });
    let files = [json!(RECOGNISABLE), json!(7), json!({}), json!({RECOGNISABLE: RECOGNISABLE})];
    let files = files.map(|file| malformed("file", json!({"file": file}).to_string().as_bytes()));
    check(members.chain(files)).await;
}

/// Answers name no value of a body: it may be a key.
#[tokio::test]
async fn what_is_malformed_is_not_repeated() {
    let (_homeserver, _clamd, app) = crate::harness::start().await;
    let file = edited(&sealed().file, "/key/k", Some(json!(RECOGNISABLE)));
    for (pointer, value) in wrong_members() {
        let body = json!({"file": edited(&file, pointer, value)}).to_string();
        let answer = app.post("/_matrix/media_proxy/unstable/scan_encrypted", body.as_bytes()).await;
        assert!(!answer.text().contains("Recognisable"), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn a_member_given_twice_is_malformed() {
    let file = sealed().file;
    let once = json!({"file": file}).to_string();
    let members = ["v", "url", "iv", "k", "alg", "ext", "key_ops", "hashes", "sha256"];
    let twice = members.map(|name| once.replacen(&format!("\"{name}\":"), &format!("\"{name}\":null,\"{name}\":"), 1));
    let more = [
        once.replacen("\"v\":\"v2\"", "\"v\":\"v2\",\"v\":\"v2\"", 1),
        once.replacen("\"v\":\"v2\"", r#""v":"v2","\u0076":"v2""#, 1),
        format!(r#"{{"file":{file},"file":{file}}}"#),
        format!(r#"{{"file":{file},"fi\u006ce":{file}}}"#),
        format!(r#"{{"file":{file},"encrypted_body":null,"encrypted_body":null}}"#),
    ];
    let rows = twice.into_iter().chain(more).map(|body| malformed(&body, body.as_bytes()));
    check(rows.map(|row| row.deviates("readers differ on which of the two counts"))).await;
}

#[tokio::test]
async fn an_array_does_not_stand_for_an_object() {
    let file = sealed().file;
    let (key, hashes) = (&file["key"], &file["hashes"]);
    let bodies = [
        json!([file, null]),
        json!({"file": [file["v"], file["url"], key, file["iv"], hashes]}),
        json!({"file": edited(&file, "/key", Some(json!([key["kty"], key["alg"], key["ext"], key["key_ops"], key["k"]])))}),
        json!({"file": edited(&file, "/hashes", Some(json!([hashes["sha256"]])))}),
    ];
    check(bodies.map(|body| malformed(&body.to_string(), body.to_string().as_bytes()))).await;
}

#[tokio::test]
async fn a_key_may_have_its_operations_in_any_order() {
    let orders =
        [json!(["decrypt", "encrypt"]), json!(["encrypt", "decrypt"]), json!(["encrypt", "x", "decrypt", "decrypt"])];
    let served = Expected::bytes(200, sealed().ciphertext);
    let rows = orders.into_iter().flat_map(|order| {
        let body = json!({"file": edited(&sealed().file, "/key/key_ops", Some(order))}).to_string();
        let row =
            |route| row("key_ops").medium(&Stored::media(&sealed().ciphertext)).sends(post(route, body.as_bytes()));
        [row("scan_encrypted").expects(clean()), row("download_encrypted").expects(served.clone())]
    });
    check(rows).await;
}

//! `POST /scan_file`: files that are not uploaded yet. The Matrix Content Scanner has this route in drafts only.

use serde_json::json;

use super::{
    clean, error, infected, malformed_json, undecryptable,
    vector::{Expected, Sent, Stage, Vector, check, row},
};
use crate::harness::{
    CLEAN, FORM, SCAN_ENCRYPTED, Stored, edited, eicar, encrypted_zip, envelope, form, not_utf8, path, request, scans,
    seal, start,
};

const WHO_AM_I: &str = "/_matrix/client/v3/account/whoami";

pub fn sent(body: impl Into<Vec<u8>>) -> Sent {
    Sent::new("POST", "scan_file").header("content-type", FORM).body(body)
}

/// A form with these parts.
pub fn parts(what: &str, parts: &[(&str, &[u8])]) -> Vector {
    row(what).sends([sent(form(parts))])
}

fn malformed(text: &str) -> Expected {
    error(400, "MCS_MALFORMED_MULTIPART", text)
}

#[tokio::test]
async fn a_file_is_scanned_and_the_homeserver_asked_only_who_wants_it() {
    check([
        parts("clean", &[("body", b"a medium")]).expects(clean()).asks(&[WHO_AM_I]),
        parts("empty", &[("body", b"")]).expects(clean()),
        parts("further parts", &[("x", b"1"), ("body", b"a medium"), ("y", &eicar())]).expects(clean()),
        parts("line breaks", &[("body", b"\r\n--the-boundar\r\n\r\n--")]).expects(clean()),
        row("unquoted name")
            .sends([sent("--the-boundary\r\nContent-Disposition: form-data; name=body\r\n\r\nx\r\n--the-boundary--")])
            .expects(clean()),
        row("other boundary")
            .sends([sent("--b\r\nContent-Disposition: form-data; name=\"body\"\r\n\r\nx\r\n--b--\r\n")
                .header("content-type", "multipart/form-data; boundary=\"b\"")])
            .expects(clean()),
        row("before and after")
            .sends([sent([&b"preamble\r\n"[..], &form(&[("body", b"x")]), b"epilogue"].concat())])
            .expects(clean()),
    ])
    .await;
}

/// What is known of its content is known, whoever asks and wherever it came from first.
#[tokio::test]
async fn a_file_that_is_known_is_not_scanned_again() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(b"a medium", "m", 1);
    let description = json!(sealed.file).to_string();
    let whole = form(&[("body", b"a medium")]);
    let encrypted = form(&[("file", description.as_bytes()), ("body", &sealed.ciphertext)]);
    for body in [&whole, &whole, &encrypted] {
        let sent = request("POST", &path("scan_file")).header("content-type", FORM);
        let answer = app.client.send(sent.header("authorization", "Bearer token"), body).await;
        assert_eq!(answer.text(), CLEAN);
    }
    assert_eq!(homeserver.seen_below(WHO_AM_I).len(), 3, "whether this caller may is asked each time");
    homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), CLEAN);
    assert_eq!(scans(&app).await, (1, 0));
}

#[tokio::test]
async fn what_opens_a_ciphertext_is_written_as_for_other_routes_or_for_itself() {
    let sealed = seal(&eicar(), "m", 1);
    let bare = |url: Option<&str>| edited(&sealed.file, "/url", url.map(|url| json!(url)));
    let descriptions = [
        ("a request body", json!({"file": sealed.file})),
        ("a request body without an address", json!({"file": bare(None)})),
        ("itself", bare(Some("mxc://hs.test/m"))),
        ("itself without an address", bare(None)),
        ("itself with an empty address", bare(Some(""))),
        ("itself with any address", bare(Some("mxc://../m"))),
        ("no envelope", json!({"file": sealed.file, "encrypted_body": null})),
    ];
    let rows = descriptions.into_iter().flat_map(|(what, description)| {
        let description = description.to_string();
        let (body, file) = (("body", &sealed.ciphertext[..]), ("file", description.as_bytes()));
        [parts(&format!("{what}, after"), &[body, file]), parts(&format!("{what}, before"), &[file, body])]
    });
    let enveloped = [json!({"file": sealed.file}), json!({"file": bare(None)})].map(|inner| {
        let ciphertext = sealed.ciphertext.clone();
        let sealed = move |key| {
            let text =
                json!({"file": {"v": "v1"}, "encrypted_body": envelope(key, inner.to_string().as_bytes())}).to_string();
            form(&[("body", &ciphertext), ("file", text.as_bytes())])
        };
        row("an envelope").sends([Sent::new("POST", "scan_file").header("content-type", FORM).sealed(sealed)])
    });
    let noise = parts("without its key", &[("body", &sealed.ciphertext)]).expects(clean());
    let rows = rows.chain(enveloped).map(|row| row.expects(infected()).asks(&[WHO_AM_I]));
    check(rows.chain([noise])).await;
}

#[tokio::test]
async fn what_is_no_form_with_one_file_is_malformed() {
    let well = form(&[("body", b"x")]);
    let kinds = [
        "application/json",
        "multipart/mixed; boundary=the-boundary",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        &format!("multipart/form-data; boundary={}", "b".repeat(71)),
        "",
    ];
    let kinds = kinds
        .map(|kind| row(format!("content type `{kind}`")).sends([sent(well.clone()).header("content-type", kind)]));
    let none = row("no content type").sends([Sent::new("POST", "scan_file").body(well.clone())]);
    let kinds = kinds.into_iter().chain([none]).map(|row| row.expects(malformed("Not multipart/form-data")).unasked());
    let twice = malformed("A part is given twice");
    let file = json!(seal(b"x", "m", 1).file).to_string();
    let parts = [
        parts("no file", &[("x", b"1")]).expects(malformed("No part is called `body`")),
        parts("no file beside its key", &[("file", file.as_bytes())]).expects(malformed("No part is called `body`")),
        parts("two files", &[("body", b"1"), ("body", b"1")]).expects(twice.clone()),
        parts("two keys", &[("file", file.as_bytes()), ("file", file.as_bytes()), ("body", b"1")]).expects(twice),
    ];
    let head = "Content-Disposition: form-data; name=\"body\"\r\n";
    let encoded = ["Content-Transfer-Encoding: base64", "Content-Encoding: gzip"];
    let encoded = encoded.map(|header| format!("--the-boundary\r\n{head}{header}\r\n\r\neA==\r\n--the-boundary--\r\n"));
    let encoded =
        encoded.map(|form| row("encoded").sends([sent(form)]).expects(malformed("The file must not be encoded")));
    check(kinds.chain(parts).chain(encoded)).await;
}

#[tokio::test]
async fn a_form_that_breaks_off_is_malformed_wherever_it_does() {
    let whole = form(&[("x", b"1"), ("body", b"content")]);
    // Two dashes end it; the line break after them is not needed.
    let cut = (0..whole.len() - 2).map(|len| row(format!("{len} bytes")).sends([sent(&whole[..len])]));
    let head = "--the-boundary\r\nContent-Disposition: form-data; name=\"body\"\r\n";
    let others = [
        "",
        "no form",
        "--another\r\n\r\n\r\n--another--",
        "--the-boundary--",
        "--the-boundary\r\n\r\nx\r\n--the-boundary--",
        head,
    ];
    let others = others.map(|form| row(format!("form `{form}`")).sends([sent(form)]));
    let rows = cut.chain(others).map(|row| row.expects(Expected::reason(400, "MCS_MALFORMED_MULTIPART")));
    check(rows).await;
}

#[tokio::test]
async fn a_key_that_does_not_open_the_file_is_told_in_the_words_of_other_routes() {
    let sealed = seal(b"a medium", "m", 1);
    let with = |what: &str, file: &[u8]| parts(what, &[("body", &sealed.ciphertext), ("file", file)]);
    let edit = |pointer: &str, value| edited(&sealed.file, pointer, value).to_string().into_bytes();
    let other = edit("/hashes/sha256", Some(seal(b"another", "m", 1).file["hashes"]["sha256"].clone()));
    let broken = json!({"encrypted_body": {"ciphertext": "AAAA", "mac": "AAAA", "ephemeral": "AAAA"}}).to_string();
    let text = "The encrypted body could not be decrypted";
    check([
        with("no JSON", b"{").expects(malformed_json()),
        with("no object", b"[]").expects(malformed_json()),
        with("nothing", b"{}").expects(malformed_json()),
        with("no attachment", &edit("/v", Some(json!("v1")))).expects(malformed_json()),
        with("no key", &edit("/key", None)).expects(malformed_json()),
        with("address that is no text", &edit("/url", Some(json!(7)))).expects(malformed_json()),
        with("not UTF-8", &not_utf8("@"))
            .deviates("a body that is no text is the client's fault")
            .expects(malformed_json())
            .strictly(error(500, "M_UNKNOWN", "Internal Server Error")),
        with("malformed key", &edit("/key/k", Some(json!("AAAA")))).expects(undecryptable()),
        with("another hash", &other).expects(undecryptable()),
        with("broken envelope", broken.as_bytes())
            .deviates("the documented code")
            .expects(error(403, "MCS_BAD_DECRYPTION", text))
            .strictly(error(400, "MCS_MEDIA_FAILED_TO_DECRYPT", text)),
    ])
    .await;
}

#[tokio::test]
async fn only_whom_the_homeserver_knows_has_files_scanned() {
    let refusal = |errcode: &str| Stored::json(401, &format!(r#"{{"errcode":"{errcode}"}}"#));
    let asks = |what: &str, stored| parts(what, &[("body", b"a medium")]).stored(WHO_AM_I, stored).asks(&[WHO_AM_I]);
    let missing = error(401, "M_MISSING_TOKEN", "Access token missing from request");
    let unknown = error(401, "M_UNKNOWN_TOKEN", "Invalid access token passed");
    check([
        asks("no token", refusal("M_MISSING_TOKEN")).expects(missing),
        asks("unknown token", refusal("M_UNKNOWN_TOKEN")).expects(unknown.clone()),
        asks("suspended", Stored::json(403, "{}")).expects(super::remote_error()),
        asks("known", Stored::json(200, r#"{"user_id":"@u:hs.test"}"#)).expects(clean()),
        // Who does not say who asks, says yes to nobody.
        asks("no such route", Stored::json(404, "{}")).expects(super::remote_error()),
        asks("trouble", Stored::json(500, "{}")).expects(super::remote_error()),
        row("no token at all")
            .sends([sent("x").without_token()])
            .expects(error(401, "M_MISSING_TOKEN", "Access token missing from request"))
            .unasked(),
        // Before any of the form is read.
        row("unknown token, malformed form")
            .stored(WHO_AM_I, refusal("M_UNKNOWN_TOKEN"))
            .sends([sent("x")])
            .expects(unknown),
    ])
    .await;
}

#[tokio::test]
async fn what_is_too_large_or_cannot_be_looked_into_is_refused() {
    let stage = Stage::start("limits: {max_media_bytes: 1000}").await;
    let too_large = error(413, "MCS_MALFORMED_MULTIPART", "The file is too large to be scanned");
    let declared = parts("far too large", &[("body", &vec![0; 200_000])]).unasked();
    stage
        .check([
            parts("just fits", &[("body", &[0; 1000])]).expects(clean()),
            parts("one byte too large", &[("body", &[0; 1001])]).expects(too_large.clone()),
            declared.expects(too_large),
            parts("with a password", &[("body", &encrypted_zip())])
                .deviates("nothing was found in it")
                .expects(error(
                    403,
                    "MCS_MEDIA_NOT_CLEAN",
                    "This file was refused: it contains encrypted content that cannot be scanned",
                ))
                .strictly(infected()),
        ])
        .await;
}

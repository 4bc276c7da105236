//! Tchap Web, in a browser of which the page has another origin than the scanner.

use http::request::Builder;
use serde_json::Value;

use crate::harness::{
    Answer, App, AppBuilder, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Script, ScriptedClamd, Stored, eicar,
    path, public_key, put_sealed, request, seal, start, with_envelope,
};

const ORIGIN: &str = "https://tchap.test";

/// What the browser lets a page have: nothing, unless the preflight allows the request and the answer its reader.
async fn browser(app: &App, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
    let with = |sent: Builder| headers.iter().fold(sent, |sent, (name, value)| sent.header(*name, *value));
    if !headers.is_empty() {
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let preflight = request("OPTIONS", path)
            .header("origin", ORIGIN)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", names.join(","));
        let preflight = app.client.send(preflight, b"").await;
        if !preflight.status.is_success() || !allows(&preflight, method, &names) {
            return None;
        }
    }
    let answer = app.client.send(with(request(method, path).header("origin", ORIGIN)), body).await;
    (answer.header("access-control-allow-origin") == Some("*")).then_some(answer)
}

/// True if a preflight allows the method and all headers of a request.
fn allows(preflight: &Answer, method: &str, names: &[&str]) -> bool {
    let listed = |header: &str, wanted: &str| {
        let values = preflight.header(header).unwrap_or_default();
        values.split(',').any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    preflight.header("access-control-allow-origin") == Some("*")
        && listed("access-control-allow-methods", method)
        && names.iter().all(|name| listed("access-control-allow-headers", name))
}

/// What it reads of any JSON that comes: undefined is unsafe to it.
fn is_safe(answer: &Answer) -> bool {
    answer.json().get("clean").is_some_and(|clean| *clean == Value::Bool(true))
}

/// The headers of its requests about attachments.
const JSON: [(&str, &str); 2] = [("authorization", "Bearer token"), ("content-type", "application/json")];

#[tokio::test]
async fn a_page_can_scan_and_download() {
    let (homeserver, _clamd, app) = start().await;
    let key = browser(&app, "GET", &path("public_key"), &[], b"").await.expect("a simple request");
    assert!(key.json()["public_key"].is_string());
    let key = public_key(&app).await;
    homeserver.put_media("plain", &Stored::media(b"a plain medium"));
    for (id, plaintext, safe) in [("m", b"a medium".to_vec(), true), ("bad", eicar(), false)] {
        let sealed = put_sealed(&homeserver, &plaintext, id, 1);
        let body = with_envelope(key, &sealed.file);
        let scan = browser(&app, "POST", SCAN_ENCRYPTED, &JSON, &body).await.expect("allowed");
        assert_eq!(is_safe(&scan), safe);
        let download = browser(&app, "POST", DOWNLOAD_ENCRYPTED, &JSON, &body).await.expect("allowed");
        assert_eq!(download.status == 200 && download.body == sealed.ciphertext, safe, "{download:?}");
    }
    let scan = browser(&app, "GET", &path("scan/hs.test/plain"), &JSON[..1], b"").await.expect("allowed");
    assert!(is_safe(&scan));
    // It sends no token with the download of what is not encrypted.
    let download = browser(&app, "GET", &path("download/hs.test/plain"), &[], b"").await.expect("a simple request");
    assert_eq!(&download.body[..], b"a plain medium");
}

/// It looks at no status and no reason, so no error may be taken for a verdict, and all must be readable.
#[tokio::test]
async fn no_error_is_safe_and_each_can_be_read() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    let key = public_key(&app).await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    homeserver.put_media("failing", &Stored::json(500, r#"{"clean":true,"info":"File is clean"}"#));
    clamd.set(Script::reply(b"{}: Can't allocate memory ERROR\0"));
    let outdated = vodozemac::pk_encryption::PkDecryption::new().public_key();
    let revoked = [("authorization", "Bearer revoked"), JSON[1]];
    for (headers, body, status) in [
        (JSON, b"{}".to_vec(), 400),
        (JSON, br#"{"clean":true}"#.to_vec(), 400),
        (JSON, with_envelope(outdated, &sealed.file), 403),
        (JSON, with_envelope(key, &sealed.with_ciphertext(b"x").file), 400),
        (JSON, with_envelope(key, &seal(b"x", "missing", 1).file), 404),
        (JSON, with_envelope(key, &seal(b"x", "failing", 1).file), 502),
        (revoked, with_envelope(key, &sealed.file), 401),
        (JSON, with_envelope(key, &sealed.file), 503),
        (JSON, vec![b' '; 2 << 20], 413),
    ] {
        for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
            let answer = browser(&app, "POST", route, &headers, &body).await.expect("readable");
            assert_eq!((answer.status.as_u16(), is_safe(&answer)), (status, false), "{answer:?}");
        }
    }
    let unknown = browser(&app, "POST", &path("nothing"), &JSON, b"{}").await.expect("readable");
    assert_eq!((unknown.status.as_u16(), is_safe(&unknown)), (404, false));
}

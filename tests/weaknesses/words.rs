//! W18: what was sent by one, or said by the homeserver, is repeated to nobody, nor written down.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::PLAIN;
use crate::harness::{
    AppBuilder, Binary, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Stored, edited, eicar, envelope, path,
    public_key, request, seal, signal, start, with_file,
};

/// What a homeserver, or whoever keeps the medium, may put into an error.
const FOREIGN: &str = "text-of-the-homeserver";

/// Values of a request that may be anything, a key in the wrong place among them.
const VALUE: &str = "RecognisableValueOfTheClient";

/// Bodies in which a value is where it does not belong.
fn misplaced() -> Vec<Vec<u8>> {
    let file = seal(b"x", "m", 1).file;
    let pointers =
        ["/v", "/url", "/iv", "/key/kty", "/key/alg", "/key/ext", "/key/key_ops", "/key/k", "/hashes/sha256"];
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for pointer in pointers {
        for value in [json!(VALUE), json!([VALUE]), json!({VALUE: VALUE})] {
            bodies.push(with_file(&edited(&file, pointer, Some(value))));
        }
    }
    bodies.extend(
        [VALUE.to_owned(), format!("\"{VALUE}\""), format!("{{\"{VALUE}\":1}}"), format!("{{\"file\":\"{VALUE}\"}}")]
            .map(String::into_bytes),
    );
    bodies
}

#[tokio::test]
async fn w18_info_repeats_nothing_of_a_request_or_of_the_homeserver() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    for body in misplaced() {
        let in_envelope = json!({"encrypted_body": envelope(key, &body)}).to_string().into_bytes();
        for body in [body, in_envelope] {
            for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
                let answer = app.post(route, &body).await;
                assert!(!answer.text().contains(VALUE), "{answer:?}");
            }
        }
    }
    let sealed = seal(b"x", "m", 1);
    for status in [400, 401, 403, 404, 413, 429, 500, 502, 504] {
        for text in [
            format!(r#"{{"errcode":"M_X","error":"{FOREIGN}"}}"#),
            FOREIGN.to_owned(),
            format!(r#"{{"errcode":"{FOREIGN}"}}"#),
        ] {
            homeserver.put_media("m", &Stored::json(status, &text));
            for route in PLAIN {
                let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
                assert!(answer.status.is_client_error() || answer.status.is_server_error());
                assert!(!answer.text().contains(FOREIGN), "{status} {route}: {answer:?}");
            }
            let answer = app.post(SCAN_ENCRYPTED, &sealed.body()).await;
            assert!(!answer.text().contains(FOREIGN), "{status}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn w18_tokens_keys_file_names_and_foreign_texts_are_in_no_log() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let binary = Binary::new(&AppBuilder::new(&homeserver).clamd(&clamd).with("log: {level: trace, format: json}"));
    let mut process = binary.serve(Stdio::piped()).await;
    let client = &binary.client;

    let sealed = seal(&eicar(), "sealed", 9);
    homeserver.put_media("sealed", &Stored::media(&sealed.ciphertext));
    homeserver.put_media("m", &Stored::media(&eicar()));
    homeserver.put_media("failing", &Stored::json(500, &format!(r#"{{"errcode":"M_X","error":"{FOREIGN}"}}"#)));
    homeserver.put_media("broken", &Stored::media(b"").cut_short(b"x"));
    let with_token = |method, path: &str| request(method, path).header("authorization", "Bearer token-of-alice");
    for path in [
        "download/hs.test/m/name-of-file.txt",
        "download/hs.test/m",
        "download/hs.test/broken",
        "download/hs.test/failing",
    ] {
        let path = format!("/_matrix/media/v3/{path}?access_token=token-in-query");
        client.send(with_token("GET", &path), b"").await;
    }
    let upload = "/_matrix/media/v3/upload?filename=name-of-file.txt";
    client.send(with_token("POST", upload), &eicar()).await;
    for route in PLAIN {
        let path = path(&format!("{route}/hs.test/failing?access_token=token-in-query"));
        client.send(with_token("GET", &path), b"").await;
    }
    client.send(with_token("POST", "/_matrix/client/v3/login"), b"password-of-alice").await;
    let over_http2 = "/_matrix/media/v3/download/hs.test/m?access_token=token-in-query";
    client.http2().send(with_token("GET", over_http2), b"").await;
    for route in ["scan_encrypted", "download_encrypted"] {
        let path = path(route);
        client.send(request("POST", &path).header("authorization", "Bearer token"), &sealed.body()).await;
        client.send(with_token("POST", &path), br#"{"file":{"key":{"k":"secret-of-the-key"}}}"#).await;
        for body in misplaced() {
            client.send(with_token("POST", &path), &body).await;
        }
    }

    signal(&process, Signal::TERM);
    let mut log = String::new();
    process.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(process.wait().await.unwrap().success());
    assert!(log.contains("\"outcome\":\"infected\"") && log.contains("mxc://hs.test/sealed"), "it does log: {log}");
    assert!(log.lines().filter(|line| line.contains("\"answered\"")).all(|line| line.contains("\"id\":\"")), "{log}");
    let key = sealed.file["key"]["k"].as_str().unwrap();
    let hash = sealed.file["hashes"]["sha256"].as_str().unwrap();
    let sent = ["token-of-alice", "token-in-query", "password-of-alice", "secret-of-the-key", "name-of-file"];
    for secret in sent.into_iter().chain([key, hash, FOREIGN, VALUE]) {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}

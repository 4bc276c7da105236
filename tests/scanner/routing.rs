//! Which paths and methods there are: the public key, preflights, HEAD, and what is none of the API.

use base64::{Engine as _, prelude::*};
use http::HeaderMap;
use serde_json::json;

use super::{outcome, path};
use crate::harness::{Stored, eicar, request, start};

#[tokio::test]
async fn the_public_key_is_unpadded_base64_for_everyone() {
    let (homeserver, _clamd, app) = start().await;
    let answer = app.client.get(&path("public_key")).await;
    let key = answer.json()["public_key"].as_str().unwrap().to_owned();
    assert_eq!((answer.status.as_u16(), answer.text()), (200, format!(r#"{{"public_key":"{key}"}}"#)));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!((key.len(), BASE64_STANDARD_NO_PAD.decode(&key).unwrap().len()), (43, 32));
    assert_eq!(app.get(&path("public_key")).await.body, answer.body, "it stays the same");
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_get_matrix_errors() {
    let (homeserver, _clamd, app) = start().await;
    let refused = json!({"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"});
    for rest in
        ["", "nope", "public_key/", "/public_key", "PUBLIC_KEY", "%70ublic_key", "scan_encrypted/", "scans/hs.test/m"]
    {
        for method in ["GET", "POST", "PUT"] {
            let answer = app.client.send(request(method, &path(rest)), b"").await;
            assert_eq!(outcome(&answer), (404, refused.clone()), "{method} {rest}");
            answer.assert_matrix_error(404, "M_UNRECOGNIZED");
        }
    }
    for (method, rest) in [
        ("POST", "public_key"),
        ("PUT", "public_key"),
        ("POST", "scan/hs.test/m"),
        ("DELETE", "download/hs.test/m"),
        ("POST", "thumbnail/hs.test/m"),
        ("GET", "scan_encrypted"),
        ("PUT", "download_encrypted"),
    ] {
        let answer = app.client.send(request(method, &path(rest)), b"").await;
        assert_eq!(outcome(&answer), (405, refused.clone()), "{method} {rest}");
        answer.assert_matrix_error(405, "M_UNRECOGNIZED");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn preflights_are_answered_on_any_path() {
    let (homeserver, _clamd, app) = start().await;
    for rest in [
        "public_key",
        "scan/hs.test/m",
        "download/hs.test/m/x",
        "scan_encrypted",
        "download_encrypted",
        "nope",
        "",
        "/x",
    ] {
        let sent = request("OPTIONS", &path(rest))
            .header("origin", "https://app.test")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let answer = app.client.send(sent, b"").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{rest}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{rest}");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

/// Headers that depend neither on the time nor on how the body is framed.
fn lasting(mut headers: HeaderMap) -> HeaderMap {
    for name in ["content-length", "transfer-encoding", "date"] {
        headers.remove(name);
    }
    headers
}

#[tokio::test]
async fn a_head_request_gets_the_head_of_a_get() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium").header("content-disposition", "inline"));
    homeserver.put_media("infected", &Stored::media(&eicar()));
    for rest in [
        "public_key",
        "scan/hs.test/m",
        "scan/hs.test/infected",
        "scan/hs.test/missing",
        "scan/malformed",
        "download/hs.test/m",
        "download/hs.test/infected",
        "thumbnail/hs.test/m",
        "nope",
    ] {
        let get = app.get(&path(rest)).await;
        let sent = request("HEAD", &path(rest)).header("authorization", "Bearer token");
        let head = app.client.send(sent, b"").await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{rest}");
        // RFC 9110 §8.6: the length of the GET, or none at all.
        let length = head.header("content-length");
        assert!(length.is_none() || length == get.header("content-length"), "{rest}: {length:?}");
        assert_eq!(lasting(head.headers), lasting(get.headers), "{rest}");
    }
    assert!(homeserver.seen().iter().all(|seen| seen.method == "GET"), "not every homeserver knows HEAD");
}

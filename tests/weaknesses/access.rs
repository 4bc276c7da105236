//! W2, W4 and W5: who is asked for a medium, with whose credentials, and who is told what is known of it.

use serde_json::json;

use super::{LARGE, PLAIN, ask_everywhere};
use crate::harness::{
    Answer, App, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Sealed, Stored, edited, eicar, envelope, path,
    public_key, request, scans, seal, start, with_file,
};

/// Asks for `mxc://{address}` in every way: with GET and HEAD, in clear and in an envelope.
async fn ask_in_every_way(app: &App, address: &str, sealed: &Sealed, authorization: Option<&str>) -> Vec<Answer> {
    let body = with_file(&edited(&sealed.file, "/url", Some(json!(format!("mxc://{address}")))));
    let in_envelope = json!({"encrypted_body": envelope(public_key(app).await, &body)}).to_string();
    let answers = ask_everywhere(app, authorization, address, &body).await;
    let mut answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    let heads = PLAIN.map(|route| ("HEAD", path(&format!("{route}/{address}")), ""));
    let posts = [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED].map(|route| ("POST", route.to_owned(), in_envelope.as_str()));
    for (method, path, body) in heads.into_iter().chain(posts) {
        let sent = request(method, &path);
        let sent = authorization.into_iter().fold(sent, |sent, value| sent.header("authorization", value));
        answers.push(app.client.send(sent, body.as_bytes()).await);
    }
    answers
}

/// The homeserver is asked each time, and says who may know. What is said of HEAD is said in its status alone.
#[tokio::test]
async fn w2_a_known_verdict_is_told_to_nobody_whom_the_homeserver_refuses() {
    let (homeserver, _clamd, app) = start().await;
    for (id, plaintext) in [("clean", b"a medium".to_vec()), ("large", vec![7; LARGE]), ("infected", eicar())] {
        let (sealed, address) = (seal(&plaintext, id, 1), format!("hs.test/{id}"));
        for prefix in ["client/v1/media", "media/v3", "media/r0"] {
            for kind in ["download", "thumbnail"] {
                let target = format!("/_matrix/{prefix}/{kind}/{address}");
                homeserver
                    .put(&target, Stored::media(if kind == "download" { &sealed.ciphertext } else { &plaintext }));
            }
        }
        ask_in_every_way(&app, &address, &sealed, Some("Bearer token")).await;
        let known = scans(&app).await;
        for (authorization, reason) in [(Some("Bearer revoked"), "M_UNKNOWN_TOKEN"), (None, "M_MISSING_TOKEN")] {
            let asked = homeserver.seen().len();
            let answers = ask_in_every_way(&app, &address, &sealed, authorization).await;
            assert_eq!(homeserver.seen().len(), asked + answers.len(), "asked for each of them");
            for answer in answers.iter().filter(|answer| !answer.body.is_empty()) {
                answer.assert_scanner_error(401, reason);
            }
            assert!(answers.iter().all(|answer| answer.status == 401));
        }
        let gone = Stored::json(404, r#"{"errcode":"M_NOT_FOUND","error":"Not found"}"#);
        homeserver.put_media(id, &gone);
        let answers = ask_in_every_way(&app, &address, &sealed, Some("Bearer token")).await;
        assert!(answers.iter().all(|answer| answer.status == 404), "quarantined: {answers:?}");
        assert_eq!(scans(&app).await, known, "no scan for any of them");
    }
}

/// Servers that an address can name, given one that is there and would answer.
fn foreign_names(other: &Homeserver) -> [String; 5] {
    let port = other.address().port();
    [
        other.address().to_string(),
        format!("localhost:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        "169.254.169.254".to_owned(),
        format!("127.1:{port}"),
    ]
}

/// A user's token is for the own homeserver, whoever keeps the medium.
#[tokio::test]
async fn w4_tokens_go_to_the_one_homeserver_whatever_server_is_named() {
    let (homeserver, _clamd, app) = start().await;
    let other = Homeserver::start().await;
    let sealed = seal(b"a medium", "m", 1);
    for name in foreign_names(&other) {
        let asked = homeserver.seen().len();
        let answers = ask_in_every_way(&app, &format!("{name}/m"), &sealed, Some("Bearer token")).await;
        let seen = &homeserver.seen()[asked..];
        assert_eq!(seen.len(), answers.len(), "{name}");
        let encoded = name.replace(':', "%3A").replace('[', "%5B").replace(']', "%5D");
        for seen in seen {
            assert!(seen.target.ends_with(&format!("/{encoded}/m")), "{name}: {}", seen.target);
            assert_eq!(seen.header("authorization"), Some("Bearer token"));
        }
    }
    assert_eq!((other.connections(), other.seen().len()), (0, 0), "nobody else");
}

/// Neither the address nor the homeserver can have us ask someone whom the operator did not name.
#[tokio::test]
async fn w5_no_connection_is_made_to_where_an_answer_points() {
    let (homeserver, _clamd, app) = start().await;
    let other = Homeserver::start().await;
    other.respond_with(|_| Some(Stored::media(b"what only this machine may read").open()));
    let sealed = seal(b"a medium", "m", 1);
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for location in [
            other.url(),
            format!("{}/_matrix/client/v1/media/download/hs.test/m", other.url()),
            format!("https://{}/x", other.address()),
            format!("//{}/x", other.address()),
            format!("http://hs.test@{}/x", other.address()),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "/_synapse/admin/v1/users".to_owned(),
            "file:///etc/passwd".to_owned(),
        ] {
            homeserver.put_media("m", &Stored::media(b"").status(status).header("location", &location));
            for authorization in [Some("Bearer token"), None] {
                let answers = ask_in_every_way(&app, "hs.test/m", &sealed, authorization).await;
                assert!(answers.iter().all(|answer| answer.status == 502), "{status} {location}: {answers:?}");
                assert!(answers.iter().all(|answer| answer.header("location").is_none()));
            }
        }
    }
    assert_eq!(other.connections(), 0);
    assert!(homeserver.seen().iter().all(|seen| seen.target.contains("/hs.test/m")), "nor to another place of its own");
    assert_eq!(scans(&app).await, (0, 0));
}

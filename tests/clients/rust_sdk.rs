//! matrix-rust-sdk, and Element X on top of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Notify;
use vodozemac::Curve25519PublicKey;

use super::{answer, authorized, post, text, verdict};
use crate::harness::{
    Answer, App, AppBuilder, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Script, ScriptedClamd, Sealed,
    Stored, edited, eicar, encrypted_zip, envelope, eventually, path, public_key, put_sealed, request, seal, start,
    with_file,
};

/// All reasons that it knows. Any other is a failure without a name.
const REASONS: [&str; 10] = [
    "MCS_MALFORMED_JSON",
    "MCS_MEDIA_FAILED_TO_DECRYPT",
    "M_MISSING_TOKEN",
    "M_UNKNOWN_TOKEN",
    "M_NOT_FOUND",
    "MCS_MEDIA_NOT_CLEAN",
    "MCS_MIME_TYPE_FORBIDDEN",
    "MCS_BAD_DECRYPTION",
    "M_UNKNOWN",
    "MCS_MEDIA_REQUEST_FAILED",
];

/// What it makes of an error. It looks for an error of the Matrix specification first, and then sees no verdict in it.
fn reason(error: &Value) -> Option<&str> {
    if text(error, "errcode").is_some() && text(error, "error").is_some() {
        return None;
    }
    text(error, "info")?;
    text(error, "reason").filter(|reason| REASONS.contains(reason))
}

/// The members of a key in its order of operations.
fn as_it_writes(sealed: &Sealed) -> Value {
    edited(&sealed.file, "/key/key_ops", Some(json!(["decrypt", "encrypt"])))
}

/// The body that it sends: an envelope, if it could get the key to which it is made.
fn body(key: Option<Curve25519PublicKey>, sealed: &Sealed) -> Vec<u8> {
    let file = with_file(&as_it_writes(sealed));
    key.map_or(file.clone(), |key| json!({"encrypted_body": envelope(key, &file)}).to_string().into_bytes())
}

#[tokio::test]
async fn media_are_scanned_and_then_downloaded() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("plain", &Stored::media(b"a medium"));
    let (clean, infected) = (put_sealed(&homeserver, b"sealed", "m", 1), put_sealed(&homeserver, &eicar(), "bad", 2));
    for key in [Some(public_key(&app).await), None] {
        for (sealed, is_clean) in [(&clean, true), (&infected, false)] {
            let scan = post(&app, authorized("POST", SCAN_ENCRYPTED), &body(key, sealed)).await;
            assert_eq!(verdict(&scan), is_clean);
            let download = post(&app, authorized("POST", DOWNLOAD_ENCRYPTED), &body(key, sealed)).await;
            match is_clean {
                true => assert!(download.status == 200 && download.body == sealed.ciphertext),
                false => assert_eq!(reason(&download.json()), Some("MCS_MEDIA_NOT_CLEAN")),
            }
        }
    }
    assert!(verdict(&app.client.send(authorized("GET", &path("scan/hs.test/plain")), b"").await));
    let download = app.client.send(authorized("GET", &path("download/hs.test/plain")), b"").await;
    assert_eq!(&download.body[..], b"a medium");
}

/// Else a file that was blocked is shown as one that is not there.
#[tokio::test]
async fn every_error_has_a_reason_that_it_knows() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).with("limits: {max_media_bytes: 1000}").start().await;
    let key = public_key(&app).await;
    let outdated = vodozemac::pk_encryption::PkDecryption::new().public_key();
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let other = sealed.with_ciphertext(b"other bytes");
    let (missing, large) = (seal(b"x", "missing", 1), put_sealed(&homeserver, &[7; 1001], "large", 1));
    homeserver.put_media("failing", &Stored::json(500, r#"{"errcode":"M_UNKNOWN","error":"x"}"#));
    homeserver.put_media("forbidden", &Stored::json(403, r#"{"errcode":"M_FORBIDDEN","error":"x"}"#));
    homeserver.put("/_matrix/media/v3/download/hs.test/m", Stored::media(b""));
    let good = || body(Some(key), &sealed);
    let rows: [(&str, Vec<u8>, u16, &str); 10] = [
        ("Bearer token", b"{}".to_vec(), 400, "MCS_MALFORMED_JSON"),
        ("Bearer token", body(Some(outdated), &sealed), 403, "MCS_BAD_DECRYPTION"),
        ("Bearer token", body(Some(key), &other), 400, "MCS_MEDIA_FAILED_TO_DECRYPT"),
        ("Bearer token", body(Some(key), &missing), 404, "M_NOT_FOUND"),
        ("Bearer token", body(Some(key), &seal(b"x", "failing", 1)), 502, "MCS_MEDIA_REQUEST_FAILED"),
        ("Bearer token", body(Some(key), &seal(b"x", "forbidden", 1)), 502, "MCS_MEDIA_REQUEST_FAILED"),
        ("Bearer token", body(Some(key), &large), 403, "MCS_MEDIA_NOT_CLEAN"),
        ("Bearer revoked", good(), 401, "M_UNKNOWN_TOKEN"),
        ("", good(), 401, "M_MISSING_TOKEN"),
        ("Bearer token", good(), 503, "M_UNKNOWN"),
    ];
    clamd.set(Script::reply(b"{}: Can't allocate memory ERROR\0"));
    for (authorization, body, status, expected) in rows {
        for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
            let sent = request("POST", route);
            let sent = if authorization.is_empty() { sent } else { sent.header("authorization", authorization) };
            let answer = post(&app, sent, &body).await;
            assert_eq!((answer.status.as_u16(), reason(&answer.json())), (status, Some(expected)), "{answer:?}");
        }
    }
}

/// Whether what an engine cannot see into may pass is decided here, and not by a verdict that is kept for good.
#[tokio::test]
async fn what_is_refused_and_not_infected_is_an_error_that_it_shows_as_unsafe() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put_sealed(&homeserver, &encrypted_zip(), "m", 1);
    for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
        let answer = post(&app, authorized("POST", route), &body(Some(public_key(&app).await), &sealed)).await;
        assert_eq!((answer.status.as_u16(), reason(&answer.json())), (403, Some("MCS_MEDIA_NOT_CLEAN")));
    }
}

/// Its retries: three attempts where the answer is 429 or 5xx. `pause` stands for the time between them.
async fn with_retries<P: Future<Output = ()>>(app: &App, body: &[u8], pause: impl Fn() -> P) -> (usize, Answer) {
    for attempt in 1.. {
        let answer = post(app, authorized("POST", SCAN_ENCRYPTED), body).await;
        if attempt == 3 || !(answer.status == 429 || answer.status.is_server_error()) {
            return (attempt, answer);
        }
        pause().await;
    }
    unreachable!("it gives up after three")
}

#[tokio::test]
async fn engine_trouble_is_over_at_its_next_attempt() {
    let homeserver = Homeserver::start().await;
    let scans = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&scans);
    let clamd = ScriptedClamd::start(Script::by_content(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Script::reply(b"{}: Can't allocate memory ERROR\0"),
        _ => Script::clean(),
    }));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let (attempts, last) = with_retries(&app, &body(Some(public_key(&app).await), &sealed), || app.ready()).await;
    assert!(verdict(&last));
    assert_eq!((attempts, scans.load(Ordering::SeqCst)), (2, 2));
}

#[tokio::test]
async fn what_is_final_is_asked_for_once() {
    let (homeserver, _clamd, app) = start().await;
    let infected = put_sealed(&homeserver, &eicar(), "m", 1);
    for (sealed, status) in [(&infected, 200), (&seal(b"x", "missing", 1), 404), (&infected.with_ciphertext(b"x"), 400)]
    {
        let (attempts, last) = with_retries(&app, &body(None, sealed), || async {}).await;
        assert_eq!((attempts, last.status.as_u16()), (1, status));
    }
}

/// After 30 s it gives up and tries again, in an envelope of its own. The scan goes on meanwhile, and may end before
/// that or after.
#[tokio::test]
async fn a_scan_that_takes_longer_than_it_waits_is_there_for_its_next_attempt() {
    for ends_meanwhile in [false, true] {
        let (homeserver, finish) = (Homeserver::start().await, Arc::new(Notify::new()));
        let clamd = ScriptedClamd::start(Script::held(&finish, b"{}: OK\0"));
        let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
        let key = public_key(&app).await;
        let sealed = put_sealed(&homeserver, &vec![7; 200_000], "m", 1);
        let attempt = || {
            let (client, body) = (app.client.clone(), body(Some(key), &sealed));
            tokio::spawn(async move { client.send(authorized("POST", SCAN_ENCRYPTED), &body).await })
        };
        let first = attempt();
        clamd.has_received(1).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        eventually("its going was noticed", || async { app.metric("lazaret_media_requests").await == 0 }).await;
        if ends_meanwhile {
            finish.notify_one();
            eventually("the scan has ended", || async { app.scans("clean").await == 1 }).await;
        }
        let second = attempt();
        eventually("the homeserver let it in", || async { homeserver.seen().len() == 2 }).await;
        if !ends_meanwhile {
            assert!(!second.is_finished());
            finish.notify_one();
        }
        assert!(verdict(&answer(second).await));
        assert_eq!((clamd.received.borrow().len(), app.scans("clean").await), (1, 1));
    }
}

/// On Android up to four scans of a room are under way, and what is shown twice is asked for twice.
#[tokio::test]
async fn a_room_full_of_media_is_scanned_in_parallel() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let key = public_key(&app).await;
    let room: Vec<Sealed> = (0..12_u8)
        .map(|number| {
            let plaintext = if number % 4 == 3 { eicar() } else { vec![number; 10_000] };
            put_sealed(&homeserver, &plaintext, &format!("m{number}"), number)
        })
        .collect();
    for (number, four) in room.chunks(4).chain(room.chunks(4)).enumerate() {
        let asking = four.iter().map(|sealed| {
            let body = body(Some(key), sealed);
            let app = &app;
            async move { verdict(&post(app, authorized("POST", SCAN_ENCRYPTED), &body).await) }
        });
        assert_eq!(join_all(asking).await, [true, true, true, false], "{number}");
    }
    assert_eq!((app.scans("clean").await, app.scans("infected").await), (9, 1), "one for each content");
}

//! W3: what is under way is shared among those whom the homeserver let in, and nobody fails for another.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{LARGE, answer, held_body, held_scan, orders, received, send};
use crate::harness::{
    Answer, App, AppBuilder, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Script, ScriptedClamd, Sealed, Stored,
    eventually, path, seal, start,
};

/// Who asks: two who may, one whose token was revoked, and one without.
const CALLERS: [Option<&str>; 4] = [Some("token"), Some("token"), Some("revoked"), None];

/// Asserts that who may not have a medium learns nothing but that.
#[track_caller]
fn assert_kept_out(caller: usize, answer: &Answer) {
    let reason = if CALLERS[caller].is_some() { "M_UNKNOWN_TOKEN" } else { "M_MISSING_TOKEN" };
    answer.assert_scanner_error(401, reason);
}

/// One of the routes to `mxc://hs.test/{id}`, and what is sent to it.
fn request(round: usize, id: &str, sealed: &Sealed) -> (String, Vec<u8>) {
    match round % 5 {
        3 => (SCAN_ENCRYPTED.to_owned(), sealed.body()),
        4 => (DOWNLOAD_ENCRYPTED.to_owned(), sealed.body()),
        plain => (path(&format!("{}/hs.test/{id}", super::PLAIN[plain])), Vec::new()),
    }
}

/// Has the homeserver give a medium on all routes, and to nobody without a token.
fn put_for_members(homeserver: &Homeserver, id: &str, stored: &Stored) {
    for kind in ["download", "thumbnail"] {
        for prefix in ["client/v1/media", "media/v3", "media/r0"] {
            homeserver.put(&format!("/_matrix/{prefix}/{kind}/hs.test/{id}"), stored.clone());
        }
    }
}

/// Asks as this caller, and waits until the homeserver has been asked.
async fn ask(
    (homeserver, app): (&Homeserver, &App),
    caller: usize,
    (route, body): &(String, Vec<u8>),
) -> tokio::task::JoinHandle<Answer> {
    let before = homeserver.seen().len();
    let asking = send(app, route, CALLERS[caller], body);
    eventually("the homeserver is asked", || async { homeserver.seen().len() == before + 1 }).await;
    asking
}

/// All orders of callers, while the body is on its way.
#[tokio::test]
async fn w3_a_body_under_way_goes_to_nobody_who_was_not_let_in() {
    let (homeserver, _clamd, app) = start().await;
    for (round, order) in orders(4).into_iter().enumerate() {
        let (id, end) = (format!("m{round}"), Arc::new(Notify::new()));
        let sealed = seal(&[id.as_bytes(), &vec![7; LARGE]].concat(), &id, 1);
        put_for_members(&homeserver, &id, &held_body(&sealed.ciphertext, &end));
        let (sent, mut waiting) = (request(round, &id, &sealed), Vec::new());
        for caller in order.iter().copied() {
            let asking = ask((&homeserver, &app), caller, &sent).await;
            match caller {
                0 | 1 => waiting.push(asking),
                _ => assert_kept_out(caller, &answer(asking).await),
            }
        }
        assert!(waiting.iter().all(|asking| !asking.is_finished()), "{order:?}: nothing has come yet");
        let ended = || async {
            end.notify_one();
            waiting.iter().all(tokio::task::JoinHandle::is_finished)
        };
        eventually("those who may have it have it", ended).await;
        for asking in waiting {
            assert_eq!(answer(asking).await.status, 200, "{order:?}: {}", sent.0);
        }
        assert_eq!(app.scans("clean").await, round as u64 + 1);
    }
}

/// All orders of callers, while the engine looks at it. Who is let in later waits for the same scan.
#[tokio::test]
async fn w3_a_scan_under_way_tells_nobody_who_was_not_let_in() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    for (round, order) in orders(4).into_iter().enumerate() {
        let (id, end) = (format!("m{round}"), Arc::new(Notify::new()));
        let sealed = seal(format!("a medium, {round}").as_bytes(), &id, 1);
        put_for_members(&homeserver, &id, &Stored::media(&sealed.ciphertext));
        clamd.set(held_scan(&end));
        let (sent, mut waiting) = (request(round, &id, &sealed), Vec::new());
        for caller in order.iter().copied() {
            let asking = ask((&homeserver, &app), caller, &sent).await;
            if caller > 1 {
                assert_kept_out(caller, &answer(asking).await);
                continue;
            }
            received(&clamd, round + 1).await;
            waiting.push(asking);
        }
        assert!(waiting.iter().all(|asking| !asking.is_finished()), "{order:?}: no verdict yet");
        end.notify_one();
        for asking in waiting {
            assert_eq!(answer(asking).await.status, 200, "{order:?}: {}", sent.0);
        }
        assert_eq!(clamd.received.borrow().len(), round + 1, "{order:?}: one scan");
    }
}

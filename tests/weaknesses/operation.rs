//! W19 and W20: what operators see and can do, and how clients get over a new key.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::{answer, held_body, held_scan, received, send};
use crate::harness::{
    AppBuilder, CLEAN, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Script, ScriptedClamd, Stored, eicar,
    eventually, path, public_key, put_sealed, start, with_envelope,
};

#[tokio::test]
async fn w19_what_the_scanner_did_can_be_counted() {
    let (homeserver, _clamd, app) = start().await;
    let (clean, infected) = (put_sealed(&homeserver, b"a medium", "m", 1), put_sealed(&homeserver, &eicar(), "bad", 2));
    for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
        for body in [&clean.body(), &infected.body(), &b"not JSON".to_vec()] {
            app.post(route, body).await;
        }
    }
    let counted = app.admin.get("/metrics").await.text();
    let requests: Vec<&str> = counted.lines().filter(|line| line.starts_with("lazaret_requests_total{")).collect();
    for outcome in ["clean", "infected", "served", "bad_request"] {
        let label = format!("outcome=\"{outcome}\"");
        assert!(
            requests.iter().any(|line| line.contains(&label) && !line.ends_with(" 0")),
            "{outcome} in {requests:?}"
        );
    }
    for probe in ["/livez", "/readyz"] {
        assert_eq!(app.admin.get(probe).await.status, 200, "{probe}");
    }
}

/// A stop says so first, and cuts nothing off.
#[tokio::test]
async fn w19_a_scan_under_way_is_answered_before_the_end() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    let verdict = Arc::new(Notify::new());
    clamd.set(held_scan(&verdict));
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let asking = send(&app, SCAN_ENCRYPTED, Some("token"), &sealed.body());
    received(&clamd, 1).await;
    app.stop().await;
    eventually("readiness fails", || async { app.admin.get("/readyz").await.status == 503 }).await;
    assert_eq!(app.admin.get("/livez").await.status, 200);
    verdict.notify_one();
    assert_eq!(answer(asking).await.text(), CLEAN);
    assert!(app.ended().await, "nothing was cut off");
}

#[tokio::test]
async fn w19_one_client_cannot_have_all_places_of_the_scanner() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let limits = "limits: {max_media_requests: 8, max_media_requests_per_client: 2}";
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(limits).start().await;
    let end = Arc::new(Notify::new());
    homeserver.put_media("slow", &held_body(b"a slow medium", &end).open());
    homeserver.put_media("m", &Stored::media(b"a medium").open());
    let slow = [0, 1].map(|_| send(&app, &path("scan/hs.test/slow"), Some("alice"), b""));
    eventually("two places are taken", || async { app.metric("lazaret_media_requests").await == 2 }).await;
    let refused = answer(send(&app, &path("scan/hs.test/m"), Some("alice"), b"")).await;
    refused.assert_scanner_error(503, "M_UNKNOWN");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(answer(send(&app, &path("scan/hs.test/m"), Some("bob"), b"")).await.text(), CLEAN);
    assert_eq!(app.client.get(&path("public_key")).await.status, 200);
    let ended = || async {
        end.notify_one();
        slow.iter().all(tokio::task::JoinHandle::is_finished)
    };
    eventually("they end", ended).await;
    assert_eq!(answer(send(&app, &path("scan/hs.test/m"), Some("alice"), b"")).await.text(), CLEAN);
}

/// The documented way: refused with this code and no other, a client asks for the key once more.
#[tokio::test]
async fn w20_a_client_with_an_outdated_key_recovers_by_asking_for_the_new_one() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let before = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let outdated = public_key(&before).await;
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
        let refused = app.post(route, &with_envelope(outdated, &sealed.file)).await;
        refused.assert_scanner_error(403, "MCS_BAD_DECRYPTION");
        assert_eq!(refused.header("cache-control"), Some("no-store"), "nobody keeps the refusal");
        assert_eq!(homeserver.seen().len(), usize::from(route == DOWNLOAD_ENCRYPTED), "nothing is asked for it");
        let current = public_key(&app).await;
        assert_ne!(current, outdated);
        let answer = app.post(route, &with_envelope(current, &sealed.file)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let published = app.client.get(&path("public_key")).await;
    assert_eq!(published.json(), json!({"public_key": public_key(&app).await.to_base64()}));
}

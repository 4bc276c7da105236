//! W7 and W8: what a medium takes of the process, and of the time of others.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{answer, held_body, held_scan, received, send};
use crate::harness::{
    App, AppBuilder, CLEAN, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Script, ScriptedClamd, Step, Stored,
    eventually, path, put_sealed, seal, start,
};

/// Bytes of media held in memory and on disk.
async fn held(app: &App) -> (u64, u64) {
    (app.metric("lazaret_spool_memory_bytes").await, app.metric("lazaret_spool_disk_bytes").await)
}

#[tokio::test]
async fn w7_of_a_medium_that_is_too_large_no_more_is_read_than_tells_it() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_bytes: 100KiB}").start().await;
    let never = Arc::new(Notify::new());
    let body = seal(b"x", "m", 1).body();
    let over = vec![7; 100 * 1024 + 1];
    for (what, stored) in [
        ("announced", Stored::media(b"").header("content-length", "1000000000000").held(b"begun", &never, b"")),
        ("not announced", Stored::media(b"").held(&over, &never, b"")),
    ] {
        homeserver.put_media("m", &stored);
        for route in ["scan", "download", "thumbnail"] {
            let refused = answer(send(&app, &path(&format!("{route}/hs.test/m")), Some("token"), b"")).await;
            refused.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
            assert!(refused.text().contains("too large"), "{what}: {refused:?}");
        }
        for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
            let refused = answer(send(&app, route, Some("token"), &body)).await;
            refused.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        }
    }
    eventually("nothing of it is kept", || async { held(&app).await == (0, 0) }).await;
    assert_eq!(app.scans("error").await + app.scans("clean").await, 0);
}

/// Many large media at once: memory and spool take what they may, and who comes too late is told so.
#[tokio::test]
async fn w7_many_media_at_once_take_no_more_than_they_may() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let settings =
        "limits: {max_media_bytes: 256KiB, memory_bytes: 512KiB}\nspool: {dir: DIR/spool, max_bytes: 512KiB}";
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(settings).start().await;
    let end = Arc::new(Notify::new());
    let sealed: Vec<_> = (0..40_u8).map(|key| seal(&vec![key; 128 << 10], &format!("m{key}"), key)).collect();
    for (number, sealed) in sealed.iter().enumerate() {
        homeserver.put_media(&format!("m{number}"), &held_body(&sealed.ciphertext, &end));
    }
    let asking: Vec<_> =
        sealed.iter().map(|sealed| send(&app, DOWNLOAD_ENCRYPTED, Some("token"), &sealed.body())).collect();
    eventually("each is being taken in, or refused", || async {
        let refused = asking.iter().filter(|asking| asking.is_finished()).count();
        let (memory, disk) = held(&app).await;
        assert!(memory <= 512 << 10 && disk <= 512 << 10, "{memory} and {disk} bytes");
        homeserver.seen().len() == 40 && refused > 0 && memory + disk > 0
    })
    .await;
    let ended = || async {
        end.notify_waiters();
        let (memory, disk) = held(&app).await;
        assert!(memory <= 512 << 10 && disk <= 512 << 10, "{memory} and {disk} bytes");
        asking.iter().all(tokio::task::JoinHandle::is_finished)
    };
    eventually("all are answered", ended).await;
    let mut served = 0;
    for (asking, sealed) in asking.into_iter().zip(&sealed) {
        let answer = answer(asking).await;
        match answer.status.as_u16() {
            200 => assert!(answer.body == sealed.ciphertext),
            _ => answer.assert_scanner_error(503, "M_UNKNOWN"),
        }
        served += usize::from(answer.status == 200);
    }
    assert!(served < 40, "some had to come again");
    eventually("all was given back", || async { held(&app).await == (0, 0) }).await;
    homeserver.put_media("m0", &Stored::media(&sealed[0].ciphertext));
    assert_eq!(app.post(DOWNLOAD_ENCRYPTED, &sealed[0].body()).await.status, 200, "and there is room again");
}

/// The cache holds verdicts, not media.
#[tokio::test]
async fn w7_known_media_are_not_kept() {
    let (homeserver, _clamd, app) = start().await;
    for number in 0..5 {
        let id = format!("m{number}");
        let sealed = put_sealed(&homeserver, &vec![number; 100_000], &id, 1);
        assert_eq!(app.post(DOWNLOAD_ENCRYPTED, &sealed.body()).await.status, 200);
    }
    eventually("nothing is held", || async { held(&app).await == (0, 0) }).await;
}

/// While the engine is at a large medium, and another one is on its way.
#[tokio::test]
async fn w8_large_media_hold_up_no_other_request() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    homeserver.put_media("known", &Stored::media(b"a known medium"));
    assert_eq!(app.get(&path("scan/hs.test/known")).await.text(), CLEAN);
    let (verdict, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    clamd.set(held_scan(&verdict));
    let large = put_sealed(&homeserver, &vec![7; 1 << 20], "large", 1);
    let late = seal(&vec![8; 1 << 20], "late", 2);
    homeserver.put_media("late", &held_body(&late.ciphertext, &end));
    let scanned = send(&app, SCAN_ENCRYPTED, Some("token"), &large.body());
    received(&clamd, 2).await;
    clamd.set(Script::clean());
    let arriving = send(&app, SCAN_ENCRYPTED, Some("token"), &late.body());
    for round in 0..20 {
        assert_eq!(app.client.get(&path("public_key")).await.status, 200);
        assert_eq!(&app.get(&path("download/hs.test/known")).await.body[..], b"a known medium");
        let small = put_sealed(&homeserver, format!("a small medium, {round}").as_bytes(), "small", 3);
        assert_eq!(app.post(SCAN_ENCRYPTED, &small.body()).await.text(), CLEAN);
    }
    assert!(!scanned.is_finished() && !arriving.is_finished());
    verdict.notify_one();
    end.notify_one();
    assert_eq!(answer(scanned).await.text(), CLEAN);
    assert_eq!(answer(arriving).await.text(), CLEAN);
}

/// All on one thread: while plaintexts are on their way to an engine that takes no more for now, and when it goes on.
#[tokio::test]
async fn w8_a_plaintext_that_is_on_its_way_to_the_engine_holds_up_no_other_request() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start_without_descriptors(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    homeserver.put_media("known", &Stored::media(b"a known medium"));
    assert_eq!(app.get(&path("scan/hs.test/known")).await.text(), CLEAN);
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    // Of each it takes the first chunk, and the rest when it is told to: more than lies between two sockets.
    let steps =
        [Step::Signal(Arc::clone(&begun)), Step::Wait(Arc::clone(&go_on)), Step::ReadAll, Step::send("{}: OK\0")];
    clamd.set(Script::steps(steps));
    let large: Vec<_> = (1..3).map(|key| put_sealed(&homeserver, &vec![key; 4 << 20], &key.to_string(), key)).collect();
    let mut asking = Vec::new();
    for sealed in &large {
        asking.push(send(&app, SCAN_ENCRYPTED, Some("token"), &sealed.body()));
        begun.notified().await;
    }
    clamd.set(Script::clean());
    for round in 0..20 {
        assert_eq!(&app.get(&path("download/hs.test/known")).await.body[..], b"a known medium");
        let small = put_sealed(&homeserver, format!("a small medium, {round}").as_bytes(), "small", 3);
        assert_eq!(app.post(SCAN_ENCRYPTED, &small.body()).await.text(), CLEAN);
    }
    assert_eq!(clamd.received.borrow().len(), 1 + 20, "none of the large ones has arrived");
    assert!(asking.iter().all(|asking| !asking.is_finished()));
    for asking in asking {
        go_on.notify_one();
        assert_eq!(answer(asking).await.text(), CLEAN);
    }
}

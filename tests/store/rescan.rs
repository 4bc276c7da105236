//! What becomes of verdicts when signatures change.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::harness::{
    App, AppBuilder, Clamd, Homeserver, Script, ScriptedClamd, Step, Stored, daily_database, eventually, seal,
    signature,
};

const CLEAN: &[u8] = b"{}: OK\0";
const SCAN: &str = "/_matrix/media_proxy/unstable/scan_encrypted";
const CLEARED: &str = "lazaret_cleared_media_total";
const WAITING: &str = "lazaret_rescans_waiting";
const QUEUED: &str = "lazaret_rescans_queued";

/// More than is held back.
const LEN: usize = 100 * 1024;

pub(super) fn native(id: &str) -> String {
    format!("/_matrix/client/v1/media/download/hs.test/{id}")
}

fn text(id: &str) -> String {
    format!("this is what {id} says")
}

/// A medium that is found by its text.
fn medium(id: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=238).cycle().take(LEN).collect();
    bytes.extend(text(id).into_bytes());
    bytes
}

fn finds(id: &str) -> String {
    signature("Lazaret.Test.Learned", &text(id))
}

fn daily(version: u32, signatures: &str) -> Vec<u8> {
    let known = signature("Lazaret.Test.Known", "known from the start");
    daily_database(version, 1_790_000_000, &(known + signatures))
}

/// A clamd with signatures that have a number.
pub(super) async fn clamd() -> Clamd {
    let mut clamd = Clamd::prepare("");
    clamd.write_signatures("daily.cud", daily(27_000, ""));
    clamd.launch().await;
    clamd
}

/// Has clamd use other signatures, of which the application learns by itself.
pub(super) async fn learn(clamd: &Clamd, version: u32, signatures: &str) {
    clamd.write_signatures("daily.cud", daily(version, signatures));
    clamd.reload("Activating the newly loaded database").await;
}

async fn rescans(app: &App, way: &str) -> u64 {
    let mut all = 0;
    for outcome in ["clean", "infected", "incomplete", "opaque", "busy", "failed"] {
        all += app.metric(&format!("lazaret_rescans_total{{outcome=\"{outcome}\",way=\"{way}\"}}")).await;
    }
    all
}

fn put(homeserver: &Homeserver, ids: &[String]) {
    for id in ids {
        homeserver.put_media(id, &Stored::media(&medium(id)));
    }
}

fn names(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{kind}{number}")).collect()
}

/// Asks for a medium until told to stop. Gives the statuses, and checks that what was refused once is not given out again.
async fn read_on(app: &App, id: &str, stop: &AtomicBool) -> Vec<u16> {
    let mut seen: Vec<u16> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let status = app.get(&native(id)).await.status.as_u16();
        assert!(status == 200 || status == 403, "{id}: {status}");
        assert!(status == 403 || seen.last() != Some(&403), "{id} was refused, and then given out");
        seen.push(status);
    }
    seen
}

/// Downloads go on while signatures change. Gives the statuses that were seen of the first medium.
async fn change_under_load(app: &App, clamd: &Clamd, ids: &[String], until: impl AsyncFn()) -> Vec<u16> {
    let stop = AtomicBool::new(false);
    let reading = join_all(ids.iter().map(|id| read_on(app, id, &stop)));
    let changing = async {
        learn(clamd, 27_001, &finds(&ids[0])).await;
        until().await;
        stop.store(true, Ordering::SeqCst);
    };
    let (seen, ()) = tokio::join!(reading, changing);
    for statuses in &seen[1..] {
        assert!(statuses.iter().all(|status| *status == 200));
    }
    seen.into_iter().next().unwrap()
}

#[tokio::test]
async fn with_new_signatures_every_medium_is_scanned_once_before_it_is_given_out_again() {
    const MEDIA: u64 = 8;
    let (homeserver, clamd) = (Homeserver::start().await, clamd().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let ids = names("m", 8);
    put(&homeserver, &ids);
    for id in &ids {
        assert_eq!(app.get(&native(id)).await.status, 200);
    }
    assert_eq!(app.scans("clean").await, MEDIA);
    let all_rescanned = async || {
        eventually("all were scanned again", || async { rescans(&app, "request").await == MEDIA }).await;
    };
    let seen = change_under_load(&app, &clamd, &ids, all_rescanned).await;
    assert!(seen.contains(&200), "given out before the change");
    app.get(&native(&ids[0])).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!((app.scans("clean").await, app.scans("infected").await), (2 * MEDIA - 1, 1), "each once");
    assert_eq!((rescans(&app, "request").await, rescans(&app, "background").await), (MEDIA, 0));

    learn(&clamd, 27_002, "").await;
    eventually("what was withdrawn lets it pass", || async { app.get(&native(&ids[0])).await.status == 200 }).await;
    assert_eq!(app.metric(CLEARED).await, 1);
}

#[tokio::test]
async fn within_the_grace_old_verdicts_count_and_every_medium_is_scanned_once_in_the_background() {
    const MEDIA: u64 = 8;
    let (homeserver, clamd) = (Homeserver::start().await, clamd().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("inspect: {grace: 1h}").start().await;
    let ids = names("m", 8);
    put(&homeserver, &ids);
    for id in &ids {
        assert_eq!(app.get(&native(id)).await.status, 200);
    }
    let all_rescanned = async || {
        eventually("all were scanned again", || async { rescans(&app, "background").await == MEDIA }).await;
    };
    let seen = change_under_load(&app, &clamd, &ids, all_rescanned).await;
    assert!(seen.contains(&200));
    app.get(&native(&ids[0])).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!((app.scans("clean").await, app.scans("infected").await), (2 * MEDIA - 1, 1), "each once");
    assert_eq!((rescans(&app, "request").await, app.metric(QUEUED).await), (0, 0));

    learn(&clamd, 27_002, "").await;
    eventually("what was withdrawn lets it pass", || async { app.get(&native(&ids[0])).await.status == 200 }).await;
    assert_eq!((rescans(&app, "request").await, app.metric(CLEARED).await), (0, 1));
}

#[tokio::test]
async fn within_the_grace_attachments_are_scanned_in_the_background_too() {
    let (homeserver, clamd) = (Homeserver::start().await, clamd().await);
    let builder = AppBuilder::new(&homeserver).clamd(&clamd).with("inspect: {grace: 1h}");
    let app = builder.policy("opaque_media: require_scanned").start().await;
    let sealed = seal(&medium("m"), "m", 1);
    homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
    let body = sealed.body();
    assert_eq!(app.post(SCAN, &body).await.json()["clean"], true);
    assert_eq!(app.get(&native("m")).await.status, 200, "its ciphertext, too");
    learn(&clamd, 27_001, &finds("m")).await;
    eventually("it is found", || async { app.post(SCAN, &body).await.json()["clean"] == false }).await;
    app.get(&native("m")).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(app.scans("infected").await, 1);
    assert_eq!(app.metric("lazaret_rescans_total{outcome=\"infected\",way=\"background\"}").await, 1);
    eventually("nothing of it is held", || async { app.metric("lazaret_spool_memory_bytes").await == 0 }).await;
}

pub(super) const FIRST: &str = "ClamAV 1.4.6/27000/Mon Nov 23 09:00:00 2026";
pub(super) const SECOND: &str = "ClamAV 1.4.6/27001/Mon Nov 23 10:00:00 2026";

/// A scripted clamd that is done with media beginning with `new` at once, and with others when it is notified, once `held`.
pub(super) fn holding(go_on: &Arc<Notify>) -> Script {
    let go_on = Arc::clone(go_on);
    Script::by_content(move |bytes| match bytes.starts_with(b"new") {
        true => Script::clean(),
        false => Script::steps([Step::Wait(Arc::clone(&go_on)), Step::send(CLEAN)]),
    })
}

/// An application that knows these media, asked for so often, from signatures of before. Rescans are held from here on.
async fn knowing(settings: &str, more: &str, media: &[(&str, usize)]) -> (Homeserver, ScriptedClamd, Arc<Notify>, App) {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    clamd.set_version(FIRST);
    let builder = AppBuilder::new(&homeserver).scripted(&clamd).with(more);
    let app = builder.clamd_settings(&format!("{settings}, queue_timeout: 1m")).start().await;
    for (id, times) in media {
        homeserver.put_media(id, &Stored::media(id.as_bytes()));
        for _ in 0..*times {
            assert_eq!(app.get(&native(id)).await.status, 200);
        }
    }
    let go_on = Arc::new(Notify::new());
    clamd.set_version(SECOND);
    // Canaries notice.
    app.has_passed_canaries(&clamd.address()).await;
    clamd.set(holding(&go_on));
    (homeserver, clamd, go_on, app)
}

/// Lets scans go on until there are none.
async fn release(app: &App, go_on: &Notify, scans: u64) {
    eventually("all are scanned", || async {
        go_on.notify_waiters();
        app.scans("clean").await == scans
    })
    .await;
}

#[tokio::test]
async fn rescans_leave_engines_for_what_was_never_scanned() {
    const MEDIA: u64 = 12;
    let ids = names("m", 12);
    let media: Vec<(&str, usize)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    let (homeserver, clamd, go_on, app) = knowing("max_scans: 4", "", &media).await;
    homeserver.put_media("new", &Stored::media(b"new"));
    let paths: Vec<String> = ids.iter().map(|id| native(id)).collect();
    // Each is asked for three times.
    let asking = join_all(paths.iter().chain(&paths).chain(&paths).map(|path| app.get(path)));
    let watching = async {
        eventually("all others wait", || async { app.metric(WAITING).await == MEDIA - 2 }).await;
        clamd.until(|counts| counts.scanning == 2).await;
        assert_eq!(app.get(&native("new")).await.status, 200, "there is a slot for it");
        assert_eq!(app.metric(WAITING).await, MEDIA - 2, "none of them got the slot that it used");
        release(&app, &go_on, 2 * MEDIA + 1).await;
    };
    let (answers, ()) = tokio::join!(asking, watching);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(clamd.counts().peak <= 3, "two, and the new one: {}", clamd.counts().peak);
    assert_eq!((rescans(&app, "request").await, app.metric(WAITING).await), (MEDIA, 0), "each once");
}

#[tokio::test]
async fn of_media_that_wait_for_their_rescan_the_most_popular_are_first() {
    let media = [("first", 1), ("seldom", 1), ("often", 9), ("at times", 4), ("never again", 2)];
    let media: Vec<(String, usize)> = media.map(|(id, times)| (id.replace(' ', "-"), times)).into();
    let named: Vec<(&str, usize)> = media.iter().map(|(id, times)| (id.as_str(), *times)).collect();
    let (_homeserver, clamd, go_on, app) = knowing("max_scans: 2", "", &named).await;
    let scanned = clamd.received.borrow().len();
    let paths: Vec<String> = media.iter().map(|(id, _)| native(id)).collect();
    let others = async {
        clamd.has_received(scanned + 1).await;
        join_all(paths[1..].iter().map(|path| app.get(path))).await
    };
    let watching = async {
        eventually("all others wait", || async { app.metric(WAITING).await == 4 }).await;
        release(&app, &go_on, 2 * 5).await;
    };
    let (_, others, ()) = tokio::join!(app.get(&paths[0]), others, watching);
    assert!(others.iter().all(|answer| answer.status == 200));
    let order: Vec<String> =
        clamd.received.borrow()[scanned..].iter().map(|bytes| String::from_utf8(bytes.clone()).unwrap()).collect();
    assert_eq!(order, ["first", "often", "at-times", "never-again", "seldom"]);
}

#[tokio::test]
async fn within_the_grace_nobody_waits_and_a_medium_is_held_once() {
    let (_homeserver, clamd, go_on, app) = knowing("max_scans: 2", "inspect: {grace: 1h}", &[("a", 1), ("b", 1)]).await;
    for _ in 0..5 {
        for id in ["a", "b"] {
            assert_eq!(app.get(&native(id)).await.status, 200, "although its rescan does not end");
        }
    }
    eventually("one is scanned", || async { clamd.counts().scanning == 1 }).await;
    assert_eq!(app.metric(QUEUED).await + app.metric(WAITING).await, 1, "the other one waits");
    release(&app, &go_on, 4).await;
    assert_eq!(rescans(&app, "background").await, 2, "each once");
    eventually("nothing is held", || async { app.metric("lazaret_spool_memory_bytes").await == 0 }).await;
}

#[tokio::test]
async fn what_waits_in_the_background_does_not_keep_the_process_from_ending() {
    let ids = names("m", 6);
    let media: Vec<(&str, usize)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    let (_homeserver, clamd, go_on, app) = knowing("max_scans: 2", "inspect: {grace: 1h}", &media).await;
    for id in &ids {
        assert_eq!(app.get(&native(id)).await.status, 200);
    }
    clamd.until(|counts| counts.scanning == 1).await;
    app.stop().await;
    eventually("it is draining", || async { app.admin.get("/readyz").await.status == 503 }).await;
    let before = clamd.received.borrow().len();
    go_on.notify_waiters();
    assert!(app.ended().await, "nothing was cut off");
    assert_eq!(clamd.received.borrow().len(), before, "nothing more was begun");
}

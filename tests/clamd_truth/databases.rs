//! Signatures that change while Lazaret runs.

use super::{
    IMPATIENT, SELDOM, assert_later, assert_right, bring_canaries, daily, ejections, fetch, get, in_front_of,
    in_front_of_after_canaries, not_ready, of_backend, rounds, up,
};
use crate::harness::{AppBuilder, Clamd, Homeserver, eicar, eventually, request, signature};

const STALE: &str = "lazaret_cache_lookups_total{result=\"stale\"}";

fn known() -> String {
    signature("Lazaret.Test.Known", "known from the start")
}

async fn clamd_with_daily(settings: &str) -> Clamd {
    let mut clamd = Clamd::prepare(settings);
    clamd.write_signatures("daily.cud", daily(27_000, &known()));
    clamd.launch().await;
    clamd
}

#[tokio::test]
async fn a_broken_signature_file_changes_nothing_where_reloads_are_concurrent() {
    let clamd = clamd_with_daily("ConcurrentDatabaseReload yes").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    clamd.write_signatures("broken.ndb", "this is no signature\n");
    let reload = clamd.reload("Database reload failed, keeping the previous instance");
    let scans = async {
        for number in 0..20 {
            assert_right(&homeserver, &app, &format!("during the reload, {number}")).await;
        }
    };
    tokio::join!(reload, scans);
    let passed = rounds(&app, &clamd, "passed").await;
    eventually("canaries pass after it", || async { rounds(&app, &clamd, "passed").await > passed + 1 }).await;
    assert_right(&homeserver, &app, "after the reload").await;
    assert_eq!(ejections(&app, &clamd).await, []);
}

/// It answers PING, has lost its signatures, and does not get over it.
#[tokio::test]
async fn a_clamd_that_lost_its_signatures_is_out_until_it_is_started_anew() {
    let mut clamd = clamd_with_daily("ConcurrentDatabaseReload no\nIdleTimeout 1").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    clamd.write_signatures("broken.ndb", "this is no signature\n");
    clamd.ask("RELOAD").await;
    eventually("the canaries say why", || async {
        let eicar = fetch(&homeserver, &app, "eicar", &eicar()).await.status;
        assert!(eicar == 403 || eicar == 503, "{eicar}");
        app.admin.get("/readyz").await.text().contains("4294967295")
    })
    .await;
    assert_eq!(clamd.ask("PING").await, "PONG\0");
    assert_later(&fetch(&homeserver, &app, "clean", b"a medium").await);
    assert_later(&fetch(&homeserver, &app, "known", b"known from the start").await);
    assert_eq!(up(&app, &clamd).await, 0);

    std::fs::remove_file(clamd.database().join("broken.ndb")).unwrap();
    clamd.ask("RELOAD").await;
    let failed = rounds(&app, &clamd, "failed").await;
    eventually("more canaries fail", || async { rounds(&app, &clamd, "failed").await > failed + 1 }).await;
    assert_eq!(app.admin.get("/readyz").await.status, 503, "a repaired file does not heal it");
    clamd.kill();
    clamd.launch().await;
    app.ready().await;
    assert_right(&homeserver, &app, "after a new start").await;
    get(&app, "known").await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_clean_verdict_does_not_outlive_the_database_that_it_was_made_with() {
    let clamd = clamd_with_daily("").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    let medium = b"learned one day later";
    assert_eq!(fetch(&homeserver, &app, "m", medium).await.status, 200);
    assert_eq!(get(&app, "m").await.status, 200);
    assert_eq!((app.scans("clean").await, app.metric(STALE).await), (1, 0), "known");

    let learned = signature("Lazaret.Test.Learned", "learned one day later");
    clamd.write_signatures("daily.cud", daily(27_001, &(known() + &learned)));
    clamd.reload("Activating the newly loaded database").await;
    eventually("it is found", || async { get(&app, "m").await.status == 403 }).await;
    assert_eq!((app.scans("infected").await, app.metric(STALE).await), (1, 1));
    assert_eq!(ejections(&app, &clamd).await, [], "an update is no trouble");
}

/// Here nearly every round of canaries meets an update.
#[tokio::test]
async fn an_update_in_the_middle_of_a_round_of_canaries_is_no_trouble() {
    let clamd = clamd_with_daily("").await;
    let (homeserver, app) = in_front_of(&clamd, "probe_interval: 1ms").await;
    for version in 27_001..27_020 {
        clamd.write_signatures("daily.cud", daily(version, &known()));
        clamd.reload("Activating the newly loaded database").await;
    }
    let newest = || async { of_backend(&app, "lazaret_engine_database_version", &clamd).await };
    eventually("the last one is in use", || async { newest().await == 27_019 }).await;
    assert_eq!(ejections(&app, &clamd).await, []);
    assert_right(&homeserver, &app, "after all of them").await;
}

/// Someone put an old copy back, or an update was undone on purpose: only the operator can tell.
#[tokio::test]
async fn a_clamd_whose_database_went_back_is_out_until_the_operator_says_that_it_is_meant() {
    let clamd = clamd_with_daily("").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    clamd.write_signatures("daily.cud", daily(26_999, &known()));
    clamd.reload("Activating the newly loaded database").await;
    let why = not_ready(&app).await;
    assert!(why.contains("went back from 27000 to 26999"), "{why}");
    assert_later(&fetch(&homeserver, &app, "clean", b"a medium").await);
    assert_eq!(app.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
    app.ready().await;
    assert_right(&homeserver, &app, "with the older database").await;
    assert_eq!(of_backend(&app, "lazaret_engine_database_version", &clamd).await, 26_999);
}

/// It finds the clean canary, too. What it found has to be forgotten with it.
#[tokio::test]
async fn a_signature_that_finds_everything_takes_the_clamd_out_and_is_not_remembered() {
    let clamd = clamd_with_daily("").await;
    let (homeserver, app) = in_front_of_after_canaries(&clamd, SELDOM).await;
    clamd.write_signatures("bad.ndb", signature("Bad.Canary", "Lazaret canary") + &signature("Bad.Rest", "a medium"));
    clamd.reload("Activating the newly loaded database").await;
    fetch(&homeserver, &app, "m", b"a medium").await.assert_matrix_error(403, "M_FORBIDDEN");
    bring_canaries(&homeserver, &app, &clamd).await;
    let why = not_ready(&app).await;
    assert!(why.contains("the clean canary was called infected"), "{why}");
    assert_later(&get(&app, "m").await);
    std::fs::remove_file(clamd.database().join("bad.ndb")).unwrap();
    clamd.reload("Activating the newly loaded database").await;
    app.ready().await;
    assert_eq!(get(&app, "m").await.status, 200);
}

/// The number in clamd's version is that of the daily database alone.
#[tokio::test]
async fn signatures_of_third_parties_make_verdicts_stale_once_clamd_has_loaded_them() {
    let (homeserver, clamd) = (Homeserver::start().await, clamd_with_daily("").await);
    let settings = "max_backoff: 200ms, reload_settle: 2s";
    let app = AppBuilder::new(&homeserver).clamd_and_its_files(&clamd).clamd_settings(settings).start().await;
    // The files have just been written, so that Lazaret has clamd load what it has. Then verdicts of before are outdated.
    assert_eq!(fetch(&homeserver, &app, "first", b"a medium").await.status, 200);
    eventually("the files are known", || async {
        assert_eq!(get(&app, "first").await.status, 200);
        app.scans("clean").await == 2
    })
    .await;
    assert_eq!(fetch(&homeserver, &app, "m", b"what third parties know").await.status, 200);
    let loaded = || clamd.log().matches("Activating the newly loaded").count();
    let before = loaded();
    let version = clamd.ask("VERSION").await;

    clamd.write_signatures("third.ndb", signature("Third.Party", "what third parties know"));
    eventually("Lazaret had clamd load it", || async { loaded() > before }).await;
    eventually("it is found", || async { get(&app, "m").await.status == 403 }).await;
    assert_eq!(clamd.ask("VERSION").await, version, "which tells nothing of it");
    assert_eq!((app.scans("clean").await, app.scans("infected").await), (3, 1));
}

#[tokio::test]
async fn an_operator_can_make_all_verdicts_stale_and_a_web_page_cannot() {
    let clamd = Clamd::start().await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    assert_eq!(fetch(&homeserver, &app, "m", b"a medium").await.status, 200);
    let from_page = request("POST", "/epoch/bump").header("origin", "https://evil.test");
    assert_eq!(app.admin.send(from_page, b"").await.status, 403);
    assert_eq!(get(&app, "m").await.status, 200);
    assert_eq!((app.scans("clean").await, app.metric(STALE).await), (1, 0), "still known");

    clamd.write_signatures("late.ndb", signature("Lazaret.Test.Late", "a medium"));
    clamd.reload("Activating the newly loaded database").await;
    assert_eq!(get(&app, "m").await.status, 200, "nobody could tell");
    assert_eq!(app.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
    get(&app, "m").await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!((app.scans("infected").await, app.metric(STALE).await), (1, 1));
}

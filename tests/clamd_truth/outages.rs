//! A clamd that is killed or stopped while it scans.

use rustix::process::Signal;

use super::{
    IMPATIENT, SKEW, assert_later, assert_right, daily, ejections, fetch, get, in_front_of, not_ready, of_backend,
    slow, start_slow, start_slow_and_new, up,
};
use crate::harness::{AppBuilder, Clamd, Homeserver, eicar, eventually, signature};

#[tokio::test]
async fn a_clamd_that_dies_of_a_scan_gives_no_verdict_and_comes_back() {
    let mut clamd = start_slow("").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    let medium = slow(28, "fatal");
    let (answer, ()) = tokio::join!(fetch(&homeserver, &app, "m", &medium), async {
        clamd.is_scanning().await;
        clamd.signal(Signal::KILL);
    });
    assert_later(&answer);
    not_ready(&app).await;
    assert_later(&fetch(&homeserver, &app, "eicar", &eicar()).await);
    clamd.kill();
    clamd.launch().await;
    app.ready().await;
    assert_right(&homeserver, &app, "after the new start").await;
    assert_eq!(up(&app, &clamd).await, 1);
    let reasons: Vec<_> = ejections(&app, &clamd).await.into_iter().map(|(reason, _)| reason).collect();
    // Whoever noticed first, the scan or a canary.
    assert!(reasons.iter().any(|reason| reason == "end_of_file" || reason == "refused"), "{reasons:?}");
}

/// Slow for the first, and infected by the second, whose word it then is.
#[tokio::test]
async fn another_clamd_finishes_what_one_died_of() {
    let (homeserver, first) = (Homeserver::start().await, start_slow_and_new(27_001).await);
    let mut second = Clamd::prepare("");
    second.write_signatures("daily.cud", daily(27_000, &signature("Lazaret.Test.Second", "LAZARET-SLOW")));
    second.launch().await;
    let app = AppBuilder::new(&homeserver).clamd(&first).clamd(&second).clamd_settings(IMPATIENT).start().await;
    eventually("the first one is preferred", || async { app.metric(SKEW).await == 1 }).await;
    let medium = slow(28, "taken over");
    let (answer, ()) = tokio::join!(fetch(&homeserver, &app, "m", &medium), async {
        first.is_scanning().await;
        first.signal(Signal::KILL);
    });
    answer.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(app.metric("lazaret_engine_retries_total{engine=\"clamd\"}").await, 1);
    assert_right(&homeserver, &app, "by the other one").await;
    eventually("its death was noticed", || async { up(&app, &first).await == 0 }).await;
    assert_eq!(up(&app, &second).await, 1);
}

#[tokio::test]
async fn a_clamd_that_stands_still_gives_no_verdict_until_it_goes_on() {
    let clamd = start_slow("").await;
    let settings = "max_backoff: 200ms, scan_timeout: 3s, probe_timeout: 2s";
    let (homeserver, app) = in_front_of(&clamd, settings).await;
    let medium = slow(26, "suspended");
    let (answer, ()) = tokio::join!(fetch(&homeserver, &app, "m", &medium), async {
        clamd.is_scanning().await;
        clamd.signal(Signal::STOP);
    });
    assert_later(&answer);
    assert_eq!(of_backend(&app, "lazaret_engine_orphans", &clamd).await, 1);
    assert_eq!(of_backend(&app, "lazaret_engine_orphans_total", &clamd).await, 1);
    not_ready(&app).await;
    for (id, medium) in [("clean", b"a medium".to_vec()), ("eicar", eicar())] {
        assert_later(&fetch(&homeserver, &app, id, &medium).await);
    }
    assert_eq!(app.scans("clean").await, 0);

    clamd.signal(Signal::CONT);
    app.ready().await;
    assert_right(&homeserver, &app, "after it went on").await;
    get(&app, "eicar").await.assert_matrix_error(403, "M_FORBIDDEN");
    let orphans = || async { of_backend(&app, "lazaret_engine_orphans", &clamd).await };
    eventually("it is done with what was given up", || async { orphans().await == 0 }).await;
    let in_use = of_backend(&app, "lazaret_engine_slots_in_use", &clamd);
    assert_eq!(in_use.await, 0, "every slot came back");
}

#[tokio::test]
async fn a_clamd_that_stands_still_at_the_start_is_waited_for_by_nobody_and_used_once_it_goes_on() {
    let (homeserver, still, other) = (Homeserver::start().await, Clamd::start().await, Clamd::start().await);
    still.signal(Signal::STOP);
    let settings = "max_backoff: 200ms, probe_timeout: 2s";
    let app = AppBuilder::new(&homeserver).clamd(&still).clamd(&other).clamd_settings(settings).start().await;
    assert_eq!((up(&app, &still).await, up(&app, &other).await), (0, 1));
    assert_right(&homeserver, &app, "by the other one").await;
    still.signal(Signal::CONT);
    eventually("it is used", || async { up(&app, &still).await == 1 }).await;
    assert_right(&homeserver, &app, "by both").await;
    assert_eq!(app.scans("error").await, 0);
}

#[tokio::test]
async fn a_clamd_that_comes_back_with_other_threads_gets_as_many_scans() {
    let mut clamd = Clamd::start_with("MaxThreads 2").await;
    let (_homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    let slots = async |clamd: &Clamd| of_backend(&app, "lazaret_engine_slots", clamd).await;
    eventually("as clamd says", || async { slots(&clamd).await == 2 }).await;
    let file = clamd.socket().with_file_name("clamd.conf");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings.replace("MaxThreads 2", "MaxThreads 5")).unwrap();
    clamd.kill();
    clamd.launch().await;
    eventually("as clamd says now", || async { slots(&clamd).await == 5 }).await;
}

//! Media that keep a clamd busy beyond all patience, or kill it.

use rustix::process::Signal;

use super::{
    IMPATIENT, SKEW, assert_later, assert_right, fetch, get, in_front_of, not_ready, of_backend, slow, start_slow,
    start_slow_and_new,
};
use crate::harness::{AppBuilder, Homeserver, eventually};

#[tokio::test]
async fn what_twice_outlasted_the_engine_is_refused_unscanned_and_others_are_not() {
    let mut clamd = start_slow("").await;
    let (homeserver, app) = in_front_of(&clamd, "max_backoff: 200ms, scan_timeout: 2s").await;
    assert_later(&fetch(&homeserver, &app, "m", &slow(30, "tedious")).await);
    assert_later(&get(&app, "m").await);
    get(&app, "m").await.assert_matrix_error(403, "M_FORBIDDEN");
    get(&app, "m").await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(app.scans("error").await, 2, "no third time");
    assert_eq!(of_backend(&app, "lazaret_engine_orphans", &clamd).await, 2);
    assert_eq!((app.metric("lazaret_toxic_media").await, app.metric("lazaret_toxic_media_total").await), (1, 1));
    assert_right(&homeserver, &app, "of other media").await;
    assert_eq!((app.scans("clean").await, app.scans("infected").await), (1, 2));
    clamd.kill();
    let orphans = || async { of_backend(&app, "lazaret_engine_orphans", &clamd).await };
    eventually("what was given up died with it", || async { orphans().await == 0 }).await;
}

#[tokio::test]
async fn what_twice_killed_the_engine_is_refused_unscanned_and_others_are_not() {
    let mut clamd = start_slow("").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    for _ in 0..2 {
        let medium = slow(30, "fatal");
        let (answer, ()) = tokio::join!(fetch(&homeserver, &app, "m", &medium), async {
            clamd.is_scanning().await;
            clamd.signal(Signal::KILL);
        });
        assert_later(&answer);
        not_ready(&app).await;
        clamd.kill();
        clamd.launch().await;
        app.ready().await;
    }
    get(&app, "m").await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!((app.scans("error").await, app.metric("lazaret_toxic_media").await), (2, 1));
    assert_right(&homeserver, &app, "of other media").await;
}

#[tokio::test]
async fn what_killed_two_engines_in_one_scan_does_not_get_to_a_third() {
    let homeserver = Homeserver::start().await;
    let (mut first, mut second) = (start_slow_and_new(27_001).await, start_slow_and_new(27_000).await);
    let app = AppBuilder::new(&homeserver).clamd(&first).clamd(&second).clamd_settings(IMPATIENT).start().await;
    eventually("the first one is preferred", || async { app.metric(SKEW).await == 1 }).await;
    let medium = slow(30, "fatal");
    let (answer, ()) = tokio::join!(fetch(&homeserver, &app, "m", &medium), async {
        for clamd in [&first, &second] {
            clamd.is_scanning().await;
            clamd.signal(Signal::KILL);
        }
    });
    assert_later(&answer);
    for clamd in [&mut first, &mut second] {
        clamd.kill();
        clamd.launch().await;
    }
    app.ready().await;
    get(&app, "m").await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!((app.scans("error").await, app.metric("lazaret_toxic_media_total").await), (1, 1));
    assert_right(&homeserver, &app, "of other media").await;
}

/// Nothing stops a scan in clamd: its threads are gone until they are done.
#[tokio::test]
async fn a_clamd_whose_threads_all_work_on_what_was_given_up_is_out_until_they_are_done() {
    let clamd = start_slow("MaxThreads 2\nMaxQueue 4").await;
    let settings = "max_backoff: 200ms, scan_timeout: 1s, queue_timeout: 1s, probe_timeout: 1s";
    let (homeserver, app) = in_front_of(&clamd, settings).await;
    let media = [slow(27, "one"), slow(27, "other")];
    let (one, other) =
        tokio::join!(fetch(&homeserver, &app, "one", &media[0]), fetch(&homeserver, &app, "other", &media[1]));
    assert_later(&one);
    assert_later(&other);
    let why = not_ready(&app).await;
    assert!(why.contains("given up"), "{why}");
    assert_eq!(of_backend(&app, "lazaret_engine_orphans", &clamd).await, 2);
    assert_later(&fetch(&homeserver, &app, "clean", b"a medium").await);
    app.ready().await;
    assert_right(&homeserver, &app, "once threads are free").await;
}

//! A clamd without room to unpack: it says OK to what it could not look at, or two things at once.

use super::{
    IMPATIENT, SELDOM, assert_later, assert_right, bring_canaries, fetch, get, in_front_of, in_front_of_after_canaries,
    not_ready,
};
use crate::harness::{AppBuilder, Clamd, Homeserver, eicar, nested_gzip};

#[tokio::test]
async fn a_clamd_without_its_temporary_directory_is_out_until_it_is_back() {
    let clamd = Clamd::start_with("TemporaryDirectory @DIR@/tmp").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    clamd.has_temporary(false);
    let why = not_ready(&app).await;
    assert!(why.contains("canary"), "{why}");
    assert_later(&fetch(&homeserver, &app, "eicar", &eicar()).await);
    assert_later(&fetch(&homeserver, &app, "clean", b"a medium").await);
    clamd.has_temporary(true);
    app.ready().await;
    assert_right(&homeserver, &app, "after it came back").await;
}

/// Such a clamd says OK to everything. What it said before the canaries found out must not outlive them.
#[tokio::test]
async fn clean_verdicts_since_the_last_canaries_passed_are_forgotten_when_the_next_ones_fail() {
    let clamd = Clamd::start_with("TemporaryDirectory @DIR@/tmp").await;
    let (homeserver, app) = in_front_of_after_canaries(&clamd, SELDOM).await;
    clamd.has_temporary(false);
    fetch(&homeserver, &app, "eicar", &eicar()).await;
    assert_eq!(app.scans("clean").await, 1, "clamd is deceived, and nobody can know yet");

    bring_canaries(&homeserver, &app, &clamd).await;
    not_ready(&app).await;
    assert_later(&get(&app, "eicar").await);
    clamd.has_temporary(true);
    app.ready().await;
    get(&app, "eicar").await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_full_disk_is_no_verdict_however_bytes_get_to_clamd() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start_on_tcp("TemporaryDirectory @DIR@/tmp").await);
    for by_descriptor in [true, false] {
        let builder = AppBuilder::new(&homeserver).clamd_settings(SELDOM);
        let builder = if by_descriptor { builder.clamd(&clamd) } else { builder.clamd_over_tcp(&clamd) };
        let app = builder.start().await;
        clamd.fill_disk(true);
        // By descriptor what needs no unpacking is still judged, and rightly.
        assert_later(&fetch(&homeserver, &app, "archive", &nested_gzip()).await);
        not_ready(&app).await;
        assert_later(&fetch(&homeserver, &app, "clean", b"a medium").await);
        assert_later(&fetch(&homeserver, &app, "eicar", &eicar()).await);
        clamd.fill_disk(false);
        app.ready().await;
        get(&app, "archive").await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_right(&homeserver, &app, "with room on the disk").await;
    }
}

//! A policy that changes while requests go on.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use lazaret::clock::Clock;
use rustix::process::Signal;

use super::picture::{NO_PICTURES, NOTHING, PICTURE, picture, put_picture, scanned};
use crate::harness::{App, AppBuilder, Binary, Clamd, Homeserver, eventually, marker, put_policy, request, signal};

const OK: &str = r#"lazaret_reloads_total{outcome="ok",what="policy"}"#;
const FAILED: &str = r#"lazaret_reloads_total{outcome="failed",what="policy"}"#;
const HURRY: &str = "reload_interval: 20ms";
const NEVER: &str = "reload_interval: 0s";

async fn with(file: &str, settings: &str) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    put_picture(&homeserver);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).policy(settings).policy_file("a.yaml", file).start().await;
    (homeserver, clamd, app)
}

async fn becomes(app: &App, status: u16) {
    eventually(&format!("the picture is {status}"), || async { picture(app).await == status }).await;
}

#[tokio::test]
async fn a_changed_rule_acts_without_a_restart_and_without_a_rescan() {
    let (_homeserver, _clamd, app) = with(NOTHING, HURRY).await;
    assert_eq!(picture(&app).await, 200);
    put_policy(app.dir.path(), "a.yaml", NO_PICTURES);
    becomes(&app, 403).await;
    put_policy(app.dir.path(), "a.yaml", NOTHING);
    becomes(&app, 200).await;
    put_policy(app.dir.path(), "b.yaml", NO_PICTURES);
    becomes(&app, 403).await;
    assert_eq!((scanned(&app).await, app.metric(OK).await, app.metric(FAILED).await), (1, 3, 0));
    let refused = r#"{action="block",direction="download",mode="enforce",rule="no-pictures"}"#;
    assert!(app.metric(&format!("lazaret_policy_decisions_total{refused}")).await > 0);
}

#[tokio::test]
async fn a_bad_set_keeps_the_old_one_and_is_told_once_with_its_place() {
    let (_homeserver, _clamd, app) = with(NO_PICTURES, HURRY).await;
    put_policy(app.dir.path(), "a.yaml", "version: 1\nrules: [{id: x, match: {tipe: a/b}, action: block}]\n");
    eventually("it is counted", || async { app.metric(FAILED).await == 1 }).await;
    let told = app.admin.get("/policy").await.json();
    let problems = told["failure"]["problems"].as_str().unwrap();
    assert!(problems.contains("a.yaml:2:") && problems.contains("did you mean"), "{problems}");
    assert_eq!(told["rules"][0]["id"], "no-pictures");
    assert_eq!(picture(&app).await, 403);
    let answer = app.admin.send(request("POST", "/policy/reload"), b"").await;
    assert_eq!((answer.status.as_u16(), app.metric(FAILED).await), (422, 2));
    assert!(answer.json()["error"].as_str().unwrap().contains("a.yaml:2:"), "{answer:?}");
    let answer = app.admin.send(request("POST", "/reload"), b"").await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().starts_with("secrets: 1, ") && answer.text().contains("a.yaml:2:"), "{answer:?}");
    put_policy(app.dir.path(), "a.yaml", NOTHING);
    becomes(&app, 200).await;
    assert!(app.admin.get("/policy").await.json()["failure"].is_null());
}

#[tokio::test]
async fn an_engine_that_is_not_configured_is_a_bad_set_too() {
    let (_homeserver, _clamd, app) = with(NO_PICTURES, NEVER).await;
    let wants = "version: 1\nrules: [{id: x, match: {type: a/b}, action: scan, engines: [sandbox]}]\n";
    put_policy(app.dir.path(), "a.yaml", wants);
    let answer = app.admin.send(request("POST", "/policy/reload"), b"").await;
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("sandbox") && answer.text().contains("clamd"), "{answer:?}");
    assert_eq!(picture(&app).await, 403);
}

#[tokio::test]
async fn a_directory_that_vanishes_or_is_emptied_takes_no_rule_out_of_force() {
    let (_homeserver, _clamd, app) = with(NO_PICTURES, HURRY).await;
    let dir = app.dir.path().join("policies");
    std::fs::remove_dir_all(&dir).unwrap();
    eventually("it is counted", || async { app.metric(FAILED).await == 1 }).await;
    assert_eq!(picture(&app).await, 403);
    std::fs::create_dir(&dir).unwrap();
    let answer = app.admin.send(request("POST", "/policy/reload"), b"").await;
    assert_eq!((answer.status.as_u16(), picture(&app).await), (422, 403));
    put_policy(app.dir.path(), "b.yaml", NOTHING);
    becomes(&app, 200).await;
}

#[tokio::test]
async fn a_reload_that_changes_nothing_is_told_as_such() {
    let (_homeserver, _clamd, app) = with(NO_PICTURES, NEVER).await;
    let loaded = app.metric("lazaret_policy_loaded_timestamp_seconds").await;
    let reload = async || app.admin.send(request("POST", "/policy/reload"), b"").await.json();
    let told = reload().await;
    assert_eq!((&told["changed"], &told["rules"]), (&false.into(), &1.into()));
    assert_eq!((app.metric(OK).await, app.metric("lazaret_policy_loaded_timestamp_seconds").await), (1, loaded));
    put_policy(app.dir.path(), "a.yaml", NOTHING);
    assert_eq!(picture(&app).await, 403, "nobody looks by itself");
    let new = reload().await;
    assert_eq!((&new["changed"], picture(&app).await), (&true.into(), 200));
    assert_ne!(new["revision"], told["revision"]);
}

#[tokio::test]
async fn a_hangup_has_the_policy_read() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    put_picture(&homeserver);
    let binary = Binary::new(&AppBuilder::new(&homeserver).clamd(&clamd).policy(NEVER).policy_file("a.yaml", NOTHING));
    let process = binary.serve(Stdio::null()).await;
    let get = || async {
        let asked = request("GET", PICTURE).header("authorization", "Bearer token");
        binary.client.send(asked, b"").await.status.as_u16()
    };
    assert_eq!(get().await, 200);
    put_policy(binary.dir.path(), "a.yaml", NO_PICTURES);
    signal(&process, Signal::HUP);
    eventually("the picture is refused", || async { get().await == 403 }).await;
}

#[tokio::test]
async fn all_numbers_are_there_from_the_start() {
    let (_homeserver, _clamd, app) = with(NO_PICTURES, NEVER).await;
    let text = app.admin.get("/metrics").await.text();
    for series in [
        r#"lazaret_policy_decisions_total{action="block",direction="scan",mode="enforce",rule="no-pictures"} 0"#,
        r#"lazaret_policy_rules{mode="enforce"} 1"#,
        r#"lazaret_policy_rules{mode="shadow"} 0"#,
        r#"lazaret_policy_exceptions{state="acting"} 0"#,
        r#"lazaret_policy_exceptions{state="expired"} 0"#,
        "lazaret_policy_rules_expired 0",
        "lazaret_policy_info{revision=",
        r#",shipped="false"} 1"#,
        "lazaret_policy_loaded_timestamp_seconds ",
        r#"lazaret_reloads_total{outcome="failed",what="policy"} 0"#,
    ] {
        assert!(text.contains(series), "{series}\n{text}");
    }
}

#[tokio::test]
async fn an_exception_lets_pass_what_is_infected_until_its_date() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    homeserver.put_media("picture", &crate::harness::Stored::media(&marker(1000)));
    // Seconds since 2027.
    let passed = Arc::new(AtomicU64::new(0));
    let clock = {
        let passed = Arc::clone(&passed);
        Clock::new(move || {
            let since = SystemTime::UNIX_EPOCH + Duration::from_hours(499_656);
            since + Duration::from_secs(passed.load(Ordering::SeqCst))
        })
    };
    let rules = "version: 1
exceptions:
  - id: false-positive
    from: [infected]
    match: {detections: Lazaret.Test.Marker.UNOFFICIAL}
    reason: ticket 7
    author: sam
    until: 2027-01-02
";
    let app = AppBuilder::new(&homeserver)
        .clamd(&clamd)
        .policy(NEVER)
        .policy_file("a.yaml", rules)
        .clock(clock)
        .start()
        .await;
    assert_eq!(picture(&app).await, 200);
    assert_eq!(app.metric(r#"lazaret_policy_exceptions_used_total{exception="false-positive"}"#).await, 1);
    passed.store(24 * 3600, Ordering::SeqCst);
    assert_eq!(picture(&app).await, 403);
    let told = app.admin.get("/policy").await.json();
    let exception = &told["exceptions"][0];
    assert_eq!((&exception["state"], &exception["author"]), (&"expired".into(), &"sam".into()), "{told}");
    assert_eq!(scanned(&app).await, 1);
}

//! What real clamds do when they are limited, starved, stopped, killed, misled or out of date, and that none of it
//! becomes a clean verdict.
//!
//! Every clamd here is started and broken by its test. Long scans are made by a signature (see [`slow`]), so that they
//! take a few bytes and as long as wanted, whatever the machine.

mod databases;
mod limits;
mod load;
mod outages;
mod resources;
mod sessions;
mod skew;
mod toxic;

use rustix::process::Signal;

use crate::harness::{
    Answer, App, AppBuilder, Clamd, Homeserver, Stored, daily_database, eicar, eventually, signature,
};

/// Whoever is out is looked at again soon.
const IMPATIENT: &str = "max_backoff: 200ms";

/// Canaries only at the start and after trouble, so that a test says what happens between two rounds.
const SELDOM: &str = "probe_interval: 1h, max_backoff: 200ms, scan_timeout: 1s";

const SKEW: &str = "lazaret_engine_database_skew";

/// A regular expression that tries all ways to divide a run of letters, and the settings to let it.
const SLOW_SIGNATURE: &str = "Lazaret.Test.Slow;Engine:81-255,Target:0;0&1;4c415a415245542d534c4f57;0/(a+)+[bd]/\n";
const SLOW_SETTINGS: &str = "PCREMatchLimit 2000000000\nPCRERecMatchLimit 2000000000\n";

/// A clamd for which [`slow`] is slow, yet to be launched.
fn prepare_slow(settings: &str) -> Clamd {
    let clamd = Clamd::prepare(&format!("{SLOW_SETTINGS}{settings}"));
    clamd.write_signatures("slow.ldb", SLOW_SIGNATURE);
    clamd
}

async fn start_slow(settings: &str) -> Clamd {
    let mut clamd = prepare_slow(settings);
    clamd.launch().await;
    clamd
}

/// The same with a daily database of this number. Of two clamds the one with the higher number gets all scans.
async fn start_slow_and_new(version: u32) -> Clamd {
    let mut clamd = prepare_slow("");
    clamd.write_signatures("daily.cud", daily(version, &signature("Lazaret.Test.Daily", "nothing that is asked for")));
    clamd.launch().await;
    clamd
}

/// A medium that keeps a core busy for 2^`doublings` steps, and is clean. 20 take about 0.1 s, 28 half a minute.
fn slow(doublings: usize, name: &str) -> Vec<u8> {
    format!("LAZARET-SLOW {}c {name}", "a".repeat(doublings)).into_bytes()
}

/// The same, but found in the end.
fn slow_and_found(doublings: usize, name: &str) -> Vec<u8> {
    [slow(doublings, name), b" ab".to_vec()].concat()
}

/// A medium of its own that is infected.
fn infected(name: &str) -> Vec<u8> {
    let marker = crate::harness::marker(32);
    [marker, name.as_bytes().to_vec()].concat()
}

/// A daily database with these signatures.
fn daily(version: u32, signatures: &str) -> Vec<u8> {
    daily_database(version, 1_790_000_000, signatures)
}

/// Stores a medium and asks for it.
async fn fetch(homeserver: &Homeserver, app: &App, id: &str, medium: &[u8]) -> Answer {
    homeserver.put_media(id, &Stored::media(medium));
    get(app, id).await
}

/// Asks for a medium.
async fn get(app: &App, id: &str) -> Answer {
    app.get(&format!("/_matrix/client/v1/media/download/hs.test/{id}")).await
}

/// Asserts that clean and infected are told apart.
async fn assert_right(homeserver: &Homeserver, app: &App, when: &str) {
    let clean = format!("harmless {when}");
    assert_eq!(fetch(homeserver, app, "right-clean", clean.as_bytes()).await.status, 200, "{when}");
    fetch(homeserver, app, "right-eicar", &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
    fetch(homeserver, app, "right-marker", &infected(when)).await.assert_matrix_error(403, "M_FORBIDDEN");
}

/// Asserts "not now".
#[track_caller]
fn assert_later(answer: &Answer) {
    answer.assert_matrix_error(503, "M_UNKNOWN");
    assert!(answer.header("retry-after").is_some());
}

async fn up(app: &App, clamd: &Clamd) -> u64 {
    app.metric(&format!("lazaret_engine_up{{backend=\"{}\",engine=\"clamd\"}}", clamd.address())).await
}

/// A gauge or counter that has the backend for its only label.
async fn of_backend(app: &App, name: &str, clamd: &Clamd) -> u64 {
    app.metric(&format!("{name}{{backend=\"{}\"}}", clamd.address())).await
}

async fn rounds(app: &App, clamd: &Clamd, outcome: &str) -> u64 {
    let address = clamd.address();
    app.metric(&format!("lazaret_canary_rounds_total{{backend=\"{address}\",outcome=\"{outcome}\"}}")).await
}

/// Times it was taken out, by reason.
async fn ejections(app: &App, clamd: &Clamd) -> Vec<(String, u64)> {
    let text = app.admin.get("/metrics").await.text();
    let prefix = format!("lazaret_engine_ejections_total{{backend=\"{}\",reason=\"", clamd.address());
    let series = text.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once("\"} "));
    series.map(|(reason, count)| (reason.to_owned(), count.parse().unwrap())).collect()
}

/// Waits until it is not ready, and gives the reasons.
async fn not_ready(app: &App) -> String {
    eventually("it is not ready", || async { app.admin.get("/readyz").await.status == 503 }).await;
    app.admin.get("/readyz").await.text()
}

/// A homeserver and an application in front of it that scans with `clamd`.
async fn in_front_of(clamd: &Clamd, settings: &str) -> (Homeserver, App) {
    let homeserver = Homeserver::start().await;
    let app = AppBuilder::new(&homeserver).clamd(clamd).clamd_settings(settings).start().await;
    (homeserver, app)
}

/// The same, and the canaries of the start are over.
async fn in_front_of_after_canaries(clamd: &Clamd, settings: &str) -> (Homeserver, App) {
    let (homeserver, app) = in_front_of(clamd, settings).await;
    let passed = || async { rounds(&app, clamd, "passed").await };
    eventually("the process took its look, and its prober a first one", || async { passed().await == 2 }).await;
    let examined = format!("lazaret_engine_gap{{backend=\"{}\",check=\"rar_support\"}} ", clamd.address());
    let told = || async { app.admin.get("/metrics").await.text().contains(&examined) };
    eventually("what it is like was looked at, too", told).await;
    (homeserver, app)
}

/// Has a scan not answered in time, which brings canaries whenever they would be due.
async fn bring_canaries(homeserver: &Homeserver, app: &App, clamd: &Clamd) {
    clamd.signal(Signal::STOP);
    assert_later(&fetch(homeserver, app, "unanswered", b"unanswered").await);
    clamd.signal(Signal::CONT);
}

//! New signatures, and what operators say of all verdicts, where nodes share a store or a store outlives a process.

use std::{process::Stdio, sync::Arc};

use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::Notify;

use super::rescan::{clamd, learn};
use crate::harness::{
    App, AppBuilder, Binary, Clamd, Homeserver, RedisServer, Script, ScriptedClamd, Stored, eventually, request,
    signal, signature,
};

const MEDIUM: &[u8] = b"nobody knows yet what this is";
const DISK: &str = "cache: {store: disk, path: 'DIR/verdicts', secret_path: 'DIR/cache_secret'}";
const OLD: &str = "ClamAV 1.4.6/27000/Mon Nov 23 09:00:00 2026";
const NEW: &str = "ClamAV 1.4.6/27001/Mon Nov 23 10:00:00 2026";

fn native(id: &str) -> String {
    format!("/_matrix/client/v1/media/download/hs.test/{id}")
}

fn finds_it() -> String {
    signature("Lazaret.Test.Learned", "nobody knows yet")
}

/// A homeserver with two media of which nobody knows what they are.
async fn media() -> Homeserver {
    let homeserver = Homeserver::start().await;
    homeserver.put_media("m", &Stored::media(MEDIUM));
    homeserver.put_media("n", &Stored::media(&[MEDIUM, b", either"].concat()));
    homeserver
}

async fn status(node: &App, id: &str) -> u16 {
    node.get(&native(id)).await.status.as_u16()
}

async fn becomes(node: &App, id: &str, expected: u16) {
    eventually("the new signatures count", || async { status(node, id).await == expected }).await;
}

/// Has a node's clamd use other signatures, and waits until the node knows: what is scanned before it does is scanned again.
async fn update(node: &App, clamd: &Clamd, version: u32, signatures: &str) {
    learn(clamd, version, signatures).await;
    let known = format!("lazaret_engine_database_version{{backend=\"{}\"}}", clamd.address());
    eventually("they are known", || async { node.metric(&known).await == u64::from(version) }).await;
}

/// Scans so far, clean and infected.
async fn scans(nodes: &[&App]) -> (u64, u64) {
    let mut all = (0, 0);
    for node in nodes {
        let (clean, infected) = crate::harness::scans(node).await;
        all = (all.0 + clean, all.1 + infected);
    }
    all
}

/// A node that soon hears what others have put.
fn sharing(homeserver: &Homeserver, redis: &RedisServer) -> AppBuilder {
    AppBuilder::new(homeserver).with(&redis.section(", recheck: 100ms"))
}

#[tokio::test]
async fn what_newer_signatures_find_is_refused_by_who_has_old_ones_and_not_undone() {
    let (homeserver, redis) = (media().await, RedisServer::start().await);
    let clamds = [clamd().await, clamd().await];
    let ahead = sharing(&homeserver, &redis).clamd(&clamds[0]).start().await;
    let behind = sharing(&homeserver, &redis).clamd(&clamds[1]).start().await;
    assert_eq!((status(&ahead, "m").await, status(&behind, "m").await), (200, 200));
    assert_eq!(scans(&[&ahead, &behind]).await, (1, 0));

    update(&ahead, &clamds[0], 27_001, &finds_it()).await;
    becomes(&ahead, "m", 403).await;
    becomes(&behind, "m", 403).await;
    assert_eq!((status(&ahead, "n").await, status(&behind, "n").await), (403, 403));
    eventually("it knows that it is behind", || async { behind.metric("lazaret_generations_behind").await == 1 }).await;
    behind.has_passed_canaries(&clamds[1].address()).await;
    assert_eq!(scans(&[&behind]).await, (0, 0), "what the newer ones said is enough");

    let late = sharing(&homeserver, &redis).clamd(&clamds[1]).start().await;
    for node in [&late, &ahead, &behind] {
        assert_eq!((status(node, "m").await, status(node, "n").await), (403, 403));
    }
    assert_eq!(scans(&[&ahead, &behind, &late]).await, (1, 2), "nothing was scanned again");
}

/// Without its lease, so that both scan: it was too slow to keep it.
#[tokio::test]
async fn a_scan_by_old_signatures_that_ends_last_does_not_overwrite_what_newer_ones_found() {
    let (homeserver, redis) = (media().await, RedisServer::start().await);
    let finish = Arc::new(Notify::new());
    let old = ScriptedClamd::start(Script::held(&finish, b"{}: OK\0"));
    let new = ScriptedClamd::start(Script::reply(b"{}: Lazaret.Test FOUND\0"));
    old.set_version(OLD);
    new.set_version(NEW);
    let behind = sharing(&homeserver, &redis).scripted(&old).start().await;
    let ahead = sharing(&homeserver, &redis).scripted(&new).start().await;
    let newer = async {
        old.has_received(1).await;
        for lease in redis.ask::<Vec<String>>(&["KEYS", "lazaret:lease:*"]).await {
            redis.ask::<()>(&["DEL", &lease]).await;
        }
        assert_eq!(status(&ahead, "m").await, 403);
        finish.notify_waiters();
    };
    tokio::join!(status(&behind, "m"), newer);
    behind.has_passed_canaries(&old.address()).await;
    let late = sharing(&homeserver, &redis).scripted(&old).start().await;
    for node in [&behind, &ahead, &late] {
        assert_eq!(status(node, "m").await, 403);
    }
    assert_eq!((old.received.borrow().len(), new.received.borrow().len()), (1, 1), "and none of them scanned it again");
}

#[tokio::test]
async fn a_signature_that_was_withdrawn_lets_the_medium_pass_on_all_nodes() {
    let (homeserver, redis) = (media().await, RedisServer::start().await);
    let clamds = [clamd().await, clamd().await];
    let one = sharing(&homeserver, &redis).clamd(&clamds[0]).start().await;
    let other = sharing(&homeserver, &redis).clamd(&clamds[1]).start().await;
    update(&one, &clamds[0], 27_001, &finds_it()).await;
    update(&other, &clamds[1], 27_001, &finds_it()).await;
    becomes(&one, "m", 403).await;
    becomes(&other, "m", 403).await;
    let (clean, infected) = scans(&[&one, &other]).await;

    update(&one, &clamds[0], 27_002, "").await;
    becomes(&one, "m", 200).await;
    becomes(&other, "m", 200).await;
    assert_eq!(scans(&[&one, &other]).await, (clean + 1, infected), "one node says it, and the other believes it");
    update(&other, &clamds[1], 27_002, "").await;
    assert_eq!((status(&one, "m").await, status(&other, "m").await), (200, 200));
    assert_eq!(scans(&[&one, &other]).await, (clean + 1, infected));
}

#[tokio::test]
async fn a_bump_on_one_node_outdates_what_the_other_knows() {
    let (homeserver, redis) = (media().await, RedisServer::start().await);
    let clamds = [Clamd::start().await, Clamd::start().await];
    let one = sharing(&homeserver, &redis).clamd(&clamds[0]).start().await;
    let other = sharing(&homeserver, &redis).clamd(&clamds[1]).start().await;
    assert_eq!((status(&one, "m").await, status(&other, "n").await), (200, 200));
    for clamd in &clamds {
        clamd.write_signatures("late.ndb", finds_it());
        clamd.reload("Activating the newly loaded database").await;
    }
    assert_eq!((status(&one, "m").await, status(&other, "n").await), (200, 200), "nobody could tell");
    assert_eq!(one.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
    assert_eq!(status(&one, "m").await, 403);
    // Nobody but itself has looked at this one.
    becomes(&other, "n", 403).await;
    assert_eq!((scans(&[&one]).await, scans(&[&other]).await), ((1, 1), (1, 1)));
}

async fn serving(node: &Binary) -> tokio::process::Child {
    node.serve(Stdio::null()).await
}

async fn status_of(node: &Binary) -> u16 {
    let asked = request("GET", &native("m")).header("authorization", "Bearer token");
    node.client.send(asked, b"").await.status.as_u16()
}

async fn lookups(node: &Binary, result: &str) -> u64 {
    node.admin.get("/cache/stats").await.json()["lookups"][result].as_u64().unwrap()
}

#[tokio::test]
async fn a_bump_survives_a_process_that_is_killed_and_so_no_verdict_from_before_it_counts() {
    let (homeserver, clamd) = (media().await, Clamd::start().await);
    let node = Binary::new(&AppBuilder::new(&homeserver).clamd(&clamd).with(DISK));
    let mut process = serving(&node).await;
    assert_eq!(status_of(&node).await, 200);
    let is_proven = || async { node.admin.get("/cache/stats").await.json()["waiting_for_proof"] == 0 };
    eventually("its verdict is in the store", is_proven).await;
    assert_eq!(node.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
    signal(&process, Signal::KILL);
    process.wait().await.unwrap();

    let mut process = serving(&node).await;
    assert_eq!(status_of(&node).await, 200);
    assert_eq!((lookups(&node, "stale").await, lookups(&node, "hit").await), (1, 0), "it was there, and outdated");
    eventually("its verdict is in the store", is_proven).await;
    signal(&process, Signal::TERM);
    assert!(process.wait().await.unwrap().success());

    let _process = serving(&node).await;
    assert_eq!(status_of(&node).await, 200);
    assert_eq!((lookups(&node, "stale").await, lookups(&node, "hit").await), (0, 1), "what was said after it counts");
}

#[tokio::test]
async fn what_was_given_out_before_a_restart_is_told_of_when_it_is_found_after_it() {
    let (homeserver, clamd) = (media().await, clamd().await);
    let settings = || AppBuilder::new(&homeserver).clamd(&clamd).with(DISK).with("audit: {path: DIR/audit.jsonl}");
    let app = settings().start().await;
    for _ in 0..3 {
        assert_eq!(status(&app, "m").await, 200);
    }
    let dir = app.left().await;
    let ended = humantime::format_rfc3339_micros(std::time::SystemTime::now()).to_string();
    learn(&clamd, 27_001, &finds_it()).await;

    let app = settings().within(dir).start().await;
    assert_eq!(status(&app, "m").await, 403);
    eventually("audit is told", || async { app.metric("lazaret_exposures_total").await == 1 }).await;
    let text = std::fs::read_to_string(app.dir.path().join("audit.jsonl")).unwrap();
    let [line] = &text.lines().collect::<Vec<_>>()[..] else { panic!("one line: {text}") };
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&told["times"], told["readers"].as_array().unwrap().len()), (&3.into(), 1), "{told}");
    assert!(told["last_served"].as_str().unwrap() <= ended.as_str(), "{told}");
    let dir = app.left().await;

    let app = settings().within(dir).start().await;
    assert_eq!(status(&app, "m").await, 403);
    app.has_passed_canaries(&clamd.address()).await;
    assert_eq!(app.metric("lazaret_exposures_total").await, 0, "told once, not once by each process");
}

#[tokio::test]
async fn a_medium_that_engines_of_two_nodes_did_not_survive_is_refused_by_all_nodes() {
    let (homeserver, redis) = (media().await, RedisServer::start().await);
    let clamd = ScriptedClamd::start(Script::by_content(|bytes| match bytes == MEDIUM {
        true => Script::hang(),
        false => Script::clean(),
    }));
    let node = || sharing(&homeserver, &redis).scripted(&clamd).clamd_settings("scan_timeout: 500ms").start();
    let (one, other) = (node().await, node().await);
    assert_eq!((status(&one, "m").await, status(&other, "m").await), (503, 503));
    let late = node().await;
    for node in [&one, &other, &late] {
        assert_eq!((status(node, "m").await, status(node, "n").await), (403, 200));
    }
    assert_eq!(clamd.received.borrow().iter().filter(|bytes| *bytes == MEDIUM).count(), 2, "no third time");
}

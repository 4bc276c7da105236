//! Several nodes that share a store: one scan of the same bytes among all.

use std::{
    cell::Cell,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use rustix::process::Signal;
use tokio::sync::Notify;

use super::rescan::{FIRST, SECOND, holding, native};
use crate::harness::{
    App, AppBuilder, Binary, Clamd, Homeserver, RedisServer, Script, ScriptedClamd, Stored, eventually, request, signal,
};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";
const LEASE_ASKED_FOR: &str = r#"lazaret_store_operations_total{operation="lease",outcome="ok"}"#;

/// The value of a counter of a process.
async fn metric(node: &Binary, series: &str) -> u64 {
    let text = node.admin.get("/metrics").await.text();
    let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value).unwrap_or(0)
}

async fn scans(node: &Binary, verdict: &str) -> u64 {
    metric(node, &format!("lazaret_scans_total{{engine=\"clamd\",verdict=\"{verdict}\"}}")).await
}

async fn get(node: &Binary) -> crate::harness::Answer {
    node.client.send(request("GET", V1).header("authorization", "Bearer token"), b"").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_are_asked_for_the_same_at_once_scan_it_once() {
    let (homeserver, clamd, redis) = (Homeserver::start().await, Clamd::start().await, RedisServer::start().await);
    let settings = AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.patient_section());
    let nodes = [(); 2].map(|()| Binary::new(&settings));
    let _running = [nodes[0].serve(Stdio::null()).await, nodes[1].serve(Stdio::null()).await];
    let file = vec![7; 5 << 20];
    homeserver.put_media("m", &Stored::media(&file));
    let answers = join_all((0..200).map(|i| get(&nodes[i % 2]))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == file));
    assert_eq!(scans(&nodes[0], "clean").await + scans(&nodes[1], "clean").await, 1);
    assert_eq!(homeserver.seen().len(), 200, "access was asked for each of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_has_the_others_scan_once_more_and_answer_all() {
    let (homeserver, redis) = (Homeserver::start().await, RedisServer::start().await);
    let (scans_begun, never) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let clamd = ScriptedClamd::start(Script::by_content(move |_| match scans_begun.fetch_add(1, Ordering::Relaxed) {
        0 => Script::held(&never, b"stream: OK\0"),
        _ => Script::reply(b"stream: Lazaret.Test FOUND\0"),
    }));
    let settings = AppBuilder::new(&homeserver).scripted(&clamd).with(&redis.section(""));
    let [leader, other] = [(); 2].map(|()| Binary::new(&settings));
    let mut process = leader.serve(Stdio::null()).await;
    let _other = other.serve(Stdio::null()).await;
    homeserver.put_media("m", &Stored::media(&vec![7; 5 << 20]));
    let to_leader = leader.client.clone();
    let sent = request("GET", V1).header("authorization", "Bearer token");
    let lost = tokio::spawn(async move { to_leader.try_send(sent, b"").await });
    clamd.has_received(1).await;
    let answers = join_all((0..20).map(|_| get(&other)));
    let kill = async {
        let waits = || async { homeserver.seen().len() == 21 && metric(&other, LEASE_ASKED_FOR).await >= 2 };
        eventually("the others wait", waits).await;
        signal(&process, Signal::KILL);
        process.wait().await.unwrap();
    };
    let (answers, ()) = tokio::join!(answers, kill);
    assert!(answers.iter().all(|answer| answer.status == 403), "{answers:?}");
    assert_eq!(clamd.received.borrow().len(), 2, "one scan more");
    assert_eq!(metric(&other, r#"lazaret_leases_total{turn="taken_over"}"#).await, 1);
    assert!(lost.await.unwrap().is_err());
}

async fn leases(redis: &RedisServer) -> Vec<String> {
    redis.ask(&["KEYS", "lazaret:lease:*"]).await
}

/// Two nodes with an engine whose first scan ends as it is told, and one that waits for the other's scan.
struct Waiting {
    homeserver: Homeserver,
    redis: RedisServer,
    clamd: ScriptedClamd,
    nodes: [App; 2],
    finish: Arc<Notify>,
}

impl Waiting {
    async fn start(first: &'static [u8]) -> Self {
        Self::start_with("scan_timeout: 1m, queue_timeout: 1s", first).await
    }

    async fn start_with(settings: &str, first: &'static [u8]) -> Self {
        let (homeserver, redis) = (Homeserver::start().await, RedisServer::start().await);
        let (begun, finish) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let until = Arc::clone(&finish);
        let clamd = ScriptedClamd::start(Script::by_content(move |_| match begun.fetch_add(1, Ordering::Relaxed) {
            0 => Script::held(&until, first),
            _ => Script::reply(b"stream: Lazaret.Test FOUND\0"),
        }));
        let node =
            || AppBuilder::new(&homeserver).scripted(&clamd).with(&redis.section("")).clamd_settings(settings).start();
        let nodes = [node().await, node().await];
        homeserver.put_media("m", &Stored::media(b"a medium"));
        Self { homeserver, redis, clamd, nodes, finish }
    }

    /// What both answer if this happens while the second waits for the first.
    async fn answers(&mut self, meanwhile: impl AsyncFnOnce(&mut RedisServer, &App)) -> [u16; 2] {
        let Self { redis, clamd, nodes: [leader, other], finish, .. } = self;
        let second = async {
            clamd.has_received(1).await;
            other.get(V1).await
        };
        let meanwhile = async {
            eventually("the second waits", || async { other.metric(LEASE_ASKED_FOR).await >= 2 }).await;
            meanwhile(redis, other).await;
            finish.notify_waiters();
        };
        let (first, second, ()) = tokio::join!(leader.get(V1), second, meanwhile);
        [first, second].map(|answer| answer.status.as_u16())
    }

    async fn turns(&self, turn: &str) -> u64 {
        self.nodes[1].metric(&format!("lazaret_leases_total{{turn=\"{turn}\"}}")).await
    }
}

#[tokio::test]
async fn who_waits_is_given_the_verdict_of_the_other() {
    let mut waiting = Waiting::start(b"stream: Lazaret.Other FOUND\0").await;
    let renewed = async |redis: &mut RedisServer, _: &App| {
        let [lease] = &leases(redis).await[..] else { panic!("one lease") };
        let life = async || redis.ask::<i64>(&["PTTL", lease]).await;
        eventually("some of its life is over", async || life().await < 3500).await;
        eventually("it was renewed", async || life().await > 3500).await;
    };
    assert_eq!(waiting.answers(renewed).await, [403, 403]);
    assert_eq!(waiting.clamd.received.borrow().len(), 1);
    eventually("it was given back", async || leases(&waiting.redis).await.is_empty()).await;
    assert_eq!(waiting.turns("waited").await, 1);
    assert_eq!(waiting.homeserver.seen().len(), 2);
}

#[tokio::test]
async fn who_waits_goes_on_alone_once_the_other_came_to_nothing() {
    let mut waiting = Waiting::start(b"stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0").await;
    assert_eq!(waiting.answers(async |_, _| ()).await, [403, 403]);
    assert_eq!(waiting.clamd.received.borrow().len(), 2);
    assert_eq!(waiting.turns("without").await, 1);
}

#[tokio::test]
async fn who_waits_goes_on_alone_once_the_store_is_gone() {
    let mut waiting = Waiting::start(b"stream: Lazaret.Other FOUND\0").await;
    let stop = async |redis: &mut RedisServer, other: &App| {
        redis.stop();
        eventually("it was scanned", || async { other.scans("infected").await == 1 }).await;
    };
    assert_eq!(waiting.answers(stop).await, [403, 403]);
    assert_eq!(waiting.turns("without").await, 1);
}

#[tokio::test]
async fn who_waits_too_long_for_the_other_scans_before_the_time_is_over() {
    let mut waiting =
        Waiting::start_with("scan_timeout: 6s, queue_timeout: 1s", b"stream: Lazaret.Other FOUND\0").await;
    let scanned = async |_: &mut RedisServer, other: &App| {
        eventually("it was scanned", || async { other.scans("infected").await == 1 }).await;
    };
    assert_eq!(waiting.answers(scanned).await, [403, 403], "the first still had time");
    assert_eq!(waiting.turns("without").await, 1);
}

/// Two nodes that know media from signatures of before. What is called `slow` is not done any more before it is notified.
async fn outdated(settings: &str, media: &[&str]) -> (Homeserver, RedisServer, ScriptedClamd, Arc<Notify>, [App; 2]) {
    let (homeserver, redis) = (Homeserver::start().await, RedisServer::start().await);
    let clamd = ScriptedClamd::start(Script::clean());
    clamd.set_version(FIRST);
    let start = || {
        let builder = AppBuilder::new(&homeserver).scripted(&clamd).with(&redis.section(""));
        builder.clamd_settings(settings).start()
    };
    let nodes = [start().await, start().await];
    for id in media {
        homeserver.put_media(id, &Stored::media(id.as_bytes()));
        assert_eq!(nodes[0].get(&native(id)).await.status, 200);
    }
    clamd.set_version(SECOND);
    for node in &nodes {
        node.has_passed_canaries(&clamd.address()).await;
    }
    let go_on = Arc::new(Notify::new());
    clamd.set(holding(&go_on));
    (homeserver, redis, clamd, go_on, nodes)
}

#[tokio::test]
async fn who_waits_for_a_rescan_of_the_other_has_no_turn_meanwhile() {
    let (_homeserver, _redis, clamd, go_on, [leader, other]) = outdated("max_scans: 2", &["slow", "new"]).await;
    let before = clamd.received.borrow().len();
    let (path, asked) = (native("slow"), other.metric(LEASE_ASKED_FOR).await);
    let second = async {
        clamd.has_received(before + 1).await;
        other.get(&path).await
    };
    let meanwhile = async {
        eventually("it waits", || async { other.metric(LEASE_ASKED_FOR).await >= asked + 2 }).await;
        assert_eq!(other.get(&native("new")).await.status, 200, "there is a turn for it");
        go_on.notify_waiters();
    };
    let (first, second, ()) = tokio::join!(leader.get(&path), second, meanwhile);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert_eq!(clamd.received.borrow().len(), before + 2, "each once");
}

#[tokio::test]
async fn who_gets_no_turn_leaves_the_lease_to_others() {
    let settings = "max_scans: 2, scan_timeout: 6s, queue_timeout: 1s";
    let (_homeserver, redis, clamd, go_on, [node, _other]) = outdated(settings, &["slow", "new"]).await;
    let before = clamd.received.borrow().len();
    let (slow, new) = (native("slow"), native("new"));
    let second = async {
        clamd.has_received(before + 1).await;
        let answer = node.get(&new).await;
        let in_vain = Cell::new(false);
        let is_given_back = async || {
            let names = leases(&redis).await;
            for name in &names {
                in_vain.set(in_vain.get() || redis.ask::<Option<String>>(&["GET", name]).await.as_deref() == Some(""));
            }
            names.len() <= 1
        };
        eventually("it is given back", is_given_back).await;
        assert!(!in_vain.get(), "nothing was in vain");
        go_on.notify_waiters();
        answer
    };
    let (_, second) = tokio::join!(node.get(&slow), second);
    assert_eq!(second.status, 503, "the gate was taken");
}

#[tokio::test]
async fn a_store_of_one_process_has_no_leases() {
    let homeserver = Homeserver::start().await;
    let clamd = ScriptedClamd::start(Script::clean());
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    assert!(!app.admin.get("/metrics").await.text().contains("lazaret_leases_total"));
}

//! Verdicts in Redis: what others may read there, what they may write there, and what happens while it is away.

use std::{collections::HashSet, sync::Arc};

use tokio::sync::Notify;

use crate::harness::{
    App, AppBuilder, Ask, Binary, Clamd, Homeserver, RedisServer, Script, ScriptedClamd, Specimen, Stored, eventually,
    marker, request, seal,
};

const MEDIA: &str = "/_matrix/client/v1/media/download/hs.test/";

/// Verdicts that are in the store, by a name that nothing else has.
fn entries(dump: &[(String, Vec<u8>)]) -> HashSet<String> {
    dump.iter().map(|(key, _)| key.clone()).filter(|key| key.len() == "lazaret:".len() + 64).collect()
}

/// Puts new media at the homeserver, a clean one and an infected one, and expects both to be answered rightly.
async fn asks_for_new_media(homeserver: &Homeserver, app: &App, name: &str) {
    let (clean, infected) = (format!("clean-{name}"), format!("infected-{name}"));
    homeserver.put_media(&clean, &Stored::media(clean.as_bytes()));
    homeserver.put_media(&infected, &Stored::media(&[infected.as_bytes(), &marker(100)].concat()));
    for _ in 0..2 {
        assert_eq!(app.get(&format!("{MEDIA}{clean}")).await.status, 200, "{name}");
        assert_eq!(app.get(&format!("{MEDIA}{infected}")).await.status, 403, "{name}");
    }
}

async fn is_degraded(app: &App) -> bool {
    let answer = app.admin.get("/readyz").await;
    assert_eq!(answer.status, 200, "without a store it works");
    answer.text().contains("degraded")
}

#[tokio::test]
async fn requests_go_on_whatever_becomes_of_the_server() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let mut redis = RedisServer::start().await;
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section("")).start().await;
    asks_for_new_media(&homeserver, &app, "up").await;
    assert!(!is_degraded(&app).await);

    redis.stop();
    eventually("its loss is noticed", || is_degraded(&app)).await;
    asks_for_new_media(&homeserver, &app, "down").await;
    redis.launch().await;
    eventually("it is back", || async { !is_degraded(&app).await }).await;
    asks_for_new_media(&homeserver, &app, "restarted").await;

    redis.pause();
    eventually("its silence is noticed", || is_degraded(&app)).await;
    asks_for_new_media(&homeserver, &app, "silent").await;
    redis.resume();
    eventually("it is back", || async { !is_degraded(&app).await }).await;
    asks_for_new_media(&homeserver, &app, "resumed").await;

    redis.ask::<()>(&["FLUSHALL"]).await;
    asks_for_new_media(&homeserver, &app, "flushed").await;
    assert!(!entries(&redis.dump().await).is_empty());
}

#[tokio::test]
async fn a_full_server_is_read_and_its_being_full_is_said() {
    let (homeserver, clamd, redis) = (Homeserver::start().await, Clamd::start().await, RedisServer::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section("")).start().await;
    asks_for_new_media(&homeserver, &app, "before").await;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1mb", "maxmemory-policy", "noeviction"]).await;
    let failures = app.metric(r#"lazaret_store_operations_total{operation="get",outcome="left_alone"}"#).await;
    for i in 0..5 {
        asks_for_new_media(&homeserver, &app, &format!("full-{i}")).await;
    }
    assert!(is_degraded(&app).await);
    assert!(app.metric(r#"lazaret_store_operations_total{operation="put",outcome="full"}"#).await > 3);
    let left_alone = app.metric(r#"lazaret_store_operations_total{operation="get",outcome="left_alone"}"#).await;
    assert_eq!(left_alone, failures, "what is there can be read");
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    asks_for_new_media(&homeserver, &app, "after").await;
    assert!(!is_degraded(&app).await);
}

#[tokio::test]
async fn it_starts_without_the_server_and_uses_it_once_it_is_there() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let mut redis = RedisServer::prepare("");
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section("")).start().await;
    asks_for_new_media(&homeserver, &app, "without").await;
    eventually("it says so", || is_degraded(&app)).await;
    redis.launch().await;
    eventually("it is there", || async { !is_degraded(&app).await }).await;
    asks_for_new_media(&homeserver, &app, "with").await;
    assert!(!entries(&redis.dump().await).is_empty());
}

#[tokio::test]
async fn a_verdict_outlives_the_process_and_serves_the_next() {
    let (homeserver, clamd, redis) = (Homeserver::start().await, Clamd::start().await, RedisServer::start().await);
    let node = || AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section("")).start();
    let first = node().await;
    asks_for_new_media(&homeserver, &first, "a").await;
    first.stop().await;
    assert!(first.ended().await);
    let second = node().await;
    for (name, status) in [("clean-a", 200), ("infected-a", 403)] {
        assert_eq!(second.get(&format!("{MEDIA}{name}")).await.status, status);
    }
    assert_eq!((second.scans("clean").await, second.scans("infected").await), (0, 0));
}

#[tokio::test]
async fn what_others_wrote_into_the_store_is_not_believed() {
    let (homeserver, clamd, redis) = (Homeserver::start().await, Clamd::start().await, RedisServer::start().await);
    let node = || AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section("")).start();
    let first = node().await;
    homeserver.put_media("clean", &Stored::media(b"clean"));
    assert_eq!(first.get(&format!("{MEDIA}clean")).await.status, 200);
    let before = entries(&redis.dump().await);
    let [(_, clean)] = &redis
        .dump()
        .await
        .into_iter()
        .filter(|(key, value)| before.contains(key) && is_record(value))
        .collect::<Vec<_>>()[..]
    else {
        panic!("one verdict");
    };
    homeserver.put_media("infected", &Stored::media(&marker(100)));
    assert_eq!(first.get(&format!("{MEDIA}infected")).await.status, 403);
    let mut connection = redis.connect().await.unwrap();
    let mut forged = 0;
    for (key, value) in redis.dump().await {
        if !before.contains(&key) && is_record(&value) {
            redis::cmd("SET").arg(&key).arg(clean).exec_async(&mut connection).await.unwrap();
            forged += 1;
        }
    }
    assert_eq!(forged, 1, "the infected one has the clean one's verdict");
    let second = node().await;
    assert_eq!(second.get(&format!("{MEDIA}infected")).await.status, 403);
    assert_eq!(second.scans("infected").await, 1, "it was scanned anew");
    assert!(second.metric(r#"lazaret_redis_store_unreadable_total{why="seal"}"#).await >= 1);
}

/// Only verdicts name their engine.
fn is_record(value: &[u8]) -> bool {
    value.windows(5).any(|window| window == b"clamd")
}

#[tokio::test]
async fn the_store_reveals_no_hash_no_server_no_user_and_no_key() {
    let (homeserver, clamd, redis) = (Homeserver::start().await, Clamd::start().await, RedisServer::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section("")).start().await;
    let plain = marker(2 << 20);
    homeserver.put_media("plain-medium", &Stored::media(&plain));
    app.get(&format!("{MEDIA}plain-medium")).await;
    let sealed = seal(b"an attachment", "sealed-medium", 7);
    homeserver.put_media("sealed-medium", &Stored::media(&sealed.ciphertext));
    app.post("/_matrix/media_proxy/unstable/scan_encrypted", &sealed.body()).await;
    let dump = redis.dump().await;
    assert!(entries(&dump).len() >= 4, "verdicts, an address and an attachment: {dump:?}");
    let digests = [&plain[..], b"an attachment", &sealed.ciphertext].map(sha256);
    let mut secrets: Vec<Vec<u8>> = ["hs.test", "token", "sealed-medium", "plain-medium"].map(Into::into).to_vec();
    secrets.extend([[7; 32].to_vec(), b"an attachment".to_vec()]);
    for digest in digests {
        secrets.extend([digest.to_vec(), hex(&digest), digest[..8].to_vec()]);
    }
    for (key, value) in &dump {
        for secret in &secrets {
            let is_in = |text: &[u8]| text.windows(secret.len()).any(|window| window == &secret[..]);
            assert!(!is_in(key.as_bytes()) && !is_in(value), "{key}: {}", String::from_utf8_lossy(secret));
        }
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

/// How long each verdict in the store lives on, in milliseconds.
async fn lives(redis: &RedisServer) -> Vec<i64> {
    let mut lives = Vec::new();
    for (key, _) in redis.dump().await.iter().filter(|(_, value)| is_record(value)) {
        lives.push(redis.ask(&["PTTL", key]).await);
    }
    lives
}

#[tokio::test]
async fn a_verdict_stays_for_long_once_its_engine_is_proven_and_is_removed_if_that_was_wrong() {
    const UNPROVEN: i64 = 120_000;
    const FOUND: &[u8] = b"{}: Lazaret.Test.EICAR.UNOFFICIAL FOUND\0";
    let (homeserver, redis) = (Homeserver::start().await, RedisServer::start().await);
    let clamd = ScriptedClamd::start(Script::clean());
    let app = AppBuilder::new(&homeserver).scripted(&clamd).with(&redis.section("")).start().await;
    let eicar = Ask::Canary(Specimen::Eicar);
    for (name, proves) in [("proven", true), ("refuted", false)] {
        let now = Arc::new(Notify::new());
        clamd.on(eicar, Script::held(&now, FOUND));
        let before = clamd.counts().asked(eicar);
        clamd.until(|counts| counts.asked(eicar) > before).await;
        homeserver.put_media(name, &Stored::media(name.as_bytes()));
        assert_eq!(app.get(&format!("{MEDIA}{name}")).await.status, 200);
        assert_eq!(lives(&redis).await.iter().filter(|life| **life <= UNPROVEN).count(), 1, "{name}");
        clamd.canary(Specimen::Eicar, if proves { FOUND } else { b"{}: OK\0" });
        now.notify_waiters();
        // The first one stays.
        let is_settled = || async { matches!(lives(&redis).await[..], [life] if life > UNPROVEN) };
        eventually(name, is_settled).await;
    }
}

#[tokio::test]
async fn who_has_another_secret_is_told_and_shares_nothing() {
    let (homeserver, clamd, redis) = (Homeserver::start().await, Clamd::start().await, RedisServer::start().await);
    let first = AppBuilder::new(&homeserver).clamd(&clamd).with(&redis.section("")).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    assert_eq!(first.get(&format!("{MEDIA}m")).await.status, 200);
    let section = redis.section("").replace("cache_secret", "another_secret");
    let stranger = Binary::new(&AppBuilder::new(&homeserver).clamd(&clamd).with(&section));
    let log = stranger.dir.path().join("log");
    let _process = stranger.serve(std::fs::File::create(&log).unwrap().into()).await;
    let says = || async { std::fs::read_to_string(&log).unwrap().contains("another secret is in use") };
    eventually("it is told", says).await;
    let sent = request("GET", &format!("{MEDIA}m")).header("authorization", "Bearer token");
    assert_eq!(stranger.client.send(sent, b"").await.status, 200);
    assert_eq!(first.get(&format!("{MEDIA}m")).await.status, 200);
    assert_eq!(first.scans("clean").await, 1);
}

//! The ways in which servers can be put up: alone, watched by sentinels, as a cluster; by TLS, with a password, on a socket.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use lazaret::cache::{RedisConfig, RedisStore, VerdictStore, key::KeyRing};

use crate::harness::{
    App, AppBuilder, Binary, Clamd, Homeserver, RedisCluster, RedisServer, Sentinel, Stored, eventually,
};

const MEDIA: &str = "/_matrix/client/v1/media/download/hs.test/";

/// Two nodes with the same store.
async fn nodes(homeserver: &Homeserver, clamd: &Clamd, section: &str) -> [App; 2] {
    let node = || AppBuilder::new(homeserver).clamd(clamd).with(section).start();
    [node().await, node().await]
}

/// Expects that what one node scans is known to the other.
async fn share(homeserver: &Homeserver, [one, two]: &[App; 2], count: usize, name: &str) {
    let scanned = two.scans("clean").await;
    for i in 0..count {
        let id = format!("{name}-{i}");
        homeserver.put_media(&id, &Stored::media(id.as_bytes()));
        for node in [one, two] {
            assert_eq!(node.get(&format!("{MEDIA}{id}")).await.status, 200, "{id}");
        }
    }
    assert_eq!(two.scans("clean").await, scanned, "{name}");
}

/// Waits until both nodes use the store again.
async fn share_again(homeserver: &Homeserver, nodes: &[App; 2], name: &str) {
    let count = AtomicUsize::new(0);
    let is_shared = || async {
        let id = format!("{name}-again-{}", count.fetch_add(1, Ordering::Relaxed));
        homeserver.put_media(&id, &Stored::media(id.as_bytes()));
        let scanned = nodes[1].scans("clean").await;
        for node in nodes {
            assert_eq!(node.get(&format!("{MEDIA}{id}")).await.status, 200, "{id}");
        }
        nodes[1].scans("clean").await == scanned
    };
    eventually("the store is used again", is_shared).await;
    eventually("they say so", || async { !is_degraded(&nodes[0]).await && !is_degraded(&nodes[1]).await }).await;
    share(homeserver, nodes, 20, name).await;
}

async fn is_degraded(app: &App) -> bool {
    app.admin.get("/readyz").await.text().contains("degraded")
}

#[tokio::test]
async fn a_cluster_of_three_is_one_store() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let mut cluster = RedisCluster::start().await;
    let nodes = nodes(&homeserver, &clamd, &cluster.section("")).await;
    share(&homeserver, &nodes, 20, "a").await;
    for server in &cluster.0 {
        assert!(server.ask::<u64>(&["DBSIZE"]).await > 0, "each has some");
    }
    cluster.0[2].stop();
    homeserver.put_media("b", &Stored::media(b"b"));
    assert_eq!(nodes[0].get(&format!("{MEDIA}b")).await.status, 200);
    cluster.0[2].launch().await;
    let works = || async { cluster.0[2].ask::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") };
    eventually("the cluster works", works).await;
    share_again(&homeserver, &nodes, "c").await;

    cluster.0.iter_mut().for_each(RedisServer::stop);
    homeserver.put_media("d", &Stored::media(b"d"));
    assert_eq!(nodes[0].get(&format!("{MEDIA}d")).await.status, 200);
    eventually("the loss of all is noticed", || async { is_degraded(&nodes[0]).await && is_degraded(&nodes[1]).await })
        .await;
    for server in &mut cluster.0 {
        server.launch().await;
    }
    share_again(&homeserver, &nodes, "e").await;
}

#[tokio::test]
async fn the_master_is_followed_when_it_fails() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let mut sentinel = Sentinel::start().await;
    let nodes = nodes(&homeserver, &clamd, &sentinel.section()).await;
    share(&homeserver, &nodes, 3, "a").await;
    sentinel.first.stop();
    sentinel.has_failed_over().await;
    share_again(&homeserver, &nodes, "b").await;
    assert!(sentinel.second.ask::<u64>(&["DBSIZE"]).await > 3);
}

#[tokio::test]
async fn a_server_with_tls_and_a_password_is_used() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let redis = RedisServer::start_with_tls("one").await;
    let password = redis.path("password");
    std::fs::write(&password, "one\nanother line\n").unwrap();
    let certificate = redis.path("cert.pem").display().to_string();
    let settings = format!(", ca_file: '{certificate}', password_file: '{}'", password.display());
    let nodes = nodes(&homeserver, &clamd, &redis.section(&settings)).await;
    share(&homeserver, &nodes, 3, "a").await;
    // A new password, for those who connect from now on.
    redis.ask::<()>(&["CONFIG", "SET", "requirepass", "two"]).await;
    std::fs::write(&password, "two\n").unwrap();
    let client = redis::Client::build_with_tls(
        redis.url().replace("://", "://:two@"),
        redis::TlsCertificates { client_tls: None, root_cert: Some(std::fs::read(certificate).unwrap()) },
    );
    let mut connection = client.unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec_async(&mut connection).await.unwrap();
    share_again(&homeserver, &nodes, "b").await;
}

#[tokio::test]
async fn a_user_needs_no_more_rights_than_are_documented() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let documented =
        include_str!("../../deploy/redis.md").lines().find(|line| line.starts_with("user lazaret ")).unwrap();
    let redis = RedisServer::start_with(&documented.replace(">PASSWORD", ">hidden")).await;
    let password = redis.path("password");
    std::fs::write(&password, "hidden\n").unwrap();
    let settings = format!(", username: lazaret, password_file: '{}'", password.display());
    let nodes = nodes(&homeserver, &clamd, &redis.section(&settings)).await;
    share(&homeserver, &nodes, 3, "a").await;
    let config = RedisConfig {
        url: redis.url(),
        username: Some("lazaret".to_owned()),
        password_file: Some(password),
        ..RedisConfig::default()
    };
    let (registry, ring) = (prometheus::Registry::new(), KeyRing::ephemeral().unwrap());
    let store = RedisStore::open(&config, Duration::from_secs(5), Duration::from_hours(1), &ring, &registry).unwrap();
    assert!(store.stats().await.unwrap().entries > 0);
    store.walk(None).await.unwrap();
    store.clear().await.unwrap();
    store.remove(ring.location("a")).await.unwrap();
    let denied: Vec<redis::Value> = redis.ask(&["ACL", "LOG"]).await;
    assert!(denied.is_empty(), "{denied:?}");
}

#[tokio::test]
async fn a_server_on_a_local_socket_is_used() {
    let (homeserver, clamd, redis) = (Homeserver::start().await, Clamd::start().await, RedisServer::start().await);
    let section = redis.section("").replace(&redis.url(), &redis.socket_url());
    let nodes = nodes(&homeserver, &clamd, &section).await;
    share(&homeserver, &nodes, 3, "a").await;
}

#[tokio::test]
async fn a_store_that_cannot_be_meant_is_named_by_check() {
    let homeserver = Homeserver::start().await;
    for (settings, key) in [
        ("url: 'http://127.0.0.1'", "cache.redis.url"),
        ("url: 'redis://:hidden@127.0.0.1'", "cache.redis.url"),
        ("nodes: ['redis://127.0.0.1:1']", "cache.redis.nodes"),
        ("password_file: /nowhere/password", "cache.redis.password_file /nowhere/password"),
        ("url: 'rediss://localhost', ca_file: /nowhere/ca", "cache.redis.ca_file /nowhere/ca"),
    ] {
        let section = format!("cache: {{store: redis, redis: {{{settings}}}}}");
        let output = Binary::new(&AppBuilder::new(&homeserver).with(&section)).run(&["check"]).await;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success() && said.contains(key) && !said.contains("hidden"), "{settings}: {said}");
    }
}

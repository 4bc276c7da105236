//! What the store itself promises, with a server behind it.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use lazaret::{
    cache::{
        Entry, Opened, RedisConfig, RedisMode, RedisStore, StoreError, VerdictStore,
        codec::Codec,
        epochs::Registry,
        key::{Key, KeyRing},
    },
    facts::Facts,
    verdict::{Detection, Epoch, Order, Provenance, Record, Verdict, Vouch},
};

use crate::harness::{RedisCluster, RedisServer};

const TTL: Duration = Duration::from_hours(1);

fn open(url: String, mode: RedisMode, ring: &KeyRing) -> RedisStore {
    let config = RedisConfig { url, mode, ..RedisConfig::default() };
    RedisStore::open(&config, Duration::from_secs(20), TTL, ring, &prometheus::Registry::new()).unwrap()
}

fn store(server: &RedisServer, ring: &KeyRing) -> RedisStore {
    open(server.url(), RedisMode::Standalone, ring)
}

/// A verdict that says from which signatures it is.
fn record(generation: u64, vouch: Vouch) -> Entry {
    ordered(Order { generation, fence: 0 }, vouch)
}

fn ordered(order: Order, vouch: Vouch) -> Entry {
    let provenance = Provenance {
        engine: "clamd".into(),
        version: String::new(),
        signatures: None,
        backend: String::new(),
        epoch: Epoch::new("set-up", "state"),
        bytes: 0,
        took: Duration::ZERO,
        vouch,
    };
    Entry::Record(Arc::new(Record {
        order,
        facts: Facts::default(),
        verdict: Verdict::Infected { detection: Detection(order.generation.to_string()) },
        provenance,
        scanned_at: SystemTime::now(),
    }))
}

async fn generation(store: &RedisStore, key: Key) -> Option<u64> {
    match store.get(key).await.unwrap()? {
        Entry::Record(record) => Some(record.order.generation),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_verdict_of_another_node_counts_if_its_signatures_are_newer() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    let [one, two] = [(); 2].map(|()| store(&server, &ring));
    let key = ring.plaintext(&[1; 32]);
    for (store, put, there) in [(&one, 2, 2), (&two, 1, 2), (&two, 3, 3), (&one, 2, 3)] {
        store.put(key, record(put, Vouch::proven())).await.unwrap();
        assert_eq!((generation(&one, key).await, generation(&two, key).await), (Some(there), Some(there)), "{put}");
    }
    // A scan that was given up for dead ends all the same.
    for fence in [7, 6] {
        one.put(key, ordered(Order { generation: 3, fence }, Vouch::proven())).await.unwrap();
    }
    assert!(matches!(two.get(key).await.unwrap(), Some(Entry::Record(record)) if record.order.fence == 7));
    one.remove(key).await.unwrap();
    assert_eq!(generation(&two, key).await, None);
}

#[tokio::test]
async fn of_what_many_put_at_once_nothing_is_lost() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    let stores = [(); 2].map(|()| store(&server, &ring));
    let (key, names) = (ring.location("a"), (0..8).map(|i| ring.location(&i.to_string())).collect::<Vec<_>>());
    let puts = names.iter().enumerate().map(|(i, name)| {
        let opened = Opened::default().with(*name, i % 2 == 0);
        stores[i / 4].put(key, Entry::Opened(Arc::new(opened)))
    });
    assert!(join_all(puts).await.iter().all(Result::is_ok));
    let Some(Entry::Opened(opened)) = stores[0].get(key).await.unwrap() else { panic!("it is there") };
    let found: HashSet<Key> = opened.clean.iter().chain(&opened.infected).copied().collect();
    assert_eq!(found, names.into_iter().collect());
}

#[tokio::test]
async fn what_nobody_vouches_for_soon_expires_and_is_not_kept_alive_by_older_verdicts() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    let store = store(&server, &ring);
    let (key, other) = (ring.plaintext(&[1; 32]), ring.plaintext(&[2; 32]));
    let name = format!("lazaret:{key}");
    let life = async || server.ask::<u64>(&["PTTL", &name]).await;
    store.put(key, record(2, Vouch::default())).await.unwrap();
    assert!((1..=120_000).contains(&life().await));
    server.ask::<()>(&["PEXPIRE", &name, "50000"]).await;
    store.put(key, record(1, Vouch::default())).await.unwrap();
    assert!(life().await <= 50_000);
    store.put(key, record(2, Vouch::proven())).await.unwrap();
    assert!(life().await > 120_000);
    store.put(other, record(1, Vouch::proven())).await.unwrap();
    server.ask::<()>(&["PEXPIRE", &format!("lazaret:{other}"), "1"]).await;
    crate::harness::eventually("it has expired", || async { generation(&store, other).await.is_none() }).await;
}

#[tokio::test]
async fn what_is_no_entry_is_not_there_and_gives_way() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    let store = store(&server, &ring);
    let key = ring.plaintext(&[1; 32]);
    let name = format!("lazaret:{key}");
    for other in [
        &["SET", &name, "x"][..],
        &["SET", &name, ""],
        &["SETRANGE", &name, "2000000", "x"],
        &["RPUSH", &name, "x"],
        &["SET", &name, &"x".repeat(99)],
    ] {
        server.ask::<redis::Value>(other).await;
        assert_eq!(generation(&store, key).await, None, "{other:?}");
        store.put(key, record(1, Vouch::proven())).await.unwrap();
        assert_eq!(generation(&store, key).await, Some(1), "{other:?}");
        server.ask::<()>(&["DEL", &name]).await;
    }
    store.put(key, record(1, Vouch::proven())).await.unwrap();
    let stranger = self::store(&server, &KeyRing::ephemeral().unwrap());
    assert_eq!(generation(&stranger, key).await, None, "made under another secret");
}

#[tokio::test]
async fn what_a_newer_version_has_put_is_not_overwritten() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    let (store, key) = (store(&server, &ring), ring.single("epochs"));
    let newer = [&[0; 16][..], &[u8::MAX], &[0; 4], b"something new"].concat();
    let newer = Codec::new(ring.clone(), TTL).sealed(key, newer);
    let name = format!("lazaret:{key}");
    redis::cmd("SET").arg(&name).arg(&newer).exec_async(&mut server.connect().await.unwrap()).await.unwrap();
    let put = store.put(key, Entry::Epochs(Arc::new(Registry::bumped(1)))).await;
    assert!(matches!(put, Err(StoreError::Newer)), "{put:?}");
    assert!(store.get(key).await.unwrap().is_none());
    assert_eq!(server.ask::<Vec<u8>>(&["GET", &name]).await, newer);
    store.remove(key).await.unwrap();
    store.put(key, Entry::Epochs(Arc::new(Registry::bumped(1)))).await.unwrap();
}

#[tokio::test]
async fn a_server_that_takes_its_time_for_a_walk_is_given_it_and_nobody_else_waits() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    let config = RedisConfig { url: server.url(), ..RedisConfig::default() };
    let limit = Duration::from_millis(250);
    let store = RedisStore::open(&config, limit, TTL, &ring, &prometheus::Registry::new()).unwrap();
    let key = ring.location("a");
    store.put(key, Entry::Identity(key)).await.unwrap();
    for work in ["stats", "walk", "clear"] {
        server.pause();
        let patient = async {
            match work {
                "stats" => store.stats().await.map(drop),
                "walk" => store.walk(None).await.map(drop),
                _ => store.clear().await,
            }
        };
        let impatient = async {
            let outcome = store.get(key).await;
            server.resume();
            outcome
        };
        let (patient, impatient) = tokio::join!(patient, impatient);
        assert!(matches!(impatient, Err(StoreError::Late)) && patient.is_ok(), "{work}: {patient:?}");
    }
    assert!(store.get(key).await.unwrap().is_none());
}

#[tokio::test]
async fn a_walk_goes_on_over_another_connection_when_the_one_it_had_is_gone() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    let store = store(&server, &ring);
    for _ in 0..3 {
        store.walk(None).await.unwrap();
        store.stats().await.unwrap();
        server.ask::<redis::Value>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }
}

/// Expects that a walk finds everything, and that nothing but verdicts is forgotten.
async fn walks_and_clears(store: &RedisStore, ring: &KeyRing, others: &[&RedisServer]) {
    let names: HashSet<Key> = (0..2500).map(|i| ring.location(&i.to_string())).collect();
    join_all(names.iter().map(|name| store.put(*name, Entry::Identity(*name))))
        .await
        .into_iter()
        .for_each(Result::unwrap);
    let registry = Registry::bumped(1);
    let single = ring.single("epochs");
    store.put(single, Entry::Epochs(Arc::new(registry))).await.unwrap();
    let (mut found, mut from, mut pages) = (HashSet::new(), None, 0);
    loop {
        let page = store.walk(from).await.unwrap();
        found.extend(page.entries.into_iter().map(|(key, _)| key));
        pages += 1;
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert!(found.len() == 2501 && names.is_subset(&found) && pages > 1, "{} in {pages} pages", found.len());
    let stats = store.stats().await.unwrap();
    assert!(stats.entries >= 2501 && stats.bytes > 100_000, "{stats:?}");
    store.clear().await.unwrap();
    let mut left = 0;
    for name in names {
        left += usize::from(store.get(name).await.unwrap().is_some());
    }
    assert_eq!(left, 0);
    assert!(matches!(store.get(single).await.unwrap(), Some(Entry::Epochs(_))));
    for other in others {
        assert_eq!(other.ask::<Option<String>>(&["GET", "other:key"]).await.as_deref(), Some("value"));
    }
}

#[tokio::test]
async fn all_is_walked_through_and_only_verdicts_are_forgotten() {
    let (server, ring) = (RedisServer::start().await, KeyRing::ephemeral().unwrap());
    server.ask::<()>(&["SET", "other:key", "value"]).await;
    server.ask::<()>(&["SET", "lazaret-2:key", "value"]).await;
    walks_and_clears(&store(&server, &ring), &ring, &[&server]).await;
    assert_eq!(server.ask::<String>(&["GET", "lazaret-2:key"]).await, "value");
}

#[tokio::test]
async fn all_nodes_of_a_cluster_are_walked_through_and_only_verdicts_are_forgotten() {
    let (cluster, ring) = (RedisCluster::start().await, KeyRing::ephemeral().unwrap());
    let store = open(cluster.0[1].url(), RedisMode::Cluster, &ring);
    walks_and_clears(&store, &ring, &[]).await;
}

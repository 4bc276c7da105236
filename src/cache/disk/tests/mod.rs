//! The store in a file, from outside.

mod faults;
mod model;

use std::{collections::BTreeSet, fs, path::Path};

use redb::{ReadableTable, TableDefinition};

use super::*;
use crate::cache::{
    entry::{Blame, Located},
    epochs,
};

fn config(dir: &Path) -> Config {
    Config { path: dir.join("verdicts"), ..Config::default() }
}

fn small(dir: &Path, max_bytes: bytesize::ByteSize) -> Config {
    let mut config = config(dir);
    config.disk.max_bytes = max_bytes;
    config
}

async fn open(config: &Config, ring: &KeyRing) -> Result<DiskStore, CacheError> {
    DiskStore::open(config, ring, &Registry::new()).await
}

/// An entry that says which one it is.
fn located(ring: &KeyRing, number: u64) -> (Key, Entry) {
    let key = ring.location(&number.to_string());
    (key, Entry::Located(Located { identity: ring.openings(key), len: number }))
}

async fn put(store: &DiskStore, ring: &KeyRing, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let (key, entry) = located(ring, number);
        while let Err(StoreError::Busy) = store.put(key, entry.clone()).await {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
}

/// Which of these are there. It panics if one is there that nobody put.
async fn there(store: &DiskStore, ring: &KeyRing, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut there = Vec::new();
    for number in numbers {
        let (key, _) = located(ring, number);
        match store.get(key).await {
            Ok(Some(Entry::Located(found))) => {
                assert_eq!(found, Located { identity: ring.openings(key), len: number });
                there.push(number);
            }
            Ok(Some(other)) => panic!("{number} became {other:?}"),
            Ok(None) | Err(_) => (),
        }
    }
    there
}

async fn eventually<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it comes to be");
}

#[tokio::test]
async fn what_has_expired_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let store = open(&config, &ring).await.unwrap();
    let blame = |until| Entry::Blame(Blame { amount: 1, record: None, until });
    let (past, future) = (ring.location("past"), ring.location("future"));
    store.put(past, blame(SystemTime::UNIX_EPOCH + Duration::from_secs(2))).await.unwrap();
    store.put(future, blame(SystemTime::now() + Duration::from_hours(1))).await.unwrap();
    for is_written in [false, true] {
        assert!(store.get(past).await.unwrap().is_none(), "{is_written}");
        assert!(store.get(future).await.unwrap().is_some(), "{is_written}");
        store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn the_file_stays_within_its_bytes_and_the_newest_entries_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (small(dir.path(), bytesize::ByteSize::mib(4)), KeyRing::ephemeral().unwrap());
    let store = open(&config, &ring).await.unwrap();
    let mut largest = 0;
    for round in 0..30_u64 {
        put(&store, &ring, round * 1000..(round + 1) * 1000).await;
        largest = largest.max(store.stats().await.unwrap().bytes);
    }
    let entries = store.stats().await.unwrap().entries;
    eprintln!("{largest} bytes, {entries} entries");
    assert!(largest <= 4 << 20, "{largest} bytes");
    assert!(entries > 10_000, "{entries} entries");
    assert_eq!(there(&store, &ring, 29_000..30_000).await.len(), 1000);
    assert_eq!(there(&store, &ring, 0..1000).await.len(), 0);
    assert_eq!(store.shelf.metrics.dropped.get() + entries, 30_000);
}

#[tokio::test]
async fn there_are_no_more_entries_than_may_be_also_after_that_became_fewer() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    for most in [400, 100] {
        config.disk.max_entries = most.try_into().unwrap();
        let store = open(&config, &ring).await.unwrap();
        assert!(store.stats().await.unwrap().entries <= most);
        put(&store, &ring, 0..1000).await;
        let entries = store.stats().await.unwrap().entries;
        assert!((most * 7 / 8..=most).contains(&entries), "{entries} of {most}");
    }
}

#[tokio::test]
async fn what_is_asked_for_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    config.disk.max_entries = 80.try_into().unwrap();
    let store = open(&config, &ring).await.unwrap();
    for round in 0..100 {
        put(&store, &ring, round * 10..round * 10 + 10).await;
        assert_eq!(there(&store, &ring, [0]).await, [0], "round {round}");
    }
    assert!(there(&store, &ring, 1..900).await.is_empty());
}

#[tokio::test]
async fn a_walk_meets_everything_once_over_many_parts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    config.disk.max_entries = 8000.try_into().unwrap();
    let store = open(&config, &ring).await.unwrap();
    store.put(ring.single("epochs"), Entry::Epochs(Arc::new(epochs::Registry::bumped(1)))).await.unwrap();
    put(&store, &ring, 0..5500).await;
    let (mut met, mut from) = (Vec::new(), None);
    loop {
        let page = store.walk(from).await.unwrap();
        met.extend(page.entries.into_iter().map(|(key, _)| key));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((met.len(), met.iter().collect::<BTreeSet<_>>().len()), (5501, 5501));
}

#[tokio::test]
async fn two_at_a_time_are_refused_with_the_setting_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let _first = open(&config, &ring).await.unwrap();
    let error = open(&config, &ring).await.err().unwrap().to_string();
    assert!(error.contains("cache.path") && error.contains("another process"), "{error}");
}

#[tokio::test]
async fn what_a_newer_version_says_once_for_all_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let (single, codec) = (ring.single("epochs"), Codec::new(ring.clone(), config.ttl));
    drop(open(&config, &ring).await.unwrap());
    let newer = codec.sealed(single, [&[0; 16][..], &[u8::MAX], &[0; 4], b"something new"].concat());
    let name = single.to_bytes();
    let singles = TableDefinition::<&[u8; 32], &[u8]>::new("singles");
    let there = |change: bool| {
        let file = fs::File::options().read(true).write(true).open(&config.path).unwrap();
        let transaction = file::database(file).unwrap().begin_write().unwrap();
        let mut table = transaction.open_table(singles).unwrap();
        if change {
            table.insert(&name, newer.as_slice()).unwrap();
        }
        let there = table.get(&name).unwrap().unwrap().value().to_vec();
        drop(table);
        transaction.commit().unwrap();
        there
    };
    there(true);
    let store = open(&config, &ring).await.unwrap();
    store.put(single, Entry::Epochs(Arc::new(epochs::Registry::bumped(1)))).await.unwrap();
    put(&store, &ring, 0..10).await;
    assert_eq!(self::there(&store, &ring, 0..10).await.len(), 10);
    drop(store);
    assert_eq!(there(false), newer);
}

#[tokio::test]
async fn what_was_made_under_another_secret_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (config, [ring, other]) = (config(dir.path()), [(); 2].map(|()| KeyRing::ephemeral().unwrap()));
    put(&open(&config, &ring).await.unwrap(), &ring, 0..10).await;
    let store = open(&config, &other).await.unwrap();
    assert_eq!((store.stats().await.unwrap().entries, there(&store, &ring, 0..10).await.len()), (0, 0));
    put(&store, &other, 0..10).await;
    drop(store);
    assert_eq!(there(&open(&config, &other).await.unwrap(), &other, 0..10).await.len(), 10);
}

#[tokio::test]
async fn a_damaged_file_keeps_from_starting_if_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    config.disk.on_corruption = OnCorruption::Fail;
    fs::write(&config.path, "verdicts of something else".repeat(1000)).unwrap();
    let error = open(&config, &ring).await.err().unwrap().to_string();
    assert!(error.contains("cache.path") && error.contains("start_empty"), "{error}");
    assert_eq!(dir.path().read_dir().unwrap().count(), 1, "it was left as it is");
    config.disk.on_corruption = OnCorruption::StartEmpty;
    put(&open(&config, &ring).await.unwrap(), &ring, 0..10).await;
    assert_eq!(dir.path().read_dir().unwrap().count(), 2, "it was set aside");
}

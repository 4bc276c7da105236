//! Stores of verdicts: how long a get, a put and a commit take, what records take on the disk, and how long a store takes to
//! open that was ended cleanly, or killed.
//!
//! Arguments are numbers of records for the store on the disk, one after another; without any, it is a hundred thousand. The files are
//! made where temporary files are, so `TMPDIR` says on which disk. `LAZARET_BENCH_REDIS` names a Redis by its URL, if one is to be
//! measured, too.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lazaret::{
    cache::{
        Config, DiskStore, Entry, Located, MemoryStore, StoreError, StoreKind, VerdictCache, VerdictStore,
        key::{Key, KeyRing},
    },
    facts::Facts,
    verdict::{Detection, Epoch, Order, Provenance, Record, Verdict, Vouch},
};
use prometheus::Registry;
use rustix::fs::{Advice, fadvise};
use tokio::runtime::Runtime;

/// Operations that are timed one by one.
const TIMED: u64 = 20_000;

/// Bounds that so many records come near to: they lie in as many slots as in a store that has run for long.
fn config_for(dir: &Path, records: u64) -> Config {
    let mut config = config(dir);
    config.disk.max_entries = (records + records / 4).max(8).try_into().unwrap();
    config
}

fn config(dir: &Path) -> Config {
    let mut config = Config { path: dir.join("verdicts"), secret_path: dir.join("secret"), ..Config::default() };
    config.disk.max_bytes = bytesize::ByteSize::gib(64);
    config
}

fn record() -> Record {
    let provenance = Provenance {
        engine: "clamd".into(),
        version: "1.4.6".to_owned(),
        signatures: None,
        backend: "unix:/run/clamav/clamd.ctl".to_owned(),
        epoch: Epoch::new("clamd 1.4.6 limits 0123456789abcdef", "27800 0123456789abcdef0123456789abcdef"),
        bytes: 1 << 20,
        took: Duration::from_millis(20),
        vouch: Vouch::proven(),
    };
    Record {
        order: Order { generation: 7, fence: 1_800_000_000_000_000 },
        facts: Facts { size: 1 << 20, detected_type: Some("image/png".into()), ..Facts::default() },
        verdict: Verdict::Infected { detection: Detection("Win.Test.Name-1".to_owned()) },
        provenance,
        scanned_at: SystemTime::now(),
    }
}

/// What one medium in two leaves: a record, and where it was; an attachment also has what it decrypts to.
fn entry(ring: &KeyRing, record: &Arc<Record>, number: u64) -> (Key, Entry) {
    let key = ring.location(&number.to_string());
    let entry = match number % 5 {
        0 | 1 => Entry::Record(Arc::clone(record)),
        2 | 3 => Entry::Located(Located { identity: key, len: number }),
        _ => Entry::Identity(key),
    };
    (key, entry)
}

async fn put(store: &dyn VerdictStore, key: Key, entry: Entry) {
    while let Err(error) = store.put(key, entry.clone()).await {
        assert!(matches!(error, StoreError::Busy), "{error}");
        store.flush().await.unwrap();
    }
}

async fn fill(store: &dyn VerdictStore, ring: &KeyRing, numbers: std::ops::Range<u64>) {
    let record = Arc::new(record());
    for number in numbers {
        let (key, entry) = entry(ring, &record, number);
        put(store, key, entry).await;
    }
    store.flush().await.unwrap();
}

async fn open(dir: &Path, records: u64) -> (DiskStore, KeyRing) {
    let config = config_for(dir, records);
    let ring = KeyRing::of_file(&config.secret_path).unwrap();
    (DiskStore::open(&config, &ring, &Registry::new()).await.unwrap(), ring)
}

/// Median and 99th percentile in microseconds.
fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    format!("{:.1} / {:.1}", at(50), at(99))
}

async fn timed<F: Future>(count: u64, mut work: impl FnMut(u64) -> F) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..count {
        let begun = Instant::now();
        work(number).await;
        times.push(begun.elapsed());
    }
    times
}

async fn measure(name: &str, store: &dyn VerdictStore, ring: &KeyRing, records: u64) {
    // Spread over all that is there, in no order of names.
    let spread = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % records;
    let record = Arc::new(record());
    let hits = timed(TIMED, |number| async move {
        let key = ring.location(&spread(number).to_string());
        assert!(store.get(key).await.unwrap().is_some());
    });
    let hits = hits.await;
    let misses =
        timed(TIMED, |number| async move { store.get(ring.location(&format!("no {number}"))).await.unwrap() }).await;
    let puts = timed(2000, |number| {
        let (key, entry) = entry(ring, &record, records + number);
        async move { store.put(key, entry).await.unwrap() }
    });
    let puts = puts.await;
    store.flush().await.unwrap();
    let commits = timed(50, |number| {
        let (key, entry) = entry(ring, &record, records + 2000 + number);
        async move {
            store.put(key, entry).await.unwrap();
            store.flush().await.unwrap();
        }
    });
    let (hits, misses, puts, commits) = (summary(hits), summary(misses), summary(puts), summary(commits.await));
    println!("| {name} | {records} | {hits} | {misses} | {puts} | {commits} |");
}

/// This program once more, filling a store.
fn child(dir: &Path, records: u64, from: u64, until: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let numbers = [records, from, until].map(|number| number.to_string());
    command.arg("fill").arg(dir).args(numbers);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// How long it takes to open, with nothing of the file in memory.
async fn opening(dir: &Path, records: u64) -> (Duration, DiskStore, KeyRing) {
    let file = File::open(dir.join("verdicts")).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    let begun = Instant::now();
    let (store, ring) = open(dir, records).await;
    (begun.elapsed(), store, ring)
}

async fn disk(records: u64) {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    assert!(child(dir.path(), records, 0, records).wait().unwrap().success());
    let filled = begun.elapsed().as_secs_f64();
    let size = dir.path().join("verdicts").metadata().unwrap();
    let (clean, store, ring) = opening(dir.path(), records).await;
    measure("disk", &store, &ring, records).await;
    drop(store);
    let mut writing = child(dir.path(), records, records, u64::MAX);
    BufReader::new(writing.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    writing.kill().unwrap();
    writing.wait().unwrap();
    let (killed, store, _) = opening(dir.path(), records).await;
    let entries = store.stats().await.unwrap().entries;
    let allocated = size.blocks() * 512;
    eprintln!(
        "disk, {records} records: filled in {filled:.1} s; {:.1} MiB on the disk (length {:.1} MiB), {} bytes a record; \
         opened in {:.1} ms, after a kill ({entries} entries) in {:.1} ms",
        allocated as f64 / 1_048_576.0,
        size.len() as f64 / 1_048_576.0,
        allocated / records,
        clean.as_secs_f64() * 1e3,
        killed.as_secs_f64() * 1e3,
    );
}

async fn memory(records: u64) {
    let ring = KeyRing::ephemeral().unwrap();
    let hour = Duration::from_hours(1);
    let store = MemoryStore::new(1 << 30, hour, hour);
    fill(&store, &ring, 0..records).await;
    measure("memory", &store, &ring, records).await;
}

/// Through the whole of the cache, with next to no memory in front.
async fn redis(url: String, records: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config { store: StoreKind::Redis, max_bytes: bytesize::ByteSize::b(1), ..config(dir.path()) };
    config.redis.url = url;
    let cache = VerdictCache::open(&config, &Registry::new()).await.unwrap();
    fill(cache.store(), cache.keys(), 0..records).await;
    measure("redis", cache.store(), cache.keys(), records).await;
}

async fn all(numbers: Vec<u64>) {
    println!("| store | records | get, there | get, not there | put | put and commit |\n|---|---|---|---|---|---|");
    memory(100_000).await;
    if let Ok(url) = std::env::var("LAZARET_BENCH_REDIS") {
        redis(url, 100_000).await;
    }
    for records in numbers {
        disk(records).await;
    }
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [command, dir, numbers @ ..] = arguments.as_slice()
        && command == "fill"
    {
        let [records, from, until] = [0, 1, 2].map(|at: usize| numbers[at].parse::<u64>().expect("a number"));
        runtime.block_on(async {
            let (store, ring) = open(Path::new(dir), records).await;
            println!("filling");
            std::io::stdout().flush().unwrap();
            fill(&store, &ring, from..until).await;
        });
        return;
    }
    let numbers: Vec<u64> = arguments.iter().map(|number| number.parse().expect("a number of records")).collect();
    runtime.block_on(all(if numbers.is_empty() { vec![100_000] } else { numbers }));
}

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use proptest::prelude::*;
use redb::{ReadableTable, StorageBackend, TableDefinition, backends::FileBackend};
use tokio::runtime::Runtime;

use super::*;
use crate::cache::{
    entry::{Blame, Located, Opened},
    epochs,
    guard::Guarded,
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

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u64),
    PutOpened(u8, u8, bool),
    PutEpochs(u64),
    Remove(u8),
    Clear,
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..6_u8;
    prop_oneof![
        4 => (name.clone(), any::<u64>()).prop_map(|(name, len)| Step::Put(name, len)),
        4 => (name.clone(), 0..8_u8, any::<bool>()).prop_map(|(name, one, infected)| Step::PutOpened(name, one, infected)),
        1 => any::<u64>().prop_map(Step::PutEpochs),
        2 => (0..7_u8).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        3 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

/// One store, and a map that does the same.
struct Pair {
    config: Config,
    ring: KeyRing,
    store: Option<DiskStore>,
    model: HashMap<Key, Entry>,
}

impl Pair {
    /// Names of two kinds of entries, and of what there is one of.
    fn keys(&self) -> Vec<Key> {
        (0..7).map(|name: u8| self.ring.location(&name.to_string())).collect()
    }

    async fn put(&mut self, name: u8, entry: Entry) {
        let key = self.keys()[usize::from(name)];
        self.store.as_ref().unwrap().put(key, entry.clone()).await.unwrap();
        self.model.insert(key, Entry::merged(self.model.get(&key).cloned(), entry));
    }

    async fn step(&mut self, step: Step) {
        let store = self.store.as_ref().unwrap();
        match step {
            Step::Put(name, len) => {
                let identity = self.ring.location("x");
                self.put(name, Entry::Located(Located { identity, len })).await;
            }
            Step::PutOpened(name, one, infected) => {
                let plaintext = self.ring.location(&one.to_string());
                self.put(name, Entry::Opened(Arc::new(Opened::default().with(plaintext, infected)))).await;
            }
            Step::PutEpochs(bump) => self.put(6, Entry::Epochs(Arc::new(epochs::Registry::bumped(bump)))).await,
            Step::Remove(name) => {
                let key = self.keys()[usize::from(name)];
                store.remove(key).await.unwrap();
                self.model.remove(&key);
            }
            Step::Clear => {
                store.clear().await.unwrap();
                self.model.retain(|_, entry| entry.is_single());
            }
            Step::Flush => store.flush().await.unwrap(),
            Step::Reopen => {
                drop(self.store.take());
                self.store = Some(open(&self.config, &self.ring).await.unwrap());
            }
        }
        self.are_alike().await;
    }

    async fn are_alike(&self) {
        let text = |entry: Option<&Entry>| format!("{entry:?}");
        let store = self.store.as_ref().unwrap();
        for key in self.keys() {
            assert_eq!(text(store.get(key).await.unwrap().as_ref()), text(self.model.get(&key)));
        }
    }

    async fn walk_alike(&self) {
        let page = self.store.as_ref().unwrap().walk(None).await.unwrap();
        let found: HashMap<Key, String> =
            page.entries.iter().map(|(key, entry)| (*key, format!("{entry:?}"))).collect();
        let put: HashMap<Key, String> = self.model.iter().map(|(key, entry)| (*key, format!("{entry:?}"))).collect();
        assert_eq!((found, page.next), (put, None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn the_store_does_what_a_map_does(steps in prop::collection::vec(step(), 1..40)) {
        Runtime::new().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
            let store = Some(open(&config, &ring).await.unwrap());
            let mut pair = Pair { config, ring, store, model: HashMap::new() };
            for step in steps {
                pair.step(step).await;
            }
            pair.walk_alike().await;
        });
    }

    #[test]
    fn damage_anywhere_makes_no_wrong_entry_and_keeps_nobody_from_starting(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1..5000_usize), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        Runtime::new().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
            put(&open(&config, &ring).await.unwrap(), &ring, 0..300).await;
            let mut bytes = fs::read(&config.path).unwrap();
            for (at, with, len) in damage {
                let at = at.index(bytes.len());
                let until = (at + if with == 0 { len } else { 1 }).min(bytes.len());
                bytes[at..until].iter_mut().for_each(|byte| *byte = if with == 0 { 0 } else { *byte ^ with });
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            fs::write(&config.path, bytes).unwrap();
            let store = open(&config, &ring).await.unwrap();
            there(&store, &ring, 0..300).await;
            // What was damaged may be found only now, and be set aside.
            eventually(|| async { store.put(located(&ring, 1000).0, located(&ring, 1000).1).await.is_ok() && store.flush().await.is_ok() }).await;
            assert!(there(&store, &ring, 0..=1000).await.len() <= 301);
            drop(store);
            there(&open(&config, &ring).await.unwrap(), &ring, 0..300).await;
        });
    }
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

/// A file on a disk that is full or broken, or that loses its power.
#[derive(Debug)]
struct Faulty {
    file: FileBackend,
    disk: Arc<FaultyDisk>,
}

#[derive(Debug)]
struct FaultyDisk {
    room: AtomicU64,
    is_broken: AtomicBool,
    /// What was there before what was written since the last time that it was made sure to last.
    unsure: Mutex<Vec<(u64, Vec<u8>)>>,
    /// What would be found after a power failure, if it came now.
    failures: Mutex<Vec<Vec<u8>>>,
    operations: AtomicU64,
    flushed: AtomicU64,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self {
            room: u64::MAX.into(),
            is_broken: false.into(),
            unsure: Mutex::default(),
            failures: Mutex::default(),
            operations: 0.into(),
            flushed: 0.into(),
        }
    }
}

impl FaultyDisk {
    fn opener(self: &Arc<Self>) -> Opener {
        let disk = Arc::clone(self);
        Arc::new(move |file: File| {
            let backend = Faulty { file: FileBackend::new(file)?, disk: Arc::clone(&disk) };
            file::builder().set_cache_size(0).create_with_backend(backend)
        })
    }

    async fn open(self: &Arc<Self>, config: &Config, ring: &KeyRing) -> DiskStore {
        DiskStore::open_by(self.opener(), config, ring, &Registry::new()).await.unwrap()
    }

    fn check(&self) -> io::Result<()> {
        match self.is_broken.load(SeqCst) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }

    fn fits(&self, end: u64) -> io::Result<()> {
        match end > self.room.load(SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.check()?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.check()?;
        self.disk.fits(len)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.check()?;
        self.disk.unsure.lock().unwrap().clear();
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.check()?;
        self.disk.fits(offset + data.len() as u64)?;
        let mut before = vec![0; data.len()];
        self.file.read(offset, &mut before)?;
        let mut unsure = self.disk.unsure.lock().unwrap();
        unsure.push((offset, before));
        self.file.write(offset, data)?;
        let operations = self.disk.operations.fetch_add(1, SeqCst);
        if operations.is_multiple_of(23) {
            let mut bytes = vec![0; usize::try_from(self.file.len()?).unwrap()];
            self.file.read(0, &mut bytes)?;
            let mut coins = operations.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for (offset, before) in unsure.iter().rev() {
                coins = coins.rotate_left(7).wrapping_mul(0x2545_f491_4f6c_dd1d);
                if coins & 1 << 60 != 0 {
                    let offset = usize::try_from(*offset).unwrap();
                    bytes[offset..offset + before.len()].copy_from_slice(before);
                }
            }
            let flushed = self.disk.flushed.load(SeqCst);
            bytes.extend_from_slice(&flushed.to_be_bytes());
            self.disk.failures.lock().unwrap().push(bytes);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[tokio::test]
async fn after_a_power_failure_everything_is_there_that_was_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let disk = Arc::<FaultyDisk>::default();
    let store = disk.open(&config, &ring).await;
    for round in 0..40 {
        put(&store, &ring, round * 10..round * 10 + 10).await;
        disk.flushed.store(round * 10 + 10, SeqCst);
    }
    drop(store);
    let failures = std::mem::take(&mut *disk.failures.lock().unwrap());
    assert!(failures.len() > 10, "{}", failures.len());
    for mut failure in failures {
        let flushed = failure.split_off(failure.len() - 8);
        let flushed = u64::from_be_bytes(flushed.try_into().unwrap());
        fs::write(&config.path, failure).unwrap();
        let store = open(&config, &ring).await.unwrap();
        if store.shelf.metrics.set_aside.get() > 0 {
            assert_eq!(flushed, 0, "only a file that is just being made may be found damaged");
            continue;
        }
        assert_eq!(there(&store, &ring, 0..flushed).await.len() as u64, flushed);
        there(&store, &ring, flushed..400).await;
    }
}

#[tokio::test]
async fn a_full_disk_takes_nothing_gives_what_it_has_and_goes_on_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let disk = Arc::<FaultyDisk>::default();
    let store = disk.open(&config, &ring).await;
    put(&store, &ring, 0..1000).await;
    disk.room.store(fs::metadata(&config.path).unwrap().len(), SeqCst);
    let mut last = 1000;
    let error = loop {
        let (key, entry) = located(&ring, last);
        last += 1;
        if let Err(error) = store.put(key, entry).await.and(Ok(())) {
            break error;
        }
        if last % 500 == 0
            && let Err(error) = store.flush().await
        {
            break error;
        }
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    eventually(|| async { there(&store, &ring, 0..1000).await.len() == 1000 }).await;
    disk.room.store(u64::MAX, SeqCst);
    eventually(|| async { store.put(located(&ring, last).0, located(&ring, last).1).await.is_ok() }).await;
    store.flush().await.unwrap();
    let there = there(&store, &ring, 0..=last).await;
    assert_eq!((there.len() as u64 >= 1001, there.last()), (true, Some(&last)));
    assert_eq!(store.shelf.metrics.set_aside.get(), 0);
}

#[tokio::test]
async fn a_full_disk_keeps_nobody_from_reading() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let disk = Arc::<FaultyDisk>::default();
    let store = disk.open(&config, &ring).await;
    put(&store, &ring, 0..10).await;
    let guarded = Guarded::register(Arc::new(store), Duration::from_mins(1), &Registry::new()).unwrap();
    disk.room.store(fs::metadata(&config.path).unwrap().len(), SeqCst);
    let last = AtomicU64::new(10);
    let put = || {
        let (key, entry) = located(&ring, last.fetch_add(1, SeqCst));
        guarded.put(key, entry)
    };
    eventually(|| async {
        for _ in 0..1000 {
            drop(put().await);
        }
        matches!(guarded.flush().await, Err(StoreError::Full))
    })
    .await;
    for _ in 0..10 {
        assert!(matches!(put().await, Err(StoreError::Full)));
    }
    assert!(guarded.trouble().unwrap().contains("full"));
    eventually(|| async { matches!(guarded.get(located(&ring, 1).0).await, Ok(Some(_))) }).await;
    disk.room.store(u64::MAX, SeqCst);
    eventually(|| async { put().await.is_ok() }).await;
    assert!(guarded.trouble().is_none());
}

#[tokio::test]
async fn once_nobody_writes_any_more_nothing_is_taken_and_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let store = open(&config, &ring).await.unwrap();
    store.queue.close();
    let (key, entry) = located(&ring, 1);
    eventually(|| async { matches!(store.put(key, entry.clone()).await, Err(StoreError::Failed(_))) }).await;
    assert!(store.flush().await.is_err());
}

#[tokio::test]
async fn a_broken_disk_gives_nothing_and_everything_is_there_once_it_works() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let disk = Arc::<FaultyDisk>::default();
    let store = disk.open(&config, &ring).await;
    put(&store, &ring, 0..1000).await;
    disk.is_broken.store(true, SeqCst);
    let removed = located(&ring, 0).0;
    store.remove(removed).await.unwrap();
    let error = store.flush().await.unwrap_err();
    assert!(matches!(error, StoreError::Failed(_)), "{error:?}");
    assert!(store.get(located(&ring, 1).0).await.is_err());
    disk.is_broken.store(false, SeqCst);
    eventually(|| async { store.flush().await.is_ok() }).await;
    assert_eq!(there(&store, &ring, 0..1000).await, (1..1000).collect::<Vec<_>>(), "what was removed is removed");
    assert_eq!(store.shelf.metrics.set_aside.get(), 0);
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_open_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
    let store = open(&config, &ring).await.unwrap();
    put(&store, &ring, 0..100).await;
    drop(store);
    let disk = Arc::<FaultyDisk>::default();
    let store = disk.open(&config, &ring).await;
    let len = fs::metadata(&config.path).unwrap().len();
    fs::write(&config.path, vec![0x5a; usize::try_from(len).unwrap()]).unwrap();
    eventually(|| async { there(&store, &ring, 0..100).await.is_empty() && store.shelf.metrics.set_aside.get() == 1 })
        .await;
    eventually(|| async { store.put(located(&ring, 7).0, located(&ring, 7).1).await.is_ok() }).await;
    store.flush().await.unwrap();
    assert_eq!(there(&store, &ring, 0..100).await, [7]);
}

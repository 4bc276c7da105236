//! Disks that are full or broken, or lose their power.

use std::{
    fs::{self, File},
    io,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use redb::{StorageBackend, backends::FileBackend};

use super::*;
use crate::cache::guard::Guarded;

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

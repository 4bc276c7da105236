use super::*;
use futures_util::TryStreamExt;

pub(super) fn spooler(threshold: u64, memory: u64, disk: u64) -> (tempfile::TempDir, Arc<Spooler>) {
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        dir: dir.path().join("made/on/demand"),
        memory_threshold: ByteSize(threshold),
        max_bytes: ByteSize(disk),
    };
    let spooler = Spooler::open(&config, ByteSize(memory)).unwrap();
    (dir, Arc::new(spooler))
}

async fn fill(spooler: &Arc<Spooler>, body: &[u8], piece: usize) -> Result<Arc<Spool>, SpoolError> {
    let mut filling = spooler.begin(1 << 20, None);
    for chunk in body.chunks(piece) {
        filling.write(chunk).await?;
    }
    Ok(Arc::new(filling.finish().await?))
}

fn is_on_disk(spool: &Spool) -> bool {
    matches!(spool.place, Place::Disk(_))
}

pub(super) async fn read(spool: &Arc<Spool>) -> Vec<u8> {
    spool
        .stream()
        .try_fold(Vec::new(), |mut all, b| async move {
            all.extend_from_slice(&b);
            Ok(all)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn bodies_on_both_tiers_read_back_as_written() {
    let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 20);
    let body: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
    for (len, on_disk) in [(0, false), (10_000, false), (10_001, true), (700_000, true)] {
        let spool = fill(&spooler, &body[..len], 4_321).await.unwrap();
        assert_eq!((is_on_disk(&spool), spool.len()), (on_disk, len as u64));
        let file = File::from(spool.descriptor().unwrap().unwrap().as_fd().try_clone_to_owned().unwrap());
        let mut read_by_others = vec![0; len];
        file.read_exact_at(&mut read_by_others, 0).unwrap();
        assert_eq!(read_by_others, body[..len]);
        assert_eq!(read(&spool).await, body[..len]);
        assert_eq!(spool.digest()[..], Sha256::digest(&body[..len])[..]);
    }
    assert_eq!((spooler.memory.used(), spooler.disk.used()), (0, 0), "charges are given back");
}

#[tokio::test]
async fn a_wrong_expectation_does_no_harm() {
    let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 20);
    for (expected, len) in [(5, 20_000), (20_000, 5), (u64::MAX, 5), (0, 5), (5, 0)] {
        let mut filling = spooler.begin(1 << 20, Some(expected));
        filling.write(&vec![3; len]).await.unwrap();
        let spool = Arc::new(filling.finish().await.unwrap());
        assert_eq!(read(&spool).await, vec![3; len]);
    }
}

#[tokio::test]
async fn a_small_body_goes_to_disk_when_memory_is_used_up() {
    let (_dir, spooler) = spooler(10_000, 8_192, 1 << 20);
    let first = fill(&spooler, &[1; 8_000], 500).await.unwrap();
    let second = fill(&spooler, &[2; 8_000], 500).await.unwrap();
    assert_eq!((is_on_disk(&first), is_on_disk(&second)), (false, true));
    assert_eq!(read(&second).await, [2; 8_000]);
}

#[tokio::test]
async fn a_full_disk_budget_and_an_overlong_body_are_told_apart() {
    let (_dir, spooler) = spooler(0, 0, 50_000);
    assert!(matches!(fill(&spooler, &vec![0; 60_000], 1000).await, Err(SpoolError::Full)));
    assert!(matches!(fill(&spooler, &vec![0; (1 << 20) + 1], 1 << 21).await, Err(SpoolError::TooLarge)));
    assert_eq!(spooler.disk.used(), 0);
}

#[tokio::test]
async fn nobody_can_change_what_is_passed_on() {
    let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 20);
    let copied = fill(&spooler, b"sealed", 6).await.unwrap();
    let held = spooler.hold_in_memory(6, |file| file.write_all(b"sealed").map(|()| [0; 32])).unwrap().unwrap();
    let on_disk = fill(&spooler, &vec![7; 20_000], 20_000).await.unwrap();
    assert!(is_on_disk(&on_disk));
    for spool in [&*copied, &held, &on_disk] {
        let file = File::from(spool.descriptor().unwrap().unwrap().as_fd().try_clone_to_owned().unwrap());
        assert!(file.write_at(b"X", 0).is_err());
        assert!(file.set_len(0).is_err());
    }
}

#[tokio::test]
async fn what_must_not_touch_a_disk_stays_in_memory_or_is_refused() {
    let (_dir, spooler) = spooler(10_000, 100_000, 1 << 20);
    let hold = async |len: usize, expected| {
        let mut filling = spooler.begin_in_memory(1 << 20, expected);
        for chunk in vec![5; len].chunks(4_321) {
            filling.write(chunk).await?;
        }
        filling.finish().await.map(Arc::new)
    };
    for expected in [None, Some(5), Some(1 << 19)] {
        for len in [0, 10_000, 10_001, 90_000] {
            let spool = hold(len, expected).await.unwrap();
            assert!(!is_on_disk(&spool) && read(&spool).await == vec![5; len], "{len} of {expected:?}");
            let paid = memory::charged(len as u64);
            assert!((paid..=paid.max(4_096 * 2)).contains(&spooler.memory.used()), "{len} of {expected:?}");
        }
        assert!(matches!(hold(100_001, expected).await, Err(SpoolError::Full)));
    }
    let sealed = hold(20_000, None).await.unwrap();
    let file = File::from(sealed.descriptor().unwrap().unwrap().as_fd().try_clone_to_owned().unwrap());
    assert!(file.write_at(b"X", 0).is_err() && file.set_len(0).is_err());
    drop((sealed, file));
    assert_eq!((spooler.memory.used(), spooler.disk.used()), (0, 0));
}

#[tokio::test]
async fn a_copy_for_an_engine_is_paid_for() {
    let (_dir, spooler) = spooler(10_000, 4_096, 1 << 20);
    let spool = fill(&spooler, b"small", 5).await.unwrap();
    assert!(spool.descriptor().unwrap().is_none(), "the body itself took all there was");
}

#[test]
fn the_spool_directory_holds_no_names() {
    let (dir, spooler) = spooler(0, 0, 1 << 20);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _spool = runtime.block_on(fill(&spooler, &[7; 9_000], 9_000)).unwrap();
    assert_eq!(std::fs::read_dir(dir.path().join("made/on/demand")).unwrap().count(), 0);
}

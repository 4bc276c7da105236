//! The store in a file: what a restart keeps, whatever the end was like.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use lazaret::cache::{
    Config, DiskStore, Entry, Located, VerdictStore, epochs,
    key::{Key, KeyRing},
};
use prometheus::Registry;
use tempfile::TempDir;

use crate::harness::{
    App, AppBuilder, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, INFECTED, SCAN_ENCRYPTED, Stored, eicar, put_sealed, scans,
};

const CACHE: &str = "cache: {path: 'DIR/verdicts', secret_path: 'DIR/cache_secret'}";

const PLAIN: &str = "/_matrix/client/v1/media/download/hs.test/plain";
const THUMBNAIL: &str = "/_matrix/client/v1/media/thumbnail/hs.test/small?width=9&height=9";
const BAD: &str = "/_matrix/client/v1/media/download/hs.test/bad";

/// A homeserver with media of each kind, and the bodies that ask about attachments.
async fn media() -> (Homeserver, [Vec<u8>; 2]) {
    let homeserver = Homeserver::start().await;
    homeserver.put_media("plain", &Stored::media(&b"in the clear ".repeat(10_000)));
    homeserver.put_media("small", &Stored::media(b"a thumbnail"));
    homeserver.put_media("bad", &Stored::media(&eicar()));
    let sealed = put_sealed(&homeserver, b"an attachment", "sealed", 1);
    let sealed_bad = put_sealed(&homeserver, &eicar(), "sealed_bad", 2);
    let bodies = [sealed, sealed_bad].map(|sealed| sealed.body());
    (homeserver, bodies)
}

async fn ask(app: &App, [sealed, sealed_bad]: &[Vec<u8>; 2]) {
    assert_eq!(app.get(PLAIN).await.body, b"in the clear ".repeat(10_000));
    assert_eq!(app.get(THUMBNAIL).await.body, b"a thumbnail".as_slice());
    assert_eq!(app.get(BAD).await.status, 403);
    assert_eq!(app.post(DOWNLOAD_ENCRYPTED, sealed).await.status, 200);
    assert_eq!(app.post(SCAN_ENCRYPTED, sealed_bad).await.text(), INFECTED);
}

/// Ends an application once all its verdicts were proven.
async fn left(app: App, clamd: &Clamd) -> TempDir {
    app.has_passed_canaries(&clamd.address()).await;
    app.left().await
}

#[tokio::test]
async fn a_restart_keeps_verdicts() {
    let ((homeserver, bodies), clamd) = (media().await, Clamd::start().await);
    let settings = || AppBuilder::new(&homeserver).clamd(&clamd).with(CACHE);
    let app = settings().start().await;
    ask(&app, &bodies).await;
    let first = scans(&app).await;
    assert_eq!(first, (3, 1), "the same infected bytes under a key and in the clear are scanned once");
    let app = settings().within(left(app, &clamd).await).start().await;
    ask(&app, &bodies).await;
    assert_eq!(scans(&app).await, (0, 0));
}

#[tokio::test]
async fn a_damaged_store_is_set_aside_and_everything_is_scanned_again() {
    let ((homeserver, bodies), clamd) = (media().await, Clamd::start().await);
    let settings = || AppBuilder::new(&homeserver).clamd(&clamd).with(CACHE);
    let app = settings().start().await;
    ask(&app, &bodies).await;
    let dir = left(app, &clamd).await;
    let file = dir.path().join("verdicts");
    let len = file.metadata().unwrap().len();
    std::fs::write(&file, vec![0x5a; usize::try_from(len).unwrap()]).unwrap();
    let app = settings().within(dir).start().await;
    assert_eq!(app.metric("lazaret_disk_store_set_aside_total").await, 1);
    ask(&app, &bodies).await;
    assert_eq!(scans(&app).await, (3, 1));
}

#[tokio::test]
async fn a_second_application_with_the_same_file_does_not_start() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let dir = tempfile::tempdir().unwrap();
    let cache = CACHE.replace("DIR", &dir.path().display().to_string());
    let settings = || AppBuilder::new(&homeserver).clamd(&clamd).with(&cache);
    let _first = settings().start().await;
    let error = format!("{:#}", settings().try_start().await.err().unwrap());
    assert!(error.contains("cache.path") && error.contains("another process"), "{error}");
}

/// Where the one writes that is killed.
const DIR: &str = "LAZARET_TEST_STORE";

/// Entries that it flushes together.
const TOGETHER: u64 = 20;

/// A store, its names, and whether a damaged one was set aside for it.
async fn open(dir: &Path) -> (DiskStore, KeyRing, bool) {
    let config = Config { path: dir.join("verdicts"), secret_path: dir.join("secret"), ..Config::default() };
    let (ring, registry) = (KeyRing::of_file(&config.secret_path).unwrap(), Registry::new());
    let store = DiskStore::open(&config, &ring, &registry).await.unwrap();
    let counted = registry.gather();
    let set_aside = counted.iter().find(|family| family.name() == "lazaret_disk_store_set_aside_total").unwrap();
    let is_anew = set_aside.get_metric()[0].get_counter().get_value() > 0.0;
    (store, ring, is_anew)
}

/// An entry that says which one it is.
fn entry(ring: &KeyRing, number: u64) -> (Key, Located) {
    let key = ring.location(&number.to_string());
    (key, Located { identity: ring.openings(key), len: number })
}

/// What is started to be killed.
#[tokio::test]
#[ignore = "run by `what_was_flushed_is_there_after_each_of_a_hundred_kills`"]
async fn writes_until_it_is_killed() {
    let Ok(given) = std::env::var(DIR) else { return };
    let (dir, from) = given.rsplit_once(':').unwrap();
    let (store, ring, _) = open(Path::new(dir)).await;
    let bump = ring.single("epochs");
    for number in from.parse().unwrap().. {
        let (key, located) = entry(&ring, number);
        store.put(key, Entry::Located(located)).await.unwrap();
        store.put(bump, Entry::Epochs(epochs::Registry::bumped(number).into())).await.unwrap();
        if number % TOGETHER == TOGETHER - 1 {
            store.flush().await.unwrap();
            println!("\nflushed {}", number + 1);
            std::io::stdout().flush().unwrap();
        }
    }
}

/// Starts a writer, kills it after so many lines of it and so much time, and says up to where it had flushed.
fn killed(dir: &Path, from: u64, after: u64, then: Duration) -> u64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "store::disk::writes_until_it_is_killed"]);
    command.env(DIR, format!("{}:{from}", dir.display())).stdout(Stdio::piped());
    let mut writer = command.spawn().unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut numbers = lines.filter_map(|line| line.strip_prefix("flushed ")?.parse().ok());
    let last = (0..after).map(|_| numbers.next().expect("it flushes")).last();
    // No event is waited for: any moment will do.
    std::thread::sleep(then);
    writer.kill().unwrap();
    writer.wait().unwrap();
    numbers.last().or(last).unwrap_or(from)
}

#[tokio::test]
async fn what_was_flushed_is_there_after_each_of_a_hundred_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut from = 0;
    for round in 0..100_u64 {
        let mut random = [0; 3];
        getrandom::fill(&mut random).unwrap();
        let [after, micros @ ..] = random;
        let then = Duration::from_micros(u64::from(u16::from_be_bytes(micros)) / 8);
        let flushed = killed(dir.path(), from, u64::from(after % 5), then);
        let (store, ring, is_anew) = open(dir.path()).await;
        assert!(!is_anew, "round {round}: it was found damaged");
        let old = (0..50).map(|step| step * from / 50);
        for number in old.chain(from..flushed + 2 * TOGETHER) {
            let (key, located) = entry(&ring, number);
            match store.get(key).await.unwrap() {
                Some(Entry::Located(found)) => assert_eq!(found, located),
                None => assert!(number >= flushed, "round {round}: {number} of {flushed} is lost"),
                other => panic!("round {round}: {number} became {other:?}"),
            }
        }
        if let Some(Entry::Epochs(registry)) = store.get(ring.single("epochs")).await.unwrap() {
            assert!(registry.bump + 1 >= flushed, "round {round}: {} of {flushed}", registry.bump);
        } else {
            assert_eq!(flushed, 0, "round {round}");
        }
        from = flushed;
    }
    all_are_what_was_put(dir.path(), from).await;
}

async fn all_are_what_was_put(dir: &Path, flushed: u64) {
    let (store, ring, _) = open(dir).await;
    let (mut met, mut from) = (0, None);
    loop {
        let page = store.walk(from).await.unwrap();
        for (key, found) in page.entries {
            let Entry::Located(located) = found else { continue };
            assert_eq!((key, located), entry(&ring, located.len));
            met += 1;
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert!(met >= flushed && flushed > 0, "{met} of {flushed}");
}

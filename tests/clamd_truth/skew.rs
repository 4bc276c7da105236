//! Two clamds, one of which has older signatures.

use futures_util::future::join_all;

use super::{IMPATIENT, SKEW, daily, ejections, fetch, get, of_backend, up};
use crate::harness::{App, AppBuilder, Clamd, Homeserver, eventually, signature};

/// What a medium is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Harmless,
    KnownToBoth,
    KnownToTheNewer,
}

fn kind(number: usize) -> Kind {
    match number % 4 {
        0 => Kind::KnownToTheNewer,
        1 => Kind::KnownToBoth,
        _ => Kind::Harmless,
    }
}

fn medium(number: usize) -> Vec<u8> {
    let text = match kind(number) {
        Kind::Harmless => "known to nobody",
        Kind::KnownToBoth => "known for long",
        Kind::KnownToTheNewer => "known since today",
    };
    format!("medium {number}, {text}").into_bytes()
}

async fn clamd(version: u32, signatures: &str) -> Clamd {
    let mut clamd = Clamd::prepare("");
    clamd.write_signatures("daily.cud", daily(version, signatures));
    clamd.launch().await;
    clamd
}

/// Asks for media, some at a time. `new` are the answers that may be given to what only the newer knows.
async fn assert_all(homeserver: &Homeserver, app: &App, numbers: &[usize], new: &[u16]) {
    for some in numbers.chunks(10) {
        let ask = async |number: usize| {
            let status = fetch(homeserver, app, &number.to_string(), &medium(number)).await.status.as_u16();
            let allowed = match kind(number) {
                Kind::Harmless => &[200][..],
                Kind::KnownToBoth => &[403],
                Kind::KnownToTheNewer => new,
            };
            assert!(allowed.contains(&status), "{number}: {status}");
        };
        join_all(some.iter().map(|number| ask(*number))).await;
    }
}

/// While the newest signatures can be had, theirs is the word, whoever comes and goes. While they cannot, those there are
/// have to do for new media; what is known already stays known; and what was said in that time is looked at again.
#[tokio::test]
async fn the_newest_signatures_have_the_last_word() {
    let (old, new) = (signature("Old", "known for long"), signature("New", "known since today"));
    let (homeserver, older) = (Homeserver::start().await, clamd(27_000, &old).await);
    let mut newer = clamd(27_001, &(old + &new)).await;
    let app = AppBuilder::new(&homeserver).clamd(&older).clamd(&newer).clamd_settings(IMPATIENT).start().await;
    let all: Vec<usize> = (0..200).collect();
    eventually("both are known", || async { app.metric(SKEW).await == 1 }).await;
    for (clamd, version) in [(&older, 27_000), (&newer, 27_001)] {
        assert_eq!(up(&app, clamd).await, 1);
        assert_eq!(of_backend(&app, "lazaret_engine_database_version", clamd).await, version);
    }
    assert_all(&homeserver, &app, &all[..80], &[403]).await;
    assert_eq!(bytes(&app, &older).await, 0, "it was left alone");

    let (asked, killed) = (assert_all(&homeserver, &app, &all[80..140], &[200, 403]), async { newer.kill() });
    tokio::join!(asked, killed);
    eventually("its death was noticed", || async { up(&app, &newer).await == 0 && app.metric(SKEW).await == 0 }).await;
    assert!(!ejections(&app, &newer).await.is_empty());
    assert_all(&homeserver, &app, &all[140..], &[200]).await;
    assert_all(&homeserver, &app, &all[..80], &[403]).await;
    assert!(bytes(&app, &older).await > 0, "it stood in");

    newer.launch().await;
    eventually("it is back", || async { app.metric(SKEW).await == 1 }).await;
    let before = bytes(&app, &older).await;
    assert_all(&homeserver, &app, &all, &[403]).await;
    assert_eq!(bytes(&app, &older).await, before, "it is left alone again");
    assert_eq!(ejections(&app, &older).await, [], "to be older is no fault");
    assert_eq!(get(&app, "198").await.status, 200);
}

async fn bytes(app: &App, clamd: &Clamd) -> u64 {
    app.metric(&format!("lazaret_scanned_bytes_total{{backend=\"{}\",engine=\"clamd\"}}", clamd.address())).await
}

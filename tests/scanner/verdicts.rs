//! What is said of clean, infected and unscannable media, and what is served of them.

use super::{assert_reads, error, outcome, path};
use crate::harness::{
    AppBuilder, CLEAN, Clamd, Homeserver, INFECTED, Stored, eicar, encrypted_zip, nested_gzip, scans, start,
};

#[tokio::test]
async fn clean_media_is_called_clean_and_served() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let scan = app.get(&path("scan/hs.test/m")).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, CLEAN));
    assert_eq!(scan.header("content-type"), Some("application/json"));
    for route in ["download", "thumbnail"] {
        let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"a medium"[..]), "{route}");
        assert_eq!(answer.header("content-length"), Some("8"), "{route}");
    }
    assert_eq!(scans(&app).await, (1, 0), "one content, one scan");
}

#[tokio::test]
async fn infected_media_is_called_infected_and_refused() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(&eicar()));
    let scan = app.get(&path("scan/hs.test/m")).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, INFECTED));
    for route in ["download", "thumbnail"] {
        let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
        assert_eq!(outcome(&answer), error(403, "MCS_MEDIA_NOT_CLEAN", "***VIRUS DETECTED***"), "{route}");
    }
}

#[tokio::test]
async fn an_empty_file_is_clean() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b""));
    assert_eq!(app.get(&path("scan/hs.test/m")).await.text(), CLEAN);
    let answer = app.get(&path("download/hs.test/m")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, Some("0")));
}

/// Clients keep a `clean: false` for good, so it must not be said of what nobody found anything in.
#[tokio::test]
async fn what_cannot_be_looked_at_in_full_is_refused_and_not_called_infected() {
    let (homeserver, _clamd, app) = start().await;
    for (body, info) in [
        (nested_gzip(), "This file was refused: it could not be scanned completely"),
        (encrypted_zip(), "This file was refused: it contains encrypted content that cannot be scanned"),
    ] {
        homeserver.put_media("m", &Stored::media(&body));
        assert_reads(&app, &error(403, "MCS_MEDIA_NOT_CLEAN", info), info).await;
    }
}

#[tokio::test]
async fn media_larger_than_the_limit_is_refused_and_not_called_infected() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_bytes: 1000}").start().await;
    let refused = error(403, "MCS_MEDIA_NOT_CLEAN", "This file was refused: it is too large to be scanned");
    homeserver.put_media("m", &Stored::media(&[0; 1001]));
    assert_reads(&app, &refused, "one byte too many").await;
    homeserver.put_media("m", &Stored::media(b"").chunked(&[&[0; 600], &[0; 600]]));
    assert_reads(&app, &refused, "without a length").await;
    homeserver.put_media("m", &Stored::media(&[0; 1000]));
    assert_eq!(app.get(&path("scan/hs.test/m")).await.text(), CLEAN);
}

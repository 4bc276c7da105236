//! Ciphertext where no key is given: `policy.opaque_media`.

use crate::harness::{
    Answer, App, AppBuilder, CLEAN, Clamd, DOWNLOAD_ENCRYPTED, Flavour, Homeserver, INFECTED, SCAN_ENCRYPTED, Sealed,
    Stored, eicar, marker, request, seal, seal_from,
};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";
const THUMBNAIL: &str = "/_matrix/client/v1/media/thumbnail/hs.test/m?width=1&height=1";
const ALLOWED: &str = r#"lazaret_opaque_media_total{decision="allowed"}"#;
const REFUSED: &str = r#"lazaret_opaque_media_total{decision="refused"}"#;

/// Long enough for its ciphertext to be told from text, and more than is held back.
const LEN: usize = 100_000;

async fn start(opaque_media: &str) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).policy(&format!("opaque_media: {opaque_media}"));
    (homeserver, clamd, app.start().await)
}

/// Puts a medium where everyone asks for it, as `mxc://hs.test/m`.
fn put(homeserver: &Homeserver, medium: &[u8]) {
    homeserver.put_media("m", &Stored::media(medium));
    for kind in ["download", "thumbnail"] {
        let path = format!("/_matrix/federation/v1/media/{kind}/m");
        homeserver.put(&path, Flavour::Synapse.multipart(medium, "application/octet-stream"));
    }
}

fn sealed(homeserver: &Homeserver, plaintext: &[u8]) -> Sealed {
    let sealed = seal(plaintext, "m", 1);
    put(homeserver, &sealed.ciphertext);
    sealed
}

/// Every way to ask for it without a key.
async fn keyless(app: &App) -> Vec<(&'static str, Answer)> {
    let mut answers = Vec::new();
    for path in [
        V1,
        THUMBNAIL,
        "/_matrix/media/v3/download/hs.test/m",
        "/_matrix/federation/v1/media/download/m",
        "/_matrix/federation/v1/media/thumbnail/m",
        "/_matrix/media_proxy/unstable/download/hs.test/m",
        "/_matrix/media_proxy/unstable/thumbnail/hs.test/m?width=1&height=1",
    ] {
        answers.push((path, app.get(path).await));
    }
    answers
}

async fn assert_open(app: &App, when: &str) {
    for (path, answer) in keyless(app).await {
        assert_eq!(answer.status, 200, "{when}: {path}");
    }
}

async fn assert_closed(app: &App, when: &str) {
    for (path, answer) in keyless(app).await {
        match path {
            _ if path.contains("/federation/") => answer.assert_matrix_error(404, "M_NOT_FOUND"),
            _ if path.contains("/media_proxy/") => answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN"),
            _ => answer.assert_matrix_error(403, "M_FORBIDDEN"),
        }
        assert!(answer.body.len() < 1000, "{when}: {path}");
    }
}

#[tokio::test]
async fn ciphertext_passes_by_default_and_is_counted() {
    let (homeserver, _clamd, app) = start("allow").await;
    sealed(&homeserver, &vec![b'x'; LEN]);
    assert_open(&app, "allowed").await;
    assert_eq!(app.metric(ALLOWED).await, 7);
    put(&homeserver, &vec![b'x'; LEN + 1]);
    assert_open(&app, "text").await;
    assert_eq!((app.metric(ALLOWED).await, app.metric(REFUSED).await), (7, 0), "text is not counted");
}

#[tokio::test]
async fn denied_ciphertext_is_had_with_its_key_only() {
    let (homeserver, _clamd, app) = start("deny").await;
    let file = sealed(&homeserver, &vec![b'x'; LEN]);
    assert_closed(&app, "at first").await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &file.body()).await.text(), CLEAN);
    assert!(app.post(DOWNLOAD_ENCRYPTED, &file.body()).await.body == file.ciphertext);
    assert_closed(&app, "after it was scanned").await;
    assert_eq!((app.metric(ALLOWED).await, app.metric(REFUSED).await), (0, 14));
    put(&homeserver, b"plain text");
    assert_open(&app, "text").await;
    put(&homeserver, &[b"\x89PNG\r\n\x1a\n", &file.ciphertext[..]].concat());
    assert_open(&app, "a known type").await;
}

#[tokio::test]
async fn ciphertext_stays_closed_until_someone_had_it_scanned_with_its_key() {
    for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
        let (homeserver, _clamd, app) = start("require_scanned").await;
        let file = sealed(&homeserver, &vec![b'x'; LEN]);
        assert_closed(&app, "at first").await;
        assert_eq!(app.post(route, &file.body()).await.status, 200);
        assert_open(&app, "after it was scanned").await;
        // Other ciphertext under the same address is another medium.
        put(&homeserver, &seal(&vec![b'x'; LEN], "m", 9).ciphertext);
        // What was known at these addresses is found out to be something else.
        for path in [V1, THUMBNAIL] {
            let sent = request("GET", path).header("authorization", "Bearer token");
            assert!(app.client.try_send(sent, b"").await.is_err());
        }
        assert_closed(&app, "after it changed").await;
    }
}

/// Whoever may choose all of the counter can have any ciphertext begin like an image.
#[tokio::test]
async fn a_counter_of_its_makers_choice_opens_nothing() {
    let (homeserver, _clamd, app) = start("require_scanned").await;
    let file = seal_from(&vec![b'x'; LEN], [3; 16]);
    put(&homeserver, &file.ciphertext);
    assert_eq!(app.post(SCAN_ENCRYPTED, &file.body()).await.text(), CLEAN);
    assert_closed(&app, "though it was scanned").await;
    assert!(app.post(DOWNLOAD_ENCRYPTED, &file.body()).await.body == file.ciphertext, "it is still had with its key");
}

/// It opens ciphertext to noise, and noise is clean.
#[tokio::test]
async fn a_wrong_key_opens_nothing() {
    let (homeserver, _clamd, app) = start("require_scanned").await;
    for plaintext in [vec![b'x'; LEN], marker(LEN)] {
        let file = sealed(&homeserver, &plaintext);
        for key in [2, 3, 4] {
            assert_eq!(app.post(SCAN_ENCRYPTED, &file.with_key(key).body()).await.text(), CLEAN);
        }
        assert_closed(&app, "after wrong keys").await;
    }
}

#[tokio::test]
async fn what_was_infected_under_one_key_is_closed_for_good() {
    let (homeserver, _clamd, app) = start("require_scanned").await;
    let infected = sealed(&homeserver, &marker(LEN));
    assert_eq!(app.post(SCAN_ENCRYPTED, &infected.body()).await.text(), INFECTED);
    assert_closed(&app, "infected").await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &infected.with_key(2).body()).await.text(), CLEAN);
    assert_closed(&app, "after a wrong key").await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &infected.body()).await.text(), INFECTED);
}

/// The hash of an attachment covers no key, so its maker can have two plaintexts for it, if one of them is chosen freely
/// and the other begins as it must.
#[tokio::test]
async fn a_clean_opening_is_undone_by_an_infected_one() {
    let (homeserver, _clamd, app) = start("require_scanned").await;
    let (clean, infected) = two_faced();
    put(&homeserver, &clean.ciphertext);
    assert_closed(&app, "at first").await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &clean.body()).await.text(), CLEAN);
    assert_open(&app, "after the harmless plaintext").await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &infected.body()).await.text(), INFECTED);
    assert_closed(&app, "after the other").await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &clean.body()).await.text(), CLEAN);
    assert_closed(&app, "after the harmless one again").await;
}

/// One ciphertext that opens under one key to a PNG image with noise behind its first half, and under another to noise
/// with a signature behind it.
fn two_faced() -> (Sealed, Sealed) {
    let half = LEN / 2;
    let image = [b"\x89PNG\r\n\x1a\n", &vec![b'.'; LEN - 8][..]].concat();
    let (clean, other) = (seal(&image, "m", 1), seal(&marker(LEN), "m", 2));
    let ciphertext = [&clean.ciphertext[..half], &other.ciphertext[half..]].concat();
    (clean.with_ciphertext(&ciphertext), other.with_ciphertext(&ciphertext))
}

#[tokio::test]
async fn ciphertext_can_be_uploaded_whatever_becomes_of_it() {
    for opaque_media in ["allow", "deny", "require_scanned"] {
        let (homeserver, _clamd, app) = start(opaque_media).await;
        homeserver.put("/_matrix/media/v3/upload", Stored::json(200, r#"{"content_uri":"mxc://hs.test/m"}"#));
        let file = seal(&vec![b'x'; LEN], "m", 1);
        assert_eq!(app.post("/_matrix/media/v3/upload", &file.ciphertext).await.status, 200, "{opaque_media}");
        assert!(homeserver.last().body == file.ciphertext);
        app.post("/_matrix/media/v3/upload", &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
}

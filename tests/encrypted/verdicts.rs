//! What is said of clean, infected and unscannable attachments, and what comes back of them.

use super::{DOWNLOAD, assert_clean, assert_infected, assert_refused, public_key, put, with_envelope};
use crate::harness::{AppBuilder, Clamd, Homeserver, Stored, eicar, encrypted_zip, marker, nested_gzip, seal, start};

#[tokio::test]
async fn clean_attachments_are_called_clean_and_come_back_as_ciphertext() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    // Around the size of a block, and more than is read at once.
    for size in [0, 1, 15, 16, 17, 1_000_001] {
        let sealed = put(&homeserver, &vec![b'x'; size], "m", 1);
        assert_clean(&app, &sealed.body(), &sealed.ciphertext, &format!("{size} bytes, in clear")).await;
        assert_eq!(homeserver.last().target, "/_matrix/client/v1/media/download/hs.test/m");
        let sealed = put(&homeserver, &vec![b'y'; size], "m", 2);
        let body = with_envelope(key, &sealed.file);
        assert_clean(&app, &body, &sealed.ciphertext, &format!("{size} bytes, in an envelope")).await;
    }
}

#[tokio::test]
async fn infected_attachments_are_called_infected_and_refused() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    for (number, plaintext) in [(1, eicar()), (2, marker(5 << 20))] {
        let sealed = put(&homeserver, &plaintext, "m", number);
        assert_infected(&app, &sealed.body(), "in clear").await;
        assert_infected(&app, &with_envelope(key, &sealed.file), "in an envelope").await;
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_in_full_is_refused_and_not_called_infected() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_bytes: 100000}").start().await;
    for (what, plaintext) in
        [("nested", nested_gzip()), ("encrypted", encrypted_zip()), ("one byte too large", vec![0; 100_001])]
    {
        let sealed = put(&homeserver, &plaintext, "m", 1);
        assert_refused(&app, &sealed.body(), 403, "MCS_MEDIA_NOT_CLEAN", what).await;
    }
}

#[tokio::test]
async fn only_safe_headers_go_on_with_a_ciphertext() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(b"a medium", "m", 1);
    let stored = Stored::media(&sealed.ciphertext)
        .header("content-disposition", "attachment")
        .header("set-cookie", "session=secret")
        .header("etag", "\"1\"")
        .header("server", "Synapse");
    homeserver.put_media("m", &stored);
    let answer = app.post(DOWNLOAD, &sealed.body()).await;
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("content-disposition"), Some("attachment"));
    assert_eq!(answer.header("content-length"), Some("8"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, POST, OPTIONS"));
    for dropped in ["set-cookie", "etag", "server"] {
        assert_eq!(answer.header(dropped), None, "{dropped}");
    }
}

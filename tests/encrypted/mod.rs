//! The scanner API on encrypted attachments: what opens them, and what a verdict under one key is worth under another.

mod keys;
mod verdicts;

use serde_json::json;

use crate::harness::{
    App, CLEAN, DOWNLOAD_ENCRYPTED, INFECTED, SCAN_ENCRYPTED, edited, public_key, put_sealed as put, with_envelope,
    with_file,
};

async fn assert_clean(app: &App, body: &[u8], ciphertext: &[u8], what: &str) {
    let scan = app.post(SCAN_ENCRYPTED, body).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, CLEAN), "{what}");
    let download = app.post(DOWNLOAD_ENCRYPTED, body).await;
    assert_eq!(download.status, 200, "{what}: {download:?}");
    assert!(download.body == ciphertext, "{what}: the exact ciphertext comes back");
}

async fn assert_infected(app: &App, body: &[u8], what: &str) {
    let scan = app.post(SCAN_ENCRYPTED, body).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, INFECTED), "{what}");
    let download = app.post(DOWNLOAD_ENCRYPTED, body).await;
    let refusal = json!({"reason": "MCS_MEDIA_NOT_CLEAN", "info": "***VIRUS DETECTED***"});
    assert_eq!((download.status.as_u16(), download.json()), (403, refusal), "{what}");
}

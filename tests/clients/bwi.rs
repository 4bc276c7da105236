//! The BWI fork of matrix-rust-sdk: `BundesMessenger` X and Tchap X. Encrypted media only, and always in an envelope.

use super::{authorized, post};
use crate::harness::{
    Answer, App, DOWNLOAD_ENCRYPTED, SCAN_ENCRYPTED, Sealed, Stored, eicar, path, put_sealed, seal, start,
    with_envelope,
};

/// Asks for the key and then for what it is needed for, as it does each time.
async fn call(app: &App, route: &str, sealed: &Sealed) -> Answer {
    let key = app.client.get(&path("public_key")).await;
    assert_eq!(key.status, 200);
    let key = key.json()["public_key"].as_str().unwrap().to_owned();
    let key = vodozemac::Curve25519PublicKey::from_base64(&key).unwrap();
    post(app, authorized("POST", route), &with_envelope(key, &sealed.file)).await
}

/// A verdict with a reason is no verdict to it.
#[tokio::test]
async fn a_verdict_has_no_reason_and_a_refusal_has_one_that_it_knows() {
    let (homeserver, _clamd, app) = start().await;
    let (clean, infected) = (put_sealed(&homeserver, b"sealed", "m", 1), put_sealed(&homeserver, &eicar(), "bad", 2));
    for _ in 0..2 {
        for (sealed, is_clean) in [(&clean, true), (&infected, false)] {
            let scan = call(&app, SCAN_ENCRYPTED, sealed).await;
            assert_eq!(scan.status, 200);
            assert_eq!((&scan.json()["clean"], scan.json().get("reason")), (&is_clean.into(), None));
        }
        let download = call(&app, DOWNLOAD_ENCRYPTED, &clean).await;
        assert!(download.status == 200 && download.body == clean.ciphertext);
        let refused = call(&app, DOWNLOAD_ENCRYPTED, &infected).await;
        refused.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        assert!(refused.json().get("clean").is_none(), "both would be a failure to it");
    }
    assert_eq!(call(&app, SCAN_ENCRYPTED, &seal(b"x", "missing", 1)).await.status, 404, "what is shown as not found");
}

#[tokio::test]
async fn a_content_disposition_that_can_be_read_goes_on() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(b"a medium", "m", 1);
    for value in
        ["attachment", "inline; filename=a.bin", "attachment; filename*=utf-8''%e2%82%ac", "inline; filename=\"a b\""]
    {
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext).header("content-disposition", value));
        let download = call(&app, DOWNLOAD_ENCRYPTED, &sealed).await;
        assert_eq!((download.status.as_u16(), download.header("content-disposition")), (200, Some(value)));
    }
}

/// To it, an answer with a header that it cannot read is a failure.
#[tokio::test]
async fn a_content_disposition_that_nobody_can_read_is_replaced() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(b"a medium", "m", 1);
    for value in [
        "",
        ";",
        "=",
        "in line",
        "; filename=a",
        "\"inline\"",
        "inline filename=a",
        "inline; =a",
        "attachment; filename=\"a",
    ] {
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext).header("content-disposition", value));
        let download = call(&app, DOWNLOAD_ENCRYPTED, &sealed).await;
        assert!(download.status == 200 && download.body == sealed.ciphertext, "{value}");
        assert_eq!(download.header("content-disposition"), Some("attachment"), "{value}");
    }
}

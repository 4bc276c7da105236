//! What a verdict under one key is worth under another, and without a key.

use base64::{Engine as _, prelude::*};
use serde_json::json;

use super::{assert_clean, assert_infected, edited, public_key, put, with_envelope, with_file};
use crate::harness::{
    App, AppBuilder, CLEAN, Clamd, Homeserver, INFECTED, SCAN_ENCRYPTED, Stored, eicar, scans, seal, start,
};

/// Invariant 4, one after the other.
#[tokio::test]
async fn noise_under_a_wrong_key_unlocks_nothing_in_any_order() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let infected = put(&homeserver, &eicar(), "m", 1);
    let other_iv = edited(&infected.file, "/iv", Some(json!(BASE64_STANDARD_NO_PAD.encode([2; 16]))));
    let (right, wrong) = (infected.body(), [infected.with_key(2).body(), with_file(&other_iv)]);
    for right_first in [true, false] {
        let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
        let key = public_key(&app).await;
        if right_first {
            assert_infected(&app, &right, "under its key, first").await;
        }
        for round in 0..3 {
            for wrong in &wrong {
                assert_clean(&app, wrong, &infected.ciphertext, &format!("noise, round {round}")).await;
                assert_infected(&app, &right, &format!("under its key, round {round}")).await;
                let sealed = with_envelope(key, &infected.file);
                assert_infected(&app, &sealed, &format!("in an envelope, round {round}")).await;
            }
        }
        assert_eq!(scans(&app).await, (2, 1), "one scan for each plaintext");
    }
}

/// Asserts that a medium is infected where no key is given.
async fn assert_infected_as_it_is(app: &App) {
    let scan = app.get("/_matrix/media_proxy/unstable/scan/hs.test/m").await;
    assert_eq!(scan.text(), INFECTED);
    for route in ["download", "thumbnail"] {
        let answer = app.get(&format!("/_matrix/media_proxy/unstable/{route}/hs.test/m")).await;
        answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        let answer = app.get(&format!("/_matrix/client/v1/media/{route}/hs.test/m")).await;
        answer.assert_matrix_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn a_clean_verdict_under_a_key_does_not_unlock_the_file_as_it_is() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    // What this key makes of the infected file is noise; the key is a way to read it, for whoever chose the key.
    let noise = seal(&eicar(), "m", 1).ciphertext;
    let sealed = put(&homeserver, &noise, "m", 1);
    assert!(sealed.ciphertext == eicar(), "encrypting twice under one key gives the file itself");
    for keyed_first in [true, false] {
        let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
        if keyed_first {
            assert_clean(&app, &sealed.body(), &eicar(), "under the key, first").await;
        }
        for _ in 0..2 {
            assert_infected_as_it_is(&app).await;
            assert_clean(&app, &sealed.body(), &eicar(), "under the key").await;
        }
    }
}

#[tokio::test]
async fn a_clean_verdict_on_a_ciphertext_does_not_unlock_its_plaintext() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put(&homeserver, &eicar(), "m", 1);
    for _ in 0..2 {
        let scan = app.get("/_matrix/media_proxy/unstable/scan/hs.test/m").await;
        assert_eq!(scan.text(), CLEAN, "ciphertext looks like noise");
        assert_infected(&app, &sealed.body(), "its plaintext").await;
    }
}

#[tokio::test]
async fn the_same_file_under_another_key_costs_no_scan() {
    let (homeserver, _clamd, app) = start().await;
    let first = put(&homeserver, b"a forwarded file", "a", 1);
    let second = put(&homeserver, b"a forwarded file", "b", 2);
    assert_eq!(app.post(SCAN_ENCRYPTED, &first.body()).await.text(), CLEAN);
    let hits = r#"lazaret_cache_lookups_total{result="hit"}"#;
    assert_eq!((app.scans("clean").await, app.metric(hits).await), (1, 0));
    assert_eq!(app.post(SCAN_ENCRYPTED, &second.body()).await.text(), CLEAN);
    assert_eq!((app.scans("clean").await, app.metric(hits).await), (1, 1));
    homeserver.put_media("c", &Stored::media(b"a forwarded file"));
    assert_eq!(app.get("/_matrix/media_proxy/unstable/scan/hs.test/c").await.text(), CLEAN);
    assert_eq!((app.scans("clean").await, app.metric(hits).await), (1, 2), "nor does it without a key");
}

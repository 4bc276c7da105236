//! What a running application reads again, and what it says with several secrets.

use serde_json::json;
use vodozemac::{Curve25519PublicKey, pk_encryption::PkDecryption};

use super::{line, opens};
use crate::harness::{
    App, AppBuilder, Clamd, Homeserver, SCAN_ENCRYPTED, envelope, eventually, published_key, put_sealed, replace,
    request, start, with_member,
};

const SECRETS_OK: &str = r#"lazaret_reloads_total{outcome="ok",what="secrets"}"#;
const SECRETS_FAILED: &str = r#"lazaret_reloads_total{outcome="failed",what="secrets"}"#;

fn public(secret: u8) -> Curve25519PublicKey {
    let secret = vodozemac::Curve25519SecretKey::from_slice(&[secret; 32]);
    Curve25519PublicKey::from(&secret)
}

fn put_secrets(app: &App, secrets: &[u8]) {
    let lines: Vec<_> = secrets.iter().map(|secret| line(*secret)).collect();
    replace(&app.dir.path().join("secret"), &lines.join("\n"));
}

#[tokio::test]
async fn a_reload_publishes_the_new_key_and_the_old_one_still_opens() {
    let (homeserver, _clamd, app) = start().await;
    let (sealed, first) = (put_sealed(&homeserver, b"a medium", "m", 1), published_key(&app.client).await);
    let path = app.dir.path().join("secret");
    let old = std::fs::read_to_string(&path).unwrap();
    replace(&path, &format!("# since today\n{}\n{old}", line(7)));
    assert_eq!(published_key(&app.client).await, first, "nobody has read it");

    let answer = app.admin.send(request("POST", "/reload"), b"").await;
    assert_eq!(answer.status, 200);
    let told = format!("secrets: 2, public key {}\npolicy: revision ", public(7));
    assert!(answer.text().starts_with(&told), "{}", answer.text());
    assert_eq!(published_key(&app.client).await, public(7));
    assert!(opens(&app, public(7), &sealed).await && opens(&app, first, &sealed).await);
    assert_eq!(app.metric(SECRETS_OK).await, 1);

    put_secrets(&app, &[7]);
    app.admin.send(request("POST", "/reload"), b"").await;
    assert!(opens(&app, public(7), &sealed).await && !opens(&app, first, &sealed).await, "it is gone");
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_secrets() {
    let (homeserver, _clamd, app) = start().await;
    let (sealed, first) = (put_sealed(&homeserver, b"a medium", "m", 1), published_key(&app.client).await);
    let path = app.dir.path().join("secret");
    let text = "RecognisableSecretText";
    for (times, content, problem) in [
        (1, format!("{}\n{text}", line(7)), "line 2: not 32 bytes in base64"),
        (2, "\n# nothing\n".to_owned(), "holds no secret"),
        (3, (1..=9).map(|secret| line(secret) + "\n").collect(), "more than 8 secrets"),
    ] {
        replace(&path, &content);
        let answer = app.admin.send(request("POST", "/reload"), b"").await;
        let told = answer.text();
        assert_eq!(answer.status, 500, "{told}");
        assert!(told.contains(problem) && told.contains(path.to_str().unwrap()), "{told}");
        assert!(!told.contains(text) && !told.contains(&line(7)), "{told}");
        assert_eq!(app.metric(SECRETS_FAILED).await, times);
        assert_eq!(published_key(&app.client).await, first);
        assert!(opens(&app, first, &sealed).await);
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(app.admin.send(request("POST", "/reload"), b"").await.status, 500);
    assert!(!path.exists() && published_key(&app.client).await == first, "a missing file is made at start only");
    assert_eq!(app.metric(SECRETS_OK).await, 0);
}

#[tokio::test]
async fn a_web_page_cannot_have_anything_reloaded() {
    let (_homeserver, _clamd, app) = start().await;
    put_secrets(&app, &[7]);
    let answer = app.admin.send(request("POST", "/reload").header("origin", "https://evil.test"), b"").await;
    assert_eq!(answer.status, 403);
    assert_eq!(app.admin.get("/reload").await.status, 405);
    assert_ne!(published_key(&app.client).await, public(7));
}

#[tokio::test]
async fn a_changed_file_is_noticed_without_being_told() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).crypto("reload_interval: 20ms").start().await;
    put_secrets(&app, &[7]);
    eventually("the new key is published", || async { published_key(&app.client).await == public(7) }).await;
    replace(&app.dir.path().join("secret"), "nonsense");
    eventually("the bad file is counted", || async { app.metric(SECRETS_FAILED).await == 1 }).await;
    put_secrets(&app, &[8, 7]);
    eventually("the next key is published", || async { published_key(&app.client).await == public(8) }).await;
    let counts = [app.metric(SECRETS_OK).await, app.metric(SECRETS_FAILED).await];
    assert_eq!(counts, [2, 1], "each state of the file is told once");
}

/// A secret that is there but did not make the envelope must leave no trace in the answer.
#[tokio::test]
async fn failures_are_the_same_bytes_however_many_secrets_there_are() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let mut answers = Vec::new();
    for secrets in [&[1][..], &[1, 2], &[2, 1], &[3, 4, 5, 6, 7, 8, 2, 1]] {
        put_secrets(&app, secrets);
        assert_eq!(app.admin.send(request("POST", "/reload"), b"").await.status, 200);
        assert!(opens(&app, public(1), &sealed).await);
        for key in secrets.iter().map(|secret| public(*secret)).chain([PkDecryption::new().public_key()]) {
            let good = envelope(key, &sealed.body());
            let broken = [
                with_member(&good, "mac", |mac| mac[7] ^= 1),
                with_member(&good, "mac", |mac| mac.truncate(1)),
                with_member(&good, "ciphertext", |text| text.truncate(text.len() - 1)),
                // Leaves good padding, and no JSON.
                with_member(&good, "ciphertext", |text| text[0] ^= 1),
                envelope(PkDecryption::new().public_key(), &sealed.body()),
            ];
            for envelope in broken {
                let body = json!({"encrypted_body": envelope}).to_string();
                let mut answer = app.post(SCAN_ENCRYPTED, body.as_bytes()).await;
                answer.headers.remove("date");
                answers.push((answer.status, answer.headers, answer.body));
            }
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

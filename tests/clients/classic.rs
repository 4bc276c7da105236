//! Element Android, whose verdicts are kept for good, and matrix-bot-sdk.

use std::collections::HashMap;

use serde_json::json;

use super::{authorized, post, text, verdict};
use crate::harness::{
    Answer, App, AppBuilder, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, SCAN_ENCRYPTED, Sealed, Stored, eicar, eventually,
    path, public_key, put_sealed, request, seal, start, with_envelope,
};

/// Element Android: what it keeps of scans, and by what name.
#[derive(Default)]
struct Android(HashMap<String, bool>);

impl Android {
    /// Scans once: a verdict is never asked for again, anything else stays unknown.
    async fn scan(&mut self, app: &App, id: &str, sealed: Option<&Sealed>) -> Option<bool> {
        if let Some(known) = self.0.get(id) {
            return Some(*known);
        }
        let answer = match sealed {
            Some(sealed) => {
                let body = with_envelope(public_key(app).await, &sealed.file);
                post(app, request("POST", SCAN_ENCRYPTED), &body).await
            }
            None => app.client.get(&path(&format!("scan/hs.test/{id}"))).await,
        };
        let is_clean = answer.status.is_success().then(|| verdict(&answer))?;
        self.0.insert(id.to_owned(), is_clean);
        Some(is_clean)
    }
}

/// It sends no token to the scanner, so the homeserver is asked on its old routes.
#[tokio::test]
async fn without_a_token_media_are_scanned_shown_and_downloaded() {
    let (homeserver, _clamd, app) = start().await;
    let mut android = Android::default();
    homeserver.put_media("plain", &Stored::media(b"a plain medium"));
    let (clean, infected) = (put_sealed(&homeserver, b"sealed", "m", 1), put_sealed(&homeserver, &eicar(), "bad", 2));
    assert_eq!(android.scan(&app, "plain", None).await, Some(true));
    assert_eq!(android.scan(&app, "m", Some(&clean)).await, Some(true));
    assert_eq!(android.scan(&app, "bad", Some(&infected)).await, Some(false));
    for route in ["download/hs.test/plain", "thumbnail/hs.test/plain?width=800&height=600&method=scale"] {
        assert_eq!(&app.client.get(&path(route)).await.body[..], b"a plain medium");
    }
    let download = |sealed: &Sealed| {
        let (file, app) = (sealed.file.clone(), &app);
        async move { post(app, request("POST", DOWNLOAD_ENCRYPTED), &with_envelope(public_key(app).await, &file)).await }
    };
    assert!(download(&clean).await.body == clean.ciphertext);
    assert!(!download(&infected).await.status.is_success());
    for seen in homeserver.seen() {
        assert!(seen.target.starts_with("/_matrix/media/v3/") && seen.header("authorization").is_none(), "{seen:?}");
    }
}

/// A wrong "infected" would stay for good.
#[tokio::test]
async fn while_there_is_no_engine_nothing_is_kept_and_later_there_is_a_verdict() {
    let (homeserver, mut clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let mut android = Android::default();
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    homeserver.put_media("plain", &Stored::media(b"a plain medium"));
    clamd.kill();
    for _ in 0..2 {
        assert_eq!(android.scan(&app, "m", Some(&sealed)).await, None);
        assert_eq!(android.scan(&app, "plain", None).await, None);
        eventually("it is not ready", || async { app.admin.get("/readyz").await.status == 503 }).await;
    }
    clamd.launch().await;
    app.ready().await;
    assert_eq!(android.scan(&app, "m", Some(&sealed)).await, Some(true));
    assert_eq!(android.scan(&app, "plain", None).await, Some(true));
}

/// matrix-bot-sdk: an error is the scanner's if, and only if, it has a reason.
fn is_of_the_scanner(answer: &Answer) -> bool {
    text(&answer.json(), "reason").is_some()
}

#[tokio::test]
async fn a_bot_sends_the_file_in_clear_and_its_token() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("plain", &Stored::media(b"a plain medium"));
    let (clean, infected) = (put_sealed(&homeserver, b"sealed", "m", 1), put_sealed(&homeserver, &eicar(), "bad", 2));
    let call = |route: &'static str, sealed: &Sealed| {
        let (body, app) = (json!({"file": sealed.file}).to_string(), &app);
        async move { post(app, authorized("POST", route), body.as_bytes()).await }
    };
    assert!(verdict(&call(SCAN_ENCRYPTED, &clean).await));
    assert!(!verdict(&call(SCAN_ENCRYPTED, &infected).await));
    assert!(call(DOWNLOAD_ENCRYPTED, &clean).await.body == clean.ciphertext);
    assert!(verdict(&app.get(&path("scan/hs.test/plain")).await));
    assert_eq!(&app.get(&path("download/hs.test/plain")).await.body[..], b"a plain medium");
    for refused in [
        call(DOWNLOAD_ENCRYPTED, &infected).await,
        call(DOWNLOAD_ENCRYPTED, &seal(b"x", "missing", 1)).await,
        call(SCAN_ENCRYPTED, &clean.with_ciphertext(b"x")).await,
        app.get(&path("download/hs.test/missing")).await,
    ] {
        assert!(!refused.status.is_success() && is_of_the_scanner(&refused), "{refused:?}");
    }
    assert!(homeserver.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer token")));
}

//! W10, W11, W14 and W16: engines that are away, wrong, hang or learn, and what is remembered of it.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{TOKEN, answer, ask_everywhere, received, send};
use crate::harness::{
    Answer, AppBuilder, CLEAN, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, INFECTED, PNG, SCAN_ENCRYPTED, Script,
    ScriptedClamd, Step, Stored, daily_database, eicar, encrypted_zip, eventually, gzip, marker, nested_gzip, path,
    put_sealed, request, scans, seal, signature, start,
};

/// Clients keep `clean: false` for good, and come again after a 503.
#[track_caller]
fn assert_no_verdict(answers: &[(String, Answer)], what: &str) {
    for (route, answer) in answers {
        assert_eq!(answer.status, 503, "{what}: {route}: {answer:?}");
        answer.assert_scanner_error(503, "M_UNKNOWN");
        assert!(answer.header("retry-after").is_some() && answer.json().get("clean").is_none(), "{what}: {route}");
    }
}

#[tokio::test]
async fn w10_what_could_not_be_scanned_is_neither_clean_nor_infected_and_not_remembered() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let builder = AppBuilder::new(&homeserver).scripted(&clamd).without_toxic_media();
    let app = builder.clamd_settings("scan_timeout: 300ms, orphan_timeout: 300ms").start().await;
    for (round, (what, script)) in [
        ("closed", Script::steps([Step::ReadAll, Step::Close])),
        ("reset", Script::steps([Step::ReadAll, Step::Reset])),
        ("half a reply", Script::reply(b"stream: OK")),
        ("an error", Script::reply(b"stream: Can't allocate memory ERROR\0")),
        ("another's reply", Script::reply(b"1: stream: OK\0")),
        ("an odd reply", Script::reply(b"stream: PERHAPS\0")),
        ("two replies", Script::reply(b"stream: OK\0stream: OK\0")),
        ("silence", Script::hang()),
        ("a crash", Script::steps([Step::ReadAll, Step::Die])),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("m{round}");
        let sealed = put_sealed(&homeserver, format!("a medium, {round}").as_bytes(), &id, 1);
        clamd.set(script);
        assert_no_verdict(&ask_everywhere(&app, TOKEN, &format!("hs.test/{id}"), &sealed.body()).await, what);
        clamd.set(Script::clean());
        clamd.revive().await;
        app.ready().await;
        for (route, answer) in ask_everywhere(&app, TOKEN, &format!("hs.test/{id}"), &sealed.body()).await {
            assert_eq!(answer.status, 200, "{what}, and then not: {route}: {answer:?}");
            assert!(!route.contains("scan") || answer.text() == CLEAN, "{what}: {route}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn w10_an_engine_that_is_away_finds_nothing_infected() {
    let (homeserver, mut clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let sealed = put_sealed(&homeserver, &eicar(), "m", 1);
    clamd.kill();
    assert_no_verdict(&ask_everywhere(&app, TOKEN, "hs.test/m", &sealed.body()).await, "just gone");
    eventually("it is not ready", || async { app.admin.get("/readyz").await.status == 503 }).await;
    assert_no_verdict(&ask_everywhere(&app, TOKEN, "hs.test/m", &sealed.body()).await, "known to be gone");
    clamd.launch().await;
    app.ready().await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), INFECTED);
}

#[tokio::test]
async fn w11_a_clean_verdict_ends_with_the_signatures_that_it_was_made_with() {
    let daily = |version, signatures: &str| daily_database(version, 1_790_000_000, signatures);
    let (known, learned) = (signature("Lazaret.Test.Known", "known before"), signature("Lazaret.Test.New", "learned"));
    let mut clamd = Clamd::prepare("");
    clamd.write_signatures("daily.cud", daily(27_000, &known));
    clamd.launch().await;
    let homeserver = Homeserver::start().await;
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let sealed = put_sealed(&homeserver, b"what is learned one day later", "sealed", 1);
    // Too large to be served from memory, and so expected at its address.
    let large = [&vec![7; 200_000], &b"learned"[..]].concat();
    homeserver.put_media("plain", &Stored::media(&large));
    for _ in 0..2 {
        assert_eq!(app.post(DOWNLOAD_ENCRYPTED, &sealed.body()).await.status, 200);
        assert_eq!(app.get(&path("download/hs.test/plain")).await.status, 200);
    }
    assert_eq!(scans(&app).await, (2, 0), "remembered");

    clamd.write_signatures("daily.cud", daily(27_001, &(known + &learned)));
    clamd.reload("Activating the newly loaded database").await;
    let found = || async { app.post(SCAN_ENCRYPTED, &sealed.body()).await.text() == INFECTED };
    eventually("the new signature acts", found).await;
    app.post(DOWNLOAD_ENCRYPTED, &sealed.body()).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    app.get(&path("download/hs.test/plain")).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    app.get(&path("thumbnail/hs.test/plain")).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
}

/// Who asks again costs a look into the cache.
#[tokio::test]
async fn w14_a_refusal_is_remembered() {
    let (homeserver, _clamd, app) = start().await;
    let all = || async {
        let verdicts = ["clean", "infected", "incomplete", "opaque", "error"];
        futures_util::future::join_all(verdicts.map(|verdict| app.scans(verdict))).await.iter().sum::<u64>()
    };
    for (number, medium) in [eicar(), encrypted_zip(), nested_gzip(), marker(300_000)].into_iter().enumerate() {
        let id = format!("m{number}");
        let sealed = seal(&medium, &id, 1);
        homeserver.put_media(&id, &Stored::media(&medium));
        let before = all().await;
        for _ in 0..3 {
            for route in ["download", "thumbnail"] {
                let answer = app.get(&path(&format!("{route}/hs.test/{id}"))).await;
                answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
            }
        }
        homeserver.put_media(&id, &Stored::media(&sealed.ciphertext));
        for _ in 0..3 {
            app.post(DOWNLOAD_ENCRYPTED, &sealed.body()).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        }
        assert_eq!(all().await, before + 1, "medium {number}: one scan");
    }
}

/// Large media are streamed once they are known: what is refused by its type is not even then, and is scanned once.
#[tokio::test]
async fn w14_a_refusal_by_type_is_remembered() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).policy("allowed_mimetypes: [image/png]").start().await;
    homeserver.put_media("m", &Stored::media(&vec![b'x'; 200_000]));
    for _ in 0..3 {
        app.get("/_matrix/client/v1/media/download/hs.test/m").await.assert_matrix_error(403, "M_FORBIDDEN");
        app.get(&path("scan/hs.test/m")).await.assert_scanner_error(403, "MCS_MIME_TYPE_FORBIDDEN");
    }
    assert_eq!(scans(&app).await, (1, 0));
}

/// What a file begins with, and what it is said to be, is not what it is.
#[tokio::test]
async fn w14_a_polyglot_is_scanned_whatever_it_passes_for() {
    let (homeserver, _clamd, app) = start().await;
    for (number, medium) in [
        gzip(&eicar(), b""),
        gzip(&marker(20_000), b"a comment"),
        [PNG, &marker(50_000)].concat(),
        [b"GIF89a", &marker(64)[..]].concat(),
        [b"%PDF-1.7\n%%EOF\n", &marker(64)[..]].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        for kind in ["image/png", "text/plain", "application/octet-stream", "nonsense"] {
            let (id, typed) = (format!("m{number}"), Stored::media(&medium).without_headers());
            let sealed = seal(&medium, &format!("sealed{number}"), 1);
            homeserver.put_media(&id, &typed.header("content-type", kind));
            homeserver.put_media(&format!("sealed{number}"), &Stored::media(&sealed.ciphertext));
            assert_eq!(app.get(&path(&format!("scan/hs.test/{id}"))).await.text(), INFECTED, "{number} as {kind}");
            assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), INFECTED, "{number} sealed");
        }
    }
}

#[tokio::test]
async fn w16_a_scan_that_hangs_holds_nobody_up_and_its_slot_comes_back() {
    let (homeserver, gate) = (Homeserver::start().await, Arc::new(Notify::new()));
    let until = Arc::clone(&gate);
    let clamd = ScriptedClamd::start(Script::by_content(move |bytes| match bytes.starts_with(b"hangs") {
        true => Script::steps([Step::Wait(Arc::clone(&until)), Step::Hang]),
        false => Script::clean(),
    }));
    let settings = "scan_timeout: 3s, orphan_timeout: 300ms, max_scans: 3";
    let app = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings(settings).start().await;
    for number in 0..2 {
        homeserver.put_media(&format!("hangs{number}"), &Stored::media(format!("hangs, {number}").as_bytes()));
        homeserver.put_media(&format!("m{number}"), &Stored::media(format!("a medium, {number}").as_bytes()));
    }
    let scan = |id: String| path(&format!("scan/hs.test/{id}"));
    let hanging = [0, 1].map(|number| send(&app, &scan(format!("hangs{number}")), Some("token"), b""));
    received(&clamd, 2).await;
    assert_eq!(app.get(&scan("m0".to_owned())).await.text(), CLEAN, "in the third slot");
    for asking in hanging {
        let answer = answer(asking).await;
        answer.assert_scanner_error(503, "M_UNKNOWN");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(app.get(&scan("m1".to_owned())).await.text(), CLEAN);
    let in_use = format!("lazaret_engine_slots_in_use{{backend=\"{}\"}}", clamd.address());
    eventually("all slots are free", || async { app.metric(&in_use).await == 0 }).await;
}

/// Twice is enough: then it is refused, and no engine is asked.
#[tokio::test]
async fn w16_what_outlasts_the_engine_again_and_again_is_not_scanned_for_ever() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::hang()));
    let settings = "scan_timeout: 200ms, orphan_timeout: 200ms";
    let app = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings(settings).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let scan = || async {
        let sent = request("GET", &path("scan/hs.test/m")).header("authorization", "Bearer token");
        app.client.send(sent, b"").await
    };
    eventually("it is refused", || async { scan().await.status == 403 }).await;
    let before = clamd.received.borrow().len();
    scan().await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    assert_eq!(clamd.received.borrow().len(), before, "no engine was asked for that");
}

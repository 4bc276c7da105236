//! Engine trouble is neither clean nor infected, is never remembered, and ends by itself.

use crate::harness::{
    App, AppBuilder, Ask, Clamd, Homeserver, Script, ScriptedClamd, Specimen, Stored, eicar, eventually, seal, start,
};

const NATIVE: &str = "/_matrix/client/v1/media/download/hs.test/m";
const SCANNER: &str = "/_matrix/media_proxy/unstable";

async fn scripted(script: Script) -> (Homeserver, ScriptedClamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(script));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).without_toxic_media().start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    homeserver.put("/_matrix/media/v3/upload", Stored::json(200, "{}"));
    (homeserver, clamd, app)
}

/// Asserts that no route takes the medium for clean or for infected.
async fn assert_no_verdict(homeserver: &Homeserver, app: &App) {
    let native = app.get(NATIVE).await;
    native.assert_matrix_error(503, "M_UNKNOWN");
    assert!(native.header("retry-after").is_some());
    app.get(&format!("{SCANNER}/scan/hs.test/m")).await.assert_scanner_error(503, "M_UNKNOWN");
    app.get(&format!("{SCANNER}/download/hs.test/m")).await.assert_scanner_error(503, "M_UNKNOWN");
    app.post("/_matrix/media/v3/upload", b"a medium").await.assert_matrix_error(503, "M_UNKNOWN");
    assert_eq!(homeserver.uploads(), 0, "nothing was forwarded");
}

#[tokio::test]
async fn no_abnormal_reply_is_a_verdict() {
    let (homeserver, clamd, app) = scripted(Script::reply(b"")).await;
    for reply in [
        &b""[..],
        b"stream: OK",
        b"stream: OK\n",
        b"OK\0",
        b"stream: OK\0stream: OK\0",
        b"stream: OKAY\0",
        b"fd[7]: OK\0",
        b"1: stream: OK\0",
        b"stream: FOUND\0",
        b"stream: Can't allocate memory ERROR\0",
        b"Error writing to temporary file ERROR\0stream: OK\0",
        b"COMMAND READ TIMED OUT\n",
        b"UNKNOWN COMMAND\0",
        b"\xff\xfe\0",
    ] {
        clamd.set(Script::reply(reply));
        app.ready().await;
        let before = clamd.received.borrow().len();
        assert_no_verdict(&homeserver, &app).await;
        assert!(clamd.received.borrow().len() > before, "it was asked, and {} was no verdict", reply.escape_ascii());
    }
    // Nothing of it was remembered.
    clamd.set(Script::reply(b"stream: OK\0"));
    app.ready().await;
    assert_eq!(app.get(NATIVE).await.status, 200);
}

#[tokio::test]
async fn a_clean_reply_before_all_bytes_were_sent_is_none() {
    let (homeserver, _clamd, app) = scripted(Script::early(b"stream: OK\0")).await;
    homeserver.put_media("m", &Stored::media(&vec![1; 20 << 20]));
    app.get(NATIVE).await.assert_matrix_error(503, "M_UNKNOWN");
    assert_eq!(app.scans("clean").await, 0);
}

#[tokio::test]
async fn a_detection_before_all_bytes_were_sent_counts() {
    let (homeserver, _clamd, app) = scripted(Script::early(b"stream: Early FOUND\0")).await;
    homeserver.put_media("m", &Stored::media(&vec![1; 20 << 20]));
    app.get(NATIVE).await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_scan_that_takes_too_long_is_given_up() {
    let homeserver = Homeserver::start().await;
    let clamd = ScriptedClamd::start(Script::hang());
    let app = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings("scan_timeout: 200ms").start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    app.get(NATIVE).await.assert_matrix_error(503, "M_UNKNOWN");
    assert_eq!(app.scans("error").await, 1);
}

#[tokio::test]
async fn clamd_killed_is_not_ready_and_recovers_without_a_restart() {
    let (homeserver, mut clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    clamd.kill();
    eventually("it is not ready", || async { app.admin.get("/readyz").await.status == 503 }).await;
    app.get(NATIVE).await.assert_matrix_error(503, "M_UNKNOWN");
    clamd.launch().await;
    app.ready().await;
    assert_eq!(app.get(NATIVE).await.status, 200);
}

#[tokio::test]
async fn a_known_verdict_holds_while_clamd_is_away() {
    let (homeserver, mut clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    homeserver.put_media("bad", &Stored::media(&eicar()));
    assert_eq!(app.get(NATIVE).await.status, 200);
    app.get("/_matrix/media/v3/download/hs.test/bad").await.assert_matrix_error(403, "M_FORBIDDEN");
    app.has_passed_canaries(&clamd.address()).await;
    clamd.kill();
    eventually("it is not ready", || async { app.admin.get("/readyz").await.status == 503 }).await;
    assert_eq!(app.get(NATIVE).await.status, 200);
    app.get("/_matrix/media/v3/download/hs.test/bad").await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn another_backend_takes_over() {
    let (homeserver, mut first) = (Homeserver::start().await, Clamd::start().await);
    let second = Clamd::start_on_tcp("").await;
    let app = AppBuilder::new(&homeserver).clamd(&first).clamd_over_tcp(&second).start().await;
    let up = |clamd: String| format!("lazaret_engine_up{{backend=\"{clamd}\",engine=\"clamd\"}}");
    let (first_up, second_up) = (up(first.address()), up(second.tcp_address()));
    eventually("both are up", || async { app.metric(&first_up).await + app.metric(&second_up).await == 2 }).await;
    first.kill();
    // The very first scan may still be tried on the dead one; it must be answered all the same.
    for (id, body, status) in [("a", &b"clean"[..], 200), ("b", &eicar(), 403), ("c", b"also clean", 200)] {
        homeserver.put_media(id, &Stored::media(body));
        let path = format!("/_matrix/client/v1/media/download/hs.test/{id}");
        assert_eq!(app.get(&path).await.status, status);
    }
    eventually("its death was noticed", || async { app.metric(&first_up).await == 0 }).await;
    assert_eq!(app.metric(&second_up).await, 1);
}

#[tokio::test]
async fn clamd_over_tcp_gives_the_same_verdicts() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start_on_tcp("").await);
    let app = AppBuilder::new(&homeserver).clamd_over_tcp(&clamd).start().await;
    for (body, clean) in [(vec![5; 3 << 20], true), (eicar(), false), (Vec::new(), true)] {
        let sealed = seal(&body, "m", 4);
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
        let answer = app.post(&format!("{SCANNER}/scan_encrypted"), &sealed.body()).await;
        assert_eq!(answer.json()["clean"], clean);
    }
}

#[tokio::test]
async fn a_file_over_clamds_stream_limit_is_incomplete_and_no_reply_is_lost() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start_on_tcp("StreamMaxLength 1M").await);
    let app = AppBuilder::new(&homeserver).clamd_over_tcp(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(&vec![1; 8 << 20]));
    for _ in 0..5 {
        app.get(NATIVE).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    // Another way to clamd may have no such limit, so it is not remembered.
    assert_eq!((app.scans("clean").await, app.scans("incomplete").await), (0, 5));
}

#[tokio::test]
async fn a_file_over_clamds_file_limit_is_incomplete() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start_with("MaxFileSize 1M").await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(&vec![1; 2 << 20]));
    app.get(NATIVE).await.assert_matrix_error(403, "M_FORBIDDEN");
    app.get(&format!("{SCANNER}/scan/hs.test/m")).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    assert_eq!((app.scans("clean").await, app.scans("incomplete").await), (0, 1));
}

/// As under a security module that lets clamd read some directories only.
#[tokio::test]
async fn a_clamd_that_may_not_read_what_it_is_handed_gets_a_stream() {
    let homeserver = Homeserver::start().await;
    let clamd = ScriptedClamd::start_without_descriptors(Script::reply(b"stream: OK\0"));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    let body = vec![8; 2 << 20];
    homeserver.put_media("m", &Stored::media(&body));
    assert_eq!(app.get(NATIVE).await.status, 200);
    assert!(clamd.received.borrow().as_slice() == [body]);
}

/// Between its failing and the noticing of it, a clamd may say anything.
#[tokio::test]
async fn a_clean_verdict_of_an_engine_that_was_ejected_meanwhile_does_not_count() {
    let finish = std::sync::Arc::new(tokio::sync::Notify::new());
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::held(&finish, b"stream: OK\0")));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(b"under way"));
    homeserver.put_media("n", &Stored::media(b"also under way"));
    let (first, second) = (app.get(NATIVE), app.get("/_matrix/client/v1/media/download/hs.test/n"));
    let failing = async {
        clamd.has_received(2).await;
        clamd.set(Script::always(b"stream: OK\0"));
        eventually("it is ejected", || async { app.admin.get("/readyz").await.status == 503 }).await;
        finish.notify_waiters();
    };
    let (first, second, ()) = tokio::join!(first, second, failing);
    first.assert_matrix_error(503, "M_UNKNOWN");
    second.assert_matrix_error(503, "M_UNKNOWN");
    assert_eq!(app.scans("clean").await, 0);
}

#[tokio::test]
async fn a_verdict_of_older_signatures_is_not_current() {
    let (homeserver, clamd, app) = scripted(Script::reply(b"stream: OK\0")).await;
    assert_eq!(app.get(NATIVE).await.status, 200);
    clamd.set_version("ClamAV 1.4.6/2/Scripted");
    clamd.set(Script::reply(b"stream: Learned.Meanwhile FOUND\0"));
    clamd.has_answered(Ask::Canary(Specimen::Eicar), 2).await;
    eventually("the new signatures act", || async { app.get(NATIVE).await.status == 403 }).await;
    assert_eq!(app.metric("lazaret_cache_lookups_total{result=\"stale\"}").await, 1);
    clamd.set_version("ClamAV 1.4.6/3/Scripted");
    clamd.set(Script::reply(b"stream: OK\0"));
    clamd.has_answered(Ask::Canary(Specimen::Eicar), 2).await;
    eventually("a withdrawn signature is withdrawn", || async { app.get(NATIVE).await.status == 200 }).await;
    assert_eq!(homeserver.last().method, "GET");
}

#[tokio::test]
async fn a_scan_that_ran_out_of_time_is_refused_and_not_remembered() {
    let (_homeserver, clamd, app) =
        scripted(Script::reply(b"stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0")).await;
    app.get(NATIVE).await.assert_matrix_error(403, "M_FORBIDDEN");
    clamd.set(Script::reply(b"stream: OK\0"));
    assert_eq!(app.get(NATIVE).await.status, 200);
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_is_not_ready() {
    let (_homeserver, _clamd, app) = start().await;
    std::fs::remove_dir(app.dir.path().join("spool")).unwrap();
    eventually("it is not ready", || async { app.admin.get("/readyz").await.status == 503 }).await;
    std::fs::create_dir(app.dir.path().join("spool")).unwrap();
    app.ready().await;
}

/// Another client of clamd reads the same verdicts out of it.
#[tokio::test]
async fn verdicts_agree_with_those_of_another_client() {
    let (homeserver, clamd, app) = start().await;
    for (specimen, expected) in [(b"harmless".to_vec(), 200), (eicar(), 403), (crate::harness::marker(200_000), 403)] {
        let transport = clamav_client::tokio::Socket { socket_path: clamd.socket() };
        let reply = clamav_client::tokio::scan_buffer(&specimen, transport, None).await.unwrap();
        assert_eq!(reply.as_slice() == b"stream: OK\0", expected == 200, "{}", reply.escape_ascii());
        homeserver.put_media("m", &Stored::media(&specimen));
        assert_eq!(app.get(NATIVE).await.status, expected);
    }
}

//! Several clamds, their slots, the queue for them, and the version that a verdict names.

use std::{process::Output, sync::Arc};

use tokio::sync::Notify;

use crate::harness::{
    App, AppBuilder, Ask, Homeserver, Script, ScriptedClamd, Sealed, Step, Stored, eventually, lazaret, seal,
};

const SCANNER: &str = "/_matrix/media_proxy/unstable";
const CLEAN: &[u8] = b"{}: OK\0";

fn native(id: &str) -> String {
    format!("/_matrix/client/v1/media/download/hs.test/{id}")
}

/// Scans of both classes that wait.
async fn waiting(app: &App) -> u64 {
    let class = |class: &str| format!("lazaret_engine_waiting{{class=\"{class}\"}}");
    app.metric(&class("small")).await + app.metric(&class("large")).await
}

#[tokio::test]
async fn scans_in_the_queue_stay_within_the_memory_for_media() {
    const MEDIA: usize = 64;
    let (homeserver, go_on) = (Homeserver::start().await, Arc::new(Notify::new()));
    let clamd = ScriptedClamd::start_on_socket(Script::held(&go_on, CLEAN));
    let builder = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings("max_scans: 3, queue_timeout: 1m");
    let app =
        builder.with("limits: {memory_bytes: 512KiB}\nspool: {dir: DIR/spool, memory_threshold: 0}").start().await;
    let sealed: Vec<Sealed> = (0..MEDIA)
        .map(|number| seal(&[number.to_le_bytes().as_slice(), &vec![7; 128 << 10]].concat(), &format!("m{number}"), 1))
        .collect();
    for (number, sealed) in sealed.iter().enumerate() {
        homeserver.put_media(&format!("m{number}"), &Stored::media(&sealed.ciphertext));
    }
    let path = format!("{SCANNER}/scan_encrypted");
    let bodies: Vec<Vec<u8>> = sealed.iter().map(Sealed::body).collect();
    let asking = futures_util::future::join_all(bodies.iter().map(|body| app.post(&path, body)));
    let queued = async {
        // All but those that hold a slot.
        eventually("all wait", || async { waiting(&app).await == MEDIA as u64 - 3 }).await;
        let memory = app.metric("lazaret_spool_memory_bytes").await;
        assert!((128 << 10..=512 << 10).contains(&memory), "{memory} bytes in memory");
        clamd.set(Script::clean());
        go_on.notify_waiters();
    };
    let (answers, ()) = tokio::join!(asking, queued);
    assert!(answers.iter().all(|answer| answer.json()["clean"] == true));
    eventually("all was given back", || async { app.metric("lazaret_spool_memory_bytes").await == 0 }).await;
}

#[tokio::test]
async fn who_would_wait_behind_a_full_queue_is_asked_to_come_again() {
    let (homeserver, go_on) = (Homeserver::start().await, Arc::new(Notify::new()));
    let clamd = ScriptedClamd::start(Script::held(&go_on, CLEAN));
    let settings = "max_scans: 1, max_waiting: 1, queue_timeout: 1m";
    let app = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings(settings).start().await;
    for id in ["a", "b", "c"] {
        homeserver.put_media(id, &Stored::media(id.as_bytes()));
    }
    let (first, second) = (native("a"), native("b"));
    let second = async {
        clamd.has_received(1).await;
        app.get(&second).await
    };
    let third = async {
        eventually("one waits", || async { waiting(&app).await == 1 }).await;
        let answer = app.get(&native("c")).await;
        answer.assert_matrix_error(503, "M_UNKNOWN");
        assert!(answer.header("retry-after").is_some());
        clamd.set(Script::clean());
        go_on.notify_waiters();
    };
    let (first, second, ()) = tokio::join!(app.get(&first), second, third);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
}

#[tokio::test]
async fn a_flood_of_archives_does_not_hold_up_a_photo() {
    const ARCHIVES: usize = 6;
    let (homeserver, go_on) = (Homeserver::start().await, Arc::new(Notify::new()));
    let held = Arc::clone(&go_on);
    let clamd = ScriptedClamd::start(Script::by_content(move |bytes| match bytes.starts_with(b"PK") {
        true => Script::steps([Step::Wait(Arc::clone(&held)), Step::send(CLEAN)]),
        false => Script::clean(),
    }));
    let settings = "max_scans: 4, queue_timeout: 1m";
    let app = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings(settings).start().await;
    let paths: Vec<String> = (0..ARCHIVES).map(|number| native(&format!("zip{number}"))).collect();
    for number in 0..ARCHIVES {
        let archive = [b"PK\x03\x04\x14\0\0\0\x08\0".as_slice(), &number.to_le_bytes()].concat();
        homeserver.put_media(&format!("zip{number}"), &Stored::media(&archive));
    }
    homeserver.put_media("photo", &Stored::media(b"\x89PNG\r\n\x1a\n...."));
    let archives = futures_util::future::join_all(paths.iter().map(|path| app.get(path)));
    let photo = async {
        eventually("the archives queue", || async { waiting(&app).await == ARCHIVES as u64 - 2 }).await;
        assert_eq!(app.get(&native("photo")).await.status, 200);
        assert_eq!(waiting(&app).await, ARCHIVES as u64 - 2, "none of them got the slot that it used");
        eventually("all get through", || async {
            go_on.notify_waiters();
            waiting(&app).await == 0 && app.scans("clean").await == ARCHIVES as u64 + 1
        })
        .await;
    };
    let (archives, ()) = tokio::join!(archives, photo);
    assert!(archives.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn a_failed_scan_is_tried_once_more_elsewhere() {
    let homeserver = Homeserver::start().await;
    let (first, second) = (ScriptedClamd::start(Script::reply(b"")), ScriptedClamd::start(Script::clean()));
    let settings = "probe_interval: 1h";
    let builder = AppBuilder::new(&homeserver).scripted(&first).scripted(&second).clamd_settings(settings);
    let app = builder.start().await;
    let up = |clamd: &ScriptedClamd| format!("lazaret_engine_up{{backend=\"{}\",engine=\"clamd\"}}", clamd.address());
    let (first_up, second_up) = (up(&first), up(&second));
    eventually("both are up", || async { app.metric(&first_up).await + app.metric(&second_up).await == 2 }).await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    assert_eq!(app.get(&native("m")).await.status, 200);
    assert_eq!((first.counts().asked(Ask::Medium), second.counts().asked(Ask::Medium)), (1, 1));
    assert_eq!(app.metric("lazaret_engine_retries_total{engine=\"clamd\"}").await, 1);
    assert_eq!(app.scans("error").await, 0);
}

/// Else anyone could have a file refused by sending a deadly one beside it.
#[tokio::test]
async fn who_was_beside_a_deadly_medium_is_not_blamed_as_if_alone() {
    let (homeserver, go_on) = (Homeserver::start().await, Arc::new(Notify::new()));
    let deadly = Script::steps([Step::ReadAll, Step::Wait(Arc::clone(&go_on)), Step::Die]);
    let clamd = ScriptedClamd::start(deadly.clone());
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    for id in ["a", "b"] {
        homeserver.put_media(id, &Stored::media(id.as_bytes()));
    }
    let (a, b) = (native("a"), native("b"));
    for deaths in 1..=2 {
        app.ready().await;
        let dying = async {
            clamd.has_received(2 * deaths).await;
            go_on.notify_waiters();
        };
        let (first, second, ()) = tokio::join!(app.get(&a), app.get(&b), dying);
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (503, 503));
        clamd.revive().await;
    }
    app.ready().await;
    assert_eq!(app.metric("lazaret_toxic_media").await, 0);
    clamd.set(Script::clean());
    assert_eq!((app.get(&a).await.status.as_u16(), app.get(&b).await.status.as_u16()), (200, 200));
}

/// What clamd says when it is asked for its version after a scan that it called clean.
#[tokio::test]
async fn a_clean_verdict_takes_a_sound_version_after_it() {
    for (steps, passes) in [
        (vec![Step::send(b"{id}ClamAV 1.4.6/1/Mon Nov 23 08:00:00 2026\0")], true),
        (vec![Step::send(b"{id}ClamAV 1.4.6/2/Mon Nov 23 09:00:00 2026\0")], true),
        (vec![Step::send(b"{id}ClamAV 1.4.6/4294967295/invalid timestam\0")], false),
        (vec![Step::send(b"{id}ClamAV 1.4.6/0/Mon Nov 23 08:00:00 2026\0")], false),
        (vec![Step::send(b"{id}ClamAV 1.4.6\0")], false),
        (vec![Step::send(b"99: ClamAV 1.4.6/1/Mon Nov 23 08:00:00 2026\0")], false),
        (vec![Step::send(b"ClamAV 1.4.6/1/Mon Nov 23 08:00:00 2026\0")], false),
        (vec![Step::send(b"{id}fd[9]: OK\0")], false),
        (vec![Step::send(b"COMMAND READ TIMED OUT\n")], false),
        (vec![Step::Close], false),
        (vec![Step::Hang], false),
    ] {
        let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
        let settings = "probe_interval: 1h, scan_timeout: 1s";
        let app = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings(settings).start().await;
        let what = format!("{steps:?}");
        eventually("nobody asks for it by himself", || async { clamd.counts().asked(Ask::Version) >= 4 }).await;
        clamd.on(Ask::Version, Script::steps(steps));
        homeserver.put_media("m", &Stored::media(b"a medium"));
        let status = app.get(&native("m")).await.status.as_u16();
        assert_eq!(status, if passes { 200 } else { 503 }, "{what}");
        assert_eq!(app.scans("clean").await, u64::from(passes), "{what}");
    }
}

#[tokio::test]
async fn a_clamd_that_keeps_its_version_to_itself_is_asked_otherwise() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    clamd.disable_version();
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    assert_eq!(app.get(&native("m")).await.status, 200);
    let version = format!("lazaret_engine_database_version{{backend=\"{}\"}}", clamd.address());
    assert_eq!(app.metric(&version).await, 1);
}

#[tokio::test]
async fn a_scan_that_never_ends_gives_its_slot_back_in_the_end() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::hang()));
    let settings = "scan_timeout: 300ms, orphan_timeout: 500ms";
    let app = AppBuilder::new(&homeserver).scripted(&clamd).clamd_settings(settings).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    app.get(&native("m")).await.assert_matrix_error(503, "M_UNKNOWN");
    let of = |family: &str| format!("{family}{{backend=\"{}\"}}", clamd.address());
    assert_eq!(app.metric(&of("lazaret_engine_orphans_total")).await, 1);
    let (orphans, in_use) = (of("lazaret_engine_orphans"), of("lazaret_engine_slots_in_use"));
    eventually("it is given up", || async { app.metric(&orphans).await + app.metric(&in_use).await == 0 }).await;
}

#[tokio::test]
async fn a_new_signature_that_hits_many_media_raises_an_alarm() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::reply(b"{}: Known FOUND\0")));
    let builder = AppBuilder::new(&homeserver).scripted(&clamd).with("inspect: {outbreak_media: 3}");
    let app = builder.start().await;
    let ids: Vec<String> = (0..8).map(|number| format!("m{number}")).collect();
    for id in &ids {
        homeserver.put_media(id, &Stored::media(id.as_bytes()));
    }
    for id in &ids[..5] {
        app.get(&native(id)).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert_eq!(app.metric("lazaret_signature_outbreaks").await, 0, "it may have been known for long");
    clamd.set_version("ClamAV 1.4.6/2/Mon Nov 23 09:00:00 2026");
    app.has_passed_canaries(&clamd.address()).await;
    clamd.set(Script::reply(b"{}: New FOUND\0"));
    for (hits, id) in ids[5..].iter().enumerate() {
        assert_eq!(app.metric("lazaret_signature_outbreaks").await, 0, "after {hits}");
        app.get(&native(id)).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert_eq!(app.metric("lazaret_signature_outbreaks").await, 1);
}

/// Runs `lazaret epoch bump` for the process whose operators' side is there.
async fn bump(admin: std::net::SocketAddr) -> Output {
    let mut command = lazaret(&["epoch", "bump"]);
    command.env("LAZARET__HOMESERVER__URL", "http://127.0.0.1:1");
    command.env("LAZARET__ADMIN__LISTEN", admin.to_string()).output().await.unwrap()
}

#[tokio::test]
async fn the_command_line_makes_verdicts_outdated() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    for scans in [1, 1, 2] {
        if scans == 2 {
            let output = bump(app.admin.address()).await;
            assert!(output.status.success(), "{output:?}");
            assert!(String::from_utf8(output.stdout).unwrap().starts_with("epoch bumped to "));
        }
        assert_eq!(app.get(&native("m")).await.status, 200);
        assert_eq!(app.scans("clean").await, scans);
    }
    let nobody = bump("127.0.0.1:1".parse().unwrap()).await;
    assert!(!nobody.status.success());
    let why = String::from_utf8(nobody.stderr).unwrap();
    assert!(why.contains("127.0.0.1:1 cannot be asked; is it running?"), "{why}");
}

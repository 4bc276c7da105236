//! W15: of a medium nothing is left where it was scanned, and no plaintext where others could read it.

use std::{os::unix::fs::FileExt, sync::Arc};

use tokio::sync::Notify;

use crate::harness::{
    App, AppBuilder, DOWNLOAD_ENCRYPTED, FORM, Homeserver, SCAN_ENCRYPTED, Script, ScriptedClamd, Step, Stored,
    eventually, form, path, request, seal,
};

const TEXT: &[u8] = b"the plaintext of an attachment, long enough to be recognised";

/// Bytes of all files without a name that this process holds below `dir`.
fn held_below(dir: &std::path::Path) -> Vec<Vec<u8>> {
    let mut held = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if target.starts_with(dir) && target.to_string_lossy().ends_with("(deleted)") {
            let file = std::fs::File::open(entry.path()).unwrap();
            let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            held.push(bytes);
        }
    }
    held
}

/// Invariant 5, in both ways that a plaintext can take: held in memory, and deciphered on the way to the engine.
#[tokio::test]
async fn w15_the_plaintext_of_an_attachment_is_on_no_disk() {
    for memory in ["1MiB", "0"] {
        let homeserver = Homeserver::start().await;
        let finish = Arc::new(Notify::new());
        let clamd = ScriptedClamd::start(Script::held(&finish, b"stream: OK\0"));
        let settings = format!("limits: {{memory_bytes: {memory}}}\nspool: {{dir: DIR/spool, memory_threshold: 0}}");
        let app = AppBuilder::new(&homeserver).scripted(&clamd).with(&settings).start().await;
        let sealed = seal(TEXT, "m", 3);
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext));

        let body = sealed.body();
        let scanning = app.post(SCAN_ENCRYPTED, &body);
        tokio::pin!(scanning);
        tokio::select! {
            answer = scanning.as_mut() => panic!("{answer:?}"),
            () = clamd.has_received(1) => (),
        }
        assert_eq!(clamd.received.borrow()[0], TEXT, "the engine has the plaintext");
        let held = held_below(app.dir.path());
        assert_eq!(held, std::slice::from_ref(&sealed.ciphertext), "and the disk has the ciphertext and nothing else");
        finish.notify_one();
        assert_eq!(scanning.await.json()["clean"], true);
    }
}

/// Nor that of a file that may become one: it is sent in clear before it is encrypted.
#[tokio::test]
async fn w15_a_file_that_is_scanned_before_its_upload_is_on_no_disk() {
    let homeserver = Homeserver::start().await;
    let finish = Arc::new(Notify::new());
    let clamd = ScriptedClamd::start(Script::held(&finish, b"stream: OK\0"));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).with("spool: {dir: DIR/spool, memory_threshold: 0}");
    let app = app.start().await;
    let sent = request("POST", &path("scan_file")).header("content-type", FORM);
    let sent = sent.header("authorization", "Bearer token");
    let body = form(&[("body", TEXT)]);
    let scanning = app.client.send(sent, &body);
    tokio::pin!(scanning);
    tokio::select! {
        answer = scanning.as_mut() => panic!("{answer:?}"),
        () = clamd.has_received(1) => (),
    }
    assert_eq!(clamd.received.borrow()[0], TEXT, "the engine has it");
    assert!(held_below(app.dir.path()).is_empty(), "the disk has nothing");
    finish.notify_one();
    assert_eq!(scanning.await.status, 200);
}

/// Files below a folder, by name.
fn named_below(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(named_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Asserts that no medium is left anywhere, in whatever form.
async fn assert_nothing_left(app: &App, what: &str) {
    for gauge in ["lazaret_spool_memory_bytes", "lazaret_spool_disk_bytes", "lazaret_media_requests"] {
        eventually(gauge, || async { app.metric(gauge).await == 0 }).await;
    }
    assert_eq!(named_below(&app.dir.path().join("spool")), Vec::<std::path::PathBuf>::new(), "{what}");
    assert_eq!(held_below(app.dir.path()), Vec::<Vec<u8>>::new(), "{what}");
}

/// However a scan ends, and where it does not even begin.
#[tokio::test]
async fn w15_nothing_is_left_of_what_could_not_be_scanned() {
    for memory in ["1MiB", "0"] {
        let homeserver = Homeserver::start().await;
        let clamd = ScriptedClamd::start(Script::clean());
        let settings = format!("limits: {{memory_bytes: {memory}}}\nspool: {{dir: DIR/spool, memory_threshold: 0}}");
        let builder = AppBuilder::new(&homeserver).scripted(&clamd).with(&settings).without_toxic_media();
        let app = builder.clamd_settings("scan_timeout: 300ms, orphan_timeout: 300ms").start().await;
        for (number, (what, script)) in [
            ("found", Script::reply(b"{}: Something FOUND\0")),
            ("error", Script::reply(b"{}: Can't open file ERROR\0")),
            ("closed", Script::steps([Step::ReadAll, Step::Close])),
            ("silence", Script::hang()),
            ("crash", Script::steps([Step::ReadAll, Step::Die])),
            ("nobody there", Script::clean()),
        ]
        .into_iter()
        .enumerate()
        {
            let sealed = seal(&[TEXT, what.as_bytes()].concat(), "m", u8::try_from(number).unwrap());
            homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
            clamd.set(script);
            if what == "nobody there" {
                clamd.kill().await;
            }
            for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
                let status = app.post(route, &sealed.body()).await.status.as_u16();
                assert!([200, 403, 503].contains(&status), "{what}: {status}");
            }
            assert_nothing_left(&app, what).await;
            if what != "nobody there" {
                clamd.set(Script::clean());
                clamd.revive().await;
                app.ready().await;
            }
        }
    }
}

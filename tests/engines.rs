//! Engines beside clamd: programs by the contract of the Matrix Content Scanner's script, and several engines together.

use std::fs;

use crate::harness::{
    App, AppBuilder, CLEAN, Clamd, Homeserver, INFECTED, Program, SCAN_ENCRYPTED, Stored, eicar, eventually, path, seal,
};

fn scan(id: &str) -> String {
    path(&format!("scan/hs.test/{id}"))
}

fn native(id: &str) -> String {
    format!("/_matrix/client/v1/media/download/hs.test/{id}")
}

#[tokio::test]
async fn a_script_alone_is_engine_enough() {
    let (homeserver, script) = (Homeserver::start().await, Program::new(Program::RECOGNISES));
    let app = AppBuilder::new(&homeserver).with(&script.section("")).start().await;
    homeserver.put_media("clean", &Stored::media(b"a medium"));
    homeserver.put_media("infected", &Stored::media(&eicar()));
    assert_eq!(app.get(&scan("clean")).await.text(), CLEAN);
    assert_eq!(&app.get(&native("clean")).await.body[..], b"a medium");
    assert_eq!(app.get(&scan("infected")).await.text(), INFECTED);
    app.get(&native("infected")).await.assert_matrix_error(403, "M_FORBIDDEN");
    let sealed = seal(&eicar(), "sealed", 1);
    homeserver.put_media("sealed", &Stored::media(&sealed.ciphertext));
    let answer = app.post(SCAN_ENCRYPTED, &sealed.body()).await;
    assert_eq!(answer.text(), INFECTED);
    assert_eq!((app.scans_by("script", "clean").await, app.scans_by("script", "infected").await), (1, 1));
    script.has_nothing_left().await;
}

#[tokio::test]
async fn what_either_engine_recognises_is_refused() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let script = Program::new(Program::RECOGNISES);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&script.section("")).start().await;
    let infected_by_clamd = crate::harness::marker(100);
    for (id, body, expected) in [
        ("both", &b"a medium"[..], CLEAN),
        ("script", b"a forbidden-word", INFECTED),
        ("clamd", &infected_by_clamd, INFECTED),
    ] {
        homeserver.put_media(id, &Stored::media(body));
        assert_eq!(app.get(&scan(id)).await.text(), expected, "{id}");
    }
    let asked = async || (app.scans_by("clamd", "clean").await, app.scans_by("script", "clean").await);
    let before = asked().await;
    assert_eq!(app.get(&scan("both")).await.text(), CLEAN);
    assert_eq!(asked().await, before, "what both said is remembered");
}

#[tokio::test]
async fn nothing_new_passes_without_a_required_engine_and_what_is_known_does() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let script = Program::new(Program::RECOGNISES);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&script.section("")).start().await;
    homeserver.put_media("known", &Stored::media(b"a known medium"));
    homeserver.put_media("new", &Stored::media(b"a new medium"));
    assert_eq!(app.get(&scan("known")).await.text(), CLEAN);
    script.set("exit 127");
    eventually("the script is out", || async { app.admin.get("/readyz").await.status == 503 }).await;
    assert!(app.admin.get("/readyz").await.text().contains("exit code 127"));
    app.get(&scan("new")).await.assert_scanner_error(503, "M_UNKNOWN");
    app.get(&native("new")).await.assert_matrix_error(503, "M_UNKNOWN");
    script.set(Program::RECOGNISES);
    app.ready().await;
    assert_eq!(app.get(&scan("new")).await.text(), CLEAN);
    assert_eq!(app.get(&scan("known")).await.text(), CLEAN);
}

#[tokio::test]
async fn an_advisory_engine_is_heard_and_not_missed() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let script = Program::new(Program::RECOGNISES);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&script.section(", role: advisory")).start().await;
    let up = || async { app.metric(&series(&app, "lazaret_engine_up{", "script").await).await == 1 };
    eventually("the script is up", up).await;
    homeserver.put_media("found", &Stored::media(b"a forbidden-word"));
    assert_eq!(app.get(&scan("found")).await.text(), INFECTED);
    script.set("exit 127");
    eventually("the script is out", || async { !up().await }).await;
    assert_eq!(app.admin.get("/readyz").await.status, 200);
    homeserver.put_media("missed", &Stored::media(b"another forbidden-word"));
    assert_eq!(app.get(&scan("missed")).await.text(), CLEAN);
}

/// The one series of a metric that names an engine.
async fn series(app: &App, metric: &str, engine: &str) -> String {
    let text = app.admin.get("/metrics").await.text();
    let is_it = |line: &&str| line.starts_with(metric) && line.contains(&format!("engine=\"{engine}\""));
    let line = text.lines().find(is_it).unwrap_or_else(|| panic!("no {metric}"));
    line.rsplit_once(' ').unwrap().0.to_owned()
}

#[tokio::test]
async fn a_script_that_calls_everything_clean_opens_nothing() {
    let (homeserver, script) = (Homeserver::start().await, Program::new("exit 0"));
    let app = AppBuilder::new(&homeserver).with(&script.section("")).without_waiting().start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let refused = || async { app.admin.get("/readyz").await.text().contains("EICAR test file: clean") };
    eventually("its canaries are wrong", refused).await;
    app.get(&scan("m")).await.assert_scanner_error(503, "M_UNKNOWN");
}

/// What it said between the canaries that it passed and those that it does not pass is taken back.
#[tokio::test]
async fn verdicts_of_a_script_that_is_found_wrong_are_forgotten() {
    let (homeserver, script) = (Homeserver::start().await, Program::new(Program::RECOGNISES));
    let app = AppBuilder::new(&homeserver).with(&script.section("")).start().await;
    homeserver.put_media("m", &Stored::media(b"a forbidden-word"));
    // From now on it misses everything, and its canaries do not end for now.
    fs::write(script.path("held"), "").unwrap();
    script.set("grep -q forbidden-word \"$1\" || while [ -e \"$here/held\" ]; do sleep 0.01; done; exit 0");
    for _ in 0..2 {
        assert_eq!(app.get(&scan("m")).await.text(), CLEAN);
    }
    assert_eq!(app.scans_by("script", "clean").await, 1, "the second time it was remembered");
    fs::remove_file(script.path("held")).unwrap();
    let is_wrong = || async { app.admin.get("/readyz").await.text().contains("EICAR test file: clean") };
    eventually("it is found out", is_wrong).await;
    script.set(Program::RECOGNISES);
    app.ready().await;
    assert_eq!(app.get(&scan("m")).await.text(), INFECTED);
}

#[tokio::test]
async fn another_version_of_a_script_has_media_scanned_again() {
    let (homeserver, script) = (Homeserver::start().await, Program::new(Program::RECOGNISES));
    fs::write(script.path("version"), "1").unwrap();
    let version = format!(", version_command: [cat, '{}']", script.path("version").display());
    let app = AppBuilder::new(&homeserver).with(&script.section(&version)).start().await;
    homeserver.put_media("m", &Stored::media(b"a new-word"));
    assert_eq!(app.get(&scan("m")).await.text(), CLEAN);
    script.set("grep -q -e EICAR -e new-word \"$1\" && exit 1; exit 0");
    assert_eq!(app.get(&scan("m")).await.text(), CLEAN, "nobody knows yet");
    fs::write(script.path("version"), "2").unwrap();
    eventually("it is found", || async { app.get(&scan("m")).await.text() == INFECTED }).await;
}

#[tokio::test]
async fn media_are_never_given_to_a_script_on_a_disk() {
    let (homeserver, script) = (Homeserver::start().await, Program::new(Program::RECOGNISES));
    let section = script.section("").replace("dir: '/dev/shm", "dir: '/var/tmp/../../dev/shm");
    assert!(AppBuilder::new(&homeserver).with(&section).try_start().await.is_ok(), "wherever the path goes along");
    let on_disk =
        format!("engines: {{exec: [{{name: script, command: ['{}'], dir: /}}]}}", script.path("scan.sh").display());
    let error = AppBuilder::new(&homeserver).with(&on_disk).try_start().await.err().unwrap();
    assert!(format!("{error:#}").contains("on no memory file system"), "{error:#}");
}

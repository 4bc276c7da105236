//! What is told of media that were given out as clean and found infected later.

use std::{path::Path, process::Stdio};

use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::rescan::{clamd, learn};
use crate::harness::{App, AppBuilder, Clamd, Homeserver, Stored, eventually, lazaret, request, seal, signature};

const MEDIUM: &[u8] = b"nobody knows yet what this is";
const EXPOSURES: &str = "lazaret_exposures_total";
const CLEARED: &str = "lazaret_cleared_media_total";
const NATIVE: &str = "/_matrix/client/v1/media/download/hs.test/m";
const SCANNER: &str = "/_matrix/media_proxy/unstable";

fn finds_it() -> String {
    signature("Lazaret.Test.Learned", "nobody knows yet")
}

async fn start(clamd: &Clamd, more: &str) -> (Homeserver, App) {
    let homeserver = Homeserver::start().await;
    let cache = "cache: {store: disk, path: DIR/verdicts, secret_path: DIR/cache_secret}";
    let audit = "audit: {path: DIR/audit.jsonl}";
    let app = AppBuilder::new(&homeserver).clamd(clamd).with(cache).with(audit).with(more).start().await;
    homeserver.put_media("m", &Stored::media(MEDIUM));
    (homeserver, app)
}

/// All records, once there is one for each exposure.
async fn audit(app: &App) -> Vec<Value> {
    let path = app.dir.path().join("audit.jsonl");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    let written = async || read().lines().count() as u64 == app.metric(EXPOSURES).await;
    eventually("all are written", written).await;
    read().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn becomes(app: &App, status: u16) {
    eventually("the new signatures count", || async { app.get(NATIVE).await.status == status }).await;
}

/// What an operator is told of who comes with this credential.
async fn pseudonym(dir: &Path, credential: &str) -> String {
    let yaml = dir.join("operator.yaml");
    let text = format!("homeserver: {{url: 'http://h'}}\ncache: {{secret_path: '{}/cache_secret'}}\n", dir.display());
    std::fs::write(&yaml, text).unwrap();
    let mut command = lazaret(&["audit", "reader", "--config", yaml.to_str().unwrap()]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(format!("{credential}\n").as_bytes()).await.unwrap();
    let output = process.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn audit_says_who_was_given_it_how_often_and_when() {
    let clamd = clamd().await;
    let (homeserver, app) = start(&clamd, "").await;
    let parts = "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\r\n";
    let multipart = [parts.as_bytes(), MEDIUM, b"\r\n--b--\r\n"].concat();
    let multipart =
        Stored::media(&multipart).open().without_headers().header("content-type", "multipart/mixed; boundary=b");
    homeserver.put("/_matrix/federation/v1/media/download/m", multipart);
    let federation = request("GET", "/_matrix/federation/v1/media/download/m");
    let federation = federation.header("authorization", r#"X-Matrix origin="other.test",key="ed25519:a",sig="x""#);
    for _ in 0..2 {
        assert_eq!(app.get(NATIVE).await.status, 200);
    }
    assert_eq!(app.client.send(federation, b"").await.status, 200);
    let told = app.client.get(&format!("{SCANNER}/scan/hs.test/m")).await;
    assert_eq!(told.json()["clean"], true, "told, without a token");
    assert_eq!(app.metric(EXPOSURES).await, 0);

    learn(&clamd, 27_001, &finds_it()).await;
    becomes(&app, 403).await;
    eventually("audit is told", || async { app.metric(EXPOSURES).await == 1 }).await;
    let lines = audit(&app).await;
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert_eq!(line["event"], "exposure");
    assert!(line["detection"].as_str().unwrap().contains("Lazaret.Test.Learned"), "{line}");
    assert_eq!((&line["engine"], &line["signatures"]), (&"clamd".into(), &27_001.into()));
    assert!(line["times"].as_u64().unwrap() >= 4, "some came before the new signatures counted: {line}");
    assert!(line["first_served"].as_str() < line["last_served"].as_str(), "{line}");
    assert!(line["last_served"].as_str() <= line["time"].as_str(), "{line}");
    let mut expected = Vec::new();
    for credential in ["token", "other.test", "anonymous"] {
        expected.push(pseudonym(app.dir.path(), credential).await);
    }
    expected.sort();
    assert_eq!(line["readers"], Value::from(expected));
    assert_eq!(line["more_readers"], false);
    let text = line.to_string();
    assert!(!text.contains("token") && !text.contains("other.test") && !text.contains("hs.test"), "{text}");

    for _ in 0..3 {
        assert_eq!(app.get(NATIVE).await.status, 403);
    }
    assert_eq!((audit(&app).await.len(), app.metric(EXPOSURES).await), (1, 1), "told once");

    learn(&clamd, 27_002, "").await;
    becomes(&app, 200).await;
    assert_eq!(app.metric(CLEARED).await, 1);

    learn(&clamd, 27_003, &finds_it()).await;
    becomes(&app, 403).await;
    eventually("it is told again", || async { app.metric(EXPOSURES).await == 2 }).await;
    let (first, second) = (&audit(&app).await[0], &audit(&app).await[1]);
    assert_eq!(first["identity"], second["identity"]);
    assert!(first["times"].as_u64() < second["times"].as_u64(), "it was given out meanwhile");
}

/// A file that opens for nobody.
#[tokio::test]
async fn an_audit_file_that_hangs_keeps_no_request_and_no_end_waiting() {
    let (homeserver, clamd) = (Homeserver::start().await, clamd().await);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit");
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    let audit = format!("audit: {{path: {}}}", path.display());
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&audit).start().await;
    homeserver.put_media("m", &Stored::media(MEDIUM));
    assert_eq!(app.get(NATIVE).await.status, 200);
    learn(&clamd, 27_001, &finds_it()).await;
    becomes(&app, 403).await;
    eventually("it is told", || async { app.metric(EXPOSURES).await == 1 }).await;
    app.stop().await;
    assert!(app.ended().await);
}

#[tokio::test]
async fn one_attachment_under_two_keys_is_one_exposure() {
    let clamd = clamd().await;
    let (homeserver, app) = start(&clamd, "").await;
    let attachments = [("a", 1), ("b", 2)].map(|(id, key)| {
        let sealed = seal(MEDIUM, id, key);
        homeserver.put_media(id, &Stored::media(&sealed.ciphertext));
        sealed.body()
    });
    let scan = format!("{SCANNER}/scan_encrypted");
    for body in &attachments {
        assert_eq!(app.post(&format!("{SCANNER}/download_encrypted"), body).await.status, 200);
    }
    learn(&clamd, 27_001, &finds_it()).await;
    for body in &attachments {
        eventually("it is found", || async { app.post(&scan, body).await.json()["clean"] == false }).await;
    }
    eventually("audit is told", || async { app.metric(EXPOSURES).await == 1 }).await;
    assert_eq!((app.scans("infected").await, audit(&app).await.len()), (1, 1));
    assert!(audit(&app).await[0]["times"].as_u64().unwrap() >= 2, "under both keys");
}

/// Whoever holds the key may have had the ciphertext from where no key is asked for.
#[tokio::test]
async fn who_was_given_the_ciphertext_of_what_is_infected_is_told_of() {
    let clamd = clamd().await;
    let (homeserver, app) = start(&clamd, "").await;
    let sealed = seal(b"known from the start", "m", 1);
    homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
    assert_eq!(app.get(NATIVE).await.status, 200);
    assert_eq!(app.post(&format!("{SCANNER}/scan_encrypted"), &sealed.body()).await.json()["clean"], false);
    eventually("audit is told", || async { app.metric(EXPOSURES).await == 1 }).await;
    assert_eq!(audit(&app).await[0]["times"], 1);
    assert_eq!(audit(&app).await[0]["readers"], Value::from(vec![pseudonym(app.dir.path(), "token").await]));
}

#[tokio::test]
async fn what_was_never_given_out_is_no_exposure() {
    let clamd = clamd().await;
    let (homeserver, app) = start(&clamd, "").await;
    homeserver.put("/_matrix/media/v3/upload", Stored::json(200, "{}"));
    assert_eq!(app.post("/_matrix/media/v3/upload", MEDIUM).await.status, 200);
    homeserver.put_media("m", &Stored::media(b"known from the start"));
    assert_eq!(app.get(NATIVE).await.status, 403);
    homeserver.put_media("m", &Stored::media(MEDIUM));
    learn(&clamd, 27_001, &finds_it()).await;
    app.has_passed_canaries(&clamd.address()).await;
    assert_eq!(app.get(NATIVE).await.status, 403, "uploaded before, and never read");
    assert_eq!((app.metric(EXPOSURES).await, audit(&app).await.len()), (0, 0));
}

#[tokio::test]
async fn a_pseudonym_needs_the_secret_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = dir.path().join("operator.yaml");
    for (cache, why) in
        [("{store: memory}", "ends with the process"), ("{secret_path: /nowhere/secret}", "/nowhere/secret")]
    {
        std::fs::write(&yaml, format!("homeserver: {{url: 'http://h'}}\ncache: {cache}\n")).unwrap();
        let mut command = lazaret(&["audit", "reader", "--config", yaml.to_str().unwrap()]);
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(why), "{said}");
    }
}

//! `lazaret cache` beside a running process.

use super::{MARKER, download};
use crate::harness::{AppBuilder, Binary, Clamd, Homeserver, Stored, marker, request};

const MXC: &str = "mxc://hs.test/m";

#[tokio::test]
async fn operators_look_overrule_and_purge_from_the_command_line() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    homeserver.put_media("m", &Stored::media(&marker(1000)));
    let binary = Binary::new(&AppBuilder::new(&homeserver).clamd(&clamd));
    let log = binary.dir.path().join("log");
    let _process = binary.serve(std::fs::File::create(&log).unwrap().into()).await;
    let get = || async {
        let asked = request("GET", &download("m")).header("authorization", "Bearer token");
        binary.client.send(asked, b"").await.status.as_u16()
    };
    assert_eq!(get().await, 403);
    let told = binary.says(&["cache", "get", MXC]).await;
    assert!(told.contains(&format!("verdict        infected: {MARKER}\n")), "{told}");
    let told: serde_json::Value = serde_json::from_str(&binary.says(&["cache", "get", MXC, "--json"]).await).unwrap();
    let identity = told["identity"].as_str().unwrap();
    let told = binary.says(&["cache", "stats"]).await;
    assert!(told.starts_with("store          memory (working)\n") && told.contains("look-ups "), "{told}");

    let said = ["--author", "sam", "--reason", "false positive", "--until", "30d"];
    let add = |what: &[&'static str], name| [&["cache", "override", "add"], what, &[name], &said].concat();
    let added = binary.says(&add(&["--clean", "--identity"], identity)).await;
    let id = added.split(' ').next().unwrap();
    assert!(added.contains(&format!(" acting: clean identity {identity}, ")), "{added}");
    assert!(added.contains("by sam: false positive"), "{added}");
    assert_eq!(get().await, 200);
    assert_eq!(binary.says(&["cache", "override", "list"]).await, added);
    assert!(binary.says(&["cache", "get", "--identity", identity]).await.contains(id));
    let removed = binary.says(&["cache", "override", "remove", id, "--author", "kim doe"]).await;
    assert_eq!(removed, format!("removed {id}\n"));
    assert_eq!(get().await, 403);
    assert!(binary.says(&["cache", "override", "list"]).await.contains(" removed: clean identity "));

    assert_eq!(binary.says(&["cache", "purge", "--stale"]).await, "nothing to remove\n");
    assert_eq!(binary.says(&["cache", "purge", "--mxc", MXC]).await, "removed 1 addresses, 1 records\n");
    let unknown = binary.run(&["cache", "get", MXC]).await;
    assert_eq!(String::from_utf8(unknown.stderr).unwrap(), "lazaret: nothing is known of it\n");
    assert!(!unknown.status.success());
    assert_eq!(get().await, 403);
    assert!(!binary.run(&["cache", "purge", "--all"]).await.status.success(), "not by accident");
    let told = binary.says(&["cache", "purge", "--all", "--yes"]).await;
    assert!(told.starts_with("removed 1 addresses, ") && told.contains("1 records"), "{told}");

    let log = std::fs::read_to_string(&log).unwrap();
    let has = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(has(&["refused", MXC, identity, MARKER]), "{log}");
    assert!(has(&["lazaret::audit", "override_add", id, identity, "sam", "false positive"]), "{log}");
    assert!(has(&["decided by an override", id]), "{log}");
    assert!(has(&["lazaret::audit", "override_remove", id, "kim doe"]), "{log}");
    assert!(has(&["lazaret::audit", "purged"]), "{log}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_a_process_that_is_not_there_is_named() {
    let homeserver = Homeserver::start().await;
    let binary = Binary::new(&AppBuilder::new(&homeserver).clamd(&Clamd::prepare("")));
    let said = ["--author", "a", "--reason", "r", "--until", "1d"];
    for wrong in [
        &["cache", "get"][..],
        &["cache", "get", MXC, "--identity", "00"],
        &["cache", "purge"],
        &["cache", "purge", "--stale", "--all", "--yes"],
        &[&["cache", "override", "add", "--clean", "--infected", "--mxc", MXC][..], &said].concat(),
        &[&["cache", "override", "add", "--clean"][..], &said].concat(),
        &["cache", "override", "add", "--clean", "--mxc", MXC, "--author", "a", "--reason", "r"],
    ] {
        assert_eq!(binary.run(wrong).await.status.code(), Some(2), "{wrong:?}");
    }
    for right in [&["cache", "stats"][..], &["cache", "get", MXC], &["cache", "override", "list"]] {
        let output = binary.run(right).await;
        let told = String::from_utf8(output.stderr).unwrap();
        let admin = binary.admin.address();
        assert!(told.contains(&format!("operators' side at {admin} cannot be asked; is it running?")), "{told}");
        assert_eq!(output.status.code(), Some(1));
    }
}

//! Rules that want engines to be heard.

use super::{native, rules, takes_uploads};
use crate::harness::{App, AppBuilder, Clamd, Homeserver, Program, Stored, eventually, path};

const WANTED: &str = "rules:\n  - {id: twice, match: {declared.type: a/b}, action: scan, engines: [script]}";

async fn start(yaml: &str, script: &Program) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    takes_uploads(&homeserver);
    let section = script.section(", role: advisory");
    let app = AppBuilder::new(&homeserver).clamd(&clamd).within(rules(yaml)).with(&section).start().await;
    eventually("the script is up", || async { app.scans_by("script", "error").await == 0 }).await;
    (homeserver, clamd, app)
}

fn of_type(kind: &str) -> Stored {
    Stored::media(b"a medium").without_headers().header("content-type", kind)
}

#[tokio::test]
async fn what_a_rule_wants_heard_by_an_adviser_does_not_pass_without_it() {
    let script = Program::new(Program::RECOGNISES);
    let (homeserver, _clamd, app) = start(WANTED, &script).await;
    homeserver.put_media("wanted", &of_type("a/b"));
    homeserver.put_media("other", &of_type("a/c"));
    assert_eq!(app.get(&native("wanted")).await.status, 200);
    let heard = app.scans_by("script", "clean").await;
    assert_eq!(app.get(&native("wanted")).await.status, 200);
    assert_eq!(app.scans_by("script", "clean").await, heard, "its word is remembered");
    script.set("exit 127");
    let is_out = "lazaret_engine_up{backend=\"script\",engine=\"script\"}";
    eventually("the script is out", || async {
        let text = app.admin.get("/metrics").await.text();
        text.lines()
            .any(|line| line.starts_with("lazaret_engine_up{") && line.contains("script") && line.ends_with(" 0"))
            || app.metric(is_out).await == 0 && text.contains(is_out)
    })
    .await;
    homeserver.put_media("new", &Stored::media(b"a new medium").without_headers().header("content-type", "a/b"));
    app.get(&native("new")).await.assert_matrix_error(503, "M_UNKNOWN");
    app.get(&path("scan/hs.test/new")).await.assert_scanner_error(503, "M_UNKNOWN");
    homeserver.put_media("new", &Stored::media(b"a new medium").without_headers().header("content-type", "a/c"));
    assert_eq!(app.get(&native("new")).await.status, 200, "nobody wants it heard of that");
    assert_eq!(app.get(&native("other")).await.status, 200);
}

#[tokio::test]
async fn an_engine_that_is_not_there_cannot_be_wanted() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).within(rules(WANTED)).try_start().await;
    let error = app.err().expect("it does not start").to_string();
    assert!(error.contains("script"), "{error}");
}

//! What operators are told of the policy, and what they can try.

use serde_json::{Value, json};

use super::picture::{NO_PICTURES, NOTHING, PICTURE, picture, put_picture, scanned};
use crate::harness::{App, AppBuilder, Clamd, Homeserver, Stored, eventually, request, start};

const SHADOW: &str = "version: 1
rules:
  - id: no-pictures
    match: {type: image/png}
    action: block
    mode: shadow
";

async fn with(file: &str) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    put_picture(&homeserver);
    homeserver.put_media("text", &Stored::media(b"a text"));
    let app = AppBuilder::new(&homeserver).clamd(&clamd).policy_file("a.yaml", file).start().await;
    (homeserver, clamd, app)
}

async fn get(app: &App, path: &str) -> Value {
    let answer = app.admin.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn replay(app: &App, body: &Value) -> Value {
    let answer = app.admin.send(request("POST", "/policy/replay"), body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_shadow_rule_only_counts_and_tells_what_it_would_have_done() {
    let (_homeserver, _clamd, app) = with(SHADOW).await;
    for _ in 0..3 {
        assert_eq!(picture(&app).await, 200);
    }
    let series = r#"{action="block",direction="download",mode="shadow",rule="no-pictures"}"#;
    assert_eq!(app.metric(&format!("lazaret_policy_decisions_total{series}")).await, 3);
    let told = get(&app, "/policy/shadow").await;
    let report = &told["rules"][0];
    assert_eq!((&report["rule"], &report["matched"]), (&json!("no-pictures"), &json!(3)), "{told}");
    assert_eq!((&report["would_refuse"], &report["would_pass"]), (&json!(3), &json!(0)));
    let examples = report["examples"].as_array().unwrap();
    assert_eq!((examples.len(), &examples[0]["mxc"]), (1, &json!("mxc://hs.test/picture")), "{told}");
    assert_eq!(examples[0]["type"], "image/png");
    app.admin.send(request("POST", "/policy/shadow/reset"), b"").await;
    assert_eq!(get(&app, "/policy/shadow").await["rules"][0]["matched"], 0);
}

#[tokio::test]
async fn a_replay_counts_what_another_policy_would_change_and_changes_nothing() {
    let (_homeserver, _clamd, app) = with(NOTHING).await;
    assert_eq!(picture(&app).await, 200);
    app.get(&PICTURE.replace("picture", "text")).await;
    let body = json!({"since": "1h", "policy": {"files": {"a.yaml": NO_PICTURES}}});
    // What was asked for is known at once, though it is not in the store yet.
    let told = replay(&app, &body).await;
    assert_eq!((&told["complete"], &told["media"], &told["changed"]), (&json!(true), &json!(2), &json!(1)), "{told}");
    let flip = &told["flips"][0];
    assert_eq!((&flip["would"], &flip["to"]), (&json!("refuse"), &json!("no-pictures")));
    assert_eq!((&flip["from"], &flip["direction"]), (&json!("default:clean"), &json!("download")));
    assert_eq!((&flip["media"], &flip["examples"][0]["type"]), (&json!(1), &json!("image/png")));
    assert_eq!((picture(&app).await, scanned(&app).await), (200, 2));

    let told = replay(&app, &json!({"policy": {"files": {"a.yaml": SHADOW}}})).await;
    assert_eq!((&told["changed"], &told["shadows"][0]["flips"]), (&json!(0), &json!(1)), "{told}");
    let told = replay(&app, &json!({"limit": 1})).await;
    assert_eq!((&told["complete"], &told["media"]), (&json!(false), &json!(1)));
    let back = json!({"since": "0s"});
    assert_eq!(replay(&app, &back).await["media"], 0);
}

#[tokio::test]
async fn a_policy_that_is_sent_with_lists_is_read_and_one_that_is_wrong_is_told_without_where_it_was_put() {
    let (_homeserver, _clamd, app) = with(NOTHING).await;
    assert_eq!(picture(&app).await, 200);
    let rules = "version: 1
lists: {types: {kind: type, file: lists/types}}
rules: [{id: listed, match: {type: {list: types}}, action: block}]
";
    let files = json!({"a.yaml": rules, "lists/types": "image/png\n"});
    assert_eq!(replay(&app, &json!({"policy": {"files": files}})).await["changed"], 1);
    for (files, told) in [
        (json!({"a.yaml": rules}), "a.yaml:2:"),
        (json!({"a.yaml": rules.replace("lists/types", "/etc/passwd")}), "a.yaml:2:"),
        (json!({"a.yaml": rules.replace("lists/types", "../secret")}), "a.yaml:2:"),
        (json!({"a.yaml": NOTHING, "../b.yaml": NOTHING}), "not named"),
        (json!({"a.txt": ""}), "no policy files"),
        (json!({"a.yaml": "version: 1\nrules: [{id: x, action: scan, engines: [none]}]"}), "`none`"),
    ] {
        let body = json!({"policy": {"files": files}}).to_string();
        let answer = app.admin.send(request("POST", "/policy/replay"), body.as_bytes()).await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{answer:?}");
        let text = answer.text();
        assert!(text.contains(told) && !text.contains("scratch") && !text.contains("root:"), "{text}");
    }
    assert_eq!(std::fs::read_dir(app.dir.path().join("spool")).unwrap().count(), 0, "nothing of it is left");
}

#[tokio::test]
async fn a_decision_on_what_is_remembered_is_explained() {
    let (_homeserver, _clamd, app) = with(NO_PICTURES).await;
    assert_eq!(picture(&app).await, 403);
    let told = get(&app, "/policy/explain?mxc=mxc://hs.test/picture").await;
    let medium = &told["media"][0];
    assert!(medium["text"].as_str().unwrap().contains("no-pictures"), "{told}");
    let identity = medium["identity"].as_str().unwrap();
    let same = get(&app, &format!("/policy/explain?identity={identity}&direction=scan")).await;
    assert_eq!(same["media"][0]["identity"], identity);
    for (query, status) in [
        ("", 400),
        ("mxc=mxc://hs.test/picture&direction=up", 400),
        ("mxc=mxc://hs.test/picture&direction=scan&direction=scan", 400),
        ("mxc=mxc://hs.test/unknown", 404),
    ] {
        assert_eq!(app.admin.get(&format!("/policy/explain?{query}")).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn the_policy_in_force_is_told_with_what_its_rules_have_decided() {
    let over = "  - {id: old, match: {group: text}, action: block, expires: 2020-01-01}\n";
    let (_homeserver, _clamd, app) = with(&format!("{}\n{over}", NO_PICTURES.trim_end())).await;
    assert_eq!(picture(&app).await, 403);
    let told = get(&app, "/policy").await;
    assert_eq!(told["rules"][1]["state"], "expired");
    let rule = &told["rules"][0];
    assert_eq!(
        (&rule["id"], &rule["state"], &rule["action"]),
        (&json!("no-pictures"), &json!("acting"), &json!("block"))
    );
    assert_eq!((&rule["decisions"], &told["shipped"], &told["failure"]), (&json!(1), &json!(false), &Value::Null));
    assert!(told["path"].as_str().unwrap().ends_with("/policies"), "{told}");
}

#[tokio::test]
async fn a_web_page_learns_nothing_of_the_policy_and_has_none_replayed() {
    let (_homeserver, _clamd, app) = start().await;
    for (method, path) in [
        ("GET", "/policy"),
        ("POST", "/policy/reload"),
        ("GET", "/policy/explain?mxc=mxc://hs.test/m"),
        ("POST", "/policy/replay"),
        ("GET", "/policy/shadow"),
        ("POST", "/policy/shadow/reset"),
    ] {
        let answer = app.admin.send(request(method, path).header("origin", "https://evil.test"), b"{}").await;
        assert_eq!(answer.status, 403, "{path}");
    }
    eventually("it is there without one", || async { app.admin.get("/policy").await.status == 200 }).await;
}

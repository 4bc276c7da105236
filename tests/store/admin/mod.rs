//! What operators can ask and change: overrides of the security team, single media, having verdicts forgotten.

mod command;
mod entries;
mod overrides;
mod purge;
mod stores;

use serde_json::{Value, json};

use crate::harness::{Answer, App, request};

const DOWNLOAD: &str = "/_matrix/client/v1/media/download/hs.test";

/// What clamd calls [`marker`](crate::harness::marker).
const MARKER: &str = "Lazaret.Test.Marker.UNOFFICIAL";

fn download(id: &str) -> String {
    format!("{DOWNLOAD}/{id}")
}

async fn post(app: &App, path: &str, body: &Value) -> Answer {
    app.admin.send(request("POST", path), body.to_string().as_bytes()).await
}

/// An override, but for what it is about.
fn saying(effect: &str, until: &str) -> Value {
    json!({"effect": effect, "author": "sam", "reason": "ticket 7", "until": until})
}

/// Adds one, and gives its name.
async fn overrule(app: &App, effect: &str, what: (&str, &str)) -> String {
    let mut new = saying(effect, "30d");
    new[what.0] = what.1.into();
    let answer = post(app, "/cache/overrides", &new).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn take_back(app: &App, id: &str) -> Answer {
    app.admin.send(request("DELETE", &format!("/cache/overrides/{id}?author=kim")), b"").await
}

/// What is known of `mxc://hs.test/{id}`.
async fn entry(app: &App, id: &str) -> Value {
    let answer = app.admin.get(&format!("/cache/entry?mxc=mxc://hs.test/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn identity(app: &App, id: &str) -> String {
    entry(app, id).await["identity"].as_str().unwrap().to_owned()
}

/// All scans so far.
async fn scans(app: &App) -> u64 {
    let (clean, infected) = crate::harness::scans(app).await;
    clean + infected + app.scans("incomplete").await + app.scans("opaque").await
}

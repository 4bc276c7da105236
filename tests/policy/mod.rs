//! Policies in front of real engines: what they are told, and what becomes of what they say.

mod admin;
mod answers;
mod engines;
mod occasions;
mod picture;
mod reload;
mod tools;
mod unscanned;

use std::fs;

use tempfile::TempDir;

use crate::harness::{App, AppBuilder, Clamd, Homeserver, Stored};

/// A directory in which an application finds this rule file.
fn rules(yaml: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(dir.path().join("policies/rules.yaml"), format!("version: 1\n{yaml}\n")).unwrap();
    dir
}

/// A homeserver that takes uploads, a real clamd, and an application with these rules and settings.
async fn start(yaml: &str, settings: &str) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    takes_uploads(&homeserver);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).within(rules(yaml)).with(settings).start().await;
    (homeserver, clamd, app)
}

const UPLOAD: &str = "/_matrix/media/v3/upload";

fn takes_uploads(homeserver: &Homeserver) {
    homeserver.put(UPLOAD, Stored::json(200, r#"{"content_uri":"mxc://hs.test/m"}"#));
    homeserver.put(&format!("{UPLOAD}/hs.test/m"), Stored::json(200, "{}"));
}

fn native(id: &str) -> String {
    format!("/_matrix/client/v1/media/download/hs.test/{id}")
}

fn thumbnail(id: &str) -> String {
    format!("/_matrix/client/v1/media/thumbnail/hs.test/{id}?width=1&height=1")
}

fn federated(id: &str) -> String {
    format!("/_matrix/federation/v1/media/download/{id}")
}

/// The answer of a homeserver to another one, of which the second part has this head.
fn multipart(head: &str, body: &[u8]) -> Stored {
    let before = format!("--b\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--b\r\n{head}\r\n\r\n");
    let whole = [before.as_bytes(), body, b"\r\n--b--\r\n"].concat();
    Stored::media(&whole).without_headers().header("content-type", "multipart/mixed; boundary=b").open()
}

/// The series of what was delivered, in media or in bytes.
fn delivered(what: &str, reason: &str, rule: &str, direction: &str) -> String {
    format!("lazaret_unscanned_delivered{what}_total{{direction=\"{direction}\",reason=\"{reason}\",rule=\"{rule}\"}}")
}

//! The scanner API on plain media: every outcome that its contract names.

mod addresses;
mod headers;
mod refusals;
mod routing;
mod upstream;
mod verdicts;

use serde_json::{Value, json};

use crate::harness::{Answer, App};

/// The routes that read a medium, and the kind of native route that each stands for.
const READS: [(&str, &str); 3] = [("scan", "download"), ("download", "download"), ("thumbnail", "thumbnail")];

/// A path below the prefix of the scanner API.
fn path(rest: &str) -> String {
    format!("/_matrix/media_proxy/unstable/{rest}")
}

/// Status and body of an answer.
fn outcome(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

/// Status and body of an error: these two members and no third.
fn error(status: u16, reason: &str, info: &str) -> (u16, Value) {
    (status, json!({"reason": reason, "info": info}))
}

/// Asserts one outcome of all routes that read `mxc://hs.test/m`.
async fn assert_reads(app: &App, expected: &(u16, Value), what: &str) {
    for (route, _) in READS {
        let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
        assert_eq!(&outcome(&answer), expected, "{route}: {what}");
        answer.assert_scanner_error(expected.0, expected.1["reason"].as_str().unwrap());
    }
}

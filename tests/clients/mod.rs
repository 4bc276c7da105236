//! What the clients of the scanner API send, in the order in which they send it, and what they make of the answers.

mod bwi;
mod classic;
mod dart;
mod ios;
mod rust_sdk;
mod web;

use std::time::Duration;

use http::request::Builder;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::harness::{Answer, App, request};

/// A request with the token that the fake homeserver accepts.
fn authorized(method: &str, path: &str) -> Builder {
    request(method, path).header("authorization", "Bearer token")
}

/// POSTs JSON, as all of them do.
async fn post(app: &App, sent: Builder, body: &[u8]) -> Answer {
    app.client.send(sent.header("content-type", "application/json"), body).await
}

/// The answer to a request that nothing holds any more.
async fn answer(asking: JoinHandle<Answer>) -> Answer {
    tokio::time::timeout(Duration::from_mins(1), asking).await.expect("nothing holds it").unwrap()
}

/// `clean` of a verdict as typed clients read it: both members are there, and of these types.
#[track_caller]
fn verdict(answer: &Answer) -> bool {
    let verdict = answer.json();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(verdict["info"].is_string() && verdict.get("reason").is_none(), "{verdict}");
    verdict["clean"].as_bool().unwrap_or_else(|| panic!("{verdict}"))
}

/// A member of an error that is text.
fn text<'a>(error: &'a Value, member: &str) -> Option<&'a str> {
    error.get(member)?.as_str()
}

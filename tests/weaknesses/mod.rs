//! The weaknesses of the Matrix Content Scanner that were found when its source was read: for each it is shown that Lazaret
//! does not have it. Tests are named by their numbers. They are here, but for those of `tests/direct` that show the same
//! where media come from the servers that their addresses name.
//!
//! - W1: Media to be scanned lay in a file that was named by the address alone, so that a request with a wrong key put
//!   clean noise where an infected plaintext was being scanned. Shown by [`races`]; with files [`programs`].
//! - W2: What one user had fetched was given to everybody from memory, without asking the homeserver who may have it.
//!   Shown by [`access`].
//! - W3: Who came while a download was under way shared its bytes, or its error, whatever his own token. Shown by
//!   [`sharing`].
//! - W4: The token of a user was sent to whichever server an address named, or where that pointed. Shown by
//!   [`access`], `direct::tokens`, `direct::discovery`.
//! - W5: Addresses, well-known answers and redirects had it fetch anything from anywhere, the own network included.
//!   Shown by [`access`], `direct::addresses`, `direct::redirects`.
//! - W6: `..` in an address led to other routes of the homeserver, with the user's token. Shown by [`paths`].
//! - W7: Media of any size were held in memory several times over, and kept there. Shown by [`memory`].
//! - W8: Hashing, decryption and files held up all other requests. Shown by [`memory`].
//! - W9: What went wrong in an encrypted request body was told in detail, which makes it a padding oracle. Shown by
//!   [`oracle`].
//! - W10: A scanner that failed was reported as a virus, which clients keep for good. Shown by [`engines`].
//! - W11: A clean verdict outlived the signatures that it was made with by a week. Shown by [`engines`].
//! - W12: All headers of the homeserver went on: cookies to other users, and lengths and encodings of another body.
//!   Shown by [`answers`].
//! - W13: Malformed addresses filled the cache, and members that nobody reads made for another scan. Shown by
//!   [`paths`].
//! - W14: A refusal by type was not remembered, so each request was a download and a scan; and the type that a file
//!   begins with hid what else is in it. Shown by [`engines`].
//! - W15: Plaintext stayed on the disk, for everybody to read, where a script could not be started. Shown by
//!   [`remains`]; with files [`programs`].
//! - W16: A scan that hung held its place for ever. Shown by [`engines`]; with files [`programs`].
//! - W17: Each request made a connection of its own to the homeserver. Shown by [`answers`].
//! - W18: Errors of the homeserver were logged in full, and values of a request repeated in answers. Shown by
//!   [`words`].
//! - W19: No metrics, no health, no end without cutting off, and no limit for one client. Shown by [`operation`].
//! - W20: A request body for an old key was refused with a code on which no client fetches the new one, and there was
//!   one key at a time. Shown by [`operation`]; several keys `keys::reload`.
//! - W21: What servers said of their homeserver was kept for ever, and for any number of them. Shown by
//!   `direct::discovery`.
//!
//! Races are not left to luck: a fake homeserver or a scripted clamd holds each body and each scan until it is told to go
//! on, and the test goes through the orders in which they can begin and end.

mod access;
mod answers;
mod engines;
mod memory;
mod operation;
mod oracle;
mod paths;
mod programs;
mod races;
mod remains;
mod sharing;
mod words;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinHandle};

use crate::harness::{Answer, App, DOWNLOAD_ENCRYPTED, SCAN_ENCRYPTED, Script, ScriptedClamd, Stored, path, request};

/// The routes that read a medium as it is.
const PLAIN: [&str; 3] = ["scan", "download", "thumbnail"];

/// More than is held back of known media.
const LARGE: usize = 150 * 1024;

/// What every route says of `mxc://{address}` to whoever sends this `Authorization`: as it is, and as an attachment.
async fn ask_everywhere(
    app: &App,
    authorization: Option<&str>,
    address: &str,
    attachment: &[u8],
) -> Vec<(String, Answer)> {
    let plain = PLAIN.map(|route| ("GET", path(&format!("{route}/{address}")), &b""[..]));
    let encrypted = [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED].map(|route| ("POST", route.to_owned(), attachment));
    let mut answers = Vec::new();
    for (method, path, body) in plain.into_iter().chain(encrypted) {
        let sent = request(method, &path);
        let sent = authorization.into_iter().fold(sent, |sent, value| sent.header("authorization", value));
        answers.push((path, app.client.send(sent, body).await));
    }
    answers
}

/// The token that the fake homeserver accepts.
const TOKEN: Option<&str> = Some("Bearer token");

/// Sends a request as a task of its own. Without a body it is a GET.
fn send(app: &App, path: &str, token: Option<&str>, body: &[u8]) -> JoinHandle<Answer> {
    let (client, body) = (app.client.clone(), body.to_vec());
    let mut sent = request(if body.is_empty() { "GET" } else { "POST" }, path);
    if let Some(token) = token {
        sent = sent.header("authorization", format!("Bearer {token}"));
    }
    tokio::spawn(async move { client.send(sent, &body).await })
}

/// The answer to a request that nothing holds any more.
async fn answer(asking: JoinHandle<Answer>) -> Answer {
    tokio::time::timeout(Duration::from_mins(1), asking).await.expect("nothing holds it").unwrap()
}

/// Waits until an engine has been given so many media.
async fn received(clamd: &ScriptedClamd, count: usize) {
    let received = clamd.has_received(count);
    tokio::time::timeout(Duration::from_mins(1), received).await.expect("the engine is asked");
}

/// All orders of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let with_last = |order: Vec<usize>, at: usize| [&order[..at], &[last], &order[at..]].concat();
    orders(last).into_iter().flat_map(|order| (0..count).map(move |at| with_last(order.clone(), at))).collect()
}

/// A scan that is held until it is told to go on, and then finds what begins with `infected`.
fn held_scan(until: &Arc<Notify>) -> Script {
    let until = Arc::clone(until);
    Script::by_content(move |bytes| {
        let reply = if bytes.starts_with(b"infected") { "{}: Something FOUND\0" } else { "{}: OK\0" };
        Script::held(&until, reply)
    })
}

/// A medium of which the end comes when it is told to.
fn held_body(bytes: &[u8], end: &Arc<Notify>) -> Stored {
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    Stored::media(b"").header("content-length", &bytes.len().to_string()).held(first, end, rest)
}

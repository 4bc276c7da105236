//! The contract of the scanner API, row by row: what the Matrix Content Scanner answers, and what we answer instead where a
//! row names its deviation. Each row is checked with and without `compat.strict_mcs`; one that does not hold is named.

mod attachments;
mod bodies;
mod compat;
mod eicar;
mod envelopes;
mod form_bounds;
mod forms;
mod headers;
mod outcomes;
mod routes;
mod routing;
mod types;
mod upstream;
mod vector;

use serde_json::json;

use self::vector::{Expected, Sent};
use crate::harness::{CLEAN, INFECTED, MALFORMED};

/// The routes that read a medium, and the kind of native route that each stands for.
const READS: [(&str, &str); 3] = [("scan", "download"), ("download", "download"), ("thumbnail", "thumbnail")];

/// A request on each route that reads a medium in clear.
fn reads() -> Vec<Sent> {
    READS.map(|(route, _)| Sent::new("GET", &format!("{route}/hs.test/m"))).into()
}

fn scan() -> [Sent; 1] {
    [Sent::new("GET", "scan/hs.test/m")]
}

/// A request on each route that serves a medium in clear.
fn downloads() -> [Sent; 2] {
    ["download", "thumbnail"].map(|route| Sent::new("GET", &format!("{route}/hs.test/m")))
}

fn post(route: &str, body: &[u8]) -> [Sent; 1] {
    [Sent::new("POST", route).body(body)]
}

/// A body on each route that takes one in JSON.
fn posts(body: &[u8]) -> [Sent; 2] {
    ["scan_encrypted", "download_encrypted"].map(|route| Sent::new("POST", route).body(body))
}

fn error(status: u16, reason: &str, info: &str) -> Expected {
    Expected::json(status, &format!(r#"{{"reason":{},"info":{}}}"#, json!(reason), json!(info)))
}

fn clean() -> Expected {
    Expected::json(200, CLEAN)
}

fn infected() -> Expected {
    Expected::json(200, INFECTED)
}

fn malformed_address() -> Expected {
    Expected::json(200, MALFORMED)
}

fn not_clean() -> Expected {
    error(403, "MCS_MEDIA_NOT_CLEAN", "***VIRUS DETECTED***")
}

fn malformed_json() -> Expected {
    Expected::reason(400, "MCS_MALFORMED_JSON")
}

fn undecryptable() -> Expected {
    Expected::reason(400, "MCS_MEDIA_FAILED_TO_DECRYPT")
}

fn not_found() -> Expected {
    error(404, "M_NOT_FOUND", "File not found")
}

fn remote_error() -> Expected {
    error(502, "MCS_MEDIA_REQUEST_FAILED", "The remote server responded with an error")
}

fn unreachable() -> Expected {
    error(502, "MCS_MEDIA_REQUEST_FAILED", "Failed to reach the remote server")
}

/// Errors of routing are Matrix's own.
fn unrecognized(status: u16) -> Expected {
    Expected::json(status, r#"{"errcode":"M_UNRECOGNIZED","error":"Unrecognized request"}"#).without("allow")
}

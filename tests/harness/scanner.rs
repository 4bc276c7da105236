//! Routes of the scanner API, what it says of a file, word for word, and the scans that it takes to say so.

use super::App;

/// Where attachments are asked about.
pub const SCAN_ENCRYPTED: &str = "/_matrix/media_proxy/unstable/scan_encrypted";

/// Where attachments are served.
pub const DOWNLOAD_ENCRYPTED: &str = "/_matrix/media_proxy/unstable/download_encrypted";

/// A path below the prefix of the scanner API.
pub fn path(rest: &str) -> String {
    format!("/_matrix/media_proxy/unstable/{rest}")
}

/// The verdict on a file in which nothing was found.
pub const CLEAN: &str = r#"{"clean":true,"info":"File is clean"}"#;

/// The verdict on a file in which something was found.
pub const INFECTED: &str = r#"{"clean":false,"info":"***VIRUS DETECTED***"}"#;

/// What stands for a verdict where the address names no medium.
pub const MALFORMED: &str = r#"{"clean":false,"info":"Malformed media ID"}"#;

/// Scans so far that found the file clean, and infected.
pub async fn scans(app: &App) -> (u64, u64) {
    (app.scans("clean").await, app.scans("infected").await)
}

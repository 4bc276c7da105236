//! The secrets of `encrypted_body`: several at once, rotation, what a running process reads again, and keys that come from
//! elsewhere.

mod migrate;
mod process;
mod reload;

use base64::{Engine as _, prelude::*};
use vodozemac::Curve25519PublicKey;

use crate::harness::{App, AppBuilder, Binary, CLEAN, Clamd, Homeserver, SCAN_ENCRYPTED, Sealed, with_envelope};

/// A secret as a line of the file; its byte tells it apart.
fn line(secret: u8) -> String {
    BASE64_STANDARD.encode([secret; 32])
}

async fn opens(app: &App, key: Curve25519PublicKey, sealed: &Sealed) -> bool {
    let answer = app.post(SCAN_ENCRYPTED, &with_envelope(key, &sealed.file)).await;
    match answer.status.as_u16() {
        200 => assert_eq!(answer.text(), CLEAN),
        _ => answer.assert_scanner_error(403, "MCS_BAD_DECRYPTION"),
    }
    answer.status == 200
}

/// The binary, and what it needs to serve.
async fn binary() -> (Homeserver, Clamd, Binary) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let binary = Binary::new(&AppBuilder::new(&homeserver).clamd(&clamd));
    (homeserver, clamd, binary)
}

//! Bytes whose verdict is known: an engine that tells them apart works.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ulid::Ulid;

/// The [EICAR test file](https://www.eicar.org/download-anti-malware-testfile/), encoded so that neither this source nor
/// the binary is taken for it.
const EICAR: &str = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=";

/// Harmless text, new each time: engines remember what they found clean and would answer without looking.
pub(super) fn clean() -> Vec<u8> {
    format!("Lazaret canary {}", Ulid::generate()).into_bytes()
}

/// What every engine recognises, by agreement.
pub(super) fn eicar() -> Vec<u8> {
    decode(EICAR)
}

/// A specimen of ours, in lines of Base64.
pub(super) fn decode(encoded: &str) -> Vec<u8> {
    let text: String = encoded.split_whitespace().collect();
    BASE64_STANDARD.decode(text).expect("encoded by us")
}

//! A file that only `doctor` looks at; the others are canaries.

use crate::engine::specimen;

/// The EICAR test file, stored in a RAR archive; encoded so that no antivirus trips over this binary.
const STORED_RAR: &str = include_str!("../../../../samples/specimens/stored-rar.b64");

/// Its bytes.
pub(super) fn stored_rar() -> Vec<u8> {
    specimen::decode(STORED_RAR)
}

//! Samples that cases of a policy name.

use std::{
    io::{self, Cursor},
    path::Path,
};

use crate::{facts::Facts, policy::case, sniff};

/// What is known of a file. One whose name ends in `.b64` is decoded first: specimens are stored so that nobody trips over them.
pub fn examine(path: &Path) -> io::Result<Facts> {
    facts(&case::sample(path)?)
}

/// What is known of these bytes.
pub fn facts(bytes: &[u8]) -> io::Result<Facts> {
    sniff::examine(&mut Cursor::new(bytes), bytes.len() as u64)
}

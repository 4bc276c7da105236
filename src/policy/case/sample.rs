//! Files that cases name.

use std::{
    io::{self, Read},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::policy::load;

/// Bytes that such a file may have.
const MOST: u64 = 64 << 20;

/// The bytes of a file; what its name says is in base64 is decoded. Samples that engines recognise are kept so.
/// What is no file is an error: a pipe would have it wait for ever.
pub fn sample(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    load::open(path).map_err(io::Error::other)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "samples have at most 64 MiB"));
    }
    if path.extension().is_none_or(|extension| extension != "b64") {
        return Ok(bytes);
    }
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    STANDARD.decode(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "this is no base64"))
}

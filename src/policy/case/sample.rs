//! Files that cases name.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::policy::load;

/// Bytes that such a file may have.
const MOST: u64 = 64 << 20;

/// Opens what has to be a file.
pub fn open(path: &Path) -> io::Result<File> {
    load::open(path).map_err(io::Error::other)
}

/// True for what is in base64, as its name says.
pub fn is_encoded(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "b64")
}

/// The bytes of a file; what its name says is in base64 is decoded. Samples that engines recognise are kept so.
/// What is no file is an error: a pipe would have it wait for ever.
pub fn sample(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "samples have at most 64 MiB"));
    }
    if !is_encoded(path) {
        return Ok(bytes);
    }
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    STANDARD.decode(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "this is no base64"))
}

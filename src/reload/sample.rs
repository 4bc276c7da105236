//! Samples that cases of a policy name.

use std::{
    io::{self, BufReader, Cursor, Read, Seek},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::{facts::Facts, policy::case, sniff};

/// What is known of a file. One whose name ends in `.b64` is decoded first: specimens are stored so that nobody trips over them.
pub fn examine(path: &Path) -> io::Result<Facts> {
    facts(&case::sample(path)?)
}

/// What is known of a file of any length, and its SHA-256 digest.
pub fn look_at(path: &Path) -> io::Result<(Facts, [u8; 32])> {
    if case::is_encoded(path) {
        let bytes = case::sample(path)?;
        return Ok((facts(&bytes)?, Sha256::digest(&bytes).into()));
    }
    let mut file = BufReader::new(case::open(path)?);
    let size = file.get_ref().metadata()?.len();
    let facts = sniff::examine(&mut file, size)?;
    file.rewind()?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((facts, digest.finalize().into())),
            length => digest.update(&buffer[..length]),
        }
    }
}

/// What is known of these bytes.
fn facts(bytes: &[u8]) -> io::Result<Facts> {
    sniff::examine(&mut Cursor::new(bytes), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_looked_at_however_long_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (long, short) = (dir.path().join("long"), dir.path().join("short"));
        fs::File::create(&long).unwrap().set_len((64 << 20) + 1).unwrap();
        assert!(examine(&long).is_err(), "of samples, many may be in memory");
        assert_eq!(look_at(&long).unwrap().0.size, (64 << 20) + 1);
        fs::write(&short, "%PDF-1.4\nhello").unwrap();
        let bytes = fs::read(&short).unwrap();
        assert_eq!(look_at(&short).unwrap(), (facts(&bytes).unwrap(), Sha256::digest(&bytes).into()));
    }
}

//! What an engine is given to look at: exact bytes that can be read again and again.

use std::{
    fmt,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::Stream;

use crate::spool::{Descriptor, Spool};

/// Deciphers consecutive pieces of a ciphertext in place.
pub type Keystream = Box<dyn FnMut(&mut [u8]) + Send>;

/// The bytes of a medium as its reader will see them.
#[derive(Clone)]
pub enum Plaintext {
    /// Held in a spool, which may be on disk for plain media and is in memory for attachments.
    Held(Arc<Spool>),
    /// Deciphered on the way to the engine, because memory has no room for it.
    Keyed {
        /// The spooled ciphertext.
        ciphertext: Arc<Spool>,
        /// Makes a keystream for one reading, from a place in the ciphertext on.
        keystream: Arc<dyn Fn(u64) -> Keystream + Send + Sync>,
    },
}

impl Plaintext {
    /// Length in bytes; ciphertexts are as long as their plaintext.
    pub fn len(&self) -> u64 {
        self.spool().len()
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spool behind it, whose id names the scan.
    pub fn spool(&self) -> &Arc<Spool> {
        match self {
            Self::Held(spool) | Self::Keyed { ciphertext: spool, .. } => spool,
        }
    }

    /// A descriptor whose file is exactly the plaintext, if there is one.
    pub fn descriptor(&self) -> io::Result<Option<Descriptor<'_>>> {
        match self {
            Self::Held(spool) => spool.descriptor(),
            Self::Keyed { .. } => Ok(None),
        }
    }

    /// The bytes from the start, in pieces.
    pub fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        self.spool().stream_through(self.keystream(0))
    }

    /// The bytes, for those who read here and there. It blocks.
    pub fn reader(&self) -> impl Read + Seek + Send + 'static {
        Reader { plaintext: self.clone(), at: 0, keystream: None }
    }

    fn keystream(&self, at: u64) -> Keystream {
        match self {
            Self::Held(_) => Box::new(|_| ()),
            Self::Keyed { keystream, .. } => keystream(at),
        }
    }
}

/// Reads a plaintext, and deciphers no more than what is asked for.
struct Reader {
    plaintext: Plaintext,
    at: u64,
    /// The keystream, and the place that it has come to.
    keystream: Option<(u64, Keystream)>,
}

impl Read for Reader {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.plaintext.spool().read_at_blocking(self.at, piece)?;
        let there = self.keystream.take().filter(|(at, _)| *at == self.at);
        let (_, mut decipher) = there.unwrap_or_else(|| (self.at, self.plaintext.keystream(self.at)));
        decipher(&mut piece[..read]);
        self.at += read as u64;
        self.keystream = Some((self.at, decipher));
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.plaintext.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({}, {} bytes)", self.spool().id(), self.len())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use bytesize::ByteSize;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::spool::{Config, Spool, Spooler};

    fn bytes() -> Vec<u8> {
        (0..200_000_u32).map(|at| (at * 7 + at / 256).to_le_bytes()[0]).collect()
    }

    /// What enciphers by being added, from a place on.
    fn pad(at: u64) -> impl Iterator<Item = u8> + Send {
        (at..).map(|at| (at * 13 + at / 512).to_le_bytes()[0])
    }

    /// The same bytes however they are held.
    fn all() -> Vec<(&'static str, Plaintext)> {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { dir: dir.path().to_owned(), ..Config::default() };
        let spooler = Spooler::open(&config, ByteSize::mib(8)).unwrap();
        let fill = |file: &mut std::fs::File| file.write_all_at(&bytes(), 0).map(|()| Sha256::digest(bytes()).into());
        let in_memory = spooler.hold_in_memory(bytes().len() as u64, fill).unwrap().unwrap();
        let ciphertext: Vec<u8> = bytes().into_iter().zip(pad(0)).map(|(byte, pad)| byte ^ pad).collect();
        let keystream = |at| {
            let mut pad = pad(at);
            Box::new(move |piece: &mut [u8]| piece.iter_mut().zip(&mut pad).for_each(|(byte, pad)| *byte ^= pad)) as _
        };
        vec![
            ("heap", Plaintext::Held(Arc::new(Spool::of(&bytes())))),
            ("disk", Plaintext::Held(Arc::new(spooler.specimen_on_disk(&bytes()).unwrap()))),
            ("memory", Plaintext::Held(Arc::new(in_memory))),
            (
                "keyed",
                Plaintext::Keyed { ciphertext: Arc::new(Spool::of(&ciphertext)), keystream: Arc::new(keystream) },
            ),
        ]
    }

    #[test]
    fn a_reader_gives_the_bytes_of_every_place_however_they_are_held() {
        for (name, plaintext) in all() {
            let mut reader = plaintext.reader();
            let mut whole = Vec::new();
            reader.read_to_end(&mut whole).unwrap();
            assert!(whole == bytes(), "{name}");
            for (to, at) in [
                (SeekFrom::Start(17), 17),
                (SeekFrom::End(-1000), 199_000),
                (SeekFrom::Current(-65_536), 133_482),
                (SeekFrom::Start(0), 0),
                (SeekFrom::Current(1), 19),
            ] {
                assert_eq!(reader.seek(to).unwrap(), at as u64, "{name}");
                let mut piece = [0; 18];
                reader.read_exact(&mut piece).unwrap();
                assert_eq!(piece, bytes()[at..at + 18], "{name} at {at}");
            }
        }
    }

    #[test]
    fn past_the_end_there_is_nothing() {
        for (name, plaintext) in all() {
            let mut reader = plaintext.reader();
            reader.seek(SeekFrom::Start(1 << 40)).unwrap();
            assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "{name}");
            assert!(reader.seek(SeekFrom::Current(-(1 << 41))).is_err(), "{name}: before the start");
        }
    }
}

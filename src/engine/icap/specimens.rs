//! Media that tell what a server does not look into.
//!
//! Servers pass what is larger than some limit, or of a type that they were not told of, without a look and without a word:
//! c-icap looks into no more than 5 MB, and into neither PNG nor PDF, as Debian configures it.

use std::{io, sync::Arc};

use crate::{
    engine::specimen,
    plaintext::{Keystream, Plaintext},
    spool::Spool,
};

/// Smallest medium that has room for an archive.
pub(super) const SMALLEST: u64 = 1024;

/// How media of common types begin.
pub(super) const TYPES: [(&str, &[u8]); 11] = [
    ("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ("JPEG", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"),
    ("GIF", b"GIF89a\x01\0\x01\0"),
    ("WebP", b"RIFF\0\x10\0\0WEBPVP8 "),
    ("PDF", b"%PDF-1.7\n"),
    ("MP4", b"\0\0\0\x18ftypisom\0\0\x02\0isommp42"),
    ("WebM", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01"),
    ("Ogg", b"OggS\0\x02\0\0"),
    ("MP3", b"ID3\x04\0\0\0\0\0\0"),
    ("ZIP", b"PK\x03\x04\x14\0\0\0\0\0"),
    ("Office document", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
];

/// Something that begins like a medium of a type and is `len` bytes long.
pub(super) fn beginning(with: &[u8], len: u64) -> io::Result<Plaintext> {
    Spool::sparse(with, len).map(|spool| Plaintext::Held(Arc::new(spool)))
}

/// An archive of `len` bytes, with the EICAR test file at its end; what precedes it are zeros, and take no memory.
pub(super) fn archive(len: u64) -> io::Result<Plaintext> {
    let file =
        |name: &'static str, content: &[u8]| Member { name, len: content.len() as u64, crc: crc32fast::hash(content) };
    let content = specimen::eicar();
    let eicar = file("eicar.com", &content);
    let filler = Member { name: "filler", len: 0, crc: 0 };
    let overhead = filler.local().len() + eicar.local().len() + content.len() + end(&filler, &eicar, 0).len();
    let zeros = len.saturating_sub(overhead as u64);
    let filler = Member { len: zeros, crc: crc_of_zeros(zeros), ..filler };
    let head = filler.local();
    let second = head.len() as u64 + zeros;
    let tail = [eicar.local(), content, end(&filler, &eicar, second)].concat();
    let spool = Spool::sparse(&head, second + tail.len() as u64)?;
    Ok(Plaintext::Keyed {
        ciphertext: Arc::new(spool),
        keystream: Arc::new(move |from| overlay(from, second, tail.clone())),
    })
}

/// Replaces what is at `at` by `bytes`, in what is read from `position` on.
fn overlay(mut position: u64, at: u64, bytes: Vec<u8>) -> Keystream {
    Box::new(move |piece| {
        let first = usize::try_from(at.saturating_sub(position)).unwrap_or(usize::MAX).min(piece.len());
        for (place, byte) in (position + first as u64..).zip(&mut piece[first..]) {
            let replacement = bytes.get(usize::try_from(place - at).unwrap_or(usize::MAX));
            *byte = replacement.copied().unwrap_or(*byte);
        }
        position += piece.len() as u64;
    })
}

/// A file in an archive, not compressed.
struct Member {
    name: &'static str,
    len: u64,
    crc: u32,
}

impl Member {
    /// Version, flags, method and time, checksum, sizes, length of the name, none of what else there may be.
    fn described(&self) -> Vec<u8> {
        let (len, name) = (field(self.len).to_le_bytes(), [u8::try_from(self.name.len()).expect("short"), 0]);
        [&[10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58], &self.crc.to_le_bytes()[..], &len, &len, &name, &[0, 0]].concat()
    }

    fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04", &self.described()[..], self.name.as_bytes()].concat()
    }

    fn listed(&self, at: u64) -> Vec<u8> {
        let place = field(at).to_le_bytes();
        [b"PK\x01\x02\x0a\0", &self.described()[..], &[0; 10], &place, self.name.as_bytes()].concat()
    }
}

/// The list of both members, the latter of which is at `second`, and its end.
fn end(filler: &Member, eicar: &Member, second: u64) -> Vec<u8> {
    let list = [filler.listed(0), eicar.listed(second)].concat();
    let begin = second + (eicar.local().len() as u64) + eicar.len;
    let len = u32::try_from(list.len()).expect("two short names").to_le_bytes();
    [&list[..], b"PK\x05\x06\0\0\0\0\x02\0\x02\0", &len, &field(begin).to_le_bytes(), &[0, 0]].concat()
}

/// Archives have sizes and places below 4 GiB.
fn field(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Doubles its way up, so that a gigabyte costs no more than a kilobyte.
fn crc_of_zeros(mut number: u64) -> u32 {
    let (mut all, mut block) = (crc32fast::Hasher::new(), crc32fast::Hasher::new());
    block.update(&[0]);
    while number > 0 {
        if number % 2 == 1 {
            all.combine(&block);
        }
        let half = block.clone();
        block.combine(&half);
        number /= 2;
    }
    all.finalize()
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    async fn bytes(plaintext: &Plaintext) -> Vec<u8> {
        let pieces: Vec<_> = plaintext.stream().try_collect().await.unwrap();
        pieces.concat()
    }

    #[test]
    fn the_checksum_of_zeros_is_that_of_zeros() {
        for len in [0, 1, 2, 3, 7, 1000, 65_537] {
            assert_eq!(crc_of_zeros(len), crc32fast::hash(&vec![0; usize::try_from(len).unwrap()]), "{len}");
        }
    }

    #[tokio::test]
    async fn an_archive_has_the_length_asked_for_and_eicar_near_its_end() {
        for len in [SMALLEST, 70_000, 1_000_001] {
            let archive = bytes(&archive(len).unwrap()).await;
            assert_eq!(archive.len() as u64, len);
            let at = memchr::memmem::find(&archive, &specimen::eicar()).expect("it is there");
            assert!(archive.len() - at < 300 && archive.starts_with(b"PK\x03\x04"));
        }
    }
}

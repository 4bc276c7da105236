//! Writers of archives, honest and other ones.

use std::io::Write;

use flate2::{
    Compress, Compression, FlushCompress,
    write::{DeflateEncoder, GzEncoder},
};

/// An entry of a ZIP.
#[derive(Clone, Default)]
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    /// As it lies there.
    pub(super) packed: Vec<u8>,
    pub(super) size: u32,
    pub(super) method: u16,
    pub(super) flags: u16,
    /// The name in front of the content, if it is another.
    pub(super) local_name: Option<Vec<u8>>,
    /// What else is said there, if it is otherwise: flags, method and size.
    pub(super) local: Option<(u16, u16, u32)>,
    /// Where the directory says it is, if it is not there.
    pub(super) at: Option<u32>,
    /// Not in the directory.
    pub(super) hidden: bool,
    /// What the directory has besides.
    pub(super) extra: Vec<u8>,
}

pub(super) fn stored(name: &str, content: &[u8]) -> Entry {
    let size = u32::try_from(content.len()).unwrap();
    Entry { name: name.into(), packed: content.to_vec(), size, ..Entry::default() }
}

pub(super) fn deflated(name: &str, content: &[u8]) -> Entry {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    Entry { packed: encoder.finish().unwrap(), method: 8, ..stored(name, content) }
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for entry in entries {
        let at = entry.at.unwrap_or(u32::try_from(bytes.len()).unwrap());
        if entry.at.is_none() {
            bytes.extend(b"PK\x03\x04\x14\0");
            let name = entry.local_name.as_ref().unwrap_or(&entry.name);
            let (flags, method, size) = entry.local.unwrap_or((entry.flags, entry.method, entry.size));
            bytes.extend(common(&Entry { size, method, flags, ..entry.clone() }, name));
            bytes.extend(name);
            bytes.extend(&entry.packed);
        }
        if !entry.hidden {
            // As who has no room for more counts.
            count = count.wrapping_add(1);
            directory.extend(b"PK\x01\x02\x14\0\x14\0");
            let listed = common(entry, &entry.name);
            directory.extend(&listed[..listed.len() - 2]);
            directory.extend(u16::try_from(entry.extra.len()).unwrap().to_le_bytes());
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(&entry.name);
            directory.extend(&entry.extra);
        }
    }
    let at = u32::try_from(bytes.len()).unwrap();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([u16::to_le_bytes(count), u16::to_le_bytes(count)].concat());
    bytes.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    bytes.extend(at.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// From the flags to the length of the extra field.
fn common(entry: &Entry, name: &[u8]) -> Vec<u8> {
    let packed = u32::try_from(entry.packed.len()).unwrap();
    let name_len = u16::try_from(name.len()).unwrap();
    [
        &entry.flags.to_le_bytes()[..],
        &entry.method.to_le_bytes(),
        &[0; 8],
        &packed.to_le_bytes(),
        &entry.size.to_le_bytes(),
        &name_len.to_le_bytes(),
        &[0; 2],
    ]
    .concat()
}

/// Deflate of so many MiB of zeros, made from one of them.
pub(super) fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut encoder = Compress::new(Compression::best(), false);
    let mut one = Vec::with_capacity(64 * 1024);
    encoder.compress_vec(&vec![0; 1 << 20], &mut one, FlushCompress::Full).unwrap();
    let mut last = Vec::with_capacity(64);
    Compress::new(Compression::best(), false).compress_vec(&[], &mut last, FlushCompress::Finish).unwrap();
    [one.repeat(mebibytes), last].concat()
}

/// One file of a tape archive; the two empty blocks at the end are left to the caller.
pub(super) fn tar(name: &str, kind: u8, size: u64, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    let size = match size < 1 << 33 {
        true => format!("{size:011o}\0").into_bytes(),
        false => [&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat(),
    };
    block[124..136].copy_from_slice(&size);
    block[148..156].fill(b' ');
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

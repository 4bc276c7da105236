//! Streams of binary office documents.

use std::io::{Read, Seek};

use memchr::memmem;

use super::chains::{Chains, Item};

/// Bytes of a workbook in which its sheets are listed, and a password would be told.
const GLOBALS: usize = 64 * 1024;

/// The same, where there is more in front of the list of sheets than documents have.
const MOST_GLOBALS: usize = 1 << 20;

/// Bytes of a presentation in which it is told whether it has macros.
const MOST_SLIDES: usize = 2 << 20;

/// What one stream tells of the document.
#[derive(Default)]
pub(super) struct Told {
    pub(super) locked: bool,
    pub(super) macros: bool,
    /// Some of what would tell was not looked at.
    pub(super) unseen: bool,
}

pub(super) fn told<R: Read + Seek>(chains: &mut Chains<'_, '_, R>, item: &Item) -> Told {
    let mut content = |most| chains.content(item, most).unwrap_or_default();
    // Names of streams have no case that matters.
    match item.name.to_ascii_lowercase().as_str() {
        _ if !item.is_stream => Told::default(),
        // Encrypted, or obfuscated by a password: two of the flags in the header of the document [MS-DOC] 2.5.1.
        "worddocument" => {
            let flags = content(12).get(10..12).map_or(0, |flags| u16::from_le_bytes([flags[0], flags[1]]));
            Told { locked: flags & 0x8100 != 0, ..Told::default() }
        }
        "workbook" | "book" => match workbook(&content(GLOBALS)) {
            told if told.unseen && item.size > GLOBALS as u64 => workbook(&content(MOST_GLOBALS)),
            told => told,
        },
        // [MS-PPT] 2.3.2, headerToken.
        "current user" => {
            Told { locked: content(16).get(12..16) == Some(&[0xdf, 0xc4, 0xd1, 0xf3]), ..Told::default() }
        }
        "powerpoint document" => {
            let macros = has_macros(&content(MOST_SLIDES));
            Told { macros, unseen: !macros && item.size > MOST_SLIDES as u64, ..Told::default() }
        }
        _ => Told::default(),
    }
}

/// True if a presentation says that it has macros, which are packed in the same stream ([MS-PPT] 2.4.10 and 2.4.11).
fn has_macros(bytes: &[u8]) -> bool {
    const INFO: &[u8] = b"\xff\x03\x14\0\0\0\x02\0\0\x04\x0c\0\0\0";
    // After the number of the object with the macros.
    memmem::find_iter(bytes, INFO).any(|at| bytes.get(at + INFO.len() + 4).is_some_and(|has| *has != 0))
}

/// Records up to the end of what is of the whole workbook [MS-XLS] 2.1.4.
fn workbook(mut bytes: &[u8]) -> Told {
    let mut told = Told { unseen: true, ..Told::default() };
    while let [kind, kind_high, len, len_high, rest @ ..] = bytes {
        let (kind, len) = (u16::from_le_bytes([*kind, *kind_high]), usize::from(u16::from_le_bytes([*len, *len_high])));
        let Some(record) = rest.get(..len) else { break };
        match kind {
            // FilePass
            0x2f => told.locked = true,
            // BoundSheet8: a sheet of Excel 4 macros, or a module
            0x85 => told.macros |= record.get(5).is_some_and(|kind| matches!(kind, 1 | 6)),
            // EOF, or the table of texts, which comes after the sheets and can be long
            0x0a | 0xfc => {
                told.unseen = false;
                break;
            }
            _ => {}
        }
        bytes = &rest[len..];
    }
    told
}

/// A file that was dropped into a document: what it was called, and what it is. As laid out by the Packager.
pub(super) fn native(bytes: &[u8]) -> (String, &[u8]) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    let cut = |from: usize| {
        let rest = bytes.get(from..)?;
        Some(rest.split(|byte| *byte == 0).next().unwrap_or_default())
    };
    let parse = || {
        let label = cut(6)?;
        let path = cut(6 + label.len() + 1)?;
        let at = 6 + label.len() + 1 + path.len() + 1 + 4;
        let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let temporary = long(at)?;
        let start = at.checked_add(4)?.checked_add(temporary)?.checked_add(4)?;
        let len = long(start - 4)?;
        let content = bytes.get(start..)?;
        Some((text(label), &content[..len.min(content.len())]))
    };
    parse().unwrap_or((String::new(), bytes))
}

/// UTF-16, as names are.
pub(super) fn wide(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

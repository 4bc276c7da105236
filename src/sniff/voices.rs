//! What libraries that know signatures say.

use std::{
    io::{self, Cursor, Read, Seek},
    panic::{AssertUnwindSafe, catch_unwind},
};

use file_format::FileFormat;

use super::windows::Bounded;
use crate::facts::canonical;

/// Bytes that the second voice may read beside the head.
const MOST: u64 = 64 * 1024;

/// The first voice. Its names are those that lists and rules use.
pub(super) fn first(head: &[u8]) -> Option<&'static str> {
    let kind = guarded(|| infer::get(head))?.mime_type();
    is_believed(kind, head).then_some(kind)
}

/// The second voice, from the head alone.
pub(super) fn second(head: &[u8]) -> Option<&'static str> {
    named(guarded(|| FileFormat::from_reader(Cursor::new(head)).ok())).filter(|kind| is_believed(kind, head))
}

/// The second voice, which may look further.
pub(super) fn second_of<R: Read + Seek>(bytes: &mut R, size: u64) -> io::Result<Option<&'static str>> {
    let mut view = Bounded::new(bytes, size, MOST);
    let format = guarded(|| FileFormat::from_reader(&mut view).ok());
    match view.into_error() {
        Some(error) => Err(error),
        None => Ok(named(format)),
    }
}

/// These libraries add and index as the bytes tell them to. One that stumbles has said nothing.
fn guarded<T>(ask: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(ask)).ok().flatten()
}

fn named(format: Option<FileFormat>) -> Option<&'static str> {
    let format = format.filter(|format| {
        !matches!(format, FileFormat::ArbitraryBinaryData | FileFormat::Empty | FileFormat::PlainText)
    })?;
    // The library keeps its names forever, but does not say so.
    let name = FileFormat::from_kind(format.kind()).iter().find(|known| **known == format)?.media_type();
    Some(canonical(name))
}

/// Two or three bytes are taken for some types. Their structure has more to show.
fn is_believed(kind: &str, head: &[u8]) -> bool {
    match kind {
        "application/octet-stream" => false,
        "application/x-llvm" => head.starts_with(b"BC\xc0\xde"),
        "application/x-executable" => head.starts_with(b"\x7fELF") || is_coff(head),
        "image/bmp" => matches!(u32_at(head, 14), Some(12 | 16 | 40 | 52 | 56 | 64 | 108 | 124)),
        "application/postscript" => head.starts_with(b"%!PS"),
        "application/vnd.sqlite3" => head.starts_with(b"SQLite format 3"),
        _ => true,
    }
}

/// An object file has sections, and no header for a loader.
fn is_coff(head: &[u8]) -> bool {
    let [_, _, a, b, ..] = head else { return false };
    let sections = u16::from_le_bytes([*a, *b]);
    let optional = head.get(16..18).map(|two| u16::from_le_bytes([two[0], two[1]]));
    (1..=96).contains(&sections) && optional == Some(0) && !head.starts_with(&[0])
}

fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?))
}

/// Signatures that neither library has.
pub(super) fn own(head: &[u8]) -> Option<&'static str> {
    const SIGNATURES: [(&[u8], &str); 13] = [
        (b"\x7fELF", "application/x-executable"),
        (b"?_\x03\0", "application/winhlp"),
        (b"ITSF", "application/vnd.ms-htmlhelp"),
        (b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut"),
        (b"\x1bLua", "application/x-lua-bytecode"),
        (b"dey\n", "application/vnd.android.dey"),
        (b"!<thin>\n", "application/x-unix-archive"),
        (b"\xf7\x02\x01\x83\x92\xc0\x1c;", "application/x-dvi"),
        (b"\xde\x12\x04\x95", "application/x-gettext-translation"),
        (b"\x95\x04\x12\xde", "application/x-gettext-translation"),
        (b"KDMV", "application/x-vmdk"),
        (b"JM\x01\0PK\x03\x04", "application/x-java-jmod"),
        (b"\xda\xda\xfe\xca", "application/x-java-image"),
    ];
    let listed = || SIGNATURES.iter().find(|(start, _)| head.starts_with(start)).map(|(_, name)| *name);
    listed().or_else(|| is_python_bytecode(head).then_some("application/x-bytecode.python")).or_else(|| later(head))
}

/// A version, CR LF, flags, and then a time or a hash; and code begins with the mark of it.
fn is_python_bytecode(head: &[u8]) -> bool {
    let magic = head.get(2..4) == Some(b"\r\n");
    magic && [8, 12, 16].iter().any(|at| head.get(*at).is_some_and(|mark| matches!(mark, 0x63 | 0xe3)))
}

/// What has its mark somewhere else.
fn later(head: &[u8]) -> Option<&'static str> {
    let is_type1 = head.first() == Some(&0x80) && head.get(6..).is_some_and(|rest| rest.starts_with(b"%!"));
    match () {
        () if is_type1 => Some("application/x-font-type1"),
        () if is_java(head) => Some("application/java-archive"),
        () if is_terminal(head) => Some("application/x-terminfo"),
        () if is_public_key(head) => Some("application/pgp-keys"),
        () => None,
    }
}

/// The first entry of what `jar` packs, by its name or by the field that `JarOutputStream` adds to it.
fn is_java(head: &[u8]) -> bool {
    const MARK: [u8; 2] = 0xcafe_u16.to_le_bytes();
    let [b'P', b'K', 3, 4, ..] = head else { return false };
    let name = head.get(26..28).map_or(0, |len| usize::from(u16::from_le_bytes([len[0], len[1]])));
    head.get(30..39) == Some(b"META-INF/") || head.get(30 + name..32 + name) == Some(&MARK)
}

/// An `OpenPGP` packet with a public key of version 4: its length, the time it was made, and an algorithm that there is.
fn is_public_key(head: &[u8]) -> bool {
    let ([0x98, _, body @ ..] | [0x99, _, _, body @ ..] | [0xc6, ..=191, body @ ..] | [0xc6, 192..=223, _, body @ ..]) =
        head
    else {
        return false;
    };
    body.first() == Some(&4) && body.get(5).is_some_and(|algorithm| matches!(algorithm, 1..=3 | 16..=22))
}

/// A description of a terminal: how long its parts are, none of them long, and then its name.
fn is_terminal(head: &[u8]) -> bool {
    let parts: Option<Vec<u16>> =
        (0..4).map(|at| Some(u16::from_le_bytes(*head.get(at * 2..)?.first_chunk()?))).collect();
    let is_known = matches!(parts.as_deref(), Some([0o432 | 0o1036, 2..=512, ..=128, ..=128]));
    is_known && head.get(12).is_some_and(u8::is_ascii_graphic)
}

//! Containers that are known by how they begin.

use super::super::told::Told;
use crate::facts::Group;

/// A way to hold other things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// ZIP, and what is one inside: office documents, books, Java, Android.
    Zip,
    /// Tape archives.
    Tar,
    /// One compressed file.
    Gzip,
    /// OLE2 compound files: office documents before 2007, messages, installers, and new documents with a password.
    Compound,
    /// PDF, which can have files attached.
    Pdf,
    /// Rich text, which can have objects in it.
    RichText,
    /// 7-Zip: header only.
    SevenZip,
    /// RAR: headers only.
    Rar,
    /// Cabinets: headers only.
    Cabinet,
    /// One file, compressed in a way that is not undone here.
    Compressed,
    /// Any other archive.
    Closed,
}

/// Beginnings of what is named but not looked into.
const CLOSED: [&[u8]; 8] = [
    b"!<arch>\n",        // ar, Debian packages
    b"\xed\xab\xee\xdb", // RPM
    b"070701",           // cpio
    b"070702",
    b"070707",
    b"xar!",
    b"hsqs", // squashfs
    b"MSWIM\0\0\0",
];

/// Beginnings of single compressed files.
const COMPRESSED: [&[u8]; 6] = [b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"LZIP", b"\x1f\x9d"];

impl Kind {
    /// What begins like this.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let begins = |with: &[u8]| head.starts_with(with);
        Some(match () {
            () if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") || begins(b"PK\x07\x08PK\x03\x04") => Self::Zip,
            () if begins(b"PK00PK\x03\x04") => Self::Zip,
            () if begins(b"\x1f\x8b") => Self::Gzip,
            () if begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") => Self::Compound,
            () if begins(b"7z\xbc\xaf\x27\x1c") => Self::SevenZip,
            () if begins(b"Rar!\x1a\x07") => Self::Rar,
            () if begins(b"MSCF\0\0\0\0") => Self::Cabinet,
            () if begins(b"{\\rt") => Self::RichText,
            () if COMPRESSED.iter().any(|magic| begins(magic)) => Self::Compressed,
            () if CLOSED.iter().any(|magic| begins(magic)) => Self::Closed,
            () if super::tar::is_header(head) => Self::Tar,
            // Readers look for it in the first KiB.
            () if memchr::memmem::find(&head[..head.len().min(1024)], b"%PDF-").is_some() => Self::Pdf,
            () => return None,
        })
    }

    /// What others saw in how it begins, such as rich text behind junk, or an archive of any other kind.
    pub(super) fn told(told: &Told) -> Option<Self> {
        match told.media_type.as_deref() {
            Some("application/pdf") => Some(Self::Pdf),
            Some("application/rtf" | "text/rtf") => Some(Self::RichText),
            _ => (told.group == Group::Archive).then_some(Self::Closed),
        }
    }
}

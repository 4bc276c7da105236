//! A second format in the same bytes: what one reader shows as a picture, another one runs.

use std::io::{self, Read, Seek};

use memchr::memmem;

use super::{
    active::find,
    told::{self, Told},
    windows::{Windows, read_at},
};
use crate::facts::Group;

/// Bytes after the end of a medium that are looked at for what they are.
const APPENDED: u64 = 4 * 1024;

/// Bytes at the start within which readers look for a PDF's header.
const PDF_WITHIN: usize = 1024;

/// An archive's end record without a comment.
const END_RECORD: usize = 22;

/// Types of what else a reader would find.
pub(super) fn second<R: Read + Seek>(
    bytes: &mut R,
    windows: &Windows,
    told: &Told,
    trailing: Option<u64>,
) -> io::Result<Vec<String>> {
    let kind = told.media_type.as_deref().unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if name != kind && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    };
    if kind.is_empty() {
        return Ok(found);
    }
    if is_pdf(windows) && told.group != Group::Text && !is_pdf_kind(kind) {
        add("application/pdf");
    }
    if !is_zip_kind(told, kind) && has_archive(bytes, windows)? {
        add("application/zip");
    }
    for name in code(windows, told) {
        add(name);
    }
    for name in elsewhere(windows, kind) {
        add(name);
    }
    if let Some(after) = trailing.filter(|after| *after > 3) {
        let rest = read_at(bytes, windows.size.saturating_sub(after), after.min(APPENDED))?;
        let appended = told::tell(&rest, after);
        // A picture after a picture is what cameras write.
        let is_told = !matches!(appended.group, Group::Unknown | Group::Text | Group::Empty);
        if is_told && appended.group != told.group && !is_film_of_photo(kind, appended.group) {
            add(appended.media_type.as_deref().unwrap_or_default());
        }
    }
    Ok(found)
}

fn is_pdf_kind(kind: &str) -> bool {
    matches!(kind, "application/pdf" | "application/vnd.adobe.illustrator")
}

/// A header that readers accept, and the end that they need.
fn is_pdf(windows: &Windows) -> bool {
    let start = &windows.head[..windows.head.len().min(PDF_WITHIN + 8)];
    let header = memmem::find_iter(start, b"%PDF-").any(|at| start.get(at + 5).is_some_and(u8::is_ascii_digit));
    let has = |mark: &[u8]| windows.all().iter().any(|window| memmem::find(window, mark).is_some());
    header && (has(b"startxref") || has(b"trailer") || has(b" obj"))
}

fn is_zip_kind(told: &Told, kind: &str) -> bool {
    const NAMES: [&str; 16] = [
        "application/zip",
        "application/java-archive",
        "application/oxps",
        "application/vnd.android.aab",
        "application/vnd.android.package-archive",
        "application/vnd.google-earth.kmz",
        "application/vnd.ms-appx",
        "application/vnd.ms-appx.bundle",
        "application/vsix",
        "application/x-fbz",
        "application/x-google-chrome-extension",
        "application/x-ios-app",
        "application/x-silverlight-app",
        "application/x-xpinstall",
        "image/openraster",
        "image/x-sketch",
    ];
    let packed = kind.ends_with("+zip") || kind.contains("opendocument") || kind.contains("openxmlformats");
    packed
        || NAMES.contains(&kind)
        || kind.starts_with("application/vnd.ms-") && kind.contains("macroenabled")
        || kind.starts_with("application/vnd.sun.xml.")
        || told.other_types.iter().any(|name| &**name == "application/zip")
}

/// An archive's end record at the end, whose directory is there.
fn has_archive<R: Read + Seek>(bytes: &mut R, windows: &Windows) -> io::Result<bool> {
    let end = windows.end();
    for at in memmem::rfind_iter(end, b"PK\x05\x06").take(16) {
        let Some(record) = end.get(at..at + END_RECORD) else { continue };
        let long = |at: usize| record[at..].first_chunk().map_or(0, |four| u64::from(u32::from_le_bytes(*four)));
        let (entries, len) = (u16::from_le_bytes([record[10], record[11]]), long(12));
        let place = windows.end_at() + at as u64;
        let Some(directory) = place.checked_sub(len).filter(|_| entries > 0 && len >= 46) else { continue };
        if read_at(bytes, directory, 4)? == b"PK\x01\x02" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Markup, scripts and archives in what is shown or played. Documents and archives hold such things by right, and programs may.
fn code(windows: &Windows, told: &Told) -> Vec<&'static str> {
    const MARKS: [(&[u8], &str); 5] = [
        (b"<?php", "text/x-php"),
        (b"__halt_compiler", "text/x-php"),
        (b"<script", "text/html"),
        (b"<html", "text/html"),
        (b"<!doctype html", "text/html"),
    ];
    const ARCHIVES: [(&[u8], &str); 3] = [
        (b"Rar!\x1a\x07\0", "application/vnd.rar"),
        (b"Rar!\x1a\x07\x01\0", "application/vnd.rar"),
        (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    ];
    let kind = told.media_type.as_deref().unwrap_or_default();
    let is_shown = matches!(told.group, Group::Image | Group::Audio | Group::Video | Group::Font);
    if !is_shown || kind == "image/svg+xml" {
        return Vec::new();
    }
    let has = |mark: &[u8]| windows.all().iter().any(|window| find(window, mark).is_some());
    let mut found: Vec<_> = MARKS.iter().filter(|(mark, _)| has(mark)).map(|(_, name)| *name).collect();
    // Unpackers look for these wherever they are.
    let holds = |mark: &[u8]| windows.all().iter().any(|window| memmem::find(window, mark).is_some());
    found.extend(ARCHIVES.iter().filter(|(mark, _)| holds(mark)).map(|(_, name)| *name));
    if is_comment(&windows.head) {
        found.push("text/javascript");
    }
    found
}

/// A picture whose header is a name, or a number, and then a comment in JavaScript.
fn is_comment(head: &[u8]) -> bool {
    let at = |start: &[u8], at: usize| head.starts_with(start) && head.get(at..at + 2) == Some(b"/*");
    let opens = at(b"GIF89a", 6) || at(b"GIF87a", 6) || at(b"BM", 2) || at(b"RIFF", 4) || at(b"\xff\xd8\xff", 4);
    opens && memmem::find(head, b"*/").is_some()
}

/// Signatures that are not at the start.
fn elsewhere(windows: &Windows, kind: &str) -> Vec<&'static str> {
    const MARKS: [(usize, &[u8], &str); 4] = [
        (257, b"ustar", "application/x-tar"),
        (128, b"DICM", "application/dicom"),
        (32769, b"CD001", "application/x-iso9660-image"),
        (34817, b"CD001", "application/x-iso9660-image"),
    ];
    let is_there = |at: usize, mark: &[u8]| windows.head.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let found = MARKS.iter().filter(|(at, mark, name)| *name != kind && is_there(*at, mark));
    found.map(|(_, _, name)| *name).collect()
}

/// Cameras hang short films on photos.
fn is_film_of_photo(kind: &str, appended: Group) -> bool {
    matches!(kind, "image/jpeg" | "image/heif") && appended == Group::Video
}

#[cfg(test)]
mod tests;

//! What names of entries tell.

use crate::facts::names;

pub(super) use crate::facts::names::{end, is_program};

/// The last extension of what a path leads to.
pub(super) fn extension(name: &str) -> Option<String> {
    names::extension(file(name))
}

/// True for a name that leads elsewhere, or that is made to look like another one.
pub(super) fn is_deceptive(name: &str) -> bool {
    leads_out(name) || names::is_disguised(name) || ends_oddly(file(name)) || names::is_double(file(name))
}

fn file(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Absolute, with a drive or a stream, by backslashes (folders to some readers, and part of the name to others), or upwards.
fn leads_out(name: &str) -> bool {
    name.starts_with('/') || name.contains(['\\', ':']) || name.split('/').any(|part| part == "..")
}

/// Windows drops these.
fn ends_oddly(file: &str) -> bool {
    file.len() > 2 && file.ends_with(['.', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_or_look_like_others_are_deceptive() {
        for name in [
            "../../etc/passwd",
            "a/../b",
            "/etc/passwd",
            "C:evil.txt",
            "a\\b.txt",
            "a.txt::$DATA",
            "invoice.pdf.exe",
            "INVOICE.PDF      .EXE",
            "photo\u{202e}gpj.exe",
            "zero\u{200b}width.txt",
            "bell\u{7}.txt",
            "a.exe.",
            "a.exe ",
        ] {
            assert!(is_deceptive(name), "{name:?}");
        }
        for name in [
            "a.txt",
            "word/document.xml",
            "archive.tar.gz",
            "..hidden",
            "a..b/c",
            "jquery.min.js",
            "Grüße.pdf",
            "👨\u{200d}👩\u{200d}👧.jpg",
            ".",
            "",
        ] {
            assert!(!is_deceptive(name), "{name:?}");
        }
    }

    #[test]
    fn extensions_are_those_of_files_and_not_of_folders() {
        for (name, is) in [
            ("a/b.TXT", Some("txt")),
            ("a.exe. .", Some("exe")),
            ("a.d\\b.exe::$DATA", Some("exe")),
            ("dir.d/none", None),
            ("a/.profile", None),
            ("a.", None),
        ] {
            assert_eq!(extension(name).as_deref(), is, "{name:?}");
        }
    }
}

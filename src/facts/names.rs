//! What names of files tell, whoever says them: a request, or an archive.

use std::borrow::Cow;

use super::{Group, extension_group};

/// Bytes of an extension that is not known. Longer ones are parts of sentences.
const LONGEST: usize = 12;

/// So much white space in the name of a program is there to push what follows out of sight.
const PADDING: usize = 3;

/// Bytes of a path on Linux, and more than Windows has by default.
const LONGEST_PATH: usize = 4096;

/// What is no program, and starts one when it is opened.
const STARTS: [&str; 5] = ["dmg", "iqy", "msh", "slk", "workflow"];

/// Texts that are sent to people. Others stand in front of extensions of scripts in honest sources.
const SENT: [&str; 7] = ["csv", "eml", "ics", "log", "txt", "vcf", "xml"];

/// What a file name tells, for those who must not keep the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTells {
    /// Its last extension, in lower case and without the dot.
    pub extension: Option<String>,
    /// It ends like a program although it is made to look like something else.
    pub is_double: bool,
    /// It reads otherwise than it is.
    pub is_disguised: bool,
}

impl NameTells {
    /// Looks at a name.
    pub fn of(name: &str) -> Self {
        Self { extension: extension(name), is_double: is_double(name), is_disguised: is_disguised(name) }
    }
}

/// The last extension of a name as Windows takes it, in lower case and without the dot. None is longer than those that are known,
/// or has anything but ASCII letters, digits, `-` and `_`, so that it tells nothing of what the file is about.
pub fn extension(name: &str) -> Option<String> {
    let name = bare(name);
    let (stem, extension) = name.rsplit_once('.')?;
    let is_one = |extension: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_short = extension.len() <= LONGEST || extension_group(extension).is_some();
        !extension.is_empty() && is_short && extension.bytes().all(is_letter)
    };
    (!stem.is_empty()).then(|| extension.to_lowercase()).filter(|extension| is_one(extension))
}

/// True for an extension, in lower case, of what runs, or starts something that does, when it is opened.
pub fn is_program(extension: &str) -> bool {
    matches!(extension_group(extension), Some(Group::Executable | Group::Script)) || STARTS.contains(&extension)
}

/// True for a name that ends like a program although it is made to look like something else: a harmless extension stands
/// before the last one, or so much space that the end is not seen.
pub fn is_double(name: &str) -> bool {
    let name = bare(name);
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    let Some(last) = extension(&name).filter(|last| is_program(last)) else { return false };
    let before = stem.trim_end().rsplit_once('.').map(|(_, extension)| extension.trim().to_lowercase());
    before.is_some_and(|before| is_harmless(&before, &last)) || is_padded(stem)
}

/// True for an extension that people take for what they want to open, before another one.
fn is_harmless(before: &str, last: &str) -> bool {
    let is_sent = SENT.contains(&before);
    match extension_group(before) {
        _ if is_program(before) => false,
        Some(Group::Text) => is_sent || extension_group(last) != Some(Group::Script),
        group => group.is_some(),
    }
}

fn is_padded(stem: &str) -> bool {
    let mut spaces = 0;
    stem.chars().any(|c| {
        spaces = if c.is_whitespace() { spaces + 1 } else { 0 };
        spaces >= PADDING
    })
}

/// True for a name that reads otherwise than it is: with characters that turn the direction of writing, or that nobody sees.
pub fn is_disguised(name: &str) -> bool {
    let (mut before, mut rest) = (None, name.chars());
    while let Some(c) = rest.next() {
        let hides = match c {
            // Emoji and several scripts are joined by these; between letters that need no joining they only hide.
            '\u{200c}' | '\u{200d}' | '\u{e0020}'..='\u{e007f}' => {
                let after = rest.clone().next();
                before.is_none_or(|before: char| before.is_ascii()) || after.is_some_and(|c| c.is_ascii_alphanumeric())
            }
            _ => c.is_control() || is_invisible(c),
        };
        if hides {
            return true;
        }
        before = Some(c);
    }
    false
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        // Direction of writing.
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // No width.
        | '\u{00ad}' | '\u{034f}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        // Width, and nothing in it.
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        // Ends of lines, and marks of annotations.
        | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}')
}

/// A name without what Windows leaves away at its end.
fn bare(name: &str) -> Cow<'_, str> {
    let name = &name[..name.find("::$").unwrap_or(name.len())];
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace() || c.is_control());
    match name.contains(is_invisible) {
        true => name.chars().filter(|c| !is_invisible(*c)).collect::<String>().into(),
        false => name.into(),
    }
}

/// The end of a name as bytes, and true if there is more: names can have megabytes, and one that is longer than any path can be is
/// there to cost or to mislead.
pub fn end(name: &[u8]) -> (&[u8], bool) {
    let from = name.len().saturating_sub(LONGEST_PATH);
    (&name[from..], from > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_extension_is_the_one_that_windows_sees() {
        for (name, last) in [
            ("a.exe", "exe"),
            ("A.EXE", "exe"),
            ("a.exe.", "exe"),
            ("a.exe. . ", "exe"),
            ("a.exe\u{a0}", "exe"),
            ("a.exe::$DATA", "exe"),
            ("a.tar.gz", "gz"),
            ("photo\u{202e}gpj.exe", "exe"),
            ("a.ex\u{200b}e", "exe"),
            ("a.settingcontent-ms", "settingcontent-ms"),
        ] {
            assert_eq!(extension(name).as_deref(), Some(last), "{name:?}");
        }
        for name in ["", ".", "a", "a.", ".bashrc", "::$DATA", "...."] {
            assert_eq!(extension(name), None, "{name:?}");
        }
    }

    #[test]
    fn what_follows_a_dot_and_is_no_extension_is_not_told() {
        for name in
            ["Letter.to Max Mustermann about his divorce", "a.müller", "a.no-extension-but-a-sentence", "a.b\\c"]
        {
            assert_eq!(extension(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_program_after_a_harmless_extension_is_seen() {
        for name in [
            "invoice.pdf.exe",
            "photo.jpg      .scr",
            "a.docx.js ",
            "x.txt.vbs...",
            "b              .exe",
            "c.PDF.LNK",
            "a.zip.ps1xml",
            "a.pdf.exe::$DATA",
            "data.json.exe",
            "a.xls.slk",
        ] {
            assert!(is_double(name), "{name:?}");
        }
        for name in [
            "setup.exe",
            "jquery.min.js",
            "data.json.js",
            "a.tar.gz",
            "report.pdf",
            "exe.pdf",
            "v1.2.exe",
            "a b.exe",
            "lib.so.js",
            "wide   space.txt",
            "",
            ".",
        ] {
            assert!(!is_double(name), "{name:?}");
        }
    }

    #[test]
    fn names_that_read_otherwise_are_seen() {
        for name in [
            "photo\u{202e}gpj.exe",
            "a\u{200b}b",
            "a\u{2066}b\u{2069}",
            "\u{feff}x",
            "a\tb",
            "a\0b",
            "a\u{200d}b",
            "x\u{2800}.exe",
        ] {
            assert!(is_disguised(name), "{name:?}");
        }
        for name in [
            "Grüße.pdf",
            "检疫.png",
            "👨\u{200d}👩\u{200d}👧.jpg",
            "❤\u{fe0f}.png",
            "تقرير.pdf",
            "می\u{200c}خواهم.pdf",
            "10.00\u{202f}AM.png",
        ] {
            assert!(!is_disguised(name), "{name:?}");
        }
    }

    #[test]
    fn of_a_long_name_the_end_is_kept() {
        assert_eq!(end(b"a.txt"), (&b"a.txt"[..], false));
        let name = [b"x".repeat(1 << 16), b".exe".to_vec()].concat();
        let (kept, is_cut) = end(&name);
        assert!(kept.ends_with(b".exe") && kept.len() == LONGEST_PATH && is_cut);
    }
}

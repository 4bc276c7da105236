//! Text: what it is written in, and what for.

mod language;
mod markup;
mod plain;
mod shebang;

use std::borrow::Cow;

use super::noise;

/// Bytes of a text that are read for what it is written in: what follows is more of the same.
const READ: usize = 16 * 1024;

/// Fewest bytes of which the distribution shows that they are text in an encoding of eight bits, and fewest of those that are
/// mostly ASCII.
const EIGHT_BIT: (usize, usize) = (256, 64);

/// Readable bytes, in whatever encoding they came.
#[derive(Debug)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// The text that `head` is the beginning of, or all of it if it is not `cut`; `None` if it is no text.
    pub(super) fn decode(head: &'a [u8], cut: bool) -> Option<Self> {
        let mut marked = [(&b"\xff\xfe"[..], true), (b"\xfe\xff", false)].into_iter();
        let marked = marked.find_map(|(mark, little)| utf16(head.strip_prefix(mark)?, little));
        if let Some(text) = marked.or_else(|| bare_utf16(head)) {
            return Some(Self(text.into()));
        }
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        match noise::is_text(head, cut) || is_written_in_eight_bits(head) {
            true => {
                let head = beginning(head);
                Some(Self(String::from_utf8_lossy(&head[..head.len().min(READ)])))
            }
            false => None,
        }
    }

    /// What it is written in; `None` for text that is nothing more.
    pub(super) fn kind(&self) -> Option<&'static str> {
        let text = self.0.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\x0c']);
        shebang::interpreter(&self.0)
            .or_else(|| markup::kind(text))
            .or_else(|| plain::kind(text))
            .or_else(|| language::kind(text))
            .or_else(|| markup::later(text))
            .or_else(|| plain::structure(text))
    }
}

/// What is told by its first bytes although the rest is no text: interpreters and browsers do not mind.
pub(super) fn prefix(head: &[u8]) -> Option<&'static str> {
    let start = String::from_utf8_lossy(&head[..head.len().min(4096)]);
    let text = start.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\x0c']);
    let markup = || markup::kind(text).filter(|kind| !matches!(*kind, "text/xml" | "application/x-asp"));
    shebang::interpreter(&start).or_else(markup).or_else(|| plain::magic(text))
}

/// A text without white space in front that is there to be all that is read.
fn beginning(head: &[u8]) -> &[u8] {
    let text = head.trim_ascii_start();
    if head.len() - text.len() > READ / 2 { text } else { head }
}

/// What text is written in that has bytes which no text has, but few: interpreters pass over them.
pub(super) fn nearly(head: &[u8]) -> Option<&'static str> {
    let start = &head[..head.len().min(READ)];
    let is_odd = |byte: &&u8| **byte < 0x20 && !matches!(**byte, 7..=13 | 0x1b) || **byte == 0x7f;
    if start.iter().filter(is_odd).count() > (start.len() / 50).max(2) {
        return None;
    }
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', '\x0c']);
    language::kind(text).or_else(|| plain::kind(text).filter(|kind| kind.starts_with("application/x-")))
}

/// True for formats that can be text all through, or whose signature is more than a word of text.
pub(super) fn is_written(name: &str) -> bool {
    const NAMES: [&str; 18] = [
        "application/vnd.debian.binary-package",
        "application/x-unix-archive",
        "image/gif",
        "application/pdf",
        "application/postscript",
        "application/rtf",
        "application/x-bittorrent",
        "application/x-dxf",
        "application/x-figlet",
        "application/x-glyphs",
        "application/x-maya-ascii",
        "application/x-mimearchive",
        "application/x-subrip",
        "application/x-x509-ca-cert",
        "application/vnd.ms-developer",
        "application/pgp",
        "application/pgp-keys",
        "application/pgp-signature",
    ];
    const STARTS: [&str; 4] = ["text/", "model/", "image/x-portable-", "image/x-xpixmap"];
    NAMES.contains(&name)
        || name == "image/x-eps"
        || STARTS.iter().any(|start| name.starts_with(start))
        || ["+xml", "+json", "-ascii"].iter().any(|end| name.ends_with(end))
}

/// Without control characters but those of layouts and terminals.
fn is_written_in_eight_bits(head: &[u8]) -> bool {
    let is_control = |byte: u8| byte < 0x20 && !matches!(byte, 7..=10 | 12 | 13 | 0x1b) || byte == 0x7f;
    let is_mostly_ascii = || head.iter().filter(|byte| **byte >= 0x80).count() * 10 <= head.len() * 3;
    let enough = || head.len() >= EIGHT_BIT.0 || head.len() >= EIGHT_BIT.1 && is_mostly_ascii();
    !head.iter().any(|byte| is_control(*byte)) && enough()
}

/// UTF-16 throughout, and no control characters.
fn utf16(bytes: &[u8], little: bool) -> Option<String> {
    let unit = |pair: &[u8]| match little {
        true => u16::from_le_bytes([pair[0], pair[1]]),
        false => u16::from_be_bytes([pair[0], pair[1]]),
    };
    let is_blank = |pair: &&[u8]| matches!(unit(pair), 9..=13 | 32);
    let blanks = bytes.chunks_exact(2).take_while(is_blank).count() * 2;
    let bytes = if blanks > READ / 2 { &bytes[blanks..] } else { bytes };
    let bytes = &bytes[..bytes.len().min(READ)];
    let text = String::from_utf16(&bytes.chunks_exact(2).map(unit).collect::<Vec<_>>());
    // The last character may be cut in two.
    let text = text.or_else(|_| {
        let len = (bytes.len() / 2).saturating_sub(1);
        String::from_utf16(&bytes.chunks_exact(2).take(len).map(unit).collect::<Vec<_>>())
    });
    text.ok().filter(|text| !text.is_empty() && noise::is_text(text.as_bytes(), false))
}

/// UTF-16 that does not say so, as Windows takes it for: every other byte is zero.
fn bare_utf16(head: &[u8]) -> Option<String> {
    let start = &head[..head.len().min(512)];
    let zeros = |offset: usize| start.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, most) = (zeros(0), zeros(1), start.len() / 2);
    match () {
        () if most < 4 || even + odd < most * 3 / 4 => None,
        () if odd > 0 && even == 0 => utf16(head, true),
        () if even > 0 && odd == 0 => utf16(head, false),
        () => None,
    }
}

#[cfg(test)]
mod tests;

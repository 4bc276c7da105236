//! Scripts in what is no script itself.

use std::{
    io::{self, Read, Seek},
    sync::LazyLock,
};

use aho_corasick::AhoCorasick;
use memchr::{memchr_iter, memchr2_iter, memrchr2};

use super::windows::{Windows, read_at};

/// Bytes from the start that are searched; the end is searched besides.
const MOST: u64 = 2 * 1024 * 1024;

/// What starts a script in markup.
static MARKUP: LazyLock<AhoCorasick> = LazyLock::new(|| {
    any_of(&[
        "<script",
        ":script",
        "javascript:",
        "vbscript:",
        "data:text/html",
        "<iframe",
        "<object",
        "<embed",
        "<!entity",
        "<?xml-stylesheet",
        "http-equiv=\"refresh\"",
    ])
});

/// What makes a browser run something in XML of another kind.
static XML: LazyLock<AhoCorasick> =
    LazyLock::new(|| any_of(&["<?xml-stylesheet", "<!entity", "http://www.w3.org/1999/xhtml", "<script", ":script"]));

/// Bytes of a tag before an attribute: further back its beginning is not looked for.
const TAG: usize = 1024;

/// True if scripts, or what starts them, are seen in HTML, XML or SVG. PDF is searched where it is looked
/// into.
pub(super) fn is_active<R: Read + Seek>(bytes: &mut R, windows: &Windows, kind: Option<&str>) -> io::Result<bool> {
    let is_active: fn(&[u8]) -> bool = match kind {
        Some("text/html" | "application/xhtml+xml" | "image/svg+xml" | "application/x-mimearchive") => is_active_markup,
        Some("application/hta") => return Ok(true),
        Some("text/xml") => is_active_xml,
        Some(name) if name.ends_with("+xml") => is_active_xml,
        _ => return Ok(false),
    };
    let from_start = match windows.is_cut() {
        true => read_at(bytes, 0, MOST.min(windows.size))?,
        false => Vec::new(),
    };
    let start = if from_start.is_empty() { &windows.head } else { &from_start };
    Ok(is_active(start) || is_active(&windows.tail))
}

fn is_active_markup(bytes: &[u8]) -> bool {
    // Markup in UTF-16 is found, too.
    let narrow: Vec<u8>;
    let bytes = match bytes.iter().take(256).any(|byte| *byte == 0) {
        true => {
            narrow = bytes.iter().copied().filter(|byte| *byte != 0).collect();
            &narrow
        }
        false => bytes,
    };
    MARKUP.is_match(bytes) || has_handler(bytes) || has_hidden_scheme(bytes)
}

fn is_active_xml(bytes: &[u8]) -> bool {
    XML.is_match(bytes)
}

/// An attribute `on…=` in a tag.
fn has_handler(bytes: &[u8]) -> bool {
    memchr2_iter(b'o', b'O', bytes).any(|at| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let separated = before.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\''));
        let name = &bytes[at..bytes.len().min(at + 32)];
        let is_name = separated && name.get(1).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'n'));
        let rest = name.iter().skip(2).skip_while(|byte| byte.is_ascii_alphabetic());
        let long = name.get(2).is_some_and(u8::is_ascii_alphabetic);
        let tag = &bytes[at.saturating_sub(TAG)..at];
        let in_tag = || memrchr2(b'<', b'>', tag).is_none_or(|mark| tag[mark] == b'<');
        is_name && long && rest.copied().find(|byte| !byte.is_ascii_whitespace()) == Some(b'=') && in_tag()
    })
}

/// `javascript:` with some of its letters written as references.
fn has_hidden_scheme(bytes: &[u8]) -> bool {
    memchr_iter(b'&', bytes).take(1 << 14).any(|at| {
        let from = at.saturating_sub(12);
        let window = &bytes[from..bytes.len().min(at + 96)];
        find(&unescaped(window), b"javascript:").is_some()
    })
}

/// Character references resolved, and white space left out, as browsers do in schemes.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if first.is_ascii_whitespace() {
            continue;
        }
        let reference = (*first == b'&').then(|| reference(after)).flatten();
        let (byte, after) = reference.unwrap_or((*first, after));
        rest = after;
        if !byte.is_ascii_whitespace() {
            plain.push(byte);
        }
    }
    plain
}

fn reference(bytes: &[u8]) -> Option<(u8, &[u8])> {
    const NAMED: [(&[u8], u8); 4] = [(b"colon;", b':'), (b"Tab;", b'\t'), (b"NewLine;", b'\n'), (b"lpar;", b'(')];
    if let Some((name, byte)) = NAMED.iter().find(|(name, _)| bytes.starts_with(name)) {
        return Some((*byte, &bytes[name.len()..]));
    }
    let number = bytes.strip_prefix(b"#")?;
    let (radix, digits) = match number.split_first()? {
        (b'x' | b'X', rest) => (16, rest),
        _ => (10, number),
    };
    let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
    let len = digits.iter().take(10).take_while(is_digit).count();
    let value = u32::from_str_radix(std::str::from_utf8(&digits[..len]).ok()?, radix).ok()?;
    let after = &digits[len..];
    Some((u8::try_from(value).ok()?, after.strip_prefix(b";").unwrap_or(after)))
}

/// One search for all of them, whatever the case, that takes as long for the worst of bytes as for others.
pub(super) fn any_of(marks: &[&str]) -> AhoCorasick {
    AhoCorasick::builder().ascii_case_insensitive(true).build(marks).expect("a few short marks")
}

/// Where `needle`, which is in lower case, first is in `bytes`, whatever the case.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, _) = needle.split_first()?;
    let matches = |at: &usize| bytes.get(*at..*at + needle.len()).is_some_and(|part| part.eq_ignore_ascii_case(needle));
    memchr2_iter(*first, first.to_ascii_uppercase(), bytes).find(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_scripts_in_markup_is_seen() {
        for active in [
            "<p><script>alert(1)</script>",
            "<SCRIPT src=x>",
            "<img src=x onerror=alert(1)>",
            "<svg/onload=alert(1)>",
            "<body\nONLOAD = 'x()'>",
            "<a href=javascript:alert(1)>",
            "<a href='java&#115;cript:alert(1)'>",
            "<a href='&#x6A;ava&Tab;script&colon;alert(1)'>",
            "<svg xmlns:s='http://www.w3.org/2000/svg'><s:script/></svg>",
        ] {
            assert!(is_active_markup(active.as_bytes()), "{active}");
        }
        for passive in
            ["<p>only one = sign</p>", "<p class='on'>", "<p>onwards</p>", "<p>fish &amp; chips</p>", "<b on=1>", ""]
        {
            assert!(!is_active_markup(passive.as_bytes()), "{passive}");
        }
        let wide: Vec<u8> = "<html><script>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(is_active_markup(&wide));
    }
}

//! Scripts in what is no script itself.

use std::{
    io::{self, Read, Seek},
    sync::LazyLock,
};

use aho_corasick::AhoCorasick;
use memchr::{memchr_iter, memchr2_iter, memrchr_iter, memrchr2};

use super::windows::{Windows, read_at};

/// Bytes that are searched. What is longer could start anything.
const MOST: u64 = 16 * 1024 * 1024;

/// Bytes that are searched at a time; parts share some, so that nothing is lost where they are cut.
const PART: u64 = 256 * 1024;
const SHARED: usize = 4096;

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
    ])
});

/// What makes a browser run something in XML of another kind.
static XML: LazyLock<AhoCorasick> =
    LazyLock::new(|| any_of(&["<?xml-stylesheet", "<!entity", "http://www.w3.org/1999/xhtml", "<script", ":script"]));

/// Bytes of a tag before an attribute: further back its beginning is not looked for.
const TAG: usize = 1024;

/// Bytes of tags that are read in one part. Who needs more puts them there to be read.
const MOST_TAGS: usize = 4 * 1024 * 1024;

/// True if scripts, or what starts them, are seen in HTML, XML or SVG. PDF is searched where it is looked
/// into.
pub(super) fn is_active<R: Read + Seek>(bytes: &mut R, windows: &Windows, kind: Option<&str>) -> io::Result<bool> {
    let is_active: fn(&[u8], usize) -> bool = match kind {
        Some("text/html" | "application/xhtml+xml" | "image/svg+xml" | "application/x-mimearchive") => is_active_markup,
        Some("application/hta") => return Ok(true),
        Some("text/xml") => is_active_xml,
        Some(name) if name.ends_with("+xml") => is_active_xml,
        _ => return Ok(false),
    };
    if windows.size > MOST {
        return Ok(true);
    }
    // Markup in UTF-16 is found, too.
    let is_wide = windows.head.iter().take(256).any(|byte| *byte == 0);
    let (mut at, mut known) = (0, 0);
    while at < windows.size {
        let mut part = read_at(bytes, at, PART)?;
        let is_last = (part.len() as u64) < PART;
        if is_wide {
            part.retain(|byte| *byte != 0);
        }
        if is_active(&part, known) {
            return Ok(true);
        }
        if is_last {
            break;
        }
        at += PART - SHARED as u64;
        known = if is_wide { SHARED / 4 } else { SHARED / 2 };
    }
    Ok(false)
}

/// Of the first bytes, so many were looked at as the end of another part.
fn is_active_markup(bytes: &[u8], known: usize) -> bool {
    MARKUP.is_match(bytes) || is_refreshed(bytes) || has_handler(bytes, known) || has_hidden_scheme(bytes)
}

fn is_active_xml(bytes: &[u8], _: usize) -> bool {
    XML.is_match(bytes)
}

/// True if a page leads to another one by itself.
fn is_refreshed(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"http-equiv";
    let mut rest = bytes;
    while let Some(at) = find(rest, NAME) {
        rest = &rest[at + NAME.len()..];
        let value = rest.trim_ascii_start().strip_prefix(b"=").unwrap_or_default().trim_ascii_start();
        let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
        if value.get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"refresh")) {
            return true;
        }
    }
    false
}

/// An attribute `on…=` in a tag.
fn has_handler(bytes: &[u8], known: usize) -> bool {
    let mut left = MOST_TAGS;
    memchr2_iter(b'o', b'O', bytes).skip_while(|at| *at < known).any(|at| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let separated = before.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\''));
        let name = &bytes[at + 1..];
        let is_name = separated && name.first().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'n'));
        let long = name.get(1).is_some_and(u8::is_ascii_alphabetic);
        let rest = || name.iter().skip(1).skip_while(|byte| byte.is_ascii_alphabetic());
        is_name
            && long
            && rest().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'=')
            && in_tag(&bytes[at.saturating_sub(TAG)..at], at > TAG, &mut left)
    })
}

/// True if a tag is open after these bytes, as far as can be seen; `is_cut` if there is more in front. Ends of tags in quotes are none,
/// and which quotes are some depends on where a tag begins, which is not known of what stands in comments or in quotes itself.
fn in_tag(before: &[u8], is_cut: bool, left: &mut usize) -> bool {
    if memrchr2(b'<', b'>', before).is_none_or(|mark| before[mark] == b'<') {
        return true;
    }
    let begins = |at: &usize| before.get(at + 1).is_some_and(u8::is_ascii_alphabetic);
    let tags = memrchr_iter(b'<', before).filter(begins).map(|at| (At::Tag, at + 1));
    let values = [b'"', b'\''].into_iter().filter(|_| is_cut).map(|quote| (At::Quoted(quote), 0));
    tags.chain(values).any(|(at, from)| {
        let tag = &before[from..];
        *left = left.saturating_sub(tag.len());
        *left == 0 || at.is_open_after(tag)
    })
}

/// Where in a tag, as browsers read them (WHATWG HTML, 13.2.5.8 and 13.2.5.32 to 13.2.5.39).
#[derive(Clone, Copy, PartialEq)]
enum At {
    Tag,
    BeforeName,
    Name,
    AfterName,
    Value,
    Quoted(u8),
    Unquoted,
}

impl At {
    /// True if the tag does not end in these bytes.
    fn is_open_after(self, tag: &[u8]) -> bool {
        let mut at = self;
        for byte in tag {
            let blank = byte.is_ascii_whitespace();
            at = match (at, byte) {
                (Self::Quoted(quote), byte) if *byte == quote => Self::BeforeName,
                (Self::Quoted(_), _) => at,
                (_, b'>') => return false,
                (Self::Value, b'"' | b'\'') => Self::Quoted(*byte),
                (Self::Value, _) if blank => Self::Value,
                (Self::Value | Self::Unquoted, _) => {
                    if blank {
                        Self::BeforeName
                    } else {
                        Self::Unquoted
                    }
                }
                (Self::Name | Self::AfterName, b'=') => Self::Value,
                (Self::Name | Self::AfterName, _) if blank => Self::AfterName,
                (Self::Tag, _) if blank => Self::BeforeName,
                (Self::BeforeName, _) if blank => Self::BeforeName,
                (_, b'/') => Self::BeforeName,
                (Self::Tag, _) => Self::Tag,
                (Self::BeforeName | Self::Name | Self::AfterName, _) => Self::Name,
            };
        }
        // If what was open at the start was never closed, it was nothing.
        at != self || self == Self::Tag
    }
}

/// `javascript:` with some of its letters written as references, or with what browsers leave out.
fn has_hidden_scheme(bytes: &[u8]) -> bool {
    memchr_iter(b'=', bytes).any(|at| is_script(&bytes[at + 1..])) || is_hidden(bytes)
}

/// True if a value, in quotes or not, leads to a script.
fn is_script(value: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 2] = [b"javascript:", b"vbscript:"];
    let value = value.trim_ascii_start();
    let mut rest = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
    let mut scheme = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = (*first == b'&').then(|| reference(after)).flatten().unwrap_or((*first, after));
        rest = after;
        let is_left_out = matches!(byte, b'\t' | b'\n' | b'\r') || scheme.is_empty() && byte <= b' ';
        if is_left_out {
            continue;
        }
        scheme.push(byte.to_ascii_lowercase());
        if SCHEMES.contains(&&scheme[..]) {
            return true;
        }
        if !SCHEMES.iter().any(|known| known.starts_with(&scheme)) {
            return false;
        }
    }
    false
}

/// The same where it is not the beginning of a value, such as one of several in it.
fn is_hidden(bytes: &[u8]) -> bool {
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

pub(super) fn reference(bytes: &[u8]) -> Option<(u8, &[u8])> {
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
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let len = digits[zeros..].iter().take(10).take_while(is_digit).count();
    let number = std::str::from_utf8(&digits[zeros..zeros + len]).ok()?;
    let value = if number.is_empty() && zeros > 0 { 0 } else { u32::from_str_radix(number, radix).ok()? };
    let after = &digits[zeros + len..];
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
    fn scripts_are_seen_at_the_beginning_of_large_media_and_at_their_end() {
        let is_active = |at: usize, size: usize, kind: &str| {
            let mut bytes = vec![b' '; size];
            bytes[at..at + 8].copy_from_slice(b"<script>");
            let mut reader = std::io::Cursor::new(&bytes);
            let windows = Windows::open(&mut reader, size as u64).unwrap();
            is_active(&mut reader, &windows, Some(kind)).unwrap()
        };
        let size = 4 << 20;
        for at in [0, 500_000, (2 << 20) - 8, size - 8] {
            for kind in ["text/html", "image/svg+xml", "text/xml", "application/mathml+xml"] {
                assert!(is_active(at, size, kind), "{at} {kind}");
            }
            assert!(!is_active(at, size, "text/plain"), "nobody runs it");
        }
    }

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
            assert!(is_active_markup(active.as_bytes(), 0), "{active}");
        }
        for passive in
            ["<p>only one = sign</p>", "<p class='on'>", "<p>onwards</p>", "<p>fish &amp; chips</p>", "<b on=1>", ""]
        {
            assert!(!is_active_markup(passive.as_bytes(), 0), "{passive}");
        }
        let wide: Vec<u8> = "<html><script>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (mut bytes, size) = (io::Cursor::new(&wide), wide.len() as u64);
        let windows = Windows::open(&mut bytes, size).unwrap();
        assert!(is_active(&mut bytes, &windows, Some("text/html")).unwrap());
    }

    #[test]
    fn what_starts_scripts_is_seen_however_it_is_written() {
        let far = "&#x0000006A;&#x00000061;&#x00000076;&#x00000061;&#x00000073;&#x00000063;&#x00000072;&#x00000069;\
                   &#x00000070;&#x00000074;&#x0000003A;alert(1)";
        for active in [
            "<img alt='>' src=x onerror=alert(1)>".to_owned(),
            "<img alt=\"a > b\" src=x onerror=alert(1)>".to_owned(),
            format!("<img src=x onerror{}=alert(1)>", " ".repeat(100)),
            "<video onwebkitplaybacktargetavailabilitychanged=alert(1)>".to_owned(),
            "<a href='java\nscript:alert(1)'>".to_owned(),
            "<a href='\tj\ta\tvascript:alert(1)'>".to_owned(),
            "<a href=\"\u{1} java\rscript:alert(1)\">".to_owned(),
            format!("<a href='{far}'>"),
            "<a href='&#x0000000000000000006A;avascript:alert(1)'>".to_owned(),
            format!("<p>{}</p><a href='java&#115;cript:alert(1)'>", "&".repeat(20_000)),
            "<img a' b=\"'>\" onerror=alert(1)>".to_owned(),
            "<img =\"x y=\">\" onerror=alert(1)>".to_owned(),
            "<!-- <p title=\" --> <img alt=\"> \" onerror=alert(1)>".to_owned(),
            format!("<img alt=\"{}<b>{}\" onerror=alert(1)>", "x".repeat(2000), "y".repeat(100)),
            "<meta http-equiv=refresh content='0;url=//x'>".to_owned(),
            "<meta http-equiv = 'Refresh' content='0;url=//x'>".to_owned(),
        ] {
            assert!(is_active_markup(active.as_bytes(), 0), "{active}");
        }
        for passive in [
            "<p>a script in Java: a text</p><p title='java'>script</p>",
            "<p title='>'>it goes on = and on</p>",
            "<a href='/javascript/'>x</a>",
            "<meta http-equiv='content-type' content='text/html'>",
        ] {
            assert!(!is_active_markup(passive.as_bytes(), 0), "{passive}");
        }
    }
}

//! Text with a form of its own that nobody runs, and shortcuts, which are text.

use serde::de::IgnoredAny;

use super::markup::{head, starts_with};

/// What is told by its first bytes even if the rest is no text.
pub(super) fn magic(text: &str) -> Option<&'static str> {
    const STARTS: [(&str, &str); 3] =
        [("{\\rt", "application/rtf"), ("%!PS", "application/postscript"), ("MIME-Version:", "message/rfc822")];
    let listed = STARTS.iter().find(|(start, _)| text.starts_with(start)).map(|(_, kind)| *kind);
    // Word skips what stands in front.
    listed.or_else(|| head(text, 64).contains("{\\rtf1").then_some("application/rtf"))
}

/// Text that begins in a particular way; `text` begins with no white space.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    const STARTS: [(&str, &str); 16] = [
        ("[internetshortcut]", "application/x-mswinurl"),
        ("[{000214a0-0000-0000-c000-000000000046}]", "application/x-mswinurl"),
        ("[desktop entry]", "application/x-desktop"),
        ("[shell]", "application/x-desktop"),
        ("windows registry editor version", "text/x-ms-regedit"),
        ("regedit4", "text/x-ms-regedit"),
        ("begin:vcalendar", "text/calendar"),
        ("begin:vcard", "text/vcard"),
        ("webvtt", "text/vtt"),
        ("-----begin pgp", "application/pgp"),
        ("#extm3u", "audio/x-mpegurl"),
        ("bplist", "application/x-plist"),
        (".\\\"", "text/troff"),
        ("'\\\"", "text/troff"),
        (".th ", "text/troff"),
        ("diff --git ", "text/x-diff"),
    ];
    let listed = STARTS.iter().find(|(start, _)| starts_with(text, start)).map(|(_, kind)| *kind);
    listed.or_else(|| magic(text)).or_else(|| later(text)).or_else(|| is_mail(text).then_some("message/rfc822"))
}

/// Sections may stand after comments.
fn later(text: &str) -> Option<&'static str> {
    let is_comment = |line: &&str| line.is_empty() || line.starts_with(['#', ';']);
    let section = text.lines().map(str::trim).take(100).find(|line| !is_comment(line))?;
    let is = |name: &str| section.eq_ignore_ascii_case(name);
    if has_shortcut(text) {
        return Some("application/x-mswinurl");
    }
    match () {
        () if is("[desktop entry]") => Some("application/x-desktop"),
        () if is("[internetshortcut]") => Some("application/x-mswinurl"),
        () if is("[version]") && text.to_ascii_lowercase().contains("signature") => Some("application/x-setupscript"),
        () if is("[autorun]") => Some("application/x-setupscript"),
        () => None,
    }
}

/// True for a section that Windows finds whatever stands in front of it.
fn has_shortcut(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).skip_while(|line| !line.eq_ignore_ascii_case("[internetshortcut]"));
    let section = lines.by_ref().skip(1).take_while(|line| !line.starts_with('['));
    section.take(100).any(|line| starts_with(line, "url") && line[3..].trim_start().starts_with('='))
}

/// Two headers that mail has, among lines that are all headers.
fn is_mail(text: &str) -> bool {
    const HEADERS: [&str; 12] = [
        "received",
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "return-path",
        "mime-version",
        "delivered-to",
        "content-type",
        "dkim-signature",
        "reply-to",
    ];
    let lines = text.lines().take(40).take_while(|line| !line.is_empty()).filter(|line| !line.starts_with([' ', '\t']));
    let mut known = 0;
    for (at, line) in lines.enumerate() {
        let Some((name, _)) = line.split_once(':') else {
            if at == 0 && line.starts_with("From ") {
                continue;
            }
            return false;
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return false;
        }
        known += usize::from(HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header)));
    }
    known >= 3
}

/// Text that is told by how all of it is built.
pub(super) fn structure(text: &str) -> Option<&'static str> {
    if text.starts_with(['{', '[']) && is_json(text) {
        return Some("application/json");
    }
    is_table(text).then_some("text/csv")
}

fn is_json(text: &str) -> bool {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => true,
        // Cut, or several in a row.
        Err(error) => {
            let begun = text.trim_start_matches(['{', '[', ' ', '\n', '\r', '\t']);
            (error.is_eof() && text.len() > 1024 || error.line() > 1 && text.starts_with("{\""))
                && begun.starts_with('"')
        }
    }
}

/// At least four rows, all of as many columns.
fn is_table(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().take(64).collect();
    let lines = if text.len() >= super::READ { &lines[..lines.len().saturating_sub(1)] } else { &lines[..] };
    let columns = |line: &str, separator: char| {
        let mut quoted = false;
        let count = line.chars().filter(|c| {
            quoted ^= *c == '"';
            !quoted && *c == separator
        });
        count.count()
    };
    [',', ';', '\t'].into_iter().any(|separator| {
        let first = lines.first().map_or(0, |line| columns(line, separator));
        lines.len() >= 4 && first >= 1 && lines.iter().all(|line| columns(line, separator) == first)
    })
}

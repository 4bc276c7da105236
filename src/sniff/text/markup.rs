//! What browsers read.

/// Tags that make a text HTML wherever nothing else says what it is (WHATWG MIME Sniffing, 7.1), and a few more that browsers
/// and mail readers show as such.
const TAGS: [&str; 29] = [
    "html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title", "b", "body", "br", "p",
    "img", "meta", "link", "form", "base", "object", "embed", "frameset", "marquee", "center", "span", "input",
    "video", "math",
];

/// Elements that a root may be hidden behind.
const MOST_SKIPPED: usize = 64;

/// Text that begins with a tag; `text` begins with no white space.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    if !text.starts_with('<') {
        return None;
    }
    if starts_with(text, "<?php") || text.starts_with("<?=") || text.starts_with("<?\n") || text.starts_with("<?\r") {
        return Some("text/x-php");
    }
    if text.starts_with("<%") {
        return Some("application/x-asp");
    }
    let is_xml = starts_with(text, "<?xml");
    let (root, doctype) = root(text);
    let local = root.rsplit(':').next().unwrap_or_default();
    let is_html = doctype.is_some_and(|doctype| starts_with(doctype.trim_start(), "html"));
    match () {
        () if contains(text, "<hta:application") => Some("application/hta"),
        () if is_xml && contains(head(text, 16 * 1024), "<script") && is_windows_script(local) => {
            Some("application/x-wsf")
        }
        () if is_windows_script(root) && contains(head(text, 16 * 1024), "<script") => Some("application/x-wsf"),
        () if local.eq_ignore_ascii_case("svg") => Some("image/svg+xml"),
        () if is_xml && (local.eq_ignore_ascii_case("html") || is_html) => Some("application/xhtml+xml"),
        () if is_xml => Some("text/xml"),
        () if is_html || TAGS.iter().any(|tag| root.eq_ignore_ascii_case(tag)) => Some("text/html"),
        () if root.is_empty() && contains(head(text, 4096), "<svg") => Some("image/svg+xml"),
        () if doctype.is_some() || root.contains(':') => Some("text/xml"),
        () if has_namespace(text) => Some("text/xml"),
        () if starts_with(text, "<!--") => Some("text/html"),
        () => None,
    }
}

/// Markup that begins later in a text: what opens a file by its name reads it as HTML all the same.
pub(super) fn later(text: &str) -> Option<&'static str> {
    const STARTS: [&str; 6] = ["<!doctype html", "<html", "<head>", "<body", "<script", "<title>"];
    let begins = |line: &str| STARTS.iter().any(|start| starts_with(line.trim_start(), start));
    head(text, 4096).lines().any(begins).then_some("text/html")
}

fn is_windows_script(root: &str) -> bool {
    ["job", "package", "component", "scriptlet"].iter().any(|name| root.eq_ignore_ascii_case(name))
}

/// The name of the first element, and what its document type is, after all that may come before it.
fn root(text: &str) -> (&str, Option<&str>) {
    let (mut rest, mut doctype) = (text, None);
    for _ in 0..MOST_SKIPPED {
        rest = rest.trim_start();
        let after = if let Some(comment) = rest.strip_prefix("<!--") {
            comment.split_once("-->")
        } else if rest.starts_with("<?") {
            rest.split_once("?>")
        } else if starts_with(rest, "<!doctype") {
            let declared = rest.get("<!doctype".len()..).unwrap_or_default();
            doctype = Some(head(declared, 64));
            after_doctype(declared)
        } else if rest.starts_with("<![CDATA[") {
            rest.split_once("]]>")
        } else {
            break;
        };
        let Some((_, after)) = after else { return ("", doctype) };
        rest = after;
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    let Some(tag) = rest.strip_prefix('<') else { return ("", doctype) };
    let (name, after) = tag.split_at(tag.find(|c| !is_name(c)).unwrap_or(tag.len()));
    let is_ended = after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || matches!(c, '>' | '/'));
    (if is_ended { name } else { "" }, doctype)
}

/// A document type may hold declarations in brackets, with ends of tags of their own.
fn after_doctype(declared: &str) -> Option<(&str, &str)> {
    match (declared.find('['), declared.find('>')) {
        (Some(open), Some(end)) if open < end => {
            let (_, after) = declared[open..].split_once(']')?;
            after.split_once('>')
        }
        _ => declared.split_once('>'),
    }
}

fn has_namespace(text: &str) -> bool {
    let tag = text.split('>').next().unwrap_or_default();
    tag.contains(" xmlns") || tag.contains("\nxmlns")
}

/// The first bytes, less a character that would be cut.
pub(super) fn head(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

/// Whatever the case.
pub(super) fn starts_with(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// Whatever the case; `needle` is in lower case.
pub(super) fn contains(text: &str, needle: &str) -> bool {
    crate::sniff::active::find(text.as_bytes(), needle.as_bytes()).is_some()
}

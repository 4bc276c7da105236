//! `Content-Disposition`: whether readers can make sense of it, and what they would call the file.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// True for a `Content-Disposition` by its grammar ([RFC 6266](https://www.rfc-editor.org/rfc/rfc6266#section-4.1)):
/// a word, and parameters.
pub(super) fn is_readable(disposition: &HeaderValue) -> bool {
    let Ok(text) = disposition.to_str() else { return false };
    let (kind, mut rest) = split_word(text);
    while let Some(parameter) = rest.trim_ascii_start().strip_prefix(';') {
        let (name, value) = split_word(parameter.trim_ascii_start());
        let after = value.strip_prefix('=').filter(|_| is_word(name)).and_then(after_value);
        let Some(after) = after else { return false };
        rest = after;
    }
    is_word(kind) && rest.trim_ascii_start().is_empty()
}

/// A text up to the first character that ends a word, and the rest.
fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find([';', '=', '"', ' ', '\t']).unwrap_or(text.len()))
}

/// Names of headers are made of what all words of headers are.
fn is_word(text: &str) -> bool {
    HeaderName::from_bytes(text.as_bytes()).is_ok()
}

/// What comes after the value, a word or a quoted text, that a text begins with.
fn after_value(text: &str) -> Option<&str> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = split_word(text);
        return is_word(value).then_some(rest);
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(&quoted[end + 1..])
}

/// The file name in a `Content-Disposition`, as browsers find it: `filename*`
/// ([RFC 8187](https://www.rfc-editor.org/rfc/rfc8187#section-3.2)) before `filename`. A text that does not keep to the grammar is
/// read for as long as it can be.
pub(super) fn file_name(disposition: &HeaderValue) -> Option<String> {
    let text = String::from_utf8_lossy(disposition.as_bytes());
    let (mut plain, mut extended) = (None, None);
    let mut rest = text.split_once(';').map(|(_, rest)| rest);
    while let Some(parameter) = rest {
        let (name, after) = parameter.split_at(parameter.find([';', '=']).unwrap_or(parameter.len()));
        let (value, after) = match after.strip_prefix('=') {
            Some(value) => value_of(value.trim_start()),
            None => ("".into(), after),
        };
        match name.trim() {
            name if name.eq_ignore_ascii_case("filename*") => extended = extended.or(decoded(&value)),
            name if name.eq_ignore_ascii_case("filename") => plain = plain.or(Some(value.into_owned())),
            _ => (),
        }
        rest = after.split_once(';').map(|(_, rest)| rest);
    }
    extended.or(plain).filter(|name| !name.is_empty())
}

/// A value, quoted or up to the next parameter, and what comes after it.
fn value_of(text: &str) -> (Cow<'_, str>, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, _) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim_end().into(), &text[value.len()..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => return (value.into(), &quoted[at + 1..]),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            _ => value.push(c),
        }
        escaped = false;
    }
    (value.into(), "")
}

/// The text of a `filename*`; `None` if that is none.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, text) = rest.split_once('\'')?;
    let bytes = percent_decode_str(text);
    match charset.eq_ignore_ascii_case("iso-8859-1") {
        true => Some(bytes.map(char::from).collect()),
        false => Some(bytes.decode_utf8_lossy().into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_homeservers_write_can_be_read_and_what_is_no_disposition_cannot() {
        for text in [
            "inline",
            "attachment",
            "attachment; filename=a.bin",
            "inline; filename=\"a file; with \\\"quotes\\\".png\"",
            "attachment; filename*=utf-8''na%C3%AFve.txt",
            "inline;filename=\"x\\\\\" ; filename*=UTF-8''%E2%82%AC",
        ] {
            assert!(is_readable(&HeaderValue::from_str(text).unwrap()), "{text}");
        }
        for text in [
            "",
            ";",
            "; filename=x",
            "inline; filename=a file",
            "inline; filename=\"open",
            "inline; =x",
            "a/b",
            "x y",
            "inline; filename=\"a\"b",
            "inline; filename=\"a\\\"",
            "inline;",
        ] {
            assert!(!is_readable(&HeaderValue::from_str(text).unwrap()), "{text}");
        }
        assert!(!is_readable(&HeaderValue::from_bytes(b"inline; filename=\xff").unwrap()));
    }

    #[test]
    fn a_file_is_called_what_browsers_call_it() {
        for (text, expected) in [
            ("inline", None),
            ("attachment; filename=a.bin", Some("a.bin")),
            ("attachment;FileName = a.bin ;x=y", Some("a.bin")),
            (r#"inline; filename="a file; with \"quotes\".png""#, Some("a file; with \"quotes\".png")),
            ("attachment; filename*=utf-8''na%C3%AFve.txt", Some("naïve.txt")),
            ("attachment; filename*=iso-8859-1'de'na%EFve.txt", Some("naïve.txt")),
            ("attachment; filename=safe.png; filename*=UTF-8''evil.exe", Some("evil.exe")),
            ("attachment; filename*=UTF-8''evil.exe; filename=safe.png", Some("evil.exe")),
            ("attachment; filename*=nonsense; filename=a.exe", Some("a.exe")),
            ("attachment; a; filename=a.exe", Some("a.exe")),
            (r#"attachment; filename="open.exe"#, Some("open.exe")),
            ("attachment; filename=a file.exe", Some("a file.exe")),
            ("attachment; filename=", None),
            ("attachment;;;", None),
        ] {
            assert_eq!(file_name(&HeaderValue::from_str(text).unwrap()).as_deref(), expected, "{text}");
        }
        let latin = HeaderValue::from_bytes(b"inline; filename=na\xefve.exe").unwrap();
        assert_eq!(file_name(&latin).as_deref(), Some("na\u{fffd}ve.exe"));
    }
}

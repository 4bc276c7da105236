//! `Content-Disposition`, as far as it must be readable.

use http::{HeaderName, HeaderValue};

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
}

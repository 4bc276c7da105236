//! Patterns of texts: `*` for any characters, `?` for one, `[a-z]` and `[!a-z]` for one of some, `{a,b}` for one or the other,
//! `\` before any of these for itself.
//!
//! Crates for such patterns are made for paths: they take bytes for characters, and fold the case of ASCII alone. So
//! patterns become regular expressions of the crate that takes time in proportion to the text, whoever wrote it.

use std::borrow::Cow;

use regex::{RegexSet, RegexSetBuilder};

/// Bytes that the patterns of one list may take when they are compiled.
const MOST: usize = 32 << 20;

/// True for what is more than a text.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

/// A text without the difference of upper and lower case.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if text.bytes().all(is_folded) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect())
}

/// Patterns that were folded, compiled.
pub(super) fn compile<'a>(patterns: impl IntoIterator<Item = &'a String>) -> Result<RegexSet, String> {
    let expressions = patterns.into_iter().map(|pattern| expression(pattern)).collect::<Result<Vec<_>, _>>()?;
    RegexSetBuilder::new(expressions).size_limit(MOST).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "these are too many patterns, or too long ones".to_owned(),
        _ => "a range in [ ] is the wrong way round".to_owned(),
    })
}

/// The regular expression of a pattern.
fn expression(pattern: &str) -> Result<String, String> {
    let mut chars = pattern.chars();
    let mut out = String::from("(?s)^(?:");
    let mut depth = 0_u32;
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => class(&mut chars, &mut out)?,
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            '\\' => push_plain(chars.next().ok_or("`\\` at the end stands for nothing; write `\\\\`")?, &mut out),
            plain => push_plain(plain, &mut out),
        }
        if depth > 8 {
            return Err("`{` within `{` more than eight times".to_owned());
        }
    }
    if depth > 0 {
        return Err("`{` is not closed; write `\\{` for the character itself".to_owned());
    }
    out.push_str(")$");
    Ok(out)
}

/// What is between brackets.
fn class(chars: &mut std::str::Chars<'_>, out: &mut String) -> Result<(), String> {
    let unclosed = "`[` is not closed; write `\\[` for the character itself";
    out.push('[');
    let mut is_first = true;
    let mut next = chars.next().ok_or(unclosed)?;
    if matches!(next, '!' | '^') {
        out.push('^');
        next = chars.next().ok_or(unclosed)?;
    }
    while next != ']' || is_first {
        match next {
            '-' if !is_first && chars.as_str().chars().next().is_some_and(|after| after != ']') => out.push('-'),
            '\\' => push_plain(chars.next().ok_or(unclosed)?, out),
            plain => push_plain(plain, out),
        }
        is_first = false;
        next = chars.next().ok_or(unclosed)?;
    }
    out.push(']');
    Ok(())
}

fn push_plain(c: char, out: &mut String) {
    if c.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(c);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(&[folded(pattern).into_owned()]).unwrap().is_match(&folded(text))
    }

    #[test]
    fn patterns_match_whole_texts_whatever_their_case() {
        for (pattern, text) in [
            ("*.exe", "Invoice.EXE"),
            ("*.exe", ".exe"),
            ("*", ""),
            ("image/*", "image/svg+xml"),
            ("a?c", "aéc"),
            ("ÄRGER*", "ärgernis"),
            ("ΟΔΟΣ", "οδος"),
            ("[a-c]x", "Bx"),
            ("[!a-c]x", "dx"),
            ("[]-]", "-"),
            ("{a,b*}.txt", "bcd.txt"),
            ("{a,{b,c}}", "C"),
            (r"\*[[]", "*["),
            ("a\u{212A}", "AK"),
            ("*.exe", "a\nb.exe"),
            ("a,b}", "a,b}"),
            ("$(x)|y", "$(X)|Y"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("*.exe", "a.exe.txt"), ("a?c", "ac"), ("[!a-c]x", "bx"), ("{a,b}", "ab"), ("a.c", "abc"), ("a*", "ba")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for (pattern, told) in
            [("[a", "not closed"), ("{a", "not closed"), ("a\\", "stands for nothing"), ("[z-a]", "wrong way")]
        {
            assert!(compile(&[pattern.to_owned()]).unwrap_err().contains(told), "{pattern}");
        }
        assert!(compile(&["{".repeat(100)]).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_told_to_be_none(pattern in "[a-zß\\[\\]{}*?!^,\\\\&~|-]{0,20}", text in ".{0,20}") {
            if let Ok(globs) = compile(&[folded(&pattern).into_owned()]) {
                globs.is_match(&folded(&text));
            }
        }

        #[test]
        fn an_escaped_text_matches_itself_alone(text in "[a-z.*?{}\\[\\]\\\\]{1,12}", other in "[a-z.*?]{1,12}") {
            let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(matches(&escaped, &text));
            prop_assert_eq!(matches(&escaped, &other), text == other);
        }
    }
}

//! Names in a PDF, by which dictionaries say what they are about.

use std::ops::Range;

/// A name that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// All of it is encrypted.
    Encrypt,
    /// The stream of an attached file.
    File,
    /// Where a file specification leads to such streams.
    Files,
    /// Something that has attached files.
    Attached,
    /// The same, that runs as well.
    Rich,
    /// Something that starts when it is opened or clicked.
    Active,
    /// A stream in which dictionaries are compressed.
    Objects,
    /// Where the first of them is, which is said of nothing else: readers differ in whether they ask for the type as well.
    First,
}

/// Longest of the names, and one more byte, so that none that only begins like one is taken for it.
const ROOM: usize = 17;

/// The names that are in a text, and where they are. They begin with a slash, and may be written with codes for letters.
pub(super) fn names(text: &[u8]) -> impl Iterator<Item = (Range<usize>, Name)> + '_ {
    memchr::memchr_iter(b'/', text).filter_map(|at| {
        let rest = &text[at + 1..];
        // Most slashes are in compressed bytes, or begin other names.
        let may_be = rest.first().is_some_and(|first| b"#AEFIJLORSX".contains(first));
        let mut name = [0; ROOM];
        let (name, len) = if may_be { decoded(rest, &mut name) } else { return None };
        Some((at..at + 1 + len, known(name, &rest[len..])?))
    })
}

/// Names of few letters are in compressed bytes by chance, so they count only with a value such as they have.
fn known(name: &[u8], rest: &[u8]) -> Option<Name> {
    let value = value(rest);
    Some(match name {
        b"Encrypt" => Name::Encrypt,
        b"EmbeddedFile" => Name::File,
        b"EF" if value.starts_with(b"<<") || is_reference(value) => Name::Files,
        b"EmbeddedFiles" | b"FileAttachment" => Name::Attached,
        b"RichMedia" => Name::Rich,
        b"JavaScript" | b"Launch" | b"SubmitForm" | b"ImportData" => Name::Active,
        // A place in the document and no action, as many programs write it.
        b"OpenAction" if !value.starts_with(b"[") => Name::Active,
        b"JS" if is_text(value) || is_reference(value) => Name::Active,
        b"AA" if value.starts_with(b"<<") || is_reference(value) => Name::Active,
        b"XFA" if value.starts_with(b"[") || is_reference(value) => Name::Active,
        b"ObjStm" => Name::Objects,
        b"First" if value.first().is_some_and(u8::is_ascii_digit) && !is_reference(value) => Name::First,
        _ => return None,
    })
}

/// A name without its codes, as far as there is room, and how long it is with them.
fn decoded<'a>(text: &[u8], into: &'a mut [u8; ROOM]) -> (&'a [u8], usize) {
    let (mut len, mut at) = (0, 0);
    while let Some(byte) = text.get(at).filter(|byte| byte.is_ascii_alphanumeric() || **byte == b'#') {
        let code = text.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
        let (byte, step) = match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(code) if *byte == b'#' => (code, 3),
            _ => (*byte, 1),
        };
        let Some(slot) = into.get_mut(len) else { break };
        (*slot, len, at) = (byte, len + 1, at + step);
    }
    (&into[..len], at)
}

/// True if nothing was done to the content of a stream but that it was compressed once. `text` has its dictionary.
pub(super) fn is_packed_once(text: &[u8]) -> bool {
    memchr::memchr_iter(b'/', text).all(|at| {
        let (rest, mut name) = (&text[at + 1..], [0; ROOM]);
        let (name, len) = decoded(rest, &mut name);
        let value = value(&rest[len..]);
        match name {
            b"Filter" => is_one_filter(value),
            b"DecodeParms" | b"DP" => !is_reference(value),
            b"Predictor" => value.starts_with(b"1") && !value.get(1).is_some_and(u8::is_ascii_digit),
            b"FFilter" | b"FDecodeParms" => false,
            _ => true,
        }
    })
}

/// `/FlateDecode`, or a list of just that.
fn is_one_filter(text: &[u8]) -> bool {
    let (list, mut name) = (text.strip_prefix(b"["), [0; ROOM]);
    let Some(rest) = value(list.unwrap_or(text)).strip_prefix(b"/") else { return false };
    let (name, len) = decoded(rest, &mut name);
    let is_all = list.is_none() || value(&rest[len..]).starts_with(b"]");
    matches!(name, b"FlateDecode" | b"Fl") && is_all
}

/// What stands after a name, without white space and comments.
fn value(mut rest: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ');
    loop {
        rest = &rest[rest.iter().take_while(|byte| is_blank(byte)).count()..];
        let Some(comment) = rest.strip_prefix(b"%") else { return rest };
        let end = comment.iter().take(256).position(|byte| matches!(byte, b'\n' | b'\r'));
        let Some(end) = end else { return rest };
        rest = &comment[end..];
    }
}

/// `12 0 R`: another object.
fn is_reference(value: &[u8]) -> bool {
    let mut rest = value;
    for _ in 0..2 {
        let digits = rest.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
        let blanks = rest[digits..].iter().take(10).take_while(|byte| byte.is_ascii_whitespace()).count();
        if digits == 0 || blanks == 0 {
            return false;
        }
        rest = &rest[digits + blanks..];
    }
    rest.starts_with(b"R")
}

/// A text in letters, in UTF-16, or in hexadecimal digits.
fn is_text(value: &[u8]) -> bool {
    let begins = |text: &[u8], is: fn(&u8) -> bool| text.iter().take(4).all(is);
    match value.split_first() {
        Some((b'(', text)) => {
            text.starts_with(b"\xfe\xff") || begins(text, |byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
        }
        Some((b'<', text)) => begins(text, u8::is_ascii_hexdigit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<Name> {
        names(text.as_bytes()).map(|(_, name)| name).collect()
    }

    #[test]
    fn names_that_start_something_are_seen_however_they_are_written() {
        for active in [
            "<< /JS (x) >>",
            "/JS<616c6572>",
            "/JavaScript 3 0 R",
            "/Open#41ction",
            "/#4a#53 4 0 R",
            "/Launch",
            "<</AA<</O 1 0 R>>",
            "/AA %why\r<<",
            "/XFA[(a) 1 0 R]",
        ] {
            assert_eq!(seen(active), [Name::Active], "{active}");
        }
        assert_eq!(names(b"/JS (\xfe\xff\0a)").count(), 1);
        for passive in [
            "/JSX",
            "/JS\u{1}\u{2}",
            "/JS 3 x",
            "/AA",
            "/AAPL:Keywords",
            "JS",
            "/Page",
            "/#",
            "/#4",
            "/J#5",
            "/",
            "/EF x",
            "/OpenAction[1 0 R /XYZ null null 0]",
            "/EmbeddedFileSomething",
        ] {
            assert_eq!(seen(passive), [], "{passive}");
        }
    }

    #[test]
    fn what_has_files_is_seen_however_it_says_so() {
        for (text, name) in [
            ("/EmbeddedFile", Name::File),
            ("/EF<</F 3 0 R>>", Name::Files),
            ("/EF 3 0 R", Name::Files),
            ("/EmbeddedFiles 3 0 R", Name::Attached),
            ("/File#41ttachment", Name::Attached),
            ("/RichMedia", Name::Rich),
        ] {
            assert_eq!(seen(text), [name], "{text}");
        }
    }

    #[test]
    fn bytes_as_compression_leaves_them_have_no_names() {
        // A generator by George Marsaglia: the same bytes each time.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let bytes: Vec<u8> = (0..4 << 20)
            .flat_map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()
            })
            .collect();
        assert!(memchr::memmem::find(&bytes, b"/JS").is_some(), "there is one by chance");
        assert_eq!(names(&bytes).count(), 0);
    }
}

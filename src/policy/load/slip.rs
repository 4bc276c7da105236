//! What was probably meant by what is no YAML: the reader of YAML tells what it expected, which helps those who know its grammar.

use super::problem::Place;

const INDENTED: &str = "is this line indented like those beside it, with spaces?";

/// What to write instead, by what the reader of YAML said, and where.
pub(super) fn hint(said: &str, text: &str, place: Place) -> Option<&'static str> {
    let line = text.lines().nth(place.line - 1).unwrap_or_default();
    let before = line.chars().take(place.column - 1).filter(|c| !c.is_whitespace()).last();
    let says = |words: &str| said.contains(words);
    Some(match before {
        _ if says("unknown anchor") => "a text that begins with `*` goes in quotes: \"*.exe\"",
        _ if says("block scalar") => "a comparison goes in quotes: \"> 10MiB\"",
        _ if says("unexpected character") => "a text that begins with such a character goes in quotes",
        _ if says("unknown escape") => "`\\` is itself in single quotes",
        _ if says("trailing content") => "in single quotes, write `''` for an apostrophe; or use double quotes",
        _ if says("quoted scalar, found unexpected end") => "this quote is not closed",
        _ if says("found a tab") || says("tabs disallowed") => "indent with spaces",
        Some(']' | '}') if says("did not find expected") => "a text that begins with `[` or `{` goes in quotes",
        _ if says("expected '-'") || says("expected key") => INDENTED,
        _ if says("mapping values are not allowed") && is_first_colon(line, place) => INDENTED,
        _ if says("mapping values are not allowed") => "a text with `: ` in it goes in quotes",
        _ if says("did not find expected ','") => "a bracket is not closed, or a text goes in quotes",
        _ => return None,
    })
}

/// True if it is the line's key that is not expected there, and not a part of its text.
fn is_first_colon(line: &str, place: Place) -> bool {
    !line.chars().take(place.column - 1).collect::<String>().contains(": ")
}

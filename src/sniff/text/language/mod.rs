//! Languages that interpreters run, by how their lines look: scripts need no first line that says so to be started.
//!
//! Each hint counts once, and so many points make a script. Prose about a language has few of its lines; whoever wants to hide a
//! script can write it without any of them, so this tells what people and common tools write.

mod forms;
mod hints;

use self::hints::LANGUAGES;
use super::markup::head;

/// Points that make a script, and that make one of what has lines as sources for compilers have them.
const ENOUGH: u32 = 4;
const MORE_THAN_ENOUGH: u32 = 14;

/// Bytes and lines that are looked at.
const READ: usize = 16 * 1024;
const LINES: usize = 400;

/// What a line, or the text, may show.
enum Hint {
    /// A line that begins so, after white space.
    Begins(&'static str),
    /// A line that begins so, at its very start.
    Flush(&'static str),
    /// A line that is this and no more.
    Is(&'static str),
    /// A line that begins with the first and ends with the second.
    All(&'static str, &'static str),
    /// A line, at its very start, with a form.
    Like(fn(&str) -> bool),
    /// The text has this somewhere.
    Has(&'static str),
}

struct Language {
    kind: &'static str,
    /// Its hints are in lower case, and hold whatever the case.
    folds: bool,
    hints: &'static [(u8, Hint)],
}

/// A text as the hints look at it.
struct Page<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    trimmed: Vec<&'a str>,
}

impl<'a> Page<'a> {
    fn of(text: &'a str) -> Self {
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).take(LINES).collect();
        let trimmed = lines.iter().map(|line| line.trim()).collect();
        Self { text, lines, trimmed }
    }

    fn shows(&self, hint: &Hint) -> bool {
        match hint {
            Hint::Begins(start) => self.trimmed.iter().any(|line| line.starts_with(start)),
            Hint::Flush(start) => self.lines.iter().any(|line| line.starts_with(start)),
            Hint::Is(whole) => self.trimmed.contains(whole),
            Hint::All(start, end) => {
                let fits = |line: &&str| line.len() > start.len() + end.len();
                self.trimmed.iter().any(|line| line.starts_with(start) && line.ends_with(end) && fits(line))
            }
            Hint::Like(form) => self.lines.iter().any(|line| form(line)),
            Hint::Has(part) => memchr::memmem::find(self.text.as_bytes(), part.as_bytes()).is_some(),
        }
    }
}

/// What a text is a script for.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    let text = head(text, READ);
    let folded = text.to_ascii_lowercase();
    let (page, folded) = (Page::of(text), Page::of(&folded));
    let score = |language: &Language| -> u32 {
        let page = if language.folds { &folded } else { &page };
        let shown = language.hints.iter().filter(|(_, hint)| page.shows(hint));
        shown.map(|(points, _)| u32::from(*points)).sum()
    };
    let best = LANGUAGES.iter().map(|language| (score(language), language.kind)).max_by_key(|(score, _)| *score)?;
    let is_php = best.1 == "text/x-php";
    let enough = if !is_php && is_compiled(&page) { MORE_THAN_ENOUGH } else { ENOUGH };
    (best.0 >= enough).then_some(best.1)
}

/// Sources that a compiler wants, some of whose lines scripts have, too.
fn is_compiled(page: &Page<'_>) -> bool {
    const STARTS: [&str; 21] = [
        "#include ",
        "#include<",
        "#ifndef ",
        "#ifdef ",
        "#define ",
        "#pragma ",
        "#import <",
        "using namespace ",
        "using System",
        "template <",
        "public class ",
        "package main",
        "typedef ",
        "fn main(",
        "pub fn ",
        "AC_DEFUN",
        "dnl ",
        "syntax = \"proto",
        "\t@",
        ".PHONY",
        "(defun ",
    ];
    page.lines.iter().any(|line| STARTS.iter().any(|start| line.starts_with(start)))
}

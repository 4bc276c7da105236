//! Words, names and times in policy files.

use std::time::SystemTime;

use super::{problem::Report, source::Here};
use crate::policy::{
    case,
    condition::{Wrong, shortened},
};

/// Characters of a name.
const LONGEST: usize = 64;

/// One of some words.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)], here: &Here<'_>, report: &mut Report) -> Option<T> {
    word_for(here.name(), text, words, here, report)
}

/// The same, where what is meant is called otherwise than the key that it stands under.
pub(super) fn word_for<T: Copy>(
    what: &str,
    text: &str,
    words: &[(&str, T)],
    here: &Here<'_>,
    report: &mut Report,
) -> Option<T> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        report.problem(here.problem(unknown(what, text, words)));
    }
    found
}

/// That a word is none of those that can be here.
pub(super) fn unknown<T>(what: &str, text: &str, words: &[(&str, T)]) -> String {
    let wrong =
        Wrong::unknown(format!("unknown {what} `{}`", shortened(text)), text, words.iter().map(|(word, _)| *word));
    let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let is_near = wrong.hint.is_some();
    if is_near { wrong } else { wrong.hint(format!("it is one of {}", all.join(", "))) }.to_string()
}

/// What is wrong with a name that is to be one.
pub(super) fn problem_of_name(name: &str) -> Option<&'static str> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    match name {
        _ if name.len() > LONGEST => Some("names have at most 64 characters"),
        _ if !name.starts_with(is_letter) || !name.chars().all(|c| is_letter(c) || c == '-') => {
            Some("names are of a-z, 0-9 and `-`, and do not begin with `-`")
        }
        _ => None,
    }
}

/// A date, of which it is the beginning in UTC, or a time.
pub(super) fn time(text: &str, here: &Here<'_>, report: &mut Report) -> Option<SystemTime> {
    case::time(text).map_err(|wrong| report.problem(here.problem(wrong.to_string()))).ok()
}

//! A file that was read, and places in it.

use std::path::PathBuf;

use serde_yaml::Value;

use super::{
    problem::{Place, Problem},
    yaml::{self, Tree},
};
use crate::policy::condition::{PathPart, Wrong};

/// A file that was read.
#[derive(Debug)]
pub(super) struct Source {
    /// Its path.
    pub(super) path: PathBuf,
    text: String,
    /// Where lines begin.
    lines: Vec<usize>,
    tree: Tree,
}

impl Source {
    /// Reads a text as YAML.
    pub(super) fn parse(path: PathBuf, text: String) -> Result<Self, Problem> {
        let lines: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        match yaml::parse(&text) {
            Ok(Some(tree)) => Ok(Self { path, text, lines, tree }),
            Ok(None) => Err(Problem::with(path, "there is nothing in this file")),
            Err(fault) => Err(Problem::at(path, fault.place, line(&text, &lines, fault.place.line), fault.text)),
        }
    }

    /// All of it.
    pub(super) fn root(&self) -> Here<'_> {
        Here { source: self, path: Vec::new() }
    }

    fn line(&self, number: usize) -> &str {
        line(&self.text, &self.lines, number)
    }

    /// Characters from a place on, without white space.
    fn characters(&self, from: Place) -> impl Iterator<Item = (Place, char)> {
        let lines = (from.line..=self.lines.len()).map(|number| (number, self.line(number)));
        let all = lines
            .flat_map(|(line, text)| text.chars().enumerate().map(move |(at, c)| (Place { line, column: at + 1 }, c)));
        all.skip_while(move |(place, _)| *place < from).filter(|(_, c)| !c.is_whitespace())
    }

    fn problem(&self, place: Place, text: impl Into<String>) -> Problem {
        Problem::at(&self.path, place, self.line(place.line), text)
    }
}

fn line<'a>(text: &'a str, lines: &[usize], number: usize) -> &'a str {
    let at = lines.get(number.saturating_sub(1)).copied().unwrap_or(text.len());
    text[at..].lines().next().unwrap_or_default()
}

/// A place in a file.
#[derive(Clone, Debug)]
pub(super) struct Here<'a> {
    source: &'a Source,
    path: Vec<PathPart>,
}

impl<'a> Here<'a> {
    /// What is under a key.
    pub(super) fn key(&self, name: &str) -> Self {
        self.below(&[PathPart::Key(name.to_owned())])
    }

    /// An element of a list.
    pub(super) fn item(&self, index: usize) -> Self {
        self.below(&[PathPart::Index(index)])
    }

    /// What a path leads to from here.
    pub(super) fn below(&self, path: &[PathPart]) -> Self {
        Self { source: self.source, path: [&self.path, path].concat() }
    }

    /// The last key that leads here.
    pub(super) fn name(&self) -> &str {
        let keys = self.path.iter().rev().filter_map(|part| match part {
            PathPart::Key(name) => Some(name.as_str()),
            PathPart::Index(_) => None,
        });
        keys.into_iter().next().unwrap_or_default()
    }

    /// What is here.
    pub(super) fn value(&self) -> &'a Value {
        static NOTHING: Value = Value::Null;
        let step = |value: &'a Value, part: &PathPart| match part {
            PathPart::Key(name) => value.get(name.as_str()),
            PathPart::Index(index) => value.get(*index),
        };
        self.path.iter().try_fold(&self.source.tree.value, step).unwrap_or(&NOTHING)
    }

    /// Something about what is here.
    pub(super) fn problem(&self, text: impl Into<String>) -> Problem {
        self.source.problem(self.source.tree.place(&self.path), text)
    }

    /// Something about the key that leads here.
    pub(super) fn problem_with_key(&self, text: impl Into<String>) -> Problem {
        self.source.problem(self.source.tree.key_place(&self.path), text)
    }

    /// Something about what a path leads to from here.
    pub(super) fn problem_of(&self, wrong: &Wrong) -> Problem {
        let there = self.below(&wrong.path);
        if wrong.is_key { there.problem_with_key(wrong.to_string()) } else { there.problem(wrong.to_string()) }
    }

    /// Something about what stands that many characters into the text that is here.
    pub(super) fn problem_within(&self, offset: Option<usize>, text: impl Into<String>) -> Problem {
        let place = self.source.tree.place(&self.path);
        let value = self.value().as_str().unwrap_or_default();
        let offset = offset.and_then(|offset| value.char_indices().map(|(at, _)| at).chain([value.len()]).nth(offset));
        let place = offset.and_then(|offset| self.within(value, offset, place)).unwrap_or(place);
        self.source.problem(place, text)
    }

    /// Where that is in the file. Texts may be quoted or folded, so both are read side by side, but for white space; `None` if
    /// they differ in more than quotes.
    fn within(&self, value: &str, offset: usize, place: Place) -> Option<Place> {
        let mut written = self.source.characters(place).peekable();
        let mut last = None;
        for wanted in value.get(..offset)?.chars().filter(|c| !c.is_whitespace()) {
            while written.next_if(|(_, c)| *c != wanted && matches!(c, '\'' | '"')).is_some() {}
            last = Some(written.next_if(|(_, c)| *c == wanted)?.0);
        }
        let after = last.map(|at| Place { column: at.column + 1, ..at });
        let is_end = value[offset..].trim().is_empty();
        let quote = written.next_if(|(_, c)| matches!(c, '\'' | '"') && !value[offset..].trim_start().starts_with(*c));
        let next = written.peek().filter(|_| !is_end).map(|(at, _)| *at);
        next.or(after).or(quote.map(|(at, _)| at))
    }

    /// Its name for messages about other places.
    pub(super) fn told(&self) -> String {
        let place = self.source.tree.place(&self.path);
        format!("{}:{}:{}", self.source.path.display(), place.line, place.column)
    }

    /// The directory of the file.
    pub(super) fn directory(&self) -> PathBuf {
        self.source.path.parent().map(ToOwned::to_owned).unwrap_or_default()
    }
}

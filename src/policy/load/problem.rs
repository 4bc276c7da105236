//! What is wrong with policy files, and where.

use std::{fmt, path::PathBuf};

use serde::Serialize;

/// Problems that are told at once; more tell nobody more.
const MOST: usize = 100;

/// Problems that are gathered.
const MOST_GATHERED: usize = 1000;

/// Characters of a line that are shown.
const WIDTH: usize = 160;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
}

/// Something that is wrong with a policy, or that is hardly meant so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Where in it, if it is not all of it.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What.
    pub text: String,
    /// The line there.
    #[serde(skip)]
    pub snippet: Option<String>,
}

impl Problem {
    /// With all of a file.
    pub(in crate::policy) fn with(file: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { file: file.into(), place: None, text: text.into(), snippet: None }
    }

    /// With a place in it. `line` is the text there.
    pub(super) fn at(file: impl Into<PathBuf>, place: Place, line: &str, text: impl Into<String>) -> Self {
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        // Only the line as far as it can be shown; what is behind that is told by the column alone.
        let snippet = (place.column <= WIDTH).then(|| line.chars().take(WIDTH).map(shown).collect());
        Self { file: file.into(), place: Some(place), text: text.into(), snippet }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.text)?;
        if let (Some(Place { line, column }), Some(text)) = (self.place, &self.snippet) {
            write!(f, "\n{line:>5} | {text}\n      | {:>column$}", '^')?;
        }
        Ok(())
    }
}

/// All that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().take(MOST).enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.0.len().checked_sub(MOST) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\nand {more} more"),
        }
    }
}

/// What was gathered of all files.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    notes: Vec<Problem>,
}

impl Report {
    /// Something that cannot be accepted.
    pub(super) fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MOST_GATHERED {
            self.problems.push(problem);
        }
    }

    /// Something that can, but is hardly meant so.
    pub(super) fn note(&mut self, note: Problem) {
        if self.notes.len() < MOST_GATHERED {
            self.notes.push(note);
        }
    }

    /// The notes, if there is no problem. Both are in the order of files and lines.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, Problems> {
        let order = |problem: &Problem| (problem.file.clone(), problem.place);
        self.notes.sort_by_cached_key(order);
        self.problems.sort_by_cached_key(order);
        match self.problems.is_empty() {
            true => Ok(self.notes),
            false => Err(Problems(self.problems)),
        }
    }
}

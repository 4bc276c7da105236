//! Lists, in policy files or in files of their own.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Component, Path},
};

use sha2::{Digest, Sha256};

use super::{
    files::Reading,
    problem::{Place, Problem, Report},
    shape,
    source::Here,
    words::{problem_of_name, word},
};
use crate::policy::{
    condition::{Gathered, List, ListKind, Lists, shortened},
    hash::Naming,
};

/// Lists of one policy.
const MOST: usize = 1000;

/// Bytes of a list in a file of its own.
const LARGEST: u64 = 64 << 20;

/// Bytes of all of them.
const LARGEST_SET: u64 = 256 << 20;

/// Bytes of a line.
const LONGEST: usize = 1024;

/// Malformed lines of a file that are told.
const MOST_TOLD: usize = 10;

/// Reads lists.
pub(super) struct Reader<'a, 'b, 'c> {
    naming: &'a Naming,
    reading: &'b mut Reading<'c>,
    report: &'b mut Report,
    total: u64,
    places: BTreeMap<String, String>,
    /// What was read.
    pub(super) lists: Lists<'a>,
}

impl<'a, 'b, 'c> Reader<'a, 'b, 'c> {
    pub(super) fn new(naming: &'a Naming, reading: &'b mut Reading<'c>, report: &'b mut Report) -> Self {
        Self { naming, reading, report, total: 0, places: BTreeMap::new(), lists: Lists::new(naming) }
    }

    /// Reads one.
    pub(super) fn read(&mut self, name: &str, here: &Here<'_>) {
        if self.places.len() >= MOST {
            return self.report.problem(here.problem_with_key(format!("there are more than {MOST} lists by here")));
        }
        if let Some(text) = problem_of_name(name) {
            self.report
                .problem(here.problem_with_key(format!("a list cannot be called `{}`: {text}", shortened(name))));
        }
        if let Some(other) = self.places.insert(name.to_owned(), here.told()) {
            self.report.problem(here.problem_with_key(format!("a list `{name}` is in {other} already")));
        }
        let shape: Option<shape::List> = shape::read(here, shape::OF_LISTS, self.report);
        let kinds = ListKind::ALL.map(|kind| (kind.name(), kind));
        let Some(shape) = shape else { return };
        let Some(kind) = word(&shape.kind, &kinds, &here.key("kind"), self.report) else { return };
        if let Some(list) = self.values(shape, kind, here) {
            self.lists.lists.insert(name.to_owned(), list);
        }
    }

    fn values(&mut self, shape: shape::List, kind: ListKind, here: &Here<'_>) -> Option<List> {
        let mut entries = Gathered::new(kind, self.naming);
        match (shape.file, shape.values) {
            (Some(file), None) => self.of_file(&file, &here.key("file"), kind, &mut entries),
            (None, Some(values)) => {
                for (at, value) in values.iter().enumerate() {
                    if let Err(wrong) = entries.add(value) {
                        self.report.problem(here.key("values").item(at).problem(wrong.to_string()));
                    }
                }
            }
            _ => self.report.problem(here.problem("a list has `file` or `values`, one of them")),
        }
        entries.finish().map_err(|wrong| self.report.problem(here.problem(wrong.to_string()))).ok()
    }

    fn of_file(&mut self, file: &str, here: &Here<'_>, kind: ListKind, entries: &mut Gathered<'_>) {
        // Policies can be sent to a running process, which is not to read other files for whoever sends them.
        let is_below =
            Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_below {
            let text = "files of lists are named from the directory of the policy, and are below it; a symbolic link can lead to others";
            return self.report.problem(here.problem(text));
        }
        if file.is_empty() {
            return self.report.problem(here.problem("`file` is empty"));
        }
        let path = here.directory().join(file);
        let mut lines = match self.reading.open(&path) {
            Ok(file) => Lines::of(file, LARGEST.min(LARGEST_SET - self.total)),
            Err(text) => return self.report.problem(here.problem(format!("{} {text}", path.display()))),
        };
        let mut told = 0;
        while told < MOST_TOLD {
            let (number, line) = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(text) => {
                    let place = Place { line: lines.number, column: 1 };
                    return self.report.problem(Problem { place: Some(place), ..Problem::with(&path, text) });
                }
            };
            if let Err(wrong) = entry(line, kind).map_or(Ok(()), |entry| entries.add(entry)) {
                let place = Place { line: number, column: 1 + line.len() - line.trim_start().len() };
                self.report.problem(Problem::at(&path, place, line, wrong.to_string()));
                told += 1;
            }
        }
        self.total += lines.length;
        self.reading.note(&path, lines.digest.finalize().into());
    }
}

/// What a line says, if it says anything.
fn entry(line: &str, kind: ListKind) -> Option<&str> {
    let comment = line.char_indices().find(|(at, c)| *c == '#' && !line[..*at].ends_with(|c: char| !c.is_whitespace()));
    let entry = comment.map_or(line, |(at, _)| &line[..at]).trim();
    // What `sha256sum` prints is a list, too: there is a name behind the digest.
    let entry = if kind == ListKind::Sha256 { entry.split_whitespace().next().unwrap_or_default() } else { entry };
    (!entry.is_empty()).then_some(entry)
}

/// Lines of a file, however long it or one of them is.
struct Lines {
    file: BufReader<std::io::Take<File>>,
    limit: u64,
    length: u64,
    number: usize,
    buffer: Vec<u8>,
    digest: Sha256,
}

impl Lines {
    fn of(file: File, limit: u64) -> Self {
        let file = BufReader::new(file.take(limit + 1));
        Self { file, limit, length: 0, number: 0, buffer: Vec::new(), digest: Sha256::new() }
    }

    fn next(&mut self) -> Result<Option<(usize, &str)>, String> {
        self.buffer.clear();
        let read = self.file.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut self.buffer);
        self.length += read.map_err(|error| format!("cannot be read: {error}"))? as u64;
        self.number += 1;
        self.digest.update(&self.buffer);
        if self.length > self.limit {
            return Err(format!(
                "lists are larger than {} MiB, or all together than {} MiB",
                LARGEST >> 20,
                LARGEST_SET >> 20
            ));
        }
        if self.buffer.len() > LONGEST {
            return Err(format!("this line is longer than {LONGEST} bytes"));
        }
        let line = str::from_utf8(&self.buffer).map_err(|_| "this is no UTF-8".to_owned())?;
        let line = if self.number == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        Ok((!self.buffer.is_empty()).then(|| (self.number, line.trim_end_matches(['\r', '\n']))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    /// What comes of reading these bytes as a list of at most `limit`.
    fn read(bytes: &[u8], limit: u64) -> Result<usize, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let (mut lines, mut count) = (Lines::of(file, limit), 0);
        while lines.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn a_list_that_is_too_long_or_has_too_long_a_line_is_not_taken_as_far_as_it_goes() {
        assert_eq!(read(b"a\nb\n", 4), Ok(2));
        assert!(read(b"a\nb\nc", 4).unwrap_err().starts_with("lists are larger than 64 MiB"));
        let line = "x".repeat(LONGEST);
        assert_eq!(read(line.as_bytes(), 1 << 20), Ok(1));
        assert_eq!(read(format!("a\n{line}x").as_bytes(), 1 << 20).unwrap_err(), "this line is longer than 1024 bytes");
    }
}

//! Rule files, read and checked.
//!
//! ```text
//! directory or file ─► files ─► yaml (values and places) ─► shape ─► lists, defaults, rules ─► reach ─► Loaded
//! ```
//!
//! All that is wrong with all files is told at once, each with its place. What is half right is not loaded by half: a set has
//! no problems, or it is none. Files are read with bounds on their size and number, on values and depth in each.

mod defaults;
mod doubts;
mod files;
mod lists;
mod matcher;
mod problem;
mod reach;
mod rules;
pub mod schema;
mod shape;
mod slip;
mod source;
mod words;
mod yaml;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_yaml::Value;

pub(super) use self::files::open;
pub use self::{
    files::Fingerprint,
    problem::{Place, Problem, Problems},
};
use self::{
    files::{Found, Reading},
    problem::Report,
    source::{Here, Source},
};
use super::{
    case::{self, Case},
    condition::{Lists, shortened},
    hash::Naming,
    rule::RuleSet,
};

/// The version of the language.
const VERSION: i64 = 1;

/// A policy that was read and checked, without its cases having been run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What its files say.
    pub rules: RuleSet,
    /// What it has to decide as it is written down.
    pub cases: Vec<Case>,
    /// What works, but is hardly meant so: rules and exceptions that are over, lists that nothing names.
    pub notes: Vec<Problem>,
    /// What it is known by.
    pub fingerprint: Fingerprint,
    /// All files that it was read from, lists and cases too.
    pub files: Vec<PathBuf>,
}

/// Reads a policy, which is a directory of files or one file. Digests in lists are named as those of media are.
pub fn read(path: &Path, naming: &Naming) -> Result<Loaded, Problems> {
    read_at(path, naming, SystemTime::now())
}

/// The same. The files that it is made of are noted whatever comes of it, and whether they are there or not.
pub fn read_noting(
    path: &Path,
    naming: &Naming,
    now: SystemTime,
    files: &mut BTreeSet<PathBuf>,
) -> Result<Loaded, Problems> {
    read_with(path, naming, now, Reading::noting(files))
}

/// Reads a policy at another time.
pub fn read_at(path: &Path, naming: &Naming, now: SystemTime) -> Result<Loaded, Problems> {
    read_with(path, naming, now, Reading::noting(&mut BTreeSet::new()))
}

fn read_with(path: &Path, naming: &Naming, now: SystemTime, mut reading: Reading<'_>) -> Result<Loaded, Problems> {
    let found = files::find(path).map_err(|problem| Problems(vec![problem]))?;
    if found.rules.is_empty() {
        let text = "no file of rules is in this directory: their names end in `.yaml`";
        return Err(Problems(vec![Problem::with(path, text)]));
    }
    let mut report = Report::default();
    let Found { rules, cases } = found;
    let mut sources = |paths: Vec<PathBuf>| -> Vec<Source> {
        let mut read = |path: PathBuf| reading.text(&path).and_then(|text| Source::parse(path, text));
        paths.into_iter().filter_map(|path| read(path).map_err(|problem| report.problem(problem)).ok()).collect()
    };
    let (rules, cases) = (sources(rules), sources(cases));
    understand(&rules, &cases, naming, now, reading, report)
}

/// True if there is nothing to read: no such path, or a directory without files of rules and of cases. What only cannot be read is
/// there.
pub fn is_absent(path: &Path) -> bool {
    match path.symlink_metadata() {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(_) => files::find(path).is_ok_and(|found| found.rules.is_empty() && found.cases.is_empty()),
    }
}

/// Reads texts that are compiled in.
pub(super) fn read_texts(
    rules: (&str, &str),
    cases: (&str, &str),
    naming: &Naming,
    now: SystemTime,
) -> Result<Loaded, Problems> {
    let mut nowhere = BTreeSet::new();
    let mut reading = Reading::noting(&mut nowhere);
    let mut source = |(name, text): (&str, &str)| {
        reading.note_text(Path::new(name), text);
        Source::parse(name.into(), text.to_owned()).map_err(|problem| Problems(vec![problem]))
    };
    let (rules, cases) = (source(rules)?, source(cases)?);
    understand(&[rules], &[cases], naming, now, reading, Report::default())
}

fn understand(
    rules: &[Source],
    cases: &[Source],
    naming: &Naming,
    now: SystemTime,
    mut reading: Reading<'_>,
    mut report: Report,
) -> Result<Loaded, Problems> {
    let files: Vec<Here<'_>> = rules.iter().map(Source::root).collect();
    for file in &files {
        check_file(file, &mut report);
    }
    let lists = read_lists(&files, naming, &mut reading, &mut report);
    let rules = read_rules(&files, &lists, now, &mut report);
    let cases = cases.iter().flat_map(|file| read_cases(&file.root(), naming, &mut report)).collect();
    let notes = report.finish()?;
    let files = reading.files.iter().cloned().collect();
    Ok(Loaded { rules, cases, notes, fingerprint: reading.fingerprint(), files })
}

/// Keys of a file, and kinds of what is under them.
fn check_file(file: &Here<'_>, report: &mut Report) {
    let Some(shape) = shape::read::<shape::File>(file, shape::OF_FILES, report) else { return };
    let shape::File { version, defaults, lists, rules, exceptions } = shape;
    if version != VERSION {
        let text = format!("version {version} of the language is not known; this one is {VERSION}");
        report.problem(file.key("version").problem(text));
    }
    if defaults.is_empty() && lists.is_empty() && rules.is_empty() && exceptions.is_empty() {
        report.note(file.problem("this file says nothing"));
    }
}

fn read_lists<'a>(files: &[Here<'_>], naming: &'a Naming, reading: &mut Reading<'_>, report: &mut Report) -> Lists<'a> {
    let mut reader = lists::Reader::new(naming, reading, report);
    for lists in files.iter().map(|file| file.key("lists")) {
        for name in lists.value().as_mapping().iter().flat_map(|all| all.keys()).filter_map(Value::as_str) {
            reader.read(name, &lists.key(name));
        }
    }
    reader.lists
}

fn read_rules(files: &[Here<'_>], lists: &Lists<'_>, now: SystemTime, report: &mut Report) -> RuleSet {
    let mut defaults = defaults::Reader::default();
    for file in files {
        defaults.read(&file.key("defaults"), report);
    }
    let conditions = matcher::Reader { lists, used: BTreeSet::new() };
    let mut reader = rules::Reader::new(conditions, now);
    let all = |key: &str| files.iter().map(|file| file.key(key)).flat_map(|all| items(&all)).collect::<Vec<_>>();
    let (rules, exceptions) = (all("rules"), all("exceptions"));
    for all in [&rules, &exceptions] {
        if let Some(first) = all.get(rules::MOST) {
            report.problem(first.problem(format!("there are more than {} by here", rules::MOST)));
        }
    }
    let rules: Vec<_> = rules.iter().take(rules::MOST).filter_map(|rule| reader.rule(rule, report)).collect();
    let exceptions: Vec<_> =
        exceptions.iter().take(rules::MOST).filter_map(|one| reader.exception(one, report)).collect();
    reach::check(&rules, &exceptions, report);
    for file in files {
        note_unused(&file.key("lists"), &reader.conditions.used, report);
    }
    let rules = rules.into_iter().map(|read| read.rule).collect();
    RuleSet { defaults: defaults.defaults, rules, exceptions }
}

fn note_unused(lists: &Here<'_>, used: &BTreeSet<String>, report: &mut Report) {
    let names = lists.value().as_mapping().into_iter().flat_map(|all| all.keys()).filter_map(Value::as_str);
    for name in names.filter(|name| !used.contains(*name)) {
        report.note(lists.key(name).problem_with_key(format!("nothing names the list `{}`", shortened(name))));
    }
}

fn read_cases(file: &Here<'_>, naming: &Naming, report: &mut Report) -> Vec<Case> {
    let _: Option<shape::Cases> = shape::read(file, shape::OF_CASES, report);
    let mut names = BTreeSet::new();
    let read = |here: Here<'_>| {
        if here.key("name").value().as_str().is_some_and(|name| !names.insert(name.to_owned())) {
            report.problem(here.key("name").problem("a case of this file has that name already"));
        }
        let written: case::Written = shape::read(&here, shape::OF_EACH_CASE, report)?;
        let checked = written.check(&file.directory(), here.told(), naming);
        checked.map_err(|wrong| report.problem(here.problem_of(&wrong))).ok()
    };
    items(&file.key("cases")).into_iter().filter_map(read).collect()
}

/// Elements of a list.
fn items<'a>(all: &Here<'a>) -> Vec<Here<'a>> {
    let count = all.value().as_sequence().map_or(0, Vec::len);
    (0..count).map(|at| all.item(at)).collect()
}

#[cfg(test)]
mod tests;

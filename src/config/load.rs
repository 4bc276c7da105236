//! Reading the configuration, and saying precisely what is wrong with it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::Config;

/// Prefix of environment variables; what follows is the path of a key, its parts joined by `__`.
const PREFIX: &str = "LAZARET__";

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {0}")]
    Read(PathBuf, #[source] io::Error),
    /// A key or value of the file is not accepted.
    #[error("{}", .0)]
    File(Box<FileError>),
    /// An environment variable is not accepted.
    #[error("environment variable {variable}: {problem}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Keys and values are well-formed, but cannot work together.
    #[error("{}", .0.join("\n"))]
    Problems(Vec<String>),
}

/// A place in the file and what is wrong there.
#[derive(Debug)]
pub struct FileError {
    file: PathBuf,
    place: Option<(usize, usize)>,
    problem: String,
    line: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.problem)?;
        if let (Some((line, column)), Some(text)) = (self.place, &self.line) {
            write!(f, "\n{line:>5} | {text}\n      | {:>column$}", '^')?;
        }
        Ok(())
    }
}

/// Loads the configuration from `file`, if there is one, and `variables`, typically the process environment.
pub fn load(file: Option<&Path>, variables: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let mut tree = file.map_or_else(|| Ok(Value::Null), read)?;
    let mut variables: Vec<_> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (variable, text) in &variables {
        overlay(&mut tree, variable, text)?;
    }
    let config = deserialize(tree)?;
    match config.problems() {
        problems if problems.is_empty() => Ok(config),
        problems => Err(ConfigError::Problems(problems)),
    }
}

/// The file's content. Its text is also read straight into the structs, since only that knows lines and columns.
fn read(file: &Path) -> Result<Value, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::Read(file.to_owned(), error))?;
    let outcome = match is_empty(&text) {
        true => return Ok(Value::Null),
        false => serde_yaml::from_str::<Config>(&text).and_then(|_| serde_yaml::from_str(&text)),
    };
    outcome.map_err(|error: serde_yaml::Error| {
        let place = error.location().map(|place| (place.line(), place.column()));
        let message = error.to_string();
        // The place comes first in our messages.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(before, _)| before);
        let line = place.and_then(|(line, _)| text.lines().nth(line - 1)).map(str::to_owned);
        // Their values may be secrets, and stand in any line.
        let line = line.filter(|_| !text.contains("additional_headers"));
        ConfigError::File(Box::new(FileError { file: file.to_owned(), place, problem: suggest(message), line }))
    })
}

/// A file of nothing but comments is a configuration, too.
fn is_empty(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// Puts the value of one variable into the tree, and checks it alone so that an error can name it.
fn overlay(tree: &mut Value, variable: &str, text: &str) -> Result<(), ConfigError> {
    let wrong = |problem: String| ConfigError::Variable { variable: variable.to_owned(), problem };
    let path: Vec<String> = variable[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
    let parsed = serde_yaml::from_str(text).unwrap_or_else(|_| Value::from(text));
    // What looks like a number may be meant as text, so both readings are tried.
    let accepted = [parsed, Value::from(text)].map(|value| check(&path, &value).map(|()| value));
    let value = match accepted {
        [Ok(value), _] | [Err(_), Ok(value)] => value,
        [Err(problem), Err(_)] => return Err(wrong(suggest(&problem))),
    };
    insert(tree, &path, value).ok_or_else(|| wrong("is below a key that holds a plain value".to_owned()))
}

fn check(path: &[String], value: &Value) -> Result<(), String> {
    let mut alone = Value::Null;
    insert(&mut alone, path, value.clone());
    Config::deserialize(alone).map(|_| ()).map_err(|error| error.to_string())
}

fn insert(tree: &mut Value, path: &[String], value: Value) -> Option<()> {
    let Some((key, rest)) = path.split_first() else {
        *tree = value;
        return Some(());
    };
    if tree.is_null() {
        *tree = Value::Mapping(Mapping::new());
    }
    insert(tree.as_mapping_mut()?.entry(Value::from(key.as_str())).or_insert(Value::Null), rest, value)
}

fn deserialize(tree: Value) -> Result<Config, ConfigError> {
    let tree = if tree.is_null() { Value::Mapping(Mapping::new()) } else { tree };
    Config::deserialize(tree).map_err(|error| ConfigError::Problems(vec![suggest(&error.to_string())]))
}

/// Adds the nearest known key to serde's complaint about an unknown one.
fn suggest(message: &str) -> String {
    let Some((before, list)) = message.split_once(", expected ") else { return message.to_owned() };
    let Some(unknown) = quoted(before).last().filter(|_| before.contains("unknown ")) else {
        return message.to_owned();
    };
    let near = quoted(list).map(|known| (strsim::damerau_levenshtein(unknown, known), known)).min();
    match near.filter(|(distance, known)| *distance <= known.len().max(unknown.len()) / 2) {
        Some((_, known)) => format!("{before}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

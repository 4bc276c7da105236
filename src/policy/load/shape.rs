//! What policy files look like, before anything in them is understood.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_path_to_error::Segment;
use serde_yaml::{Mapping, Value};

use super::{problem::Report, source::Here};
use crate::policy::condition::{PathPart, Wrong, shortened};

/// Wrong keys of one mapping that are told.
const MOST_TOLD: usize = 20;

/// A file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: i64,
    #[serde(default)]
    pub(super) defaults: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) lists: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) rules: Vec<Value>,
    #[serde(default)]
    pub(super) exceptions: Vec<Value>,
}

/// A rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "conditions are read from where they stand, so that their places are known")]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) description: Option<String>,
    #[serde(rename = "match")]
    pub(super) conditions: Option<Value>,
    pub(super) when: Option<String>,
    pub(super) action: String,
    pub(super) engines: Option<Vec<String>>,
    pub(super) reason: Option<Value>,
    pub(super) wire: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) expires: Option<String>,
}

/// An exception.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    pub(super) id: String,
    pub(super) from: Vec<String>,
    #[serde(rename = "match")]
    pub(super) conditions: Option<Value>,
    pub(super) when: Option<String>,
    pub(super) reason: String,
    pub(super) author: String,
    pub(super) until: String,
}

/// A list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    pub(super) kind: String,
    pub(super) file: Option<String>,
    pub(super) values: Option<Vec<String>>,
}

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cases {
    #[expect(dead_code, reason = "cases are read from where they stand")]
    pub(super) cases: Vec<Value>,
}

/// Keys that have to be there.
pub(super) const OF_FILES: &[&str] = &["version"];
pub(super) const OF_RULES: &[&str] = &["id", "action"];
pub(super) const OF_EXCEPTIONS: &[&str] = &["id", "from", "reason", "author", "until"];
pub(super) const OF_LISTS: &[&str] = &["kind"];
pub(super) const OF_CASES: &[&str] = &["cases"];
pub(super) const OF_EACH_CASE: &[&str] = &["name", "expect"];

/// Reads what is here as one of these. All that is wrong with it is told, not just the first: what cannot be read is taken out,
/// and the rest is read again.
pub(super) fn read<T: DeserializeOwned>(here: &Here<'_>, required: &[&str], report: &mut Report) -> Option<T> {
    let Value::Mapping(mapping) = here.value() else {
        report.problem(here.problem("a mapping of keys and values has to be here"));
        return None;
    };
    let mut mapping = mapping.clone();
    let mut is_whole = true;
    for name in required.iter().filter(|name| !mapping.contains_key(**name)) {
        report.problem(here.problem(format!("`{name}` is missing")));
        is_whole = false;
    }
    for name in mapping.iter().filter(|(_, value)| value.is_null()).filter_map(|(name, _)| name.as_str()) {
        report
            .problem(here.key(name).problem_with_key(format!("`{name}` has no value; leave it out if there is none")));
        is_whole = false;
    }
    mapping.retain(|_, value| !value.is_null());
    for _ in 0..MOST_TOLD {
        let error = match serde_path_to_error::deserialize(Value::Mapping(mapping.clone())) {
            Ok(read) => return is_whole.then_some(read),
            Err(error) => error,
        };
        let path: Vec<PathPart> = error.path().iter().map_while(part).collect();
        let message = error.inner().to_string();
        // What is missing was told, or was taken out here.
        let is_told = message.starts_with("missing field ") && !is_whole;
        if !is_told {
            let there = here.below(&path);
            let is_key = message.starts_with("unknown field ");
            let is_element = matches!(path.last(), Some(PathPart::Index(_)));
            let text = plain(&message, &format!("{}`{}`", if is_element { "what is in " } else { "" }, there.name()));
            report.problem(if is_key { there.problem_with_key(text) } else { there.problem(text) });
        }
        is_whole = false;
        take_out(&mut mapping, &path)?;
    }
    None
}

fn part(segment: &Segment) -> Option<PathPart> {
    match segment {
        Segment::Map { key } => Some(PathPart::Key(key.clone())),
        Segment::Seq { index } => Some(PathPart::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

/// Takes out the key that a path begins with.
fn take_out(mapping: &mut Mapping, path: &[PathPart]) -> Option<Value> {
    match path.first()? {
        PathPart::Key(name) => mapping.remove(name.as_str()),
        PathPart::Index(_) => None,
    }
}

/// What serde says, for those who write policies.
fn plain(message: &str, name: &str) -> String {
    if let Some((unknown, known)) =
        message.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", expected "))
    {
        let known = known.split('`').skip(1).step_by(2);
        let unknown = unknown.trim_matches('`');
        return Wrong::unknown(format!("unknown key `{}`", shortened(unknown)), unknown, known).to_string();
    }
    let Some((found, wanted)) = message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    else {
        return message.to_owned();
    };
    let wanted = match wanted {
        "a string" => "a text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "i64" => "a number",
        other => other,
    };
    let quotes = if wanted == "a text" { "; put it in quotes if it is meant" } else { "" };
    let found = match found.split_once([' ', '`']) {
        Some(("integer" | "floating point", number)) => format!("the number {number}{quotes}"),
        Some(("boolean", flag)) => format!("{flag}{quotes}"),
        Some(("string", _)) => "a text".to_owned(),
        _ if found == "sequence" => "a list".to_owned(),
        _ if found == "map" => "a mapping".to_owned(),
        _ => found.to_owned(),
    };
    format!("{name} has to be {wanted}, not {found}")
}

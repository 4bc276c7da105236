//! Answers of the operators' side on policies, for people. What has not the expected form is `None`.

use std::fmt::Write as _;

use bytesize::ByteSize;
use serde_json::Value;

/// Columns as wide as what is in them.
struct Table(Vec<Vec<String>>);

impl Table {
    fn new<const N: usize>(head: [&str; N]) -> Self {
        Self(vec![head.map(str::to_owned).to_vec()])
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    fn text(&self) -> String {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.0[0].len()).map(width).collect();
        let mut text = String::new();
        for row in &self.0 {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }
}

/// Lines that belong to the one before them.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn words(value: &Value) -> String {
    let words = value.as_array().into_iter().flatten().map(word);
    words.collect::<Vec<_>>().join(", ")
}

pub(super) fn status(answer: &Value) -> Option<String> {
    let (revision, path) = (answer["revision"].as_str()?, answer["path"].as_str()?);
    let from = if answer["shipped"].as_bool()? { "shipped; there is none at " } else { "" };
    let mut text = format!("policy {revision} ({from}{path}), loaded {}", word(&answer["loaded_at"]));
    writeln!(text, ", {} cases", answer["cases"]).ok()?;
    if let Some(failure) = answer["failure"].as_object() {
        let problems = indented(failure["problems"].as_str()?);
        writeln!(text, "\nNOT TAKEN at {}, since it cannot be used:\n{problems}", word(&failure["at"])).ok()?;
    }
    let mut rules = Table::new(["rule", "action", "state", "severity", "expires", "decisions"]);
    for rule in answer["rules"].as_array()? {
        rules.row(["id", "action", "state", "severity", "expires", "decisions"].map(|name| word(&rule[name])));
    }
    let mut exceptions = Table::new(["exception", "from", "state", "until", "author", "uses", "reason"]);
    for one in answer["exceptions"].as_array()? {
        let [id, state, until, author, uses, reason] =
            ["id", "state", "until", "author", "uses", "reason"].map(|name| word(&one[name]));
        exceptions.row([id, words(&one["from"]), state, until, author, uses, reason]);
    }
    for table in [rules, exceptions].into_iter().filter(|table| !table.is_empty()) {
        write!(text, "\n{}", table.text()).ok()?;
    }
    for note in answer["notes"].as_array()? {
        writeln!(text, "\nnote: {}", word(note)).ok()?;
    }
    Some(text)
}

pub(super) fn reloaded(answer: &Value) -> Option<String> {
    let as_before = if answer["changed"].as_bool()? { "" } else { ", as before" };
    let (revision, rules, exceptions) = (answer["revision"].as_str()?, &answer["rules"], &answer["exceptions"]);
    Some(format!("policy {revision}: {rules} rules, {exceptions} exceptions{as_before}\n"))
}

pub(super) fn explained(answer: &Value) -> Option<String> {
    let mut text = String::new();
    for medium in answer["media"].as_array()? {
        let opened = if medium["opened_by_key"].as_bool()? { ", as a key opened it" } else { "" };
        writeln!(text, "identity {}{opened}", medium["identity"].as_str()?).ok()?;
        if let Some(id) = medium["override"].as_str() {
            writeln!(text, "override {id} counts in place of the verdict").ok()?;
        }
        writeln!(text, "{}", medium["text"].as_str()?.trim_end()).ok()?;
    }
    Some(text)
}

pub(super) fn replay(answer: &Value) -> Option<String> {
    let (media, requests, changed) = (&answer["media"], &answer["requests"], &answer["changed"]);
    let since = word(&answer["since"]);
    let since = if since.starts_with("1970-01-01T00:00:00") { String::new() } else { format!(" since {since}") };
    let mut text = format!("{media} media in {requests} kinds of requests{since}");
    writeln!(text, ": {changed} would be decided otherwise").ok()?;
    if !answer["complete"].as_bool()? {
        writeln!(text, "NOT ALL: {}", word(&answer["why_not"])).ok()?;
    }
    let mut flips = Table::new(["would", "media", "seen in all", "direction", "decided by now", "decided by then"]);
    let mut examples = String::new();
    for flip in answer["flips"].as_array()? {
        flips.row(["would", "media", "hits", "direction", "from", "to"].map(|name| word(&flip[name])));
        for example in flip["examples"].as_array()? {
            let (kind, size) = (word(&example["type"]), ByteSize(example["size"].as_u64()?));
            let (to, identity, last) = (word(&flip["to"]), word(&example["identity"]), word(&example["last_seen"]));
            writeln!(examples, "  {to}: {identity} {kind}, {size}, last seen {last}").ok()?;
        }
    }
    if !flips.is_empty() {
        write!(text, "\n{}\nexamples\n{examples}", flips.text()).ok()?;
    }
    let mut shadows = Table::new(["rule in shadow mode", "matches", "would decide otherwise"]);
    for shadow in answer["shadows"].as_array()? {
        shadows.row(["rule", "matched", "flips"].map(|name| word(&shadow[name])));
    }
    if !shadows.is_empty() {
        write!(text, "\n{}", shadows.text()).ok()?;
    }
    writeln!(text, "\nnot known of the past: {}", words(&answer["not_known"])).ok()?;
    Some(text)
}

pub(super) fn shadow(answer: &Value) -> Option<String> {
    let rules = answer["rules"].as_array()?;
    if rules.is_empty() {
        return Some("no rule is in shadow mode\n".to_owned());
    }
    let columns = ["rule", "action", "matched", "would_refuse", "would_pass", "first", "last", "since"];
    let mut table = Table::new(["rule", "action", "matched", "would refuse", "would pass", "first", "last", "since"]);
    let mut examples = String::new();
    for rule in rules {
        table.row(columns.map(|name| word(&rule[name])));
        for example in rule["examples"].as_array()? {
            let size = example["size"].as_u64().map_or_else(|| "-".to_owned(), |size| ByteSize(size).to_string());
            let [id, kind, mxc, way, at] =
                ["identity", "type", "mxc", "direction", "at"].map(|name| word(&example[name]));
            writeln!(examples, "  {}: {at} {way} {id} {kind}, {size}, {mxc}", word(&rule["rule"])).ok()?;
        }
    }
    let examples = if examples.is_empty() { examples } else { format!("\nexamples\n{examples}") };
    Some(table.text() + &examples)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::operators::Printer;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(["a", "long head"]);
        table.row(["wide cell".to_owned(), "x".to_owned()]);
        assert_eq!(table.text(), "a          long head\nwide cell  x\n");
    }

    #[test]
    fn a_set_that_was_not_taken_is_told_before_the_rules() {
        let answer = json!({
            "revision": "ab12", "path": "/p", "shipped": false, "loaded_at": "T", "cases": 3,
            "rules": [{"id": "r", "action": "block", "state": "acting", "severity": "low", "expires": null, "decisions": 7}],
            "exceptions": [], "notes": [], "failure": {"at": "U", "problems": "a.yaml:1:1: wrong\nb"},
        });
        let text = status(&answer).unwrap();
        assert!(text.starts_with("policy ab12 (/p), loaded T, 3 cases\n\nNOT TAKEN at U"), "{text}");
        assert!(text.contains("\n    a.yaml:1:1: wrong\n    b\n"), "{text}");
        assert!(text.contains("\nr     block   acting  low       -        7\n"), "{text}");
    }

    #[test]
    fn a_replay_that_did_not_go_through_all_says_so() {
        let told = |is_complete: bool| {
            let why_not = (!is_complete).then_some("the limit was reached");
            let answer = json!({
                "since": "T", "complete": is_complete, "why_not": why_not, "media": 1, "requests": 1, "changed": 0,
                "flips": [], "shadows": [], "not_known": [],
            });
            replay(&answer).unwrap()
        };
        assert!(told(false).contains("\nNOT ALL: the limit was reached\n"));
        assert!(!told(true).contains("NOT ALL"));
    }

    #[test]
    fn answers_of_other_forms_are_none() {
        let printers: [Printer; 5] = [status, reloaded, explained, replay, shadow];
        for print in printers {
            assert!(print(&json!({"error": "x"})).is_none());
        }
    }
}

//! `rules` and `exceptions`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use serde_yaml::Value;

use super::{
    doubts, matcher,
    problem::Report,
    shape,
    source::Here,
    words::{problem_of_name, time, word},
};
use crate::policy::{
    condition::{Wrong, shortened},
    rule::{Action, Denial, Exception, Lifted, Mode, Rule, Severity, Wire},
    state::State,
};

/// Rules and exceptions of one policy, each. All rules may be asked for each decision.
pub(super) const MOST: usize = 2000;

/// Rules and states that one exception lifts.
const MOST_LIFTED: usize = 100;

/// Bytes of what users are told.
const LONGEST_REASON: usize = 1000;

/// A rule, and where it is.
pub(super) struct Read<'a> {
    pub(super) rule: Rule,
    pub(super) here: Here<'a>,
}

/// Reads rules and exceptions.
pub(super) struct Reader<'a> {
    pub(super) conditions: matcher::Reader<'a>,
    pub(super) now: SystemTime,
    /// Names that are taken, and where.
    ids: BTreeMap<String, String>,
    rules: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(conditions: matcher::Reader<'a>, now: SystemTime) -> Self {
        Self { conditions, now, ids: BTreeMap::new(), rules: BTreeSet::new() }
    }

    /// Reads a rule.
    pub(super) fn rule<'b>(&mut self, here: &Here<'b>, report: &mut Report) -> Option<Read<'b>> {
        self.rules.extend(here.key("id").value().as_str().map(ToOwned::to_owned));
        self.id(here, report);
        let shape: Option<shape::Rule> = shape::read(here, shape::OF_RULES, report);
        let matcher = self.conditions.read(here, report);
        let shape = shape?;
        let action = action(&shape, here, report);
        let denial = denial(&shape, here, report);
        let mode = match &shape.mode {
            None => Some(Mode::default()),
            Some(text) => word(text, &Mode::ALL.map(|mode| (mode.name(), mode)), &here.key("mode"), report),
        };
        let expires = match &shape.expires {
            None => Some(None),
            Some(text) => time(text, &here.key("expires"), report).map(Some),
        };
        let (action, denial, mode, expires, matcher) = (action?, denial?, mode?, expires?, matcher?);
        if matches!(action, Action::Scan(_)) && matcher.asks_engines() {
            let text = "a rule with `action: scan` cannot ask what engines say: it is there to have them asked";
            report.problem(here.key("action").problem(text));
        }
        if !action.refuses() && (shape.reason.is_some() || shape.wire.is_some()) {
            let key = if shape.reason.is_some() { "reason" } else { "wire" };
            report
                .note(here.key(key).problem_with_key(format!("nobody is told this `{key}`: the rule refuses nothing")));
        }
        let quarantine = action == Action::Quarantine;
        let denial = Arc::new(Denial { quarantine, ..denial });
        let id = Arc::clone(&denial.rule);
        let rule = Rule { id, description: shape.description, matcher, action, mode, expires, denial };
        if rule.is_over(self.now) {
            report.note(here.key("expires").problem("this rule is over and does not act"));
        }
        doubts::of_rule(&rule, here, report);
        Some(Read { rule, here: here.clone() })
    }

    /// Reads an exception. All rules were read before.
    pub(super) fn exception(&mut self, here: &Here<'_>, report: &mut Report) -> Option<Exception> {
        self.id(here, report);
        let shape: Option<shape::Exception> = shape::read(here, shape::OF_EXCEPTIONS, report);
        let matcher = self.conditions.read(here, report);
        let shape = shape?;
        if shape.conditions.is_none() && shape.when.is_none() {
            report
                .problem(here.problem("an exception needs `match` or `when`: without, it would be one for everything"));
        }
        for (name, text) in [("reason", &shape.reason), ("author", &shape.author)] {
            if text.trim().is_empty() {
                report.problem(here.key(name).problem(format!("`{name}` is empty")));
            }
        }
        if shape.from.is_empty() || shape.from.len() > MOST_LIFTED {
            let text = format!("`from` names the rules and states that do not count, 1 to {MOST_LIFTED} of them");
            report.problem(here.key("from").problem(text));
            return None;
        }
        let from =
            shape.from.iter().enumerate().map(|(at, name)| self.lifted(name, &here.key("from").item(at), report));
        let from: Vec<_> = from.collect();
        let until = time(&shape.until, &here.key("until"), report)?;
        if until <= self.now {
            report.note(here.key("until").problem("this exception is over and does not act"));
        }
        let from = from.into_iter().collect::<Option<Vec<_>>>()?;
        let (reason, author, matcher) = (shape.reason, shape.author, matcher?);
        let exception = Exception { id: shape.id.into(), reason, author, until, from, matcher };
        doubts::of_exception(&exception, here, report);
        Some(exception)
    }

    fn lifted(&self, name: &str, here: &Here<'_>, report: &mut Report) -> Option<Lifted> {
        if let Some(state) = State::named(name) {
            return Some(Lifted::State(state));
        }
        if self.rules.contains(name) {
            return Some(Lifted::Rule(name.into()));
        }
        let known = self.rules.iter().map(String::as_str).chain(State::ALL.map(State::name));
        let wrong = Wrong::unknown(format!("`{}` is no rule and no state", shortened(name)), name, known);
        report.problem(here.problem(wrong.to_string()));
        None
    }

    fn id(&mut self, here: &Here<'_>, report: &mut Report) {
        let there = here.key("id");
        let Some(id) = there.value().as_str() else { return };
        let is_taken = id == "override" || State::named(id).is_some();
        if let Some(text) = problem_of_name(id) {
            report.problem(there.problem(format!("`{}` cannot be an id: {text}", shortened(id))));
        } else if is_taken {
            report.problem(there.problem(format!("`{id}` cannot be an id: it is a word with a meaning of its own")));
        }
        if let Some(other) = self.ids.insert(id.to_owned(), there.told()) {
            report.problem(there.problem(format!("the id `{}` is in {other} already", shortened(id))));
        }
    }
}

fn action(shape: &shape::Rule, here: &Here<'_>, report: &mut Report) -> Option<Action> {
    let engines: Vec<Arc<str>> = shape.engines.iter().flatten().map(|name| name.as_str().into()).collect();
    let has_engines = shape.engines.is_some();
    let name = word(&shape.action, &Action::NAMES.map(|name| (name, name)), &here.key("action"), report)?;
    let action = match name {
        "scan" if engines.is_empty() => {
            report.problem(here.key("action").problem("`action: scan` needs `engines`, a list of their names"));
            return None;
        }
        "scan" => return Some(Action::Scan(engines.into())),
        "allow" => Action::Allow,
        "quarantine" => Action::Quarantine,
        _ => Action::Block,
    };
    if has_engines {
        report.problem(here.key("engines").problem_with_key("`engines` are for `action: scan` alone"));
    }
    Some(action)
}

/// How a refusal is told.
fn denial(shape: &shape::Rule, here: &Here<'_>, report: &mut Report) -> Option<Denial> {
    let severities = Severity::ALL.map(|severity| (severity.name(), severity));
    let wires = Wire::ALL.map(|wire| (wire.name(), wire));
    let severity = match &shape.severity {
        None => Some(Severity::default()),
        Some(text) => word(text, &severities, &here.key("severity"), report),
    };
    let wire = match &shape.wire {
        None => Some(Wire::default()),
        Some(text) => word(text, &wires, &here.key("wire"), report),
    };
    let reasons = reasons(&here.key("reason"), report);
    let (severity, wire, reasons) = (severity?, wire?, reasons?);
    Some(Denial { rule: shape.id.as_str().into(), wire, reasons, severity, quarantine: false })
}

/// What users are told, by language.
fn reasons(here: &Here<'_>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let mut reasons = BTreeMap::new();
    match here.value() {
        Value::Null => (),
        Value::String(_) => {
            reasons.insert(String::new(), reason(here, report)?);
        }
        Value::Mapping(mapping) if !mapping.is_empty() => {
            for tag in mapping.keys().filter_map(Value::as_str) {
                let there = here.key(tag);
                if !is_language(tag) {
                    let text = format!("`{}` is no language tag like `en` or `pt-BR`", shortened(tag));
                    report.problem(there.problem_with_key(text));
                    return None;
                }
                if reasons.insert(tag.to_ascii_lowercase(), reason(&there, report)?).is_some() {
                    report.problem(there.problem_with_key(format!("`{tag}` is here a second time")));
                }
            }
        }
        _ => {
            report.problem(here.problem("`reason` has to be a text, or a mapping of languages and texts"));
            return None;
        }
    }
    Some(reasons)
}

fn reason(here: &Here<'_>, report: &mut Report) -> Option<String> {
    let problem = match here.value().as_str() {
        None => "what users are told has to be a text".to_owned(),
        Some(text) if text.trim().is_empty() => "what users are told is empty".to_owned(),
        Some(text) if text.len() > LONGEST_REASON => {
            format!("what users are told is longer than {LONGEST_REASON} bytes")
        }
        Some(text) if text.contains(|c: char| c.is_control() && c != '\n') => {
            "what users are told has characters that control terminals".to_owned()
        }
        Some(text) => return Some(text.trim().to_owned()),
    };
    report.problem(here.problem(problem));
    None
}

/// The form of BCP 47: subtags of one to eight letters and digits, of which the first is a language.
fn is_language(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let first = subtags.next().unwrap_or_default();
    let is_first = (2..=8).contains(&first.len()) && first.chars().all(|c| c.is_ascii_alphabetic());
    is_first && subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.chars().all(|c| c.is_ascii_alphanumeric()))
}

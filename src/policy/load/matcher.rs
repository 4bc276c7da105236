//! `match` and `when`: what a rule or an exception is about.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::{problem::Report, source::Here};
use crate::policy::{
    condition::{Condition, Expression, Lists, Matcher, Wrong, compile, doubts},
    fact::Fact,
};

/// Mappings in one `match`, and facts in one of those.
const MOST: usize = 100;

/// Reads conditions.
pub(super) struct Reader<'a> {
    pub(super) lists: &'a Lists<'a>,
    /// Lists that are named.
    pub(super) used: BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads those of a rule or an exception.
    pub(super) fn read(&mut self, here: &Here<'_>, report: &mut Report) -> Option<Matcher> {
        let (conditions, when) = (here.key("match"), here.key("when"));
        let any = match conditions.value() {
            Value::Null => Some(Vec::new()),
            _ => self.any(&conditions, report),
        };
        let expression = match when.value().as_str() {
            None => Some(None),
            Some(text) => match Expression::compile(text) {
                Ok(expression) => Some(Some(expression)),
                Err(wrong) => {
                    report.problem(when.problem_within(wrong.offset, wrong.to_string()));
                    None
                }
            },
        };
        Some(Matcher { any: any?, when: expression? })
    }

    fn any(&mut self, here: &Here<'_>, report: &mut Report) -> Option<Vec<Vec<Condition>>> {
        match here.value() {
            Value::Sequence(items) if items.is_empty() => {
                report.problem(here.problem("`match` is an empty list; leave it out if everything is meant"));
                None
            }
            Value::Sequence(items) if items.len() > MOST => {
                report.problem(here.problem(format!("`match` has more than {MOST} mappings")));
                None
            }
            Value::Sequence(items) => {
                let all: Vec<_> = (0..items.len()).map(|at| self.all(&here.item(at), report)).collect();
                all.into_iter().collect()
            }
            _ => self.all(here, report).map(|all| vec![all]),
        }
    }

    fn all(&mut self, here: &Here<'_>, report: &mut Report) -> Option<Vec<Condition>> {
        let Value::Mapping(mapping) = here.value() else {
            report.problem(here.problem("`match` has to be a mapping of facts and values, or a list of such mappings"));
            return None;
        };
        if mapping.is_empty() {
            report.problem(here.problem("`match` is empty; leave it out if everything is meant"));
            return None;
        }
        // There are not as many facts: what comes after these is wrong as well.
        let names = mapping.keys().filter_map(Value::as_str).take(MOST);
        let all: Vec<_> = names.map(|name| self.condition(name, &here.key(name), report)).collect();
        all.into_iter().collect()
    }

    fn condition(&mut self, name: &str, here: &Here<'_>, report: &mut Report) -> Option<Condition> {
        let Some(fact) = Fact::named(name) else {
            report.problem(here.problem_with_key(unknown(name, here.value()).to_string()));
            return None;
        };
        let value = here.value();
        note_lists(value, &mut self.used);
        match compile(fact, value, self.lists) {
            Ok(test) => {
                for doubt in doubts(fact, &test) {
                    report.note(here.problem(doubt));
                }
                Some(Condition { fact, test })
            }
            Err(wrong) => {
                report.problem(here.problem_of(&wrong));
                None
            }
        }
    }
}

/// What is to be told of a name that no fact has. Facts in groups are no mappings in mappings.
fn unknown(name: &str, value: &Value) -> Wrong {
    let inner = value.as_mapping().into_iter().flat_map(|inner| inner.keys()).filter_map(Value::as_str);
    let whole = inner.map(|inner| format!("{name}.{inner}")).find(|whole| Fact::named(whole).is_some());
    match whole {
        Some(whole) => Fact::unknown(name).hint(format!("write it in one: `{whole}: …`")),
        None => Fact::unknown(name),
    }
}

fn note_lists(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Sequence(items) => items.iter().for_each(|item| note_lists(item, used)),
        Value::Mapping(mapping) => {
            used.extend(mapping.get("list").and_then(Value::as_str).map(ToOwned::to_owned));
            mapping.values().for_each(|value| note_lists(value, used));
        }
        _ => (),
    }
}

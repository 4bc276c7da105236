//! What works in a rule or an exception, but hardly as it is meant.

use super::{problem::Report, source::Here};
use crate::policy::{
    condition::{Condition, Expression, Test},
    fact::Value,
    rule::{Exception, Rule},
    state::State,
};

/// Facts that say little of what it is: what its sender chooses, and how it is asked for.
const SAID: [&str; 9] = [
    "direction",
    "route",
    "encrypted",
    "media.id",
    "declared.type",
    "declared.name",
    "declared.extension",
    "declared.double_extension",
    "declared.bidi",
];

/// Notes of a rule.
pub(super) fn of_rule(rule: &Rule, here: &Here<'_>, report: &mut Report) {
    if rule.action.refuses() {
        for (at, all) in rule.matcher.any.iter().enumerate() {
            if all.iter().any(leaves_out_scan) {
                let text = "the scanner's routes hand out the same media, and `scan` is not among these";
                report.note(alternative(at, here).key("direction").problem(text));
            }
        }
    } else if rule.matcher.asks_state() && !State::ALL.into_iter().any(|state| rule.matcher.names_state(state)) {
        let text = "this lets pass what is clean, and what passes by default: of other states, only what `match` names as its `state`";
        report.note(here.key("id").problem(text));
    }
}

/// Notes of an exception.
pub(super) fn of_exception(exception: &Exception, here: &Here<'_>, report: &mut Report) {
    let when = exception.matcher.when.iter().flat_map(Expression::facts);
    let asks_more = when.clone().any(|fact| !SAID.contains(&fact.name));
    let is_said = |all: &Vec<Condition>| all.iter().all(|condition| SAID.contains(&condition.fact.name));
    let of_match = exception.matcher.any.iter().any(is_said);
    if !asks_more && (of_match || exception.matcher.any.is_empty()) {
        let text = "this asks for nothing but what a sender can choose, so anyone can be meant by it";
        report.note(here.key(if of_match { "match" } else { "when" }).problem(text));
    }
}

/// True if it names a way to clients, and not the other one.
fn leaves_out_scan(condition: &Condition) -> bool {
    let is_meant = |direction: &'static str| condition.test.holds(Some(&Value::Word(direction)));
    let is_named = condition.fact.name == "direction" && matches!(condition.test, Test::Among(_));
    is_named && (is_meant("download") || is_meant("thumbnail")) && !is_meant("scan")
}

/// Where one of several maps under `match` is, or the only one.
fn alternative<'a>(at: usize, here: &Here<'a>) -> Here<'a> {
    let all = here.key("match");
    if all.value().is_sequence() { all.item(at) } else { all }
}

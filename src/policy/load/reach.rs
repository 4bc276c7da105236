//! Rules that can never act, because one before them always does.
//!
//! Only what is easily proven is told: that the conditions of a rule imply those of an earlier one. What expressions mean is
//! not asked.

use super::{problem::Report, rules::Read};
use crate::policy::{
    condition::{Condition, Matcher, Set, Test},
    fact::Value,
    rule::{Exception, Lifted, Mode, Rule},
};

/// Values of a condition that are compared one by one.
const MOST: usize = 1000;

/// Tells of rules that are never reached.
pub(super) fn check(rules: &[Read<'_>], exceptions: &[Exception], report: &mut Report) {
    for (at, late) in rules.iter().enumerate() {
        let mut earlier = rules[..at].iter().filter(|early| hides(early, late) && !is_lifted(&early.rule, exceptions));
        if let Some(early) = earlier.next() {
            let (id, place) = (&early.rule.id, early.here.key("id").told());
            let why = match (early.rule.matcher.any.is_empty(), early.rule.matcher.any == late.rule.matcher.any) {
                (true, _) => format!("`{id}` ({place}) comes before it and has no conditions"),
                (_, true) => format!("`{id}` ({place}) comes before it and has the same conditions"),
                (_, false) => format!("all that it is about is what `{id}` ({place}) is about, which comes before it"),
            };
            report.problem(late.here.key("id").problem(format!("`{}` is never reached: {why}", late.rule.id)));
        }
    }
}

/// What lifts a rule lets those behind it be reached.
fn is_lifted(rule: &Rule, exceptions: &[Exception]) -> bool {
    let lifts = |lifted: &Lifted| matches!(lifted, Lifted::Rule(id) if *id == rule.id);
    exceptions.iter().any(|exception| exception.from.iter().any(lifts))
}

fn hides(early: &Read<'_>, late: &Read<'_>) -> bool {
    let (rule, other) = (&early.rule, &late.rule);
    let acts = rule.mode == Mode::Enforce && rule.expires.is_none() && rule.matcher.when.is_none();
    // What is refused by default is let pass only by rules that name how it stands; others are passed over.
    let is_same = rule.matcher.any == other.matcher.any && rule.matcher.names_states();
    let decides = rule.action.refuses() || !other.matcher.asks_state() || is_same;
    acts && decides && implies(&other.matcher, &rule.matcher)
}

/// True if whatever meets the conditions of the one meets those of the other.
fn implies(one: &Matcher, other: &Matcher) -> bool {
    let is_implied = |conditions: &Vec<Condition>| other.any.iter().any(|wanted| narrow(conditions, wanted));
    other.any.is_empty() || !one.any.is_empty() && one.any.iter().all(is_implied)
}

/// True if each of the wanted conditions is implied by one of the others.
fn narrow(conditions: &[Condition], wanted: &[Condition]) -> bool {
    wanted.iter().all(|wanted| {
        let mut same_fact = conditions.iter().filter(|condition| condition.fact == wanted.fact);
        same_fact.any(|condition| condition.test == wanted.test || narrows(&condition.test, &wanted.test))
    })
}

/// True if the one test holds only where the other does, as far as that is easily told.
fn narrows(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Not(one), Test::Not(other)) => narrows(other, one),
        (Test::Not(_), _) | (_, Test::Not(_)) => false,
        (Test::Known(one), Test::Known(other)) => one == other,
        // What is not known is nothing else.
        (_, Test::Known(true)) => true,
        (Test::Flag(one), Test::Flag(other)) => one == other,
        (Test::Within(one), Test::Within(other)) => one.is_within(other),
        (Test::Among(one), Test::Among(_)) | (Test::AllAmong(one), Test::AllAmong(_) | Test::Among(_)) => {
            is_part(one, other)
        }
        _ => false,
    }
}

fn is_part(one: &Set, other: &Test) -> bool {
    // An empty list is about nothing for now, which is nothing to complain of.
    one.patterns.is_empty()
        && (1..=MOST).contains(&one.len())
        && one.texts.iter().all(|text| other.holds(Some(&Value::Texts(vec![text.clone()]))))
        && one.hashes.iter().all(|hash| other.holds(Some(&Value::Hash(*hash))))
}

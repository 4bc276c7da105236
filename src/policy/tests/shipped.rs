//! The policies in `policies/`, held against their cases: each rule has cases for both sides, and no condition, action or rule
//! of them can be changed without one of them noticing.

use std::{path::Path, time::SystemTime};

use super::super::{
    Config, Hash, Policy, State, case,
    case::{Case, Outcome},
    condition::Test,
    load::{self, Loaded},
    rule::{Action, Mode, Otherwise, RuleSet},
};
use crate::facts::Direction;

const SHIPPED: [&str; 3] = ["default", "strict", "mcs-compatible"];

fn read(name: &str) -> Loaded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(format!("{name}.yaml"));
    load::read(&path, &Hash::plain).unwrap_or_else(|problems| panic!("{problems}"))
}

fn outcomes(rules: RuleSet, cases: &[Case]) -> Vec<Outcome> {
    let policy = Policy::new(&Config::default(), rules);
    case::run(&policy, cases, &|path: &Path| panic!("{} is not there", path.display()), SystemTime::now())
}

fn is_noticed(rules: RuleSet, cases: &[Case]) -> bool {
    outcomes(rules, cases).iter().any(|outcome| !outcome.holds())
}

#[test]
fn shipped_policies_have_no_notes_and_all_their_cases_hold() {
    for name in SHIPPED {
        let loaded = read(name);
        assert!(loaded.notes.is_empty(), "{name}: {:?}", loaded.notes);
        for outcome in outcomes(loaded.rules, &loaded.cases) {
            assert!(outcome.holds(), "{outcome}");
        }
    }
}

#[test]
fn each_condition_of_a_shipped_rule_is_held_by_a_case() {
    for name in SHIPPED {
        let Loaded { rules, cases, .. } = read(name);
        for (at, rule) in rules.rules.iter().enumerate() {
            assert!(rule.matcher.when.is_none(), "{}: to be negated here, too", rule.id);
            for (way, conditions) in rule.matcher.any.iter().enumerate() {
                for (number, condition) in conditions.iter().enumerate() {
                    let mut changed = rules.clone();
                    let test = Test::Not(Box::new(condition.test.clone()));
                    changed.rules[at].matcher.any[way][number].test = test;
                    let fact = condition.fact.name;
                    assert!(is_noticed(changed, &cases), "{name}: {}: `{fact}` of match {way} negated", rule.id);

                    let mut changed = rules.clone();
                    changed.rules[at].matcher.any[way].remove(number);
                    let is_last = conditions.len() == 1;
                    assert!(is_last || is_noticed(changed, &cases), "{name}: {}: without `{fact}`", rule.id);
                }
                let mut changed = rules.clone();
                changed.rules[at].matcher.any.remove(way);
                let is_last = rule.matcher.any.len() == 1;
                assert!(is_last || is_noticed(changed, &cases), "{name}: {}: without match {way}", rule.id);
            }
        }
    }
}

#[test]
fn each_shipped_rule_is_held_by_cases_for_both_sides() {
    for name in SHIPPED {
        let Loaded { rules, cases, .. } = read(name);
        for (at, rule) in rules.rules.iter().enumerate() {
            let mut changed = rules.clone();
            changed.rules.remove(at);
            assert!(is_noticed(changed, &cases), "{name}: without {}", rule.id);

            let mut changed = rules.clone();
            changed.rules[at].matcher.any.clear();
            assert!(is_noticed(changed, &cases), "{name}: {} of everything", rule.id);

            let mut changed = rules.clone();
            changed.rules[at].action = if rule.action.refuses() { Action::Allow } else { Action::Block };
            // Of a rule that does not act, cases say only that it matches.
            let is_idle = rule.mode == Mode::Shadow;
            assert!(is_idle || is_noticed(changed, &cases), "{name}: {} turned round", rule.id);

            let mut changed = rules.clone();
            changed.rules[at].mode = if rule.mode == Mode::Shadow { Mode::Enforce } else { Mode::Shadow };
            assert!(is_noticed(changed, &cases), "{name}: {} in another mode", rule.id);
        }
    }
}

#[test]
fn each_default_that_a_shipped_policy_states_is_held_by_a_case() {
    for name in SHIPPED {
        let Loaded { rules, cases, .. } = read(name);
        let states: std::collections::BTreeSet<_> = rules.defaults.said.keys().map(|(state, _)| *state).collect();
        for state in states {
            let mut changed = rules.clone();
            for ((of, _), otherwise) in &mut changed.defaults.said {
                if *of == state {
                    *otherwise = if *otherwise == Otherwise::Allow { Otherwise::Block } else { Otherwise::Allow };
                }
            }
            assert!(is_noticed(changed, &cases), "{name}: the default for what is {}", state.name());
        }
    }
}

#[test]
fn what_is_refused_for_how_it_stands_has_to_be_told_by_engines() {
    let relied = |name| {
        let heuristics = Policy::new(&Config::default(), read(name).rules).relies_on();
        (heuristics.limits, heuristics.encrypted)
    };
    assert_eq!(SHIPPED.map(relied), [(true, true), (true, true), (false, false)]);
    let mut rules = read("mcs-compatible").rules;
    rules.defaults.said.insert((State::Incomplete, Direction::Scan), Otherwise::Block);
    assert!(Policy::new(&Config::default(), rules).relies_on().limits, "in one direction, too");
}

//! What holds of all policies and of all media.

use proptest::prelude::*;

use super::*;
use crate::policy::testing::{exception, rule};

/// Conditions that hold often enough, and some that cannot be told.
const CONDITIONS: [&str; 14] = [
    "match: {group: image}",
    "match: {group: [script, executable]}",
    "match: {state: infected}",
    "match: {state: {not: clean}, group: image}",
    "match: [{state: incomplete}, {group: script}]",
    "match: {direction: [upload, scan]}",
    "match: {detections: X*}",
    "match: {size: '> 10'}",
    "match: {size: {known: false}}",
    "when: 'size > 10'",
    "when: 'inside.depth > 1'",
    "when: '!has(inside.depth)'",
    "match: {group: {not: image}}",
    "when: 'known(state)'",
];

/// Conditions that name no state.
const NARROWING: [&str; 7] = [
    "match: {state: {not: infected}}",
    "match: {state: {known: true}}",
    "match: {group: [image, script]}",
    "match: {size: {known: false}}",
    "when: 'state != \"infected\"'",
    "when: 'state == \"incomplete\" || size > 10'",
    "when: 'known(state)'",
];

fn conditions() -> impl Strategy<Value = &'static str> {
    prop::sample::select(CONDITIONS.to_vec())
}

fn a_rule(id: &'static str, actions: Vec<&'static str>, modes: Vec<&'static str>) -> impl Strategy<Value = Rule> {
    let ends = prop::sample::select(vec!["", ", end: later", ", end: over"]);
    let parts = (conditions(), prop::sample::select(actions), prop::sample::select(modes), ends, 0..1000_u32);
    parts.prop_map(move |(asked, action, mode, end, number)| {
        // What engines say may not be asked before they are.
        let asks_engines = ["state", "detections"].iter().any(|word| asked.contains(word));
        let action = if action == "scan" && asks_engines { "allow" } else { action };
        let id = if id.is_empty() { format!("r{number}") } else { id.to_owned() };
        let yaml = format!("{{id: {id}, {asked}, action: {action}, mode: {mode}{end}}}");
        rule(&serde_yaml::from_str(&yaml).unwrap())
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    a_rule("", vec!["allow", "block", "scan", "quarantine"], vec!["enforce", "enforce", "shadow"])
}

fn any_exception() -> impl Strategy<Value = Exception> {
    let from = prop::sample::select(vec!["infected", "incomplete", "opaque_media", "oversize", "first", "second"]);
    let ends = prop::sample::select(vec!["later", "later", "over"]);
    (conditions(), from.clone(), from, ends, 0..1000_u32).prop_map(|(asked, one, other, end, number)| {
        let yaml = format!("{{id: e{number}, {asked}, from: [{one}, {other}], end: {end}}}");
        exception(&serde_yaml::from_str(&yaml).unwrap())
    })
}

/// Policies in which exceptions take away rules that there are.
pub(in crate::policy) fn policies() -> impl Strategy<Value = RuleSet> {
    let words =
        || prop::sample::select(vec![Otherwise::Allow, Otherwise::Block, Otherwise::Block, Otherwise::RequireScanned]);
    let states = prop::sample::select(State::ALL.to_vec());
    let defaults = prop::collection::vec((states, prop::sample::select(Direction::ALL.to_vec()), words()), 0..6);
    let rules = prop::collection::vec(any_rule(), 0..7);
    let exceptions = prop::collection::vec(any_exception(), 0..4);
    (defaults, rules, exceptions).prop_map(|(words, mut rules, mut exceptions)| {
        let mut defaults = Defaults::default();
        for (state, direction, word) in words {
            let is_meant = word != Otherwise::RequireScanned || state == State::OpaqueMedia;
            defaults.said.insert((state, direction), if is_meant { word } else { Otherwise::Block });
        }
        for (at, rule) in rules.iter_mut().enumerate() {
            rule.id = match at {
                0 => "first".into(),
                1 => "second".into(),
                at => format!("{}-{at}", rule.id).into(),
            };
        }
        exceptions.iter_mut().enumerate().for_each(|(at, exception)| exception.id = format!("e{at}").into());
        RuleSet { defaults, rules, exceptions }
    })
}

pub(in crate::policy) fn sheets() -> impl Strategy<Value = Sheet<'static>> {
    let groups = prop::sample::select(vec!["", "group: image,", "group: script,", "group: executable,"]);
    let sizes = prop::sample::select(vec!["", "size: 5,", "size: 50,"]);
    let depths = prop::sample::select(vec!["", "inside.depth: 1,", "inside.depth: 2,"]);
    let states = prop::sample::select(State::ALL.map(State::name).to_vec());
    let directions = prop::sample::select(Direction::ALL.map(Direction::name).to_vec());
    let found = prop::sample::select(vec!["", "detections: X1, opened: clean", "detections: []", "opened: infected"]);
    (groups, sizes, depths, states, directions, found).prop_map(|(group, size, depth, state, direction, found)| {
        sheet(&format!("{{{group}{size}{depth}state: {state}, direction: {direction}, {found}}}"))
    })
}

fn with(policy: &RuleSet, at: usize, rule: Rule) -> RuleSet {
    let mut policy = policy.clone();
    policy.rules.insert(at.min(policy.rules.len()), rule);
    policy
}

fn passes(policy: &RuleSet, sheet: &Sheet<'_>) -> bool {
    policy.decide(sheet, now()).decision == Decision::Allow
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_same_is_decided_of_the_same(policy in policies(), sheet in sheets()) {
        prop_assert_eq!(policy.decide(&sheet, now()), policy.clone().decide(&sheet.clone(), now()));
    }

    #[test]
    fn a_rule_in_shadow_changes_no_decision(
        policy in policies(),
        rule in a_rule("added", vec!["allow", "block", "scan", "quarantine"], vec!["shadow"]),
        at in 0..8_usize,
        sheet in sheets(),
    ) {
        let (before, after) = (policy.decide(&sheet, now()), with(&policy, at, rule).decide(&sheet, now()));
        prop_assert_eq!((before.decision, before.by, before.engines), (after.decision, after.by, after.engines));
        prop_assert_eq!(before.exceptions, after.exceptions);
    }

    #[test]
    fn a_rule_in_shadow_tells_what_comes_of_enforcing_it(policy in policies(), sheet in sheets()) {
        let decided = policy.decide(&sheet, now());
        for shadow in &decided.shadows {
            let mut enforced = policy.clone();
            enforced.rules.iter_mut().filter(|rule| rule.id == shadow.rule).for_each(|rule| rule.mode = Mode::Enforce);
            let flips = passes(&enforced, &sheet) != passes(&policy, &sheet);
            prop_assert_eq!(shadow.flips, flips, "{}", shadow.rule);
        }
    }

    #[test]
    fn a_rule_that_refuses_lets_nothing_pass_and_one_that_lets_pass_refuses_nothing(
        policy in policies(),
        refuses in a_rule("added", vec!["block", "quarantine"], vec!["enforce"]),
        lets_pass in a_rule("added", vec!["allow", "scan"], vec!["enforce"]),
        at in 0..8_usize,
        sheet in sheets(),
    ) {
        let before = passes(&policy, &sheet);
        prop_assert!(before || !passes(&with(&policy, at, refuses), &sheet));
        prop_assert!(!before || passes(&with(&policy, at, lets_pass), &sheet));
    }

    #[test]
    fn a_rule_that_lets_pass_lets_no_more_pass_with_one_condition_more(
        policy in policies(),
        rule in a_rule("added", vec!["allow", "scan"], vec!["enforce"]),
        more in prop::sample::select(NARROWING.to_vec()),
        at in 0..8_usize,
        sheet in sheets(),
    ) {
        let mut narrower = rule.clone();
        let other = self::rule(&serde_yaml::from_str(&format!("{{id: more, {more}, action: allow}}")).unwrap()).matcher;
        let is_free = other.when.is_none() || narrower.matcher.when.is_none();
        narrower.matcher.when = narrower.matcher.when.or(other.when);
        for conditions in other.any {
            match narrower.matcher.any.is_empty() {
                true => narrower.matcher.any.push(conditions),
                false => narrower.matcher.any.iter_mut().for_each(|all| all.extend(conditions.iter().cloned())),
            }
        }
        let (wide, narrow) = (with(&policy, at, rule), with(&policy, at, narrower));
        prop_assert!(!is_free || passes(&wide, &sheet) || !passes(&narrow, &sheet));
    }

    #[test]
    fn an_exception_has_nothing_refused(policy in policies(), exception in any_exception(), sheet in sheets()) {
        let mut more = policy.clone();
        more.exceptions.push(exception);
        prop_assert!(!passes(&policy, &sheet) || passes(&more, &sheet));
    }

    #[test]
    fn what_is_over_is_as_if_absent(policy in policies(), sheet in sheets()) {
        let mut less = policy.clone();
        less.rules.retain(|rule| !rule.is_over(now()));
        less.exceptions.retain(|exception| exception.until > now());
        prop_assert_eq!(policy.decide(&sheet, now()), less.decide(&sheet, now()));
    }

    #[test]
    fn what_is_quarantined_is_refused(policy in policies(), sheet in sheets()) {
        let mut blocking = policy.clone();
        for rule in blocking.rules.iter_mut().filter(|rule| rule.action == Action::Quarantine) {
            rule.action = Action::Block;
        }
        prop_assert_eq!(policy.decide(&sheet, now()).decision, blocking.decide(&sheet, now()).decision);
    }

    #[test]
    fn nothing_passes_that_stands_badly_without_someone_saying_so(policy in policies(), sheet in sheets()) {
        let mut silent = policy;
        silent.rules.retain(|rule| !rule.matcher.asks_state());
        silent.exceptions.clear();
        let state = sheet.state();
        let otherwise = silent.defaults.of(state, sheet.direction());
        if state != State::Clean && otherwise == Otherwise::Block {
            prop_assert!(!passes(&silent, &sheet));
        }
    }

    #[test]
    fn nothing_is_vouched_for_that_no_engine_was_asked_about(policy in policies(), sheet in sheets()) {
        let is_unasked = matches!(sheet.state(), State::Oversize | State::EngineError);
        if is_unasked && sheet.direction() == Direction::Scan {
            prop_assert!(!passes(&policy, &sheet));
        }
    }

    #[test]
    fn engines_that_have_to_be_heard_are_known_before_any_is(policy in policies(), sheet in sheets()) {
        let Sheet::Given(mut before) = sheet.clone() else { unreachable!() };
        before.values.retain(|name, _| !["state", "detections"].contains(name));
        if let Some(engines) = policy.decide(&sheet, now()).engines {
            prop_assert_eq!(policy.engines_for(&Sheet::Given(before), now()), Some(engines));
        }
    }
}

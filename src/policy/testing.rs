//! Policies for tests, from what rule files say, without the checks of the loader.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_yaml::{Mapping, Value as Yaml};

use super::{
    Hash, State,
    condition::{Condition, Expression, Lists, Matcher, compile},
    fact::{Fact, Given, Sheet},
    rule::{Action, Defaults, Denial, Exception, Lifted, Mode, Otherwise, Rule, RuleSet, Severity, Wire},
};
use crate::facts::Direction;

/// The time that it is in tests.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

/// Facts as in cases.
pub(super) fn sheet(yaml: &str) -> Sheet<'static> {
    Sheet::Given(Given::parse(&serde_yaml::from_str(yaml).unwrap(), &Hash::plain).unwrap())
}

fn named(name: &str) -> &'static Fact {
    Fact::named(name).unwrap_or_else(|| panic!("{name}"))
}

fn conditions(map: &Yaml) -> Vec<Condition> {
    let condition = |(name, value): (&Yaml, &Yaml)| {
        let fact = named(name.as_str().unwrap());
        let test = compile(fact, value, &Lists::new(&Hash::plain)).unwrap_or_else(|wrong| panic!("{fact:?}: {wrong}"));
        Condition { fact, test }
    };
    map.as_mapping().unwrap().iter().map(condition).collect()
}

fn matcher(map: &Mapping) -> Matcher {
    let any = match map.get("match") {
        None => Vec::new(),
        Some(Yaml::Sequence(maps)) => maps.iter().map(conditions).collect(),
        Some(all) => vec![conditions(all)],
    };
    let when = map.get("when").and_then(Yaml::as_str);
    Matcher { any, when: when.map(|when| Expression::compile(when).unwrap()) }
}

fn word<'a>(map: &'a Mapping, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Yaml::as_str)
}

/// `over` or nothing.
fn end(map: &Mapping) -> SystemTime {
    let is_over = word(map, "end") == Some("over");
    if is_over { now() } else { now() + Duration::from_secs(1) }
}

pub(super) fn rule(yaml: &Yaml) -> Rule {
    let map = yaml.as_mapping().unwrap();
    let id: Arc<str> = word(map, "id").unwrap().into();
    let action = match word(map, "action").unwrap() {
        "allow" => Action::Allow,
        "block" => Action::Block,
        "quarantine" => Action::Quarantine,
        _ => Action::Scan(["second".into()].into()),
    };
    let reasons = word(map, "reason").map(|reason| (String::new(), reason.to_owned()));
    let denial = Denial {
        rule: Arc::clone(&id),
        wire: Wire::TypeForbidden,
        reasons: reasons.into_iter().collect(),
        severity: Severity::Low,
        quarantine: action == Action::Quarantine,
    };
    let mode = if word(map, "mode") == Some("shadow") { Mode::Shadow } else { Mode::Enforce };
    let expires = map.get("end").map(|_| end(map));
    Rule { id, description: None, matcher: matcher(map), action, mode, expires, denial: Arc::new(denial) }
}

pub(super) fn exception(yaml: &Yaml) -> Exception {
    let map = yaml.as_mapping().unwrap();
    let lifted = |name: &Yaml| {
        let name = name.as_str().unwrap();
        match State::named(name) {
            Some(state) => Lifted::State(state),
            None => Lifted::Rule(name.into()),
        }
    };
    Exception {
        id: word(map, "id").unwrap().into(),
        reason: String::new(),
        author: String::new(),
        until: end(map),
        from: map["from"].as_sequence().unwrap().iter().map(lifted).collect(),
        matcher: matcher(map),
    }
}

pub(super) fn defaults(yaml: &Mapping) -> Defaults {
    let otherwise = |word: &Yaml| match word.as_str().unwrap() {
        "allow" => Otherwise::Allow,
        "block" => Otherwise::Block,
        _ => Otherwise::RequireScanned,
    };
    let mut defaults = Defaults::default();
    for (state, value) in yaml {
        let state = State::named(state.as_str().unwrap()).unwrap();
        for direction in Direction::ALL {
            defaults.said.insert((state, direction), otherwise(value));
        }
    }
    defaults
}

/// Rules as in rule files; `end: over` for those that are.
pub(super) fn rules(yaml: &str) -> RuleSet {
    let map: Mapping = serde_yaml::from_str(yaml).unwrap();
    let list = |key: &str| map.get(key).and_then(Yaml::as_sequence).cloned().unwrap_or_default();
    RuleSet {
        defaults: map.get("defaults").and_then(Yaml::as_mapping).map(defaults).unwrap_or_default(),
        rules: list("rules").iter().map(rule).collect(),
        exceptions: list("exceptions").iter().map(exception).collect(),
    }
}

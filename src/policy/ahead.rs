//! What can be told of decisions before there is anything to decide on.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Policy, State,
    rule::{Action, Lifted, Otherwise},
};
use crate::facts::Direction;

impl Policy {
    /// True if something that stands so may pass: by default, by an exception or by a rule that names its state. Whoever learns that nothing does
    /// need not find out more of it.
    pub fn may_pass(&self, state: State, direction: Direction) -> bool {
        let rules = self.rules();
        let lifts = |lifted: &Lifted| *lifted == Lifted::State(state);
        rules.defaults.of(state, direction) != Otherwise::Block
            || rules.exceptions.iter().any(|exception| exception.from.iter().any(lifts))
            || rules.rules.iter().any(|rule| !rule.action.refuses() && rule.matcher.names_state(state))
    }

    /// True if all that stands so passes, but for what rules say of it.
    pub fn passes_by_default(&self, state: State, direction: Direction) -> bool {
        self.rules().defaults.of(state, direction) == Otherwise::Allow
    }

    /// Engines that rules name.
    pub fn engines(&self) -> BTreeSet<Arc<str>> {
        let named = self.rules().rules.iter().filter_map(|rule| match &rule.action {
            Action::Scan(engines) => Some(engines),
            Action::Allow | Action::Block | Action::Quarantine => None,
        });
        named.flat_map(|engines| engines.iter().map(Arc::clone)).collect()
    }

    /// Those of them that are not there. A rule that wants one of these would let nothing pass.
    pub fn missing_engines(&self, there: &[String]) -> Vec<Arc<str>> {
        self.engines().into_iter().filter(|name| !there.iter().any(|one| **one == **name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Config, testing::rules};

    #[test]
    fn something_may_pass_by_default_by_an_exception_or_by_a_rule_that_names_its_state() {
        let may_pass = |yaml: &str| {
            let policy = Policy::new(&Config::default(), rules(yaml));
            policy.may_pass(State::Oversize, Direction::Upload)
        };
        for yaml in [
            "defaults: {oversize: allow}",
            "exceptions: [{id: a, from: [oversize], match: {size: 1}}]",
            "rules: [{id: a, match: {state: [infected, oversize]}, action: allow}]",
        ] {
            assert!(may_pass(yaml), "{yaml}");
        }
        for yaml in [
            "{}",
            "exceptions: [{id: a, from: [infected], match: {size: 1}}]",
            "rules: [{id: a, match: {state: oversize}, action: block}, {id: b, match: {state: infected}, action: allow}]",
        ] {
            assert!(!may_pass(yaml), "{yaml}");
        }
    }
}

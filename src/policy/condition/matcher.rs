//! When a rule or an exception is meant.

use super::{Condition, Expression, ExpressionError, Test, shortened};
use crate::policy::{
    State,
    fact::{Fact, Sheet, Source, Value},
};

/// When something is meant.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    /// Conditions that all have to hold, or others that all have to. Without any, nothing is asked.
    pub any: Vec<Vec<Condition>>,
    /// What has to be true besides.
    pub when: Option<Expression>,
}

/// What came of asking whether something is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The expression could not be evaluated.
    Failed(ExpressionError),
}

impl Matcher {
    /// Asks.
    pub fn matches(&self, sheet: &Sheet<'_>) -> Matched {
        self.matches_with(sheet, |_| true)
    }

    /// Asks, but counts only alternatives that name the state in which the medium is. To leave one out (`not`), or to ask
    /// for it in an expression, names none: a condition more must never let pass more.
    pub fn matches_by_state(&self, sheet: &Sheet<'_>) -> Matched {
        match self.any.iter().any(|all| names_a_state(all)) {
            true => self.matches_with(sheet, names_a_state),
            false => Matched::No,
        }
    }

    fn matches_with(&self, sheet: &Sheet<'_>, counts: impl Fn(&[Condition]) -> bool) -> Matched {
        let holds = |all: &Vec<Condition>| counts(all) && all.iter().all(|condition| condition.holds(sheet));
        if !(self.any.is_empty() || self.any.iter().any(holds)) {
            return Matched::No;
        }
        match self.when.as_ref().map(|when| when.holds(sheet)) {
            None | Some(Ok(true)) => Matched::Yes,
            Some(Ok(false)) => Matched::No,
            Some(Err(error)) => Matched::Failed(error),
        }
    }

    /// The first condition of each alternative that does not hold, or the expression that is not true.
    pub fn why_not(&self, sheet: &Sheet<'_>) -> String {
        let first = |all: &Vec<Condition>| {
            let condition = all.iter().find(|condition| !condition.holds(sheet))?;
            let value = sheet.get(condition.fact).map_or_else(|| "not known".to_owned(), |value| value.to_string());
            Some(format!("{condition} (it is {value})"))
        };
        let conditions: Option<Vec<String>> = self.any.iter().map(first).collect();
        match (conditions, &self.when) {
            (Some(mut conditions), _) if !conditions.is_empty() => {
                conditions.dedup();
                conditions.join("; or ")
            }
            (_, Some(when)) => format!("not true: {}", shortened(when.source())),
            (_, None) => String::new(),
        }
    }

    /// The facts that it is about.
    pub fn facts(&self) -> impl Iterator<Item = &'static Fact> {
        let of_expression = self.when.iter().flat_map(|when| when.facts().iter().copied());
        self.any.iter().flatten().map(|condition| condition.fact).chain(of_expression)
    }

    /// True if it asks what engines say.
    pub fn asks_engines(&self) -> bool {
        self.facts().any(|fact| fact.source == Source::Engines)
    }

    /// True if it asks how a medium stands.
    pub fn asks_state(&self) -> bool {
        self.facts().any(is_state)
    }

    /// True if one of its alternatives is meant for what stands so.
    pub fn names_state(&self, state: State) -> bool {
        let value = Value::Word(state.name());
        let names = |condition: &Condition| names_states(condition) && condition.test.holds(Some(&value));
        self.any.iter().flatten().any(names)
    }

    /// True if each of its alternatives names a state for which it is meant.
    pub fn names_states(&self) -> bool {
        !self.any.is_empty() && self.any.iter().all(|all| names_a_state(all))
    }
}

fn is_state(fact: &Fact) -> bool {
    fact.name == "state"
}

fn names_a_state(all: &[Condition]) -> bool {
    all.iter().any(names_states)
}

fn names_states(condition: &Condition) -> bool {
    is_state(condition.fact) && matches!(condition.test, Test::Among(_))
}

//! Why something is decided as it is.
//!
//! An explanation is made on the way to the decision itself, so that the two cannot differ.

mod human;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use serde::Serialize;

use super::{
    Decided, Decision, Policy, Refusal, Shadow,
    decide::{Fate, Seen},
    fact::{Given, Sheet, View},
    rule::{Mode, RuleSet, Wire},
};
use crate::verdict::Effect;

/// What became of a rule or an exception, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its id.
    pub id: Arc<str>,
    /// What it does, in a word.
    pub action: &'static str,
    /// Whether it acts; of exceptions, always.
    pub mode: &'static str,
    /// `matched`, `missed`, `failed`, `lifted`, `over`, `not reached`, `for others`: it lets nothing pass that stands so,
    /// or `not needed`: nothing is in the way that the exception lifts.
    pub outcome: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How it stands, and what comes of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// How it stands.
    pub state: &'static str,
    /// What is done by default with what stands so.
    pub default: &'static str,
    /// True if it is not in the way, be it by an exception.
    pub passes: bool,
}

/// How a refusal is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Why, in a word.
    pub name: &'static str,
    /// The word for clients of the scanner's routes; `None` where they are told to try again.
    pub wire: Option<&'static str>,
    /// What users are told, by language; empty where that is not said by a rule.
    pub reasons: BTreeMap<String, String>,
    /// How bad it is; `None` where that is not said by a rule.
    pub severity: Option<&'static str>,
}

/// Why something is decided as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// `allow` or `block`.
    pub decision: &'static str,
    /// The name of what is done.
    pub action: &'static str,
    /// What made it so: a rule's id, `default:` with a state, `default:types`, `override`.
    pub by: String,
    /// How a refusal is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Told>,
    /// Engines that have to be heard for it to pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engines: Option<Arc<[Arc<str>]>>,
    /// How it stands; `None` if nothing was asked but what the security team says.
    pub gate: Option<Gate>,
    /// All exceptions.
    pub exceptions: Vec<Line>,
    /// All rules, in their order.
    pub rules: Vec<Line>,
    /// Rules in shadow that matched.
    pub shadows: Vec<Shadow>,
    /// Exceptions that took away something that was in its way.
    pub exceptions_in_use: Vec<Arc<str>>,
    /// Rules and exceptions whose expression could not be evaluated.
    pub failures: Vec<Arc<str>>,
    /// All that is known.
    pub facts: Given,
}

impl Policy {
    /// Explains what [`Policy::decide`] decides.
    pub fn explain(&self, view: &View<'_>, over: Option<Effect>) -> Explanation {
        let mut notes = Notes::default();
        let (decided, sheet) = self.decide_seen(view, over, &mut |seen, sheet| notes.take(seen, sheet));
        notes.explanation(decided, &sheet)
    }

    /// Explains what [`Policy::decide_on`] decides.
    pub fn explain_on(&self, sheet: &Sheet<'_>, now: SystemTime) -> Explanation {
        let (decided, notes) = seen(&self.rules, sheet, now);
        notes.explanation(self.held_against_types(sheet, decided), sheet)
    }
}

impl RuleSet {
    /// Explains what these rules decide, whatever types may pass.
    pub fn explain(&self, sheet: &Sheet<'_>, now: SystemTime) -> Explanation {
        let (decided, notes) = seen(self, sheet, now);
        notes.explanation(decided, sheet)
    }
}

fn seen(rules: &RuleSet, sheet: &Sheet<'_>, now: SystemTime) -> (Decided, Notes) {
    let mut notes = Notes::default();
    let decided = rules.decide_seen(sheet, now, &mut |seen| notes.take(seen, sheet));
    (decided, notes)
}

/// What was seen on the way.
#[derive(Default)]
struct Notes {
    gate: Option<Gate>,
    exceptions: Vec<Line>,
    rules: Vec<Line>,
}

impl Notes {
    fn take(&mut self, seen: Seen<'_>, sheet: &Sheet<'_>) {
        match seen {
            Seen::Exception(exception, fate) => {
                let (outcome, why) = told(&fate, || exception.matcher.why_not(sheet));
                let id = Arc::clone(&exception.id);
                self.exceptions.push(Line { id, action: "lift", mode: Mode::Enforce.name(), outcome, why });
            }
            Seen::Rule(rule, fate) => {
                let (outcome, why) = told(&fate, || rule.matcher.why_not(sheet));
                let (id, action, mode) = (Arc::clone(&rule.id), rule.action.name(), rule.mode.name());
                self.rules.push(Line { id, action, mode, outcome, why });
            }
            Seen::Gate(state, otherwise, passes) => {
                self.gate = Some(Gate { state: state.name(), default: otherwise.name(), passes });
            }
        }
    }

    fn explanation(self, decided: Decided, sheet: &Sheet<'_>) -> Explanation {
        let by = decided.by.name();
        let (decision, refusal) = match decided.decision {
            Decision::Allow => ("allow", None),
            Decision::Block(refusal) => ("block", Some(refused(&refusal))),
        };
        Explanation {
            decision,
            action: decided.action,
            by,
            refusal,
            engines: decided.engines,
            gate: self.gate,
            exceptions: self.exceptions,
            rules: self.rules,
            shadows: decided.shadows,
            exceptions_in_use: decided.exceptions,
            failures: decided.failures,
            facts: sheet.all(),
        }
    }
}

fn told(fate: &Fate<'_>, why_not: impl FnOnce() -> String) -> (&'static str, Option<String>) {
    match fate {
        Fate::Over => ("over", None),
        Fate::Lifted(exception) => ("lifted", Some(format!("by the exception `{}`", exception.id))),
        Fate::ForOthers => {
            ("for others", Some("it does not name the state under `match`, which is in the way".to_owned()))
        }
        Fate::Missed => ("missed", Some(why_not())),
        Fate::Failed(error) => ("failed", Some(error.to_string())),
        Fate::Matched => ("matched", None),
        Fate::NotReached => ("not reached", None),
        Fate::NotNeeded => ("not needed", None),
    }
}

/// How refusals are told by those who answer clients.
fn refused(refusal: &Refusal) -> Told {
    let of_policy = |name, wire| Told { name, wire, reasons: BTreeMap::new(), severity: None };
    let not_clean = Some(Wire::NotClean.name());
    match refusal {
        Refusal::Infected => of_policy("infected", not_clean),
        Refusal::Incomplete => of_policy("incomplete", not_clean),
        Refusal::Opaque => of_policy("opaque_container", not_clean),
        Refusal::Oversize => of_policy("oversize", not_clean),
        Refusal::Unscanned => of_policy("opaque_media", not_clean),
        Refusal::EngineError => of_policy("engine_error", None),
        Refusal::Type(_) => of_policy("type", Some(Wire::TypeForbidden.name())),
        Refusal::Unlisted => of_policy("unlisted", not_clean),
        Refusal::Rule(denial) => Told {
            name: "rule",
            wire: Some(denial.wire.name()),
            reasons: denial.reasons.clone(),
            severity: Some(denial.severity.name()),
        },
    }
}

#[cfg(test)]
mod tests;

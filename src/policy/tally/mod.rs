//! What was decided, counted by rule. Numbers of series are bounded by those of rules and exceptions, and go with them.

mod ledger;
mod shadows;

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use prometheus::{
    IntCounterVec, Opts, Registry,
    core::{Collector, MetricVec, MetricVecBuilder},
    proto::Metric,
};

pub use self::shadows::{Example, ShadowReport};
use self::{ledger::Ledger, shadows::Shadows};
use super::{
    By, Decided, Hash,
    rule::{Rule, RuleSet},
};
use crate::facts::{Direction, Facts, Occasion};

/// Names that no rule has, and that are counted as rules are.
const OTHERS: [&str; 2] = ["default:", "override"];

/// What was decided on.
#[derive(Clone, Copy, Debug)]
pub struct Medium<'a> {
    /// The request.
    pub occasion: &'a Occasion,
    /// The bytes; `None` where nobody looked at them.
    pub facts: Option<&'a Facts>,
    /// Their number.
    pub len: u64,
    /// The identity of the bytes, if they were hashed.
    pub identity: Option<Hash>,
    /// The time that it is.
    pub now: SystemTime,
}

/// Counts decisions.
pub struct Tally {
    decisions: IntCounterVec,
    exceptions: IntCounterVec,
    failures: IntCounterVec,
    ledger: Ledger,
    shadows: Shadows,
}

impl Tally {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let vec = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone())).map(|()| vec)
        };
        Ok(Self {
            decisions: vec(
                "lazaret_policy_decisions_total",
                "Decisions of the policy by what made them; those of mode shadow were not made, and would have been.",
                &["rule", "action", "mode", "direction"],
            )?,
            exceptions: vec(
                "lazaret_policy_exceptions_used_total",
                "Decisions on media that an exception is about.",
                &["exception"],
            )?,
            failures: vec(
                "lazaret_policy_failures_total",
                "Expressions of rules and exceptions that could not be evaluated; they acted as the stricter side.",
                &["rule"],
            )?,
            ledger: Ledger::register(registry)?,
            shadows: Shadows::default(),
        })
    }

    /// Counts a decision.
    pub fn count(&self, decided: &Decided, medium: Medium<'_>) {
        let direction = medium.occasion.direction;
        let count = |rule: &str, action, mode| {
            self.decisions.with_label_values(&[rule, action, mode, direction.name()]).inc();
        };
        match &decided.by {
            By::Rule(id) => count(id, decided.action, "enforce"),
            other => count(&other.name(), decided.action, "enforce"),
        }
        for shadow in &decided.shadows {
            count(&shadow.rule, shadow.action, "shadow");
            self.shadows.note(shadow, &medium);
        }
        self.ledger.note(decided, medium.occasion, medium.len);
        for exception in &decided.exceptions {
            self.exceptions.with_label_values(&[&**exception]).inc();
        }
        for failed in &decided.failures {
            self.failures.with_label_values(&[&**failed]).inc();
        }
    }

    /// Decisions by a rule so far, or for one that does not act, those that it would have made.
    pub fn decisions_by(&self, rule: &Rule) -> u64 {
        let (action, mode) = (rule.action.name(), rule.mode.name());
        let of = |direction: Direction| self.decisions.with_label_values(&[&*rule.id, action, mode, direction.name()]);
        Direction::ALL.into_iter().map(|direction| of(direction).get()).sum()
    }

    /// How often an exception was used so far.
    pub fn uses_of(&self, exception: &str) -> u64 {
        self.exceptions.get_metric_with_label_values(&[exception]).map_or(0, |counter| counter.get())
    }

    /// Media and bytes that passed so: by how they stand, by whose doing, and where they went.
    #[cfg(test)]
    pub(crate) fn passed(&self, labels: [&str; 3]) -> (u64, u64) {
        self.ledger.passed(labels)
    }

    /// What rules would have done that do not act.
    pub fn shadows(&self) -> Vec<(Arc<str>, ShadowReport)> {
        self.shadows.all()
    }

    /// Begins anew to note what they would have done.
    pub fn forget_shadows(&self, now: SystemTime) {
        self.shadows.clear(now);
    }

    /// Begins to count by these rules. What was counted by rules that are gone goes.
    pub(super) fn prepare(&self, rules: &RuleSet, now: SystemTime) {
        let known: BTreeSet<(&str, &str, &str)> =
            rules.rules.iter().map(|rule| (&*rule.id, rule.action.name(), rule.mode.name())).collect();
        retain(&self.decisions, &["rule", "action", "mode", "direction"], |[rule, action, mode, _]| {
            OTHERS.iter().any(|other| rule.starts_with(other)) || known.contains(&(rule, action, mode))
        });
        for (rule, action, mode) in &known {
            for direction in Direction::ALL {
                self.decisions.with_label_values(&[*rule, *action, *mode, direction.name()]);
            }
        }
        let exceptions: BTreeSet<&str> = rules.exceptions.iter().map(|one| &*one.id).collect();
        retain(&self.exceptions, &["exception"], |[exception]| exceptions.contains(exception));
        for exception in &exceptions {
            self.exceptions.with_label_values(&[*exception]);
        }
        let of_rules = rules.rules.iter().map(|rule| (&*rule.id, &rule.matcher));
        let of_exceptions = rules.exceptions.iter().map(|one| (&*one.id, &one.matcher));
        let may_fail = of_rules.chain(of_exceptions).filter(|(_, matcher)| matcher.when.is_some());
        let may_fail: BTreeSet<&str> = may_fail.map(|(id, _)| id).collect();
        retain(&self.failures, &["rule"], |[rule]| may_fail.contains(rule));
        for rule in &may_fail {
            self.failures.with_label_values(&[*rule]);
        }
        self.ledger.prepare(rules);
        self.shadows.prepare(rules, now);
    }
}

fn metrics(collector: &impl Collector) -> Vec<Metric> {
    collector.collect().into_iter().flat_map(|mut family| family.take_metric()).collect()
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
}

/// Keeps the series with these values of `labels` alone.
fn retain<const N: usize, B: MetricVecBuilder>(
    vec: &MetricVec<B>,
    labels: &[&str; N],
    is_kept: impl Fn([&str; N]) -> bool,
) {
    for metric in metrics(vec) {
        let values = labels.map(|name| label(&metric, name));
        if !is_kept(values) {
            // It may have gone meanwhile.
            drop(vec.remove_label_values(&values));
        }
    }
}

#[cfg(test)]
mod tests;

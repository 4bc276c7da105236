//! What is seen and found on the way to a decision.

use std::{collections::BTreeMap, sync::Arc};

use crate::policy::{
    condition::{ExpressionError, Matched},
    fact::Sheet,
    rule::{Exception, Otherwise, Rule},
    state::State,
};

/// What is seen on the way to a decision, for those who want to have it explained.
pub(in crate::policy) enum Seen<'a> {
    /// An exception.
    Exception(&'a Exception, Fate<'a>),
    /// A rule, in their order.
    Rule(&'a Rule, Fate<'a>),
    /// How the medium stands passes or does not, apart from any rule.
    Gate(State, Otherwise, bool),
}

/// What becomes of a rule or an exception.
pub(in crate::policy) enum Fate<'a> {
    /// It is over.
    Over,
    /// An exception takes it away.
    Lifted(&'a Exception),
    /// It lets nothing pass that stands so.
    ForOthers,
    /// It does not match.
    Missed,
    /// It cannot be told whether it matches.
    Failed(ExpressionError),
    /// It matches.
    Matched,
    /// Another one decided before.
    NotReached,
    /// Nothing that it takes away is in the way.
    NotNeeded,
}

/// What is found on the way.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) hit: Option<&'a Rule>,
    pub(super) shadows: Vec<&'a Rule>,
    pub(super) failures: Vec<Arc<str>>,
    /// What came of exceptions that were asked, by their number.
    pub(super) asked: BTreeMap<usize, Matched>,
    /// Exceptions that took away something that was in the way.
    pub(super) used: Vec<&'a Exception>,
}

impl<'a> Found<'a> {
    /// True if an exception matches. Each is asked once.
    pub(super) fn asked(&mut self, at: usize, exception: &Exception, sheet: &Sheet<'_>) -> bool {
        let Self { asked, failures, .. } = self;
        let matched = asked.entry(at).or_insert_with(|| {
            let matched = exception.matcher.matches(sheet);
            if matches!(matched, Matched::Failed(_)) {
                failures.push(Arc::clone(&exception.id));
            }
            matched
        });
        *matched == Matched::Yes
    }

    pub(super) fn uses(&mut self, exception: &'a Exception) {
        if !self.used.iter().any(|used| used.id == exception.id) {
            self.used.push(exception);
        }
    }
}

//! Conditions on facts.

mod compile;
mod expression;
mod glob;
mod lists;
mod matcher;
mod number;
mod set;
mod test;
#[cfg(test)]
mod tests;
mod wrong;

pub use self::{
    compile::{compile, doubts},
    expression::{Expression, ExpressionError},
    lists::{Gathered, List, ListKind, Lists},
    matcher::{Matched, Matcher},
    number::Range,
    set::Set,
    test::Test,
    wrong::{PathPart, Wrong, nearest},
};
pub(super) use self::{number::number, wrong::shortened};
use super::fact::{Fact, Sheet};

/// One fact, and what it has to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The fact.
    pub fact: &'static Fact,
    /// What it has to be.
    pub test: Test,
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` has to be {}", self.fact.name, self.test)
    }
}

impl Condition {
    /// True if it is so. What is not known is in no list, within no range and neither true nor false.
    pub fn holds(&self, sheet: &Sheet<'_>) -> bool {
        self.test.holds(sheet.get(self.fact).as_ref())
    }
}

//! What a fact has to be.

use std::{fmt, sync::Arc};

use super::{Range, Set};
use crate::policy::fact::Value;

/// What a fact has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// This.
    Flag(bool),
    /// One of these; of several values, any.
    Among(Arc<Set>),
    /// All of several values are among these, and there is one at least.
    AllAmong(Arc<Set>),
    /// Within this.
    Within(Range),
    /// Known, or not.
    Known(bool),
    /// Not this. It holds for what is not known.
    Not(Box<Test>),
}

impl Test {
    /// True if a value is so.
    pub fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Not(test), value) => !test.holds(value),
            (Self::Known(wanted), value) => value.is_some() == *wanted,
            (_, None) => false,
            (Self::Flag(wanted), Some(value)) => *value == Value::Flag(*wanted),
            (Self::Among(set), Some(value)) => set.has(value),
            (Self::AllAmong(set), Some(value)) => set.has_all(value),
            (Self::Within(range), Some(Value::Number(number))) => range.contains(*number as f64),
            (Self::Within(range), Some(Value::Real(real))) => range.contains(*real),
            (Self::Within(_), Some(_)) => false,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Among(set) => write!(f, "{set}"),
            Self::AllAmong(set) => write!(f, "all of {set}"),
            Self::Within(range) => write!(f, "{range}"),
            Self::Known(true) => f.write_str("known"),
            Self::Known(false) => f.write_str("not known"),
            Self::Not(test) => write!(f, "not {test}"),
        }
    }
}

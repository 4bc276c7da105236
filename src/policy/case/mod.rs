//! Cases: what a policy is expected to do with something.
//!
//! They are kept beside rules and tried before the rules act, so that a slip of the pen is noticed by the one who makes it.

mod facts;
mod run;
mod sample;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::Deserialize;
use serde_yaml::Mapping;

pub use self::{
    facts::known,
    run::{Outcome, run},
    sample::{is_encoded, open, sample},
};
use super::{
    Naming,
    condition::{Wrong, shortened},
    fact::Given,
    rule::{Action, Wire},
};
use crate::facts::Facts;

/// Finds out the facts of a file that a case names. [`sample()`] reads such files.
pub type Examine<'a> = dyn Fn(&Path) -> std::io::Result<Facts> + 'a;

/// A file of cases, as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its cases.
    #[serde(default)]
    pub cases: Vec<Written>,
}

/// A case, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// What it claims.
    pub name: String,
    /// What is known.
    #[serde(default)]
    pub facts: Mapping,
    /// A file whose facts are found out, relative to the file of cases.
    pub sample: Option<PathBuf>,
    /// The time that it is.
    pub at: Option<String>,
    /// What is expected.
    pub expect: Expect,
}

/// What is expected, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What is done.
    pub action: String,
    /// What makes it so: a rule's id, `default:` and a state, `default:types`; any if absent.
    pub rule: Option<String>,
    /// Rules in shadow that match, all of them; any if absent.
    pub shadow: Option<Vec<String>>,
    /// Exceptions that take away something, all of them; any if absent.
    pub exceptions: Option<Vec<String>>,
    /// The word for clients of the scanner's routes; any if absent.
    pub wire: Option<String>,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it claims.
    pub name: String,
    /// Where it is written: file, line and column.
    pub place: String,
    /// What is known.
    pub given: Given,
    /// A file whose facts are found out.
    pub sample: Option<PathBuf>,
    /// The time that it is; now if absent, which is for what never ends.
    pub at: Option<SystemTime>,
    /// What is expected.
    pub expect: Expect,
}

impl Written {
    /// Checks it. `dir` is where its file is, and `place` is told with its failures.
    pub fn check(self, dir: &Path, place: String, naming: &Naming) -> Result<Case, Wrong> {
        let given = Given::parse(&self.facts, naming).map_err(|wrong| wrong.under_key("facts"))?;
        if self.facts.is_empty() && self.sample.is_none() {
            return Err(Wrong::new("a case needs `facts`, or a `sample`"));
        }
        let of_expect = |wrong: Wrong, key: &str| wrong.under_key(key).under_key("expect");
        if !Action::NAMES.contains(&self.expect.action.as_str()) {
            let text = format!("`{}` is none of {}", shortened(&self.expect.action), Action::NAMES.join(", "));
            return Err(of_expect(Wrong::unknown(text, &self.expect.action, Action::NAMES), "action"));
        }
        let wires = Wire::ALL.map(Wire::name);
        if let Some(wire) = self.expect.wire.as_ref().filter(|wire| !wires.contains(&wire.as_str())) {
            let text = format!("`{}` is none of {}", shortened(wire), wires.join(", "));
            return Err(of_expect(Wrong::unknown(text, wire, wires), "wire"));
        }
        let at = self.at.as_deref().map(time).transpose().map_err(|wrong| wrong.under_key("at"))?;
        let sample = self.sample.map(|sample| dir.join(sample));
        Ok(Case { name: self.name, place, given, sample, at, expect: self.expect })
    }
}

/// A day, which begins at midnight UTC, or a time.
pub(super) fn time(text: &str) -> Result<SystemTime, Wrong> {
    let is_day = text.len() == "2027-03-01".len();
    let whole = if is_day { format!("{text}T00:00:00Z") } else { text.to_owned() };
    humantime::parse_rfc3339(&whole).map_err(|error| {
        let shown = shortened(text);
        let wrong = Wrong::new(format!("`{shown}` is no date like 2027-03-01 and no time like 2027-03-01T18:00:00Z"));
        let has_offset = text.len() > "2027-03-01T18:00".len() && !text.ends_with('Z');
        match error {
            humantime::TimestampError::OutOfRange => Wrong::new(format!("there is no such day or time as `{shown}`")),
            _ if has_offset && text.contains('T') => wrong.hint("times are in UTC, and end in `Z`"),
            _ => wrong,
        }
    })
}

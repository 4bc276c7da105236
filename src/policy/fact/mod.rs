//! The names under which rules know what is known of a medium, and of the request for it.
//!
//! There is one table ([`TABLE`]). Conditions are checked against it when they are loaded, and `policies/facts.md` and the JSON
//! Schemas are made from it.

mod given;
mod markdown;
mod sheet;
mod table;
mod value;

pub use self::{
    given::Given,
    markdown::markdown,
    sheet::{Sheet, View},
    table::TABLE,
    value::{Kind, Value},
};

use super::condition::{Wrong, shortened};

/// Where a fact comes from, and so when it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The request.
    Request,
    /// The bytes.
    Bytes,
    /// The engines: not known before they were asked.
    Engines,
}

/// One thing that can be known.
pub struct Fact {
    /// Its name in rules.
    pub name: &'static str,
    /// What values it has.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
    /// What it is, in a sentence for those who write rules.
    pub about: &'static str,
    of: fn(&View<'_>) -> Option<Value>,
}

impl std::fmt::Debug for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Fact {
    /// The fact of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|fact| fact.name == name)
    }

    /// What is to be told of a name that no fact has.
    pub fn unknown(name: &str) -> Wrong {
        let text = format!("`{}` is no fact", shortened(name));
        Wrong::unknown(text, name, TABLE.iter().map(|fact| fact.name))
    }
}

#[cfg(test)]
mod tests;

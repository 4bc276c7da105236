//! Lists that rules name.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Set, Wrong,
    set::{Entries, named},
};
use crate::policy::{
    Hash, Naming,
    fact::{Fact, Kind},
};

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// SHA-256 digests.
    Sha256,
    /// Media types.
    Type,
    /// Names of servers. One without a port is meant with any port.
    Server,
    /// What engines name in media.
    Signature,
    /// Other texts.
    Text,
}

impl ListKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sha256, Self::Type, Self::Server, Self::Signature, Self::Text];

    /// Its name in rule files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Type => "type",
            Self::Server => "server",
            Self::Signature => "signature",
            Self::Text => "text",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// That of lists for a fact; `None` if there are none.
    pub fn of(fact: &Fact) -> Option<Self> {
        match (fact.kind, fact.name) {
            (Kind::Hash, _) => Some(Self::Sha256),
            (Kind::Text | Kind::Texts, "type" | "other_types" | "inside.types" | "declared.type") => Some(Self::Type),
            (Kind::Text, "media.server") => Some(Self::Server),
            (Kind::Texts, "detections") => Some(Self::Signature),
            (Kind::Text | Kind::Texts, _) => Some(Self::Text),
            _ => None,
        }
    }

    fn entries(self) -> Entries {
        match self {
            Self::Sha256 => Entries::Hashes,
            Self::Type => Entries::Types,
            Self::Server => Entries::Servers,
            Self::Signature | Self::Text => Entries::Texts,
        }
    }
}

/// A list that rules name.
#[derive(Clone, Debug)]
pub struct List {
    /// What it is of.
    pub kind: ListKind,
    pub(super) set: Arc<Set>,
}

/// A list that is being read.
pub struct Gathered<'a> {
    kind: ListKind,
    naming: &'a Naming,
    set: Set,
}

impl<'a> Gathered<'a> {
    /// An empty one.
    pub fn new(kind: ListKind, naming: &'a Naming) -> Self {
        Self { kind, naming, set: Set::default() }
    }

    /// Adds an entry: a line of a list file without its comment, or a value.
    pub fn add(&mut self, entry: &str) -> Result<(), Wrong> {
        self.set.add(entry.trim(), self.kind.entries(), self.naming)
    }

    /// The list. Too many patterns are an error.
    pub fn finish(self) -> Result<List, Wrong> {
        Ok(List { kind: self.kind, set: Arc::new(self.set.finished()?) })
    }
}

/// All lists that rules can name, and how digests are called.
pub struct Lists<'a> {
    naming: &'a Naming,
    /// Lists, by name.
    pub lists: BTreeMap<String, List>,
}

impl<'a> Lists<'a> {
    /// None yet.
    pub fn new(naming: &'a Naming) -> Self {
        Self { naming, lists: BTreeMap::new() }
    }

    /// What a digest is called.
    pub fn hash(&self, hexadecimal: &str) -> Result<Hash, Wrong> {
        named(hexadecimal, self.naming)
    }

    pub(super) fn naming(&self) -> &'a Naming {
        self.naming
    }

    /// A list for a fact.
    pub(super) fn named(&self, name: &str, fact: &Fact) -> Result<&List, Wrong> {
        let Some(list) = self.lists.get(name) else {
            let text = format!("there is no list `{name}`");
            return Err(Wrong::unknown(text, name, self.lists.keys().map(String::as_str)));
        };
        match ListKind::of(fact) {
            Some(kind) if kind == list.kind => Ok(list),
            Some(kind) => Err(Wrong::new(format!(
                "`{name}` is a list of kind `{}`, and `{}` needs one of kind `{}`",
                list.kind.name(),
                fact.name,
                kind.name()
            ))),
            None => Err(Wrong::new(format!("there are no lists for `{}`", fact.name))),
        }
    }
}

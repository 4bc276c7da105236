//! Facts that someone wrote down.

use std::{collections::BTreeMap, sync::Arc};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_yaml::{Mapping, Value as Yaml};

use super::{Fact, Kind, Value};
use crate::policy::{
    Naming,
    condition::{Lists, PathPart, Wrong, number, shortened},
};

/// Facts that someone wrote down, for a case or to have a decision explained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// What is given, by name.
    pub values: BTreeMap<&'static str, Value>,
}

impl Given {
    /// Facts as they are written in cases: values as in rules, but each one itself.
    pub fn parse(map: &Mapping, naming: &Naming) -> Result<Self, Wrong> {
        let mut given = Self::default();
        for (key, value) in map {
            let name = key.as_str().unwrap_or_default();
            let fact = Fact::named(name).ok_or_else(|| Fact::unknown(name).of_key(name))?;
            let value = parse(fact, value, naming).map_err(|wrong| wrong.under_key(name))?;
            given.values.insert(fact.name, value);
        }
        Ok(given)
    }

    /// The same, but where others say something, that.
    #[must_use]
    pub fn overlaid(mut self, others: &Self) -> Self {
        self.values.extend(others.values.iter().map(|(name, value)| (*name, value.clone())));
        self
    }
}

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in &self.values {
            match value {
                Value::Flag(flag) => map.serialize_entry(name, flag)?,
                Value::Word(word) => map.serialize_entry(name, word)?,
                Value::Words(words) => map.serialize_entry(name, words)?,
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Texts(texts) => map.serialize_entry(name, texts)?,
                Value::Number(number) => map.serialize_entry(name, number)?,
                Value::Real(real) => map.serialize_entry(name, real)?,
                Value::Hash(_) => map.serialize_entry(name, "(a digest)")?,
            }
        }
        map.end()
    }
}

fn parse(fact: &'static Fact, value: &Yaml, naming: &Naming) -> Result<Value, Wrong> {
    match (fact.kind, value) {
        (Kind::Flag, Yaml::Bool(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Flag, _) => Err(Wrong::new(format!("`{}` is true or false", fact.name))),
        (Kind::Real, value) => number(fact.kind, value).map(Value::Real),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a number of rules")]
        (Kind::Count | Kind::Bytes | Kind::Age, value) => {
            number(fact.kind, value).map(|number| Value::Number(number as u64))
        }
        (Kind::Hash, value) => Lists::new(naming).hash(text(fact, value)?).map(Value::Hash),
        (Kind::Words(words), value) => each(value, |item| word(fact, words, item)).map(Value::Words),
        (Kind::Texts, value) => each(value, |item| text(fact, item).map(Arc::from)).map(Value::Texts),
        (Kind::Word(words), value) => word(fact, words, value).map(Value::Word),
        (Kind::Text, value) => Ok(Value::Text(text(fact, value)?.into())),
    }
}

/// Each of a list, or one that stands for itself.
fn each<T>(value: &Yaml, read: impl Fn(&Yaml) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    let Yaml::Sequence(items) = value else { return Ok(vec![read(value)?]) };
    let item = |(at, item)| read(item).map_err(|wrong| wrong.under(PathPart::Index(at)));
    items.iter().enumerate().map(item).collect()
}

fn text<'a>(fact: &Fact, value: &'a Yaml) -> Result<&'a str, Wrong> {
    let Yaml::String(text) = value else {
        return Err(Wrong::new(format!("`{}` is a {}; put it in quotes", fact.name, fact.kind.name())));
    };
    Ok(text)
}

fn word(fact: &Fact, words: &'static [&'static str], value: &Yaml) -> Result<&'static str, Wrong> {
    let text = text(fact, value)?;
    words.iter().copied().find(|word| *word == text).ok_or_else(|| {
        let wrong = format!("`{}` is none of {}", shortened(text), words.join(", "));
        Wrong::unknown(wrong, text, words.iter().copied())
    })
}

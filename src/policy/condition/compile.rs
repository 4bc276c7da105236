//! From what is written under `match` to tests.

use std::{ops::Bound, sync::Arc};

use serde_yaml::{Mapping, Value as Yaml};

use super::{
    Lists, Range, Set, Test, Wrong, number,
    set::Entries,
    wrong::{PathPart, shortened},
};
use crate::policy::{
    fact::{Fact, Kind},
    is_ever_told,
};

/// Forms that a condition can have besides a value and a list of values.
const FORMS: [&str; 6] = ["not", "all", "list", "known", "min", "max"];

/// What a fact has to be, as it is written in a rule.
pub fn compile(fact: &'static Fact, value: &Yaml, lists: &Lists<'_>) -> Result<Test, Wrong> {
    match value {
        Yaml::Mapping(map) => form(fact, map, lists),
        value => plain(fact, value, lists),
    }
}

/// What works but is probably not as meant.
pub fn doubts(fact: &Fact, test: &Test) -> Vec<String> {
    let set = match test {
        Test::Not(test) => return doubts(fact, test),
        Test::Among(set) | Test::AllAmong(set) => set,
        Test::Within(Range { min: Bound::Included(min), max: Bound::Included(max) })
            if min.total_cmp(max).is_eq() && is_hardly_exact(fact, *min) =>
        {
            let unit = if fact.kind == Kind::Age { "seconds" } else { "bytes" };
            let doubt =
                format!("this is so for exactly {min} {unit}; did you mean a range, like \">= …\" or \"<= …\"?");
            return vec![doubt];
        }
        _ => return Vec::new(),
    };
    let told: fn(&str) -> Option<String> = match (entries(fact), fact.name) {
        (Entries::Types, _) if of_bytes(fact) => |name| {
            let doubt = || format!("nothing is known to be told to be `{name}`, so this may match nothing");
            (!is_ever_told(name)).then(doubt)
        },
        // Those that stand in a rule were checked; those of lists can be anything.
        (Entries::Extensions, _) => |name| {
            let doubt = || format!("`{name}` has a dot, and extensions have none, so this matches nothing");
            name.contains('.').then(doubt)
        },
        (_, "user") => |name| {
            let doubt = || format!("`{name}` is no Matrix id like @bob:example.org, so this matches nothing");
            (!name.starts_with('@')).then(doubt)
        },
        _ => return Vec::new(),
    };
    let mut texts: Vec<&str> = set.texts.iter().map(|text| &**text).collect();
    texts.sort_unstable();
    texts.into_iter().filter_map(told).take(20).collect()
}

/// True for round numbers of bytes and for ages: nothing is so by chance.
fn is_hardly_exact(fact: &Fact, number: f64) -> bool {
    let is_round = number >= 1000.0 && (number % 1000.0 == 0.0 || number % 1024.0 == 0.0);
    fact.kind == Kind::Age || fact.kind == Kind::Bytes && is_round
}

/// True for types that we tell ourselves.
fn of_bytes(fact: &Fact) -> bool {
    matches!(fact.name, "type" | "other_types" | "inside.types")
}

/// A value, or a list of values, any of which is meant.
fn plain(fact: &'static Fact, value: &Yaml, lists: &Lists<'_>) -> Result<Test, Wrong> {
    match fact.kind {
        Kind::Flag => match value {
            Yaml::Bool(flag) => Ok(Test::Flag(*flag)),
            _ => Err(flag(fact, value)),
        },
        Kind::Count | Kind::Bytes | Kind::Age | Kind::Real => match value {
            Yaml::Sequence(_) => Err(Wrong::new(format!(
                "`{}` takes one number or range; write several maps under `match` for several",
                fact.name
            ))),
            Yaml::Number(_) | Yaml::String(_) => number::range(fact.kind, value).map(Test::Within),
            _ => Err(Wrong::new(format!("`{}` is {}", fact.name, number::described(fact.kind)))),
        },
        Kind::Word(_) | Kind::Words(_) | Kind::Text | Kind::Texts | Kind::Hash => {
            Ok(Test::Among(set(fact, value, lists)?))
        }
    }
}

/// What is to be told of a value that is no flag.
fn flag(fact: &Fact, value: &Yaml) -> Wrong {
    let wrong = Wrong::new(format!("`{}` is true or false", fact.name));
    match value.as_str().map(str::to_lowercase).as_deref() {
        Some("true" | "yes" | "on") => wrong.hint("write true, without quotes"),
        Some("false" | "no" | "off") => wrong.hint("write false, without quotes"),
        _ => wrong,
    }
}

/// One of the forms that are maps.
fn form(fact: &'static Fact, map: &Mapping, lists: &Lists<'_>) -> Result<Test, Wrong> {
    for key in map.keys() {
        let name = key.as_str().unwrap_or_default();
        if !FORMS.contains(&name) {
            let text = format!("`{}` is no form of condition: there are {}", shortened(name), FORMS.join(", "));
            return Err(Wrong::unknown(text, name, FORMS).of_key(name));
        }
    }
    let is_number = matches!(fact.kind, Kind::Count | Kind::Bytes | Kind::Age | Kind::Real);
    if map.contains_key("min") || map.contains_key("max") {
        let others = map.keys().any(|key| !matches!(key.as_str(), Some("min" | "max")));
        return match is_number {
            false => Err(Wrong::new(format!("`{}` is no number, so it has no `min` and no `max`", fact.name))),
            true if others => Err(Wrong::new("`min` and `max` go with nothing else")),
            true => number::between(fact.kind, map.get("min"), map.get("max")).map(Test::Within),
        };
    }
    let mut entries = map.iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err(Wrong::new(format!("this takes one of {}", FORMS.join(", "))));
    };
    one(fact, key, value, lists).map_err(|wrong| wrong.under_key(key))
}

fn one(fact: &'static Fact, key: &str, value: &Yaml, lists: &Lists<'_>) -> Result<Test, Wrong> {
    match (key, value) {
        ("known", Yaml::Bool(known)) => Ok(Test::Known(*known)),
        ("known", _) => Err(Wrong::new("`known` is true or false")),
        ("not", Yaml::Mapping(map)) if map.contains_key("not") => Err(Wrong::new("`not` of `not` is nothing")),
        ("not", value) => Ok(Test::Not(Box::new(compile(fact, value, lists)?))),
        ("list", Yaml::String(name)) => Ok(Test::Among(Arc::clone(&lists.named(name, fact)?.set))),
        ("list", _) => Err(Wrong::new("`list` takes the name of a list")),
        ("all", Yaml::Mapping(map)) => match form(fact, map, lists)? {
            Test::Among(set) if is_several(fact) => Ok(Test::AllAmong(set)),
            _ => Err(only_of_several(fact)),
        },
        (_, value) if is_several(fact) => Ok(Test::AllAmong(set(fact, value, lists)?)),
        _ => Err(only_of_several(fact)),
    }
}

fn is_several(fact: &Fact) -> bool {
    matches!(fact.kind, Kind::Words(_) | Kind::Texts)
}

fn only_of_several(fact: &Fact) -> Wrong {
    Wrong::new(format!("`{}` is one value, so `all` says nothing; leave it out", fact.name))
}

/// The set that a value, or a list of values and names of lists, stands for.
fn set(fact: &'static Fact, value: &Yaml, lists: &Lists<'_>) -> Result<Arc<Set>, Wrong> {
    let Yaml::Sequence(items) = value else {
        let mut set = Set::default();
        set.add(text(fact, value)?, entries(fact), lists.naming())?;
        return set.finished().map(Arc::new);
    };
    if items.is_empty() {
        return Err(Wrong::new("this list is empty, so the condition would never hold"));
    }
    let mut set = Set::default();
    for (at, item) in items.iter().enumerate() {
        add(&mut set, fact, item, lists).map_err(|wrong| wrong.under(PathPart::Index(at)))?;
    }
    set.finished().map(Arc::new)
}

fn add(set: &mut Set, fact: &'static Fact, item: &Yaml, lists: &Lists<'_>) -> Result<(), Wrong> {
    let Yaml::Mapping(map) = item else { return set.add(text(fact, item)?, entries(fact), lists.naming()) };
    match map.get("list").and_then(Yaml::as_str) {
        Some(name) if map.len() == 1 => {
            set.extend(&lists.named(name, fact).map_err(|wrong| wrong.under_key("list"))?.set);
            Ok(())
        }
        _ => Err(Wrong::new("in a list of values there are values, and lists as `{list: name}`")),
    }
}

fn text<'a>(fact: &Fact, value: &'a Yaml) -> Result<&'a str, Wrong> {
    match value {
        Yaml::String(text) => Ok(text),
        Yaml::Number(_) | Yaml::Bool(_) => Err(Wrong::new(format!(
            "`{}` is {}, and YAML takes this for something else; put it in quotes",
            fact.name,
            if fact.kind == Kind::Hash { "a digest".to_owned() } else { format!("a {}", fact.kind.name()) }
        ))),
        Yaml::Null => Err(Wrong::new(format!("nothing is asked of `{}`", fact.name))
            .hint("for what is not known, write {known: false}")),
        _ => Err(Wrong::new(format!("`{}` takes a {} or a list of them", fact.name, fact.kind.name()))),
    }
}

/// What the entries for a fact are.
fn entries(fact: &Fact) -> Entries {
    match (fact.kind, fact.name) {
        (Kind::Hash, _) => Entries::Hashes,
        (Kind::Word(words) | Kind::Words(words), _) => Entries::Words(words),
        (_, "declared.type") => Entries::Types,
        (_, "media.server") => Entries::Servers,
        (_, "declared.extension" | "inside.extensions") => Entries::Extensions,
        _ if of_bytes(fact) => Entries::Types,
        _ => Entries::Texts,
    }
}

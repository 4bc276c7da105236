//! YAML, with the place of each part of it.
//!
//! Values and places come from one reading, so that they cannot differ. What policies have no use for is refused: anchors and
//! aliases (which can make gigabytes of a page), tags, several documents in one file, keys that are no texts.

use std::{borrow::Cow, collections::HashMap};

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_yaml::{Mapping, Value};

use super::{problem::Place, slip};
use crate::policy::condition::PathPart;

/// Lists and mappings in one another.
const DEEPEST: usize = 32;

/// Values in one file.
const MOST: usize = 200_000;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Tree {
    /// Its content.
    pub(super) value: Value,
    spot: Spot,
}

/// What is wrong with its YAML.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Where a value is, and what is in it.
#[derive(Debug)]
struct Spot {
    at: Place,
    parts: Parts,
}

type Fields = HashMap<String, (Place, Spot)>;

#[derive(Debug)]
enum Parts {
    None,
    Items(Vec<Spot>),
    /// Keys, where they are, and their values.
    Fields(Fields),
}

impl Tree {
    /// Where the value at the end of a path is, or as far as the path leads.
    pub(super) fn place(&self, path: &[PathPart]) -> Place {
        self.walk(path).1
    }

    /// Where its key is, for what stands under a key.
    pub(super) fn key_place(&self, path: &[PathPart]) -> Place {
        self.walk(path).0
    }

    fn walk(&self, path: &[PathPart]) -> (Place, Place) {
        let (mut spot, mut key) = (&self.spot, self.spot.at);
        for part in path {
            let next = match (&spot.parts, part) {
                (Parts::Items(items), PathPart::Index(index)) => items.get(*index).map(|item| (item.at, item)),
                (Parts::Fields(fields), PathPart::Key(name)) => fields.get(name).map(|(at, spot)| (*at, spot)),
                _ => None,
            };
            let Some(next) = next else { break };
            (key, spot) = next;
        }
        (key, spot.at)
    }
}

/// A list or a mapping whose end was not yet seen.
enum Open {
    Items { at: Place, values: Vec<Value>, spots: Vec<Spot> },
    Fields { at: Place, mapping: Mapping, fields: Fields, key: Option<(String, Place)> },
}

/// Reads a file. `None` if there is nothing in it but comments.
pub(super) fn parse(text: &str) -> Result<Option<Tree>, Fault> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, place(span.start))?,
            Err(error) => {
                let (at, said) = (place(*error.marker()), error.info());
                let hint = slip::hint(said, text, at).map_or_else(String::new, |hint| format!("; {hint}"));
                return Err(fault(at, format!("this is no YAML: {said}{hint}")));
            }
        }
    }
    Ok(builder.root.filter(|tree| !tree.value.is_null()))
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

fn fault(place: Place, text: impl Into<String>) -> Fault {
    Fault { place, text: text.into() }
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Tree>,
    count: usize,
    documents: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Place) -> Result<(), Fault> {
        let (anchor, tag) = match &event {
            Event::Alias(_) => (true, false),
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor != 0, tag.is_some())
            }
            _ => (false, false),
        };
        if anchor {
            return Err(fault(
                at,
                "anchors and aliases (`&`, `*`, `<<`) are not read; put in `lists` what is used twice",
            ));
        }
        if tag {
            return Err(fault(at, "tags (`!`) are not read; put a text that begins with `!` in quotes"));
        }
        match event {
            Event::DocumentStart(_) if self.documents > 0 => Err(fault(at, "there is a second document in this file")),
            Event::DocumentStart(_) => {
                self.documents += 1;
                Ok(())
            }
            Event::Scalar(text, style, ..) => self.scalar(text, style, at),
            Event::SequenceStart(..) => self.begin(Open::Items { at, values: Vec::new(), spots: Vec::new() }, at),
            Event::MappingStart(..) => {
                self.begin(Open::Fields { at, mapping: Mapping::new(), fields: Fields::new(), key: None }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, at: Place) -> Result<(), Fault> {
        if self.wants_key() {
            return Err(fault(at, "keys are texts"));
        }
        if self.open.len() >= DEEPEST {
            return Err(fault(at, format!("more than {DEEPEST} lists and mappings are in one another here")));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        match self.open.pop() {
            None => Ok(()),
            Some(Open::Items { at, values, spots }) => {
                self.put(Value::Sequence(values), Spot { at, parts: Parts::Items(spots) })
            }
            Some(Open::Fields { at, mapping, fields, .. }) => {
                self.put(Value::Mapping(mapping), Spot { at, parts: Parts::Fields(fields) })
            }
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Fields { key: None, .. }))
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, at: Place) -> Result<(), Fault> {
        let value = match Scalar::parse_from_cow_and_metadata(text, style, None) {
            None | Some(Scalar::Null) => Value::Null,
            Some(Scalar::Boolean(flag)) => Value::Bool(flag),
            Some(Scalar::Integer(number)) => Value::from(number),
            Some(Scalar::FloatingPoint(number)) => Value::from(number.into_inner()),
            Some(Scalar::String(text)) => Value::String(text.into_owned()),
        };
        match self.open.last_mut() {
            Some(Open::Fields { mapping, key: key @ None, .. }) => match value {
                Value::String(name) if mapping.contains_key(&name) => {
                    Err(fault(at, format!("`{name}` is here a second time")))
                }
                Value::String(name) => {
                    *key = Some((name, at));
                    Ok(())
                }
                _ => Err(fault(at, "keys are texts; put this one in quotes")),
            },
            _ => self.put(value, Spot { at, parts: Parts::None }),
        }
    }

    fn put(&mut self, value: Value, spot: Spot) -> Result<(), Fault> {
        self.count += 1;
        if self.count > MOST {
            return Err(fault(
                spot.at,
                format!("there are more than {MOST} values in this file; long lists go in files of their own"),
            ));
        }
        match self.open.last_mut() {
            None => self.root = Some(Tree { value, spot }),
            Some(Open::Items { values, spots, .. }) => {
                values.push(value);
                spots.push(spot);
            }
            Some(Open::Fields { mapping, fields, key, .. }) => {
                if let Some((name, at)) = key.take() {
                    mapping.insert(Value::String(name.clone()), value);
                    fields.insert(name, (at, spot));
                }
            }
        }
        Ok(())
    }
}

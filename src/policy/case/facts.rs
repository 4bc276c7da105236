//! What is known in a case.

use std::{sync::Arc, time::SystemTime};

use crate::{
    facts::{Declared, Direction, Facts, Group, Occasion},
    policy::{
        Access, State,
        fact::{Given, Sheet, Value, View},
    },
};

/// What follows from what a case gives. The last two are known only if it says what the bytes are.
const FOLLOWS: [&str; 7] = [
    "direction",
    "state",
    "declared.extension",
    "declared.double_extension",
    "declared.bidi",
    "mismatch",
    "extension_mismatch",
];

/// All that is known where someone wrote down facts: these, and what follows from them and from a sample.
pub fn known(written: &Given, sample: Option<&Facts>, now: SystemTime) -> Given {
    let given = Sheet::Given(written.clone());
    let named = |name: &str| match written.values.get(name) {
        Some(Value::Text(text)) => Some(Arc::clone(text)),
        _ => None,
    };
    let word = |name: &str| match written.values.get(name) {
        Some(Value::Word(word)) => Some(*word),
        _ => None,
    };
    let direction = given.direction();
    let occasion = Occasion {
        server: named("media.server"),
        media_id: named("media.id"),
        is_local: (direction == Direction::Upload).then_some(true),
        user: named("user"),
        declared: Declared { media_type: named("declared.type"), name: named("declared.name") },
        ..Occasion::usual(direction)
    };
    let group = word("group").and_then(Group::named);
    let said = Facts { detected_type: named("type"), group: group.unwrap_or_default(), ..Facts::default() };
    let access = match word("encrypted") {
        Some("keyed") => Access::Keyed,
        _ => Access::without_key(direction, given.opened()),
    };
    let facts = Some(sample.unwrap_or(&said));
    let size = facts.map(|facts| facts.size);
    let view = View { occasion: &occasion, facts, size, record: None, state: State::Clean, access, name: None, now };
    let mut follows = Sheet::Of(View { state: view.state_if_clean(), ..view }).all();
    if sample.is_none() {
        follows.values.retain(|name, _| FOLLOWS.contains(name));
    }
    follows.overlaid(written)
}

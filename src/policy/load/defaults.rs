//! `defaults`: what is done with media that are not clean, or that no rule is about.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::{
    problem::Report,
    source::Here,
    words::{unknown, word_for},
};
use crate::{
    facts::Direction,
    policy::{
        rule::{Defaults, Otherwise},
        state::State,
    },
};

/// Keys that are looked at; there are not as many that can be right.
const MOST_TOLD: usize = 20;

/// Gathers defaults of all files.
#[derive(Default)]
pub(super) struct Reader {
    /// What was read.
    pub(super) defaults: Defaults,
    places: BTreeMap<(State, Direction), String>,
}

impl Reader {
    /// Reads those of one file.
    pub(super) fn read(&mut self, here: &Here<'_>, report: &mut Report) {
        let states = State::ALL.map(|state| (state.name(), state));
        let Value::Mapping(mapping) = here.value() else { return };
        for name in mapping.keys().filter_map(Value::as_str).take(MOST_TOLD) {
            let there = here.key(name);
            match states.iter().find(|(word, _)| *word == name) {
                Some((_, state)) => self.of_state(*state, &there, report),
                None => report.problem(there.problem_with_key(unknown("state", name, &states))),
            }
        }
    }

    fn of_state(&mut self, state: State, here: &Here<'_>, report: &mut Report) {
        match here.value() {
            Value::String(text) => {
                let Some(otherwise) = way(state, text, here, report) else { return };
                let directions = Direction::ALL.into_iter().filter(|one| problem(state, *one, otherwise).is_none());
                self.set(state, directions, otherwise, here, report);
            }
            Value::Mapping(mapping) => {
                let directions = Direction::ALL.map(|direction| (direction.name(), direction));
                for name in mapping.keys().filter_map(Value::as_str).take(MOST_TOLD) {
                    let there = here.key(name);
                    match directions.iter().find(|(word, _)| *word == name) {
                        Some((_, direction)) => self.of_direction(state, *direction, &there, report),
                        None => report.problem(there.problem_with_key(unknown("direction", name, &directions))),
                    }
                }
                let says = |name: &str| mapping.get(name).and_then(Value::as_str);
                let is_refused = ["download", "thumbnail"].into_iter().filter_map(says).any(|word| word != "allow");
                let passes =
                    !mapping.contains_key("scan") && Defaults::default().of(state, Direction::Scan) == Otherwise::Allow;
                if is_refused && passes {
                    let text = "the scanner's routes hand out the same media, and nothing is said of `scan`";
                    report.note(here.problem_with_key(text));
                }
            }
            _ => report.problem(
                here.problem(format!("`{}` has to be one word, or a mapping of directions and words", here.name())),
            ),
        }
    }

    fn of_direction(&mut self, state: State, direction: Direction, here: &Here<'_>, report: &mut Report) {
        let Some(text) = here.value().as_str() else {
            return report.problem(here.problem(format!("`{}` has to be a word", here.name())));
        };
        let Some(otherwise) = way(state, text, here, report) else { return };
        match problem(state, direction, otherwise) {
            Some(text) => report.problem(here.problem(text)),
            None => self.set(state, [direction], otherwise, here, report),
        }
    }

    fn set(
        &mut self,
        state: State,
        directions: impl IntoIterator<Item = Direction>,
        otherwise: Otherwise,
        here: &Here<'_>,
        report: &mut Report,
    ) {
        let mut clash = None;
        for key in directions.into_iter().map(|direction| (state, direction)) {
            match self.places.get(&key) {
                Some(other) => clash = clash.or(Some((key.1, other.clone()))),
                None => {
                    self.places.insert(key, here.told());
                    self.defaults.said.insert(key, otherwise);
                }
            }
        }
        if let Some((direction, other)) = clash {
            let (state, direction) = (state.name(), direction.name());
            let text = format!(
                "the default of `{state}` for `{direction}` is set already, in {other}: of all files of a policy, one can set it"
            );
            report.problem(here.problem_with_key(text));
        }
    }
}

/// What can be done with what stands so.
pub(super) fn ways(state: State) -> &'static [Otherwise] {
    if state == State::OpaqueMedia { &Otherwise::ALL } else { &[Otherwise::Allow, Otherwise::Block] }
}

fn way(state: State, text: &str, here: &Here<'_>, report: &mut Report) -> Option<Otherwise> {
    let words: Vec<_> = ways(state).iter().map(|way| (way.name(), *way)).collect();
    word_for("default", text, &words, here, report)
}

/// Why that cannot be said. One word for all directions means all of which it can.
pub(super) fn problem(state: State, direction: Direction, otherwise: Otherwise) -> Option<&'static str> {
    match (state, direction, otherwise) {
        (State::Oversize | State::EngineError, Direction::Scan, Otherwise::Allow) => Some(
            "the scanner's routes vouch for what they let through, so what was not scanned cannot be allowed there",
        ),
        (_, Direction::Upload, Otherwise::RequireScanned) => Some(
            "what is uploaded was never scanned before, so this would refuse all ciphertext; say `block` if that is meant",
        ),
        _ => None,
    }
}

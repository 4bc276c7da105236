//! JSON Schemas of policy files and of case files, made from the table of facts, so that editors complete and check what is
//! written. They say less than the loader: what it accepts, they accept.

use serde_json::{Map, Value, json};

use super::defaults;
use crate::{
    facts::Direction,
    policy::{
        condition::ListKind,
        fact::{Fact, Kind, TABLE},
        rule::{Action, Mode, Otherwise, Severity, Wire},
        state::State,
    },
};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of policy files.
pub fn of_policies() -> Value {
    let mut schema = json!({
        "$schema": DIALECT,
        "title": "Lazaret: a policy file",
        "type": "object",
        "additionalProperties": false,
        "required": ["version"],
        "properties": {
            "version": {"const": 1, "description": "The version of the language."},
            "defaults": defaults(),
            "lists": {
                "description": "Lists that conditions name as `{list: name}`.",
                "type": "object",
                "propertyNames": {"$ref": "#/$defs/id"},
                "additionalProperties": {"$ref": "#/$defs/list"},
            },
            "rules": {"description": "Rules; the first that matches decides.", "type": "array", "items": {"$ref": "#/$defs/rule"}},
            "exceptions": {"description": "What does not count for a while.", "type": "array", "items": {"$ref": "#/$defs/exception"}},
        },
        "$defs": {
            "id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$", "maxLength": 64},
            "time": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}([T ].+Z)?$", "description": "A date, from its beginning in UTC, or a time like 2027-03-01T18:00:00Z."},
            "list": list(),
            "rule": rule(),
            "exception": exception(),
            "match": {"oneOf": [{"$ref": "#/$defs/all"}, {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/all"}}]},
            "all": {"description": "Conditions that all have to hold.", "type": "object", "minProperties": 1, "additionalProperties": false, "properties": facts(|fact| json!({"$ref": format!("#/$defs/{}", way_of(fact))}))},
            "listed": {"type": "object", "additionalProperties": false, "required": ["list"], "properties": {"list": {"type": "string"}}},
        },
    });
    for fact in &TABLE {
        schema["$defs"][way_of(fact)] = condition(fact);
    }
    schema
}

/// Where it stands what can be asked of a fact: facts of one kind are asked the same, but for words.
fn way_of(fact: &Fact) -> String {
    match fact.kind {
        Kind::Word(_) | Kind::Words(_) => format!("of-{}", fact.name),
        kind => format!("is-{}", kind.name()),
    }
}

/// The schema of case files.
pub fn of_cases() -> Value {
    let words = |words: &[&str]| json!({"enum": words});
    let ids = json!({"type": "array", "items": {"type": "string"}});
    json!({
        "$schema": DIALECT,
        "title": "Lazaret: cases of a policy",
        "type": "object",
        "additionalProperties": false,
        "required": ["cases"],
        "properties": {"cases": {"type": "array", "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["name", "expect"],
            "properties": {
                "name": {"type": "string", "description": "What it claims."},
                "facts": {"type": "object", "description": "What is known; all else is not.", "additionalProperties": false, "properties": facts(value)},
                "sample": {"type": "string", "description": "A file whose facts are found out, from the directory of this one; `.b64` is decoded."},
                "at": {"type": "string", "description": "The time that it is; now if absent."},
                "expect": {"type": "object", "additionalProperties": false, "required": ["action"], "properties": {
                    "action": words(&Action::NAMES),
                    "rule": {"type": "string", "description": "A rule's id, or `default:` and a state."},
                    "shadow": ids,
                    "exceptions": ids,
                    "wire": words(&Wire::ALL.map(Wire::name)),
                }},
            },
        }}},
    })
}

fn defaults() -> Value {
    let of = |state: State| {
        let words = |direction: Direction| {
            let ways = defaults::ways(state).iter().copied();
            let ways = ways.filter(|way| defaults::problem(state, direction, *way).is_none());
            ways.map(Otherwise::name).collect::<Vec<_>>()
        };
        let directions: Map<_, _> =
            Direction::ALL.into_iter().map(|one| (one.name().to_owned(), json!({"enum": words(one)}))).collect();
        let all: Vec<_> = defaults::ways(state).iter().copied().map(Otherwise::name).collect();
        json!({"oneOf": [{"enum": all}, {"type": "object", "additionalProperties": false, "properties": directions}]})
    };
    let states: Map<_, _> = State::ALL.into_iter().map(|state| (state.name().to_owned(), of(state))).collect();
    json!({
        "description": "What is done by how media stand, in all directions or in each, where no rule says otherwise.",
        "type": "object",
        "additionalProperties": false,
        "properties": states,
    })
}

fn list() -> Value {
    let values = json!({"type": "array", "items": {"type": "string", "minLength": 1}});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["kind"],
        "oneOf": [{"required": ["file"]}, {"required": ["values"]}],
        "properties": {
            "kind": {"enum": ListKind::ALL.map(ListKind::name)},
            "file": {"type": "string", "description": "A file below the directory of this one, one value a line, `#` for comments."},
            "values": values,
        },
    })
}

fn rule() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "action"],
        "properties": {
            "id": {"$ref": "#/$defs/id"},
            "description": {"type": "string"},
            "match": {"$ref": "#/$defs/match"},
            "when": {"type": "string", "maxLength": 4096, "description": "A condition in CEL, besides `match`."},
            "action": {"enum": Action::NAMES},
            "engines": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "Engines that have to be heard; for `action: scan`."},
            "reason": {
                "description": "What users are told: a text, or a text for each language.",
                "oneOf": [
                    {"type": "string", "minLength": 1},
                    {"type": "object", "minProperties": 1, "propertyNames": {"pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"}, "additionalProperties": {"type": "string", "minLength": 1}},
                ],
            },
            "wire": {"enum": Wire::ALL.map(Wire::name), "description": "What clients of the scanner's routes are told."},
            "severity": {"enum": Severity::ALL.map(Severity::name)},
            "mode": {"enum": Mode::ALL.map(Mode::name), "description": "`shadow`: it is only told what the rule would have done."},
            "expires": {"$ref": "#/$defs/time"},
        },
        "if": {"properties": {"action": {"const": "scan"}}, "required": ["action"]},
        "then": {"required": ["engines"]},
        "else": {"properties": {"engines": false}},
    })
}

fn exception() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "from", "reason", "author", "until"],
        "anyOf": [{"required": ["match"]}, {"required": ["when"]}],
        "properties": {
            "id": {"$ref": "#/$defs/id"},
            "from": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "Ids of rules, and names of states, that do not count."},
            "match": {"$ref": "#/$defs/match"},
            "when": {"type": "string", "maxLength": 4096},
            "reason": text,
            "author": text,
            "until": {"$ref": "#/$defs/time"},
        },
    })
}

/// Something for each fact, under its name.
fn facts(of: fn(&Fact) -> Value) -> Value {
    let described = |fact: &Fact| {
        let mut schema = of(fact);
        schema["description"] = json!(fact.about);
        (fact.name.to_owned(), schema)
    };
    TABLE.iter().map(described).collect::<Map<_, _>>().into()
}

/// What can be asked of a fact.
fn condition(fact: &Fact) -> Value {
    let object = |properties: Value| json!({"type": "object", "additionalProperties": false, "minProperties": 1, "properties": properties});
    let known = json!({"type": "boolean"});
    let number = number("^(<=?|>=?)? *[0-9.]+ *[A-Za-z]*");
    let plain = match fact.kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Count | Kind::Bytes | Kind::Age | Kind::Real => {
            json!({"anyOf": [number.clone(), object(json!({"min": number, "max": number}))]})
        }
        kind => {
            let one = match kind {
                Kind::Word(words) | Kind::Words(words) => json!({"enum": words}),
                Kind::Hash => digest(),
                _ => json!({"type": "string"}),
            };
            let listed = json!({"$ref": "#/$defs/listed"});
            json!({"anyOf": [one.clone(), {"type": "array", "minItems": 1, "items": {"anyOf": [one, listed.clone()]}}, listed]})
        }
    };
    let mut ways = vec![plain.clone(), object(json!({"known": known}))];
    let mut negated = vec![plain.clone()];
    if matches!(fact.kind, Kind::Words(_) | Kind::Texts) {
        ways.push(object(json!({"all": plain.clone()})));
        negated.push(object(json!({"all": plain})));
    }
    ways.push(object(json!({"not": {"anyOf": negated}})));
    json!({"anyOf": ways})
}

/// What a fact can be.
fn value(fact: &Fact) -> Value {
    match fact.kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Word(words) => json!({"enum": words}),
        Kind::Words(words) => json!({"anyOf": [{"enum": words}, {"type": "array", "items": {"enum": words}}]}),
        Kind::Hash => digest(),
        Kind::Text => json!({"type": "string"}),
        Kind::Texts => json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
        Kind::Count | Kind::Bytes | Kind::Age | Kind::Real => number("^[0-9.]+ *[A-Za-z]*"),
    }
}

fn number(pattern: &str) -> Value {
    json!({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": pattern}]})
}

fn digest() -> Value {
    json!({"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"})
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn shipped_schemas_are_those_of_the_code() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        for (name, schema) in [("lazaret-policy", of_policies()), ("lazaret-policy-cases", of_cases())] {
            let path = directory.join(format!("{name}.schema.json"));
            let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
            if std::env::var_os("LAZARET_RENEW").is_some() {
                fs::write(&path, text).unwrap();
            } else {
                assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "LAZARET_RENEW=1 renews it");
            }
        }
    }
}

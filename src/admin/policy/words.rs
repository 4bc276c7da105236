//! What operators are told of the policy, as JSON.

use std::time::SystemTime;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::{answer::Refused, words::time};
use crate::{
    inspect::{Explained, Replay, Sample},
    policy::{
        Example, InForce, ShadowReport,
        rule::{Action, Exception, Lifted, Mode, Rule},
    },
    reload::{PolicyFiles, Summary},
};

/// What is not stored, and so is not known when the past is asked.
const NOT_STORED: [&str; 5] = [
    "declared.name (but for its extension)",
    "media.id",
    "user",
    "route (but for its direction)",
    "media in state oversize or engine_error",
];

pub(super) fn status(files: &PolicyFiles) -> Value {
    let (in_force, now) = (files.in_force(), files.clock().now());
    let (policy, how) = (in_force.current(), in_force.how());
    let (rules, origin) = (policy.rules(), policy.origin());
    json!({
        "revision": policy.revision(),
        "path": files.source().path(),
        "shipped": origin.is_shipped,
        "loaded_at": time(how.loaded_at),
        "cases": origin.cases,
        "rules": rules.rules.iter().map(|one| rule(one, in_force, now)).collect::<Vec<_>>(),
        "exceptions": rules.exceptions.iter().map(|one| exception(one, in_force, now)).collect::<Vec<_>>(),
        "notes": origin.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failure": how.failure.map(|(at, problems)| json!({"at": time(at), "problems": problems})),
    })
}

fn rule(rule: &Rule, in_force: &InForce, now: SystemTime) -> Value {
    let state = match (rule.is_over(now), rule.mode) {
        (true, _) => "expired",
        (false, Mode::Enforce) => "acting",
        (false, Mode::Shadow) => "shadow",
    };
    let engines = match &rule.action {
        Action::Scan(engines) => Some(engines.iter().map(ToString::to_string).collect::<Vec<_>>()),
        _ => None,
    };
    json!({
        "id": *rule.id,
        "description": rule.description,
        "action": rule.action.name(),
        "engines": engines,
        "severity": rule.denial.severity.name(),
        "state": state,
        "expires": rule.expires.map(time),
        "decisions": in_force.tally().decisions_by(rule),
    })
}

fn exception(exception: &Exception, in_force: &InForce, now: SystemTime) -> Value {
    let lifted = |lifted: &Lifted| match lifted {
        Lifted::Rule(id) => id.to_string(),
        Lifted::State(state) => state.name().to_owned(),
    };
    json!({
        "id": *exception.id,
        "from": exception.from.iter().map(lifted).collect::<Vec<_>>(),
        "reason": exception.reason,
        "author": exception.author,
        "until": time(exception.until),
        "state": if exception.is_over(now) { "expired" } else { "acting" },
        "uses": in_force.tally().uses_of(&exception.id),
    })
}

pub(super) fn reloaded(summary: &Summary, changed: bool) -> Value {
    let Summary { revision, rules, exceptions } = summary;
    json!({"revision": revision, "changed": changed, "rules": rules, "exceptions": exceptions})
}

pub(super) fn explained(all: &[Explained], revision: &str) -> Result<Value, Refused> {
    let one = |explained: &Explained| {
        let Explained { identity, is_opened, explanation, overridden } = explained;
        let text = explanation.to_string();
        Ok(json!({
            "identity": identity.to_string(),
            "opened_by_key": is_opened,
            "override": overridden.map(|id| id.to_string()),
            "explanation": serde_json::to_value(explanation)?,
            "text": text,
        }))
    };
    let media: serde_json::Result<Vec<Value>> = all.iter().map(one).collect();
    let media = media.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json!({"revision": revision, "media": media}))
}

pub(super) fn replay(replay: &Replay, since: SystemTime) -> Value {
    let flips = replay.flips.iter().map(|(flip, tale)| {
        let example = |seen: &Sample| {
            let last_seen = time(seen.last_seen);
            json!({"identity": seen.identity, "type": seen.media_type, "size": seen.size, "last_seen": last_seen})
        };
        json!({
            "would": if flip.refuses { "refuse" } else { "pass" },
            "from": flip.from,
            "to": flip.to,
            "direction": flip.direction.name(),
            "media": tale.media,
            "hits": tale.hits,
            "examples": tale.examples.iter().map(example).collect::<Vec<_>>(),
        })
    });
    let decided = replay.decided.iter();
    let decided = decided.map(|((by, action), requests)| json!({"by": by, "action": action, "requests": requests}));
    let shadows = replay.shadows.iter();
    let shadows = shadows.map(|(rule, tale)| json!({"rule": **rule, "matched": tale.matched, "flips": tale.flips}));
    json!({
        "since": time(since),
        "complete": replay.cut.is_none(),
        "why_not": replay.cut,
        "media": replay.media,
        "requests": replay.requests,
        "changed": replay.changed,
        "flips": flips.collect::<Vec<_>>(),
        "other_flips": replay.other_flips,
        "decided": decided.collect::<Vec<_>>(),
        "shadows": shadows.collect::<Vec<_>>(),
        "not_known": NOT_STORED,
    })
}

pub(super) fn shadows(in_force: &InForce) -> Value {
    let all: Vec<Value> = in_force.tally().shadows().iter().map(|(rule, report)| shadow(rule, report)).collect();
    json!({"revision": in_force.current().revision(), "rules": all})
}

fn shadow(rule: &str, report: &ShadowReport) -> Value {
    let by_direction: Value = report.matched.iter().map(|(way, count)| (way.name().to_owned(), json!(count))).collect();
    json!({
        "rule": rule,
        "action": report.action,
        "since": time(report.since),
        "matched": report.matched.values().sum::<u64>(),
        "directions": by_direction,
        "would_refuse": report.would_refuse,
        "would_pass": report.would_pass,
        "first": report.first.map(time),
        "last": report.last.map(time),
        "examples": report.examples.iter().rev().map(example).collect::<Vec<_>>(),
    })
}

fn example(example: &Example) -> Value {
    json!({
        "identity": example.identity,
        "type": example.media_type,
        "size": example.size,
        "mxc": example.mxc,
        "direction": example.direction.name(),
        "at": time(example.at),
    })
}

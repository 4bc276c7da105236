//! What operators are told, as JSON.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::{
    cache::{
        entry::{Exposure, Served, Usage},
        overrides::{Override, OverrideId, Target},
    },
    inspect::{Report, Status},
    verdict::{Currency, Record, Verdict},
};

pub(super) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

pub(super) fn status(status: &Status) -> Value {
    let held = status.stats.as_ref();
    json!({
        "store": status.store,
        "entries": held.ok().map(|held| held.entries),
        "bytes": held.ok().map(|held| held.bytes),
        "degraded": status.trouble.is_some() || held.is_err(),
        "why": status.trouble.clone().or_else(|| held.err().map(ToString::to_string)),
        "waiting_for_proof": status.waiting,
        "epoch": status.epoch.as_ref().map(|epoch| json!({"setup": *epoch.setup, "state": *epoch.state})),
        "generation": status.generation,
        "newest_in_use": status.newest,
        "lookups": status.lookups.iter().map(|(result, count)| ((*result).to_owned(), json!(count))).collect::<Value>(),
    })
}

pub(super) fn report(report: &Report) -> Value {
    let now = SystemTime::now();
    json!({
        "identity": report.identity.to_string(),
        "length": report.len,
        "record": report.record.as_ref().map(|(found, currency)| record(found, *currency)),
        "usage": report.usage.as_deref().map(usage),
        "exposure": report.exposure.as_deref().map(exposure),
        "override": report.overridden.as_ref().map(|(id, one)| override_(*id, one, now)),
        "plaintexts": report.opened.iter().map(self::report).collect::<Vec<_>>(),
    })
}

fn record(record: &Record, currency: Currency) -> Value {
    let (facts, from) = (&record.facts, &record.provenance);
    let detection = match &record.verdict {
        Verdict::Clean(_) => None,
        Verdict::Infected { detection: name } | Verdict::Incomplete { why: name } | Verdict::Opaque { why: name } => {
            Some(&name.0)
        }
    };
    json!({
        "verdict": record.verdict.name(),
        "detection": detection,
        "currency": currency.name(),
        "scanned_at": time(record.scanned_at),
        "generation": record.order.generation,
        "facts": {
            "size": facts.size, "type": facts.detected_type, "container": facts.container, "opaque": facts.opaque,
        },
        "engine": *from.engine,
        "version": from.version,
        "signatures": from.signatures.map(|from| json!({"version": from.version, "built": from.built.map(time)})),
        "backend": from.backend,
        "epoch": {"setup": *from.epoch.setup, "state": *from.epoch.state},
        "took_ms": u64::try_from(from.took.as_millis()).unwrap_or(u64::MAX),
        "proven": from.vouch.is_settled() && !from.vouch.refutes(&record.verdict),
    })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "first_seen": time(usage.first_seen),
        "last_seen": time(usage.last_seen),
        "hits": usage.hits,
        "served": usage.served.as_ref().map(served),
    })
}

fn served(served: &Served) -> Value {
    json!({
        "first": time(served.first),
        "last": time(served.last),
        "times": served.times,
        "readers": served.readers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "more_readers": served.more,
    })
}

fn exposure(exposure: &Exposure) -> Value {
    json!({"found": time(exposure.found), "detection": exposure.detection.0, "served": served(&exposure.served)})
}

pub(super) fn override_(id: OverrideId, one: &Override, now: SystemTime) -> Value {
    let (identity, signature) = match &one.target {
        Target::Identity(identity) => (Some(identity.to_string()), None),
        Target::Signature(signature) => (None, Some(signature)),
    };
    let state = match (&one.removed, one.is_acting(now)) {
        (Some(_), _) => "removed",
        (None, true) => "acting",
        (None, false) => "ended",
    };
    json!({
        "id": id.to_string(),
        "effect": one.effect.name(),
        "identity": identity,
        "signature": signature,
        "author": one.author,
        "reason": one.reason,
        "created": time(one.created),
        "until": time(one.until),
        "state": state,
        "removed": one.removed.as_ref().map(|(at, author)| json!({"at": time(*at), "author": author})),
    })
}

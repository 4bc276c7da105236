//! Answers of the operators' side, for people. What has not the expected form is `None`.

use std::fmt::Write as _;

use bytesize::ByteSize;
use serde_json::Value;

/// Lines of a name and what there is to say of it.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn say(&mut self, name: &str, what: impl std::fmt::Display) {
        writeln!(self.0, "{name:<14} {what}").expect("memory takes everything");
    }

    fn say_if(&mut self, name: &str, what: Option<impl std::fmt::Display>) {
        if let Some(what) = what {
            self.say(name, what);
        }
    }
}

pub(super) fn stats(answer: &Value) -> Option<String> {
    let mut lines = Lines::default();
    let state = match answer["degraded"].as_bool()? {
        false => "working".to_owned(),
        true => format!("DEGRADED: {}", answer["why"].as_str().unwrap_or("it does not say why")),
    };
    lines.say("store", format_args!("{} ({state})", answer["store"].as_str()?));
    lines.say_if("entries", answer["entries"].as_u64());
    lines.say_if("size", answer["bytes"].as_u64().map(ByteSize));
    lines.say("unproven", format_args!("{} verdicts wait for proof", answer["waiting_for_proof"].as_u64()?));
    lines.say_if("epoch", answer["epoch"]["state"].as_str());
    let (generation, newest) = (answer["generation"].as_u64()?, answer["newest_in_use"].as_u64()?);
    let behind = if newest > generation { format!(", while others use {newest}") } else { String::new() };
    lines.say("generation", format_args!("{generation}{behind}"));
    let lookups = answer["lookups"].as_object()?;
    let lookups: Vec<String> = lookups.iter().map(|(result, count)| format!("{count} {result}")).collect();
    lines.say("look-ups", lookups.join(", "));
    Some(lines.0)
}

pub(super) fn entry(answer: &Value) -> Option<String> {
    let mut lines = Lines::default();
    describe(answer, &mut lines)?;
    for plaintext in answer["plaintexts"].as_array()? {
        lines.0.push_str("\na key opened it to\n");
        describe(plaintext, &mut lines)?;
    }
    Some(lines.0)
}

fn describe(entry: &Value, lines: &mut Lines) -> Option<()> {
    lines.say("identity", entry["identity"].as_str()?);
    match entry["record"].as_object() {
        None => lines.say("verdict", "none is known"),
        Some(_) => describe_record(&entry["record"], lines)?,
    }
    let usage = &entry["usage"];
    lines.say_if(
        "asked for",
        usage["hits"].as_u64().map(|hits| format!("{hits} times, last {}", word(&usage["last_seen"]))),
    );
    let served = usage["served"].as_object().map(|_| served(&usage["served"]));
    lines.say_if("given out", served);
    let exposure = &entry["exposure"];
    if exposure.is_object() {
        let (detection, found) = (word(&exposure["detection"]), word(&exposure["found"]));
        lines.say("EXPOSED", format_args!("found to be {detection} at {found}, after it was given out as clean"));
        lines.say("", self::served(&exposure["served"]));
    }
    if entry["override"].is_object() {
        lines.say("override", one(&entry["override"])?);
    }
    Some(())
}

fn describe_record(record: &Value, lines: &mut Lines) -> Option<()> {
    let detection = record["detection"].as_str().map(|name| format!(": {name}")).unwrap_or_default();
    let unproven = if record["proven"].as_bool()? { "" } else { ", not proven yet" };
    lines.say("verdict", format_args!("{}{detection}", record["verdict"].as_str()?));
    lines.say("currency", format_args!("{}{unproven}", record["currency"].as_str()?));
    lines.say("scanned", record["scanned_at"].as_str()?);
    lines.say(
        "by",
        format_args!("{} {} ({})", word(&record["engine"]), word(&record["version"]), word(&record["backend"])),
    );
    lines.say("epoch", format_args!("{} (generation {})", record["epoch"]["state"].as_str()?, record["generation"]));
    let facts = &record["facts"];
    let kind = facts["type"].as_str().unwrap_or("no type that is known");
    let noise = if facts["opaque"].as_bool()? { ", looks like ciphertext" } else { "" };
    lines.say("content", format_args!("{}, {kind}{noise}", ByteSize(facts["size"].as_u64()?)));
    Some(())
}

fn served(served: &Value) -> String {
    let readers: Vec<&str> = served["readers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let more = if served["more_readers"] == true { " and others" } else { "" };
    let (first, last, times) = (word(&served["first"]), word(&served["last"]), &served["times"]);
    format!("{times} times as clean, from {first} to {last}, to {}{more}", readers.join(" "))
}

pub(super) fn removed(answer: &Value) -> Option<String> {
    let removed = answer["removed"].as_object()?;
    let counts: Vec<String> = removed.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    Some(if counts.is_empty() { "nothing to remove\n".to_owned() } else { format!("removed {}\n", counts.join(", ")) })
}

pub(super) fn overrides(answer: &Value) -> Option<String> {
    let all: Option<String> = answer["overrides"].as_array()?.iter().map(override_).collect();
    all.map(|all| if all.is_empty() { "no overrides\n".to_owned() } else { all })
}

pub(super) fn override_(answer: &Value) -> Option<String> {
    one(answer).map(|text| text + "\n")
}

fn one(override_: &Value) -> Option<String> {
    let what = match (override_["identity"].as_str(), override_["signature"].as_str()) {
        (Some(identity), _) => format!("identity {identity}"),
        (None, signature) => format!("signature {}", signature?),
    };
    let removed = &override_["removed"];
    let removed = removed["author"].as_str().map(|by| format!(", removed by {by} at {}", word(&removed["at"])));
    let [id, effect, author, reason, created, until, state] =
        ["id", "effect", "author", "reason", "created", "until", "state"].map(|name| word(&override_[name]));
    Some(format!(
        "{id} {state}: {effect} {what}, from {created} until {until}, by {author}: {reason}{}",
        removed.unwrap_or_default()
    ))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

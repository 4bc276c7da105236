//! Why a policy decides as it does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context as _, anyhow, ensure};
use clap::{ArgGroup, Args};
use http::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{ConfigArgs, print, section};
use crate::{
    app::engine_names,
    cache::overrides::parse_until,
    cli::operators::{self, Question},
    facts::{Direction, Occasion},
    policy::{
        Access, Hash, Openings, Policy, State, case,
        condition::PathPart,
        explain::Explanation,
        fact::{Given, Sheet, View},
    },
    reload::{self, PolicySource},
};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true))]
pub(in crate::cli) struct Explain {
    /// Files whose facts are found out; those whose names end in `.b64` are decoded first.
    #[arg(group = "what")]
    file: Vec<PathBuf>,
    /// Facts as in cases, as YAML; `@FILE` reads them from there.
    #[arg(long, value_name = "YAML", group = "what")]
    facts: Option<String>,
    /// What a running Lazaret remembers under this identity.
    #[arg(long, value_name = "HEX", group = "what")]
    identity: Option<String>,
    /// What a running Lazaret last found at `mxc://server/id`.
    #[arg(long, group = "what")]
    mxc: Option<String>,
    /// Directory of policy files, or a single one; that of the configuration, or the shipped one, if not given.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["identity", "mxc"])]
    policy: Option<PathBuf>,
    /// Where it goes: upload, download, thumbnail, federation or scan.
    #[arg(long, default_value = "download", value_parser = direction)]
    direction: Direction,
    /// What it is called; the name of the file, if not given.
    #[arg(long)]
    name: Option<String>,
    /// The type that it is declared as.
    #[arg(long, value_name = "TYPE")]
    declared: Option<String>,
    /// How it stands when engines have had their say: clean, infected, incomplete, `opaque_container`, ….
    #[arg(long, default_value = "clean", value_parser = state)]
    state: State,
    /// The time that it is: 2027-01-01, 2027-01-01T12:00:00Z, or 30d from now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

fn direction(name: &str) -> Result<Direction, String> {
    Direction::named(name).ok_or_else(|| format!("it is one of {}", Direction::ALL.map(Direction::name).join(", ")))
}

fn state(name: &str) -> Result<State, String> {
    State::named(name).ok_or_else(|| format!("it is one of {}", State::ALL.map(State::name).join(", ")))
}

pub(super) fn run(explain: &Explain) -> anyhow::Result<ExitCode> {
    if explain.identity.is_some() || explain.mxc.is_some() {
        return operators::answer(&explain.config.load()?, question(explain), explain.json, print::explained);
    }
    let policy = policy(explain)?;
    let now = match &explain.at {
        None => SystemTime::now(),
        Some(text) => parse_until(text, SystemTime::now())
            .map_err(|_| anyhow!("--at: `{text}` is no time like 2027-01-01, 2027-01-01T12:00:00Z or 30d"))?,
    };
    let mut told = Vec::new();
    if let Some(facts) = &explain.facts {
        let sheet = Sheet::Given(given(facts, explain, now)?);
        told.push(("facts".to_owned(), policy.explain_on(&sheet, now)));
    }
    for file in &explain.file {
        told.push((file.display().to_string(), of_file(&policy, file, explain, now)?));
    }
    tell(&told, &policy, explain.json)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(told: &[(String, Explanation)], policy: &Policy, json: bool) -> anyhow::Result<()> {
    let (revision, shipped) = (policy.revision(), policy.origin().is_shipped);
    if json {
        let entry = |(name, explanation): &(String, Explanation)| -> serde_json::Result<Value> {
            let explanation = serde_json::to_value(explanation)?;
            Ok(json!({"of": name, "revision": revision, "shipped": shipped, "explanation": explanation}))
        };
        let all: serde_json::Result<Vec<Value>> = told.iter().map(entry).collect();
        println!("{}", serde_json::to_string_pretty(&all?)?);
        return Ok(());
    }
    println!("policy {revision}{}", if shipped { " (shipped)" } else { "" });
    for (name, explanation) in told {
        if told.len() > 1 {
            println!("{name}");
        }
        println!("{}", explanation.to_string().trim_end());
    }
    Ok(())
}

/// The policy that is asked: of this path, or as a process with this configuration would have it.
fn policy(explain: &Explain) -> anyhow::Result<Policy> {
    let mut section = section(&explain.config)?;
    if let Some(path) = &explain.policy {
        ensure!(path.exists(), "{} does not exist", path.display());
        section.dir.clone_from(path);
    }
    let engines = match explain.config.config {
        Some(_) => Some(engine_names(&explain.config.load()?)),
        None => None,
    };
    let source = PolicySource::new(&section, None, engines);
    source.read(SystemTime::now()).map_err(anyhow::Error::msg)
}

fn given(facts: &str, explain: &Explain, now: SystemTime) -> anyhow::Result<Given> {
    let text = match facts.strip_prefix('@') {
        Some(file) => fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?,
        None => facts.to_owned(),
    };
    let mut facts: serde_yaml::Mapping = serde_yaml::from_str(&text).context("--facts is no YAML map of facts")?;
    facts.entry("direction".into()).or_insert_with(|| explain.direction.name().into());
    facts.entry("state".into()).or_insert_with(|| explain.state.name().into());
    let given = Given::parse(&facts, &Hash::plain).map_err(|wrong| {
        let place: String = wrong.path.iter().map(step).collect();
        anyhow!("--facts: {place}{wrong}")
    })?;
    Ok(case::known(&given, None, now))
}

fn step(part: &PathPart) -> String {
    match part {
        PathPart::Key(key) => format!("{key}: "),
        PathPart::Index(at) => format!("{}: ", at + 1),
    }
}

fn of_file(policy: &Policy, file: &Path, explain: &Explain, now: SystemTime) -> anyhow::Result<Explanation> {
    let (facts, digest) = reload::look_at(file).with_context(|| file.display().to_string())?;
    let mut occasion = Occasion::usual(explain.direction);
    let name = file.file_name().and_then(|name| name.to_str()).map(|name| name.trim_end_matches(".b64"));
    occasion.declared.name = explain.name.as_deref().or(name).map(Into::into);
    occasion.declared.media_type = explain.declared.as_deref().map(|kind| kind.to_lowercase().into());
    let access = Access::without_key(explain.direction, Openings::Unknown);
    // In ciphertext, engines find nothing.
    let is_ciphertext = facts.opaque && explain.state == State::Clean;
    let state = if is_ciphertext { State::OpaqueMedia } else { explain.state };
    let name = Some(Hash::plain(&digest));
    let (size, facts) = (Some(facts.size), (state != State::Oversize).then_some(&facts));
    let view = View { occasion: &occasion, facts, size, record: None, state, access, name, now };
    Ok(policy.explain(&view, None))
}

fn question(explain: &Explain) -> Question {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(explain.mxc.iter().map(|mxc| ("mxc", mxc)));
    query.extend_pairs(explain.identity.iter().map(|identity| ("identity", identity)));
    query.append_pair("direction", explain.direction.name());
    Question::new(Method::GET, format!("/policy/explain?{}", query.finish()))
}

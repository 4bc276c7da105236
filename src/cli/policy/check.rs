//! Policies on disk, checked and held against their cases.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use serde_json::{Value, json};

use crate::{
    policy::{
        self, Hash, Policy,
        case::{self, Outcome},
        files,
        load::{self, Loaded, Problems},
    },
    reload,
};

/// Reads a policy, and says what works but is hardly meant so.
pub(super) fn read(path: &Path) -> Result<Loaded, Problems> {
    let loaded = load::read(path, &Hash::plain)?;
    for note in &loaded.notes {
        eprintln!("note: {note}");
    }
    Ok(loaded)
}

/// The policies among these paths. Files with cases are read with theirs, so that `*.yaml` can be said of several policies.
fn policies(paths: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    let has_policy = |cases: &Path| {
        let policy = cases.with_extension("");
        ["yaml", "yml"].iter().any(|extension| paths.contains(&policy.with_extension(extension)))
    };
    paths.iter().filter(move |path| !(files::is_cases(path) && has_policy(path)))
}

/// Says all that is wrong with policies.
pub(super) fn check(paths: &[PathBuf]) -> ExitCode {
    let mut is_good = true;
    for path in policies(paths) {
        match read(path) {
            Ok(loaded) => println!("{}: ok: {}", path.display(), in_short(&loaded)),
            Err(problems) => {
                is_good = false;
                eprintln!("{problems}");
            }
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn in_short(loaded: &Loaded) -> String {
    let Loaded { rules, cases, fingerprint, .. } = loaded;
    let (exceptions, revision) = (rules.exceptions.len(), fingerprint.revision());
    format!("{} rules, {exceptions} exceptions, {} cases, revision {revision}", rules.rules.len(), cases.len())
}

/// Holds policies against their cases. Those of the configuration's `policy` section are not asked: cases are of rules.
pub(super) fn test(paths: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let (mut told, mut is_good) = (Vec::new(), true);
    for path in policies(paths) {
        match read(path) {
            Ok(loaded) => {
                let policy = Policy::new(&policy::Config::default(), loaded.rules);
                let outcomes = case::run(&policy, &loaded.cases, &reload::examine, SystemTime::now());
                is_good &= outcomes.iter().all(Outcome::holds);
                told.push((path, Ok(outcomes)));
            }
            Err(problems) => {
                is_good = false;
                told.push((path, Err(problems)));
            }
        }
    }
    match json {
        true => println!("{}", serde_json::to_string_pretty(&told.iter().map(entry).collect::<Vec<_>>())?),
        false => told.iter().for_each(tell),
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Told<'a> = (&'a PathBuf, Result<Vec<Outcome>, Problems>);

fn entry((path, outcome): &Told<'_>) -> Value {
    match outcome {
        Err(problems) => json!({"policy": path, "problems": problems.to_string()}),
        Ok(outcomes) => json!({"policy": path, "cases": outcomes}),
    }
}

fn tell((path, outcome): &Told<'_>) {
    let path = path.display();
    let outcomes = match outcome {
        Ok(outcomes) => outcomes,
        Err(problems) => return eprintln!("{problems}"),
    };
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.holds()).collect();
    for outcome in &failed {
        println!("{outcome}");
    }
    let failed = failed.len();
    match failed {
        0 => println!("{path}: ok: {} cases", outcomes.len()),
        _ => println!("{path}: {failed} of {} cases failed", outcomes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_left_to_their_policies_where_those_are_named_too() {
        let paths =
            ["p/a.cases.yaml", "p/a.yaml", "p/b.cases.yml", "p/b.yml", "p/c.cases.yaml", "p"].map(PathBuf::from);
        let named: Vec<&str> = policies(&paths).filter_map(|path| path.to_str()).collect();
        assert_eq!(named, ["p/a.yaml", "p/b.yml", "p/c.cases.yaml", "p"]);
    }
}

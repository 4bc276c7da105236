//! What a policy would change of what a running Lazaret remembers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use http::Method;
use serde_json::json;

use super::{check, print};
use crate::{
    cli::operators::{Asking, Question},
    policy::files::is_cases,
};

/// Bytes of a policy that are sent at most.
const MOST: usize = 31 * 1024 * 1024;

#[derive(Debug, Args)]
pub(in crate::cli) struct Replay {
    /// Media that were asked for within this time; all that are remembered, if not given.
    #[arg(long, value_name = "TIME")]
    since: Option<humantime::Duration>,
    /// The policy that is tried: a directory of policy files, or a single one. Without it, what rules in shadow mode would do is
    /// told of the policy in force.
    #[arg(long, value_name = "PATH")]
    policy: Option<PathBuf>,
    /// So many media at most.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn run(replay: &Replay) -> anyhow::Result<ExitCode> {
    let policy = match &replay.policy {
        None => None,
        Some(path) => {
            let loaded = check::read(path).map_err(|problems| anyhow::anyhow!("{problems}"))?;
            Some(json!({"files": gather(path, &loaded.files)?}))
        }
    };
    let since = replay.since.map(|since| since.to_string());
    let body = json!({"since": since, "limit": replay.limit, "policy": policy});
    let question = Question::new(Method::POST, "/policy/replay").with(&body).patiently();
    replay.asking.ask(question, print::replay)
}

/// The policy files and lists of a policy, by their names below its directory.
fn gather(path: &Path, files: &[PathBuf]) -> anyhow::Result<BTreeMap<String, String>> {
    let root = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let (mut gathered, mut size) = (BTreeMap::new(), 0);
    for file in files.iter().filter(|file| !is_cases(file)) {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let Some(name) = file.strip_prefix(root).ok().and_then(Path::to_str) else {
            bail!("{}: for a replay, names of files have to be text", file.display());
        };
        // As it is written without what leads nowhere.
        let name: PathBuf = Path::new(name).components().filter(|part| part.as_os_str() != ".").collect();
        size += text.len();
        ensure!(size <= MOST, "the policy has more than {MOST} bytes");
        gathered.insert(name.display().to_string(), text);
    }
    Ok(gathered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_sent_with_its_lists() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("lists")).unwrap();
        fs::write(root.join("lists/a"), "a.org").unwrap();
        let rules = "version: 1\nlists: {a: {kind: server, file: ./lists/a}}\n";
        fs::write(root.join("one.yaml"), rules).unwrap();
        fs::write(root.join("one.cases.yaml"), "cases: []").unwrap();
        fs::write(root.join("notes.txt"), "").unwrap();
        for path in [root.to_owned(), root.join("one.yaml")] {
            let sent = gather(&path, &check::read(&path).unwrap().files).unwrap();
            assert_eq!(
                sent.into_iter().collect::<Vec<_>>(),
                [("lists/a", "a.org"), ("one.yaml", rules)].map(|(name, text)| (name.to_owned(), text.to_owned()))
            );
        }
    }
}

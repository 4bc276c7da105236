//! A policy that someone sends to have it tried.
//!
//! It is put into a directory of its own and read from there as any other. No name of a file leads out of it; that no list does is
//! checked where lists are read.

use std::{collections::BTreeMap, fs, path::Path, time::SystemTime};

use axum::http::StatusCode;

use super::super::answer::Refused;
use crate::{
    policy::{Policy, files, load},
    reload::PolicySource,
    spool::Spooler,
};

/// Files of one policy.
const MOST: usize = 2000;

/// Longest name of one.
const LONGEST_NAME: usize = 255;

/// How deep one may lie.
const DEEPEST: usize = 5;

/// Reads a policy of these files, as far as that can be done without its cases: samples are not sent. Blocks on the disk.
pub(super) fn read(
    sent: &BTreeMap<String, String>,
    spooler: &Spooler,
    source: &PolicySource,
    now: SystemTime,
) -> Result<Policy, Refused> {
    check(sent)?;
    let cannot =
        |error: std::io::Error| Refused(StatusCode::SERVICE_UNAVAILABLE, format!("no room for the policy: {error}"));
    let folder = spooler.scratch().map_err(cannot)?;
    for (name, text) in sent {
        let path = folder.path().join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text)).map_err(cannot)?;
    }
    let nowhere = format!("{}/", folder.path().display());
    let wrong = |text: String| Refused(StatusCode::UNPROCESSABLE_ENTITY, text.replace(&nowhere, ""));
    let loaded = load::read_at(folder.path(), source.naming(), now).map_err(|problems| wrong(problems.to_string()))?;
    let loaded = load::Loaded { cases: Vec::new(), ..loaded };
    let no_samples = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let policy = Policy::of(source.config(), loaded, false, &no_samples, now);
    let policy = policy.map_err(|problems| wrong(problems.to_string()))?;
    source.check(&policy).map_err(wrong)?;
    Ok(policy)
}

/// Refuses what leads out of the directory, or nowhere.
fn check(sent: &BTreeMap<String, String>) -> Result<(), Refused> {
    if !sent.keys().any(|name| files::is_policy(name.as_ref())) {
        return Err(Refused::malformed("no policy files came"));
    }
    if sent.len() > MOST {
        return Err(Refused::malformed(format!("more than {MOST} files came")));
    }
    for name in sent.keys() {
        if !is_below(name) {
            return Err(Refused::malformed("a file is not named as one below a directory"));
        }
    }
    Ok(())
}

/// True for the name of a file below a directory, written in the one way.
fn is_below(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let is_name = |part: &&str| !matches!(*part, "" | "." | "..");
    name.len() <= LONGEST_NAME && !name.contains('\0') && parts.len() <= DEEPEST && parts.iter().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_put_outside_of_the_directory() {
        let is_taken = |name: &str| {
            check(&[("a.yaml", ""), (name, "")].map(|(name, text)| (name.to_owned(), text.to_owned())).into()).is_ok()
        };
        for name in ["x", "lists/x", "a/b/c/d/e"] {
            assert!(is_taken(name), "{name:?}");
        }
        for name in ["../x", "/x", "a/../../x", "", ".", "a/b/c/d/e/f", "a//b", "a/", "./x", "x\0y", &"a".repeat(300)] {
            assert!(!is_taken(name), "{name:?}");
        }
        assert!(check(&[("lists/x".to_owned(), String::new())].into()).is_err(), "no policy");
    }
}

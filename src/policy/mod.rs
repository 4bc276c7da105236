//! What to do with a medium, given its facts and its verdict: pure, and asked anew on every hit, so that a changed policy
//! acts at once.
//!
//! Rule files are not read yet. The policy is the one to start from: what is clean passes, all else is refused.

use std::{io, path::PathBuf};

use serde::Deserialize;

use crate::{
    facts::Facts,
    verdict::{Heuristics, Verdict},
};

/// `policy` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of rule files. The shipped default policy applies if it does not exist.
    pub dir: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { dir: "/etc/lazaret/policies".into() }
    }
}

/// Why the policy could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Someone wrote rules and expects them to act.
    #[error(
        "{0}: rule files are not supported in this version; move it away, or unset policy.dir, to run with the default policy"
    )]
    RuleFile(PathBuf),
    /// The directory cannot be read.
    #[error("cannot read policy.dir {0}")]
    Read(PathBuf, #[source] io::Error),
}

/// What to do with a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it pass.
    Allow,
    /// Refuse it.
    Block(Refusal),
}

/// Why a medium is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An engine recognised something.
    Infected,
    /// It could not be looked at in full.
    Incomplete,
    /// It holds an encrypted container.
    Opaque,
    /// It is larger than can be scanned.
    Oversize,
}

/// The policy in force.
#[derive(Debug)]
pub struct Policy(());

impl Policy {
    /// Loads the policy. A directory with rule files is an error, since rules that are silently ignored would let pass
    /// what their author meant to stop.
    pub fn load(config: &Config) -> Result<Self, PolicyError> {
        let entries = match std::fs::read_dir(&config.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(())),
            other => other.map_err(|error| PolicyError::Read(config.dir.clone(), error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| PolicyError::Read(config.dir.clone(), error))?.path();
            if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                return Err(PolicyError::RuleFile(path));
            }
        }
        Ok(Self(()))
    }

    /// What an engine must name for the policy to mean what it says: whoever refuses the incomplete and the opaque relies
    /// on being told of them.
    pub fn relies_on(&self) -> Heuristics {
        Heuristics { limits: true, encrypted: true, macros: false }
    }

    /// Decides.
    pub fn decide(&self, _facts: &Facts, verdict: &Verdict) -> Decision {
        match verdict {
            Verdict::Clean(_) => Decision::Allow,
            Verdict::Infected { .. } => Decision::Block(Refusal::Infected),
            Verdict::Incomplete { .. } => Decision::Block(Refusal::Incomplete),
            Verdict::Opaque { .. } => Decision::Block(Refusal::Opaque),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Detection;

    #[test]
    fn only_clean_passes() {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy::load(&Config { dir: dir.path().join("absent") }).unwrap();
        let facts = Facts { size: 1, detected_type: None, container: false };
        let found = Detection("X".to_owned());
        for (verdict, refusal) in [
            (Verdict::Infected { detection: found.clone() }, Refusal::Infected),
            (Verdict::Incomplete { why: found.clone() }, Refusal::Incomplete),
            (Verdict::Opaque { why: found }, Refusal::Opaque),
        ] {
            assert_eq!(policy.decide(&facts, &verdict), Decision::Block(refusal));
        }
    }

    #[test]
    fn rule_files_are_not_ignored_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { dir: dir.path().to_owned() };
        assert!(Policy::load(&config).is_ok(), "an empty directory holds no rules");
        std::fs::write(dir.path().join("strict.yaml"), "rules: []").unwrap();
        let error = Policy::load(&config).unwrap_err().to_string();
        assert!(error.contains("strict.yaml"), "{error}");
    }
}

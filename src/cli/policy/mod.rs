//! `lazaret policy`: policies checked, held against their cases, explained and tried on the past.

mod check;
mod explain;
mod print;
mod remote;
mod replay;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

use super::{ConfigArgs, operators::Asking};
use crate::policy;

/// The JSON Schemas, as they are shipped beside the policies.
const SCHEMA: &str = include_str!("../../../policies/lazaret-policy.schema.json");
const CASES_SCHEMA: &str = include_str!("../../../policies/lazaret-policy-cases.schema.json");

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say all that is wrong with policies.
    Check {
        /// Directories of policy files, or single ones.
        #[arg(required = true)]
        path: Vec<PathBuf>,
    },
    /// Hold policies against their cases.
    Test {
        /// Directories of policy files, or single ones.
        #[arg(required = true)]
        path: Vec<PathBuf>,
        /// Print the outcomes as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say why a policy decides as it does: of files, of facts, or of what a running Lazaret remembers.
    Explain(explain::Explain),
    /// Have a running Lazaret say what a policy would change of what it remembers.
    Replay(replay::Replay),
    /// Say what rules in shadow mode would have done in a running Lazaret.
    Shadow {
        /// Begin to note anew.
        #[arg(long)]
        reset: bool,
        #[command(flatten)]
        asking: Asking,
    },
    /// Say what policy is in force in a running Lazaret.
    Status(Asking),
    /// Have a running Lazaret read its policy again.
    Reload(Asking),
    /// Print the JSON Schema of policy files, for editors.
    Schema {
        /// That of files with cases.
        #[arg(long)]
        cases: bool,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check { path } => Ok(check::check(path)),
        Command::Test { path, json } => check::test(path, *json),
        Command::Explain(explain) => explain::run(explain),
        Command::Replay(replay) => replay::run(replay),
        Command::Shadow { reset, asking } => remote::shadow(*reset, asking),
        Command::Status(asking) => remote::status(asking),
        Command::Reload(asking) => remote::reload(asking),
        Command::Schema { cases } => {
            print!("{}", if *cases { CASES_SCHEMA } else { SCHEMA });
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The `policy` section of a configuration; without one, its defaults.
fn section(config: &ConfigArgs) -> anyhow::Result<policy::Config> {
    match config.config {
        Some(_) => Ok(config.load()?.policy),
        None => Ok(policy::Config::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_that_are_printed_are_those_of_policies_and_of_cases() {
        let keys = |text: &str| {
            let schema: serde_json::Value = serde_json::from_str(text).unwrap();
            schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(SCHEMA), ["defaults", "exceptions", "lists", "rules", "version"]);
        assert_eq!(keys(CASES_SCHEMA), ["cases"]);
    }
}

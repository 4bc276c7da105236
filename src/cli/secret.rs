//! `lazaret secret`: the secrets of encrypted request bodies, of which nothing but the public keys is ever shown.

use std::process::ExitCode;

use clap::Subcommand;

use super::ConfigArgs;
use crate::crypto::envelope::secrets::{self, Secrets};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Put a fresh secret in front; those that are there go on opening what was encrypted to them.
    ///
    /// A running Lazaret takes it over within `crypto.reload_interval`, or at once with `lazaret reload`.
    Rotate {
        #[command(flatten)]
        config: ConfigArgs,
        /// How many of the older secrets to keep, the newest first [default: all]
        #[arg(long, value_name = "NUMBER")]
        keep: Option<usize>,
    },
    /// Print the public keys of all secrets, the published one first.
    Show(ConfigArgs),
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Rotate { config, keep } => {
            let path = config.load()?.crypto.request_secret_path;
            println!("{}", secrets::rotate(&path, *keep)?.public_keys()[0]);
        }
        Command::Show(config) => {
            let path = config.load()?.crypto.request_secret_path;
            println!("{}", table(&Secrets::read(&path)?.public_keys()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(public_keys: &[String]) -> String {
    let roles = ["current"].into_iter().chain(std::iter::repeat("older"));
    let lines: Vec<_> = public_keys.iter().zip(roles).map(|(key, role)| format!("{key}  {role}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_the_current_one() {
        let keys = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(table(&keys), "a  current\nb  older\nc  older");
    }
}

//! `lazaret migrate`: takes over the configuration and the key of a Matrix Content Scanner.

mod mcs;
mod pickle;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a configuration from that of a Matrix Content Scanner, with a comment on what means something else here.
    ///
    /// Both implementations are understood, the one in Python and the older one for Node.
    Mcs {
        /// Its configuration.
        #[arg(value_name = "CONFIG")]
        from: PathBuf,
        /// Write to a file, which must not exist, instead of printing.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Take over the key that a Matrix Content Scanner kept as a pickle of libolm.
    ///
    /// It becomes the secret of a new file, or an older one of a file that is there: what clients encrypt to it is
    /// opened, while the published key stays the same.
    Pickle(pickle::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Mcs { from, output } => mcs::run(from, output.as_deref()),
        Command::Pickle(args) => pickle::run(args),
    }
}

//! `lazaret audit`: what stands behind audit records.

use std::{
    io::{IsTerminal, Read},
    process::ExitCode,
};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use zeroize::Zeroizing;

use super::ConfigArgs;
use crate::cache::{StoreKind, secret};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the pseudonym of a reader, given an access token or the name of a homeserver on standard input.
    ///
    /// Pseudonyms depend on the secret in `cache.secret_path`. Who came without a token is `anonymous`.
    Reader(ConfigArgs),
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Reader(config) = command;
    let config = config.load()?.cache;
    ensure!(
        config.store != StoreKind::Memory,
        "with cache.store: memory pseudonyms depend on a secret that nobody else knows, and that ends with the process"
    );
    let ring = secret::load(&config.secret_path)?;
    let mut stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("The access token or the name of the homeserver, then Ctrl-D:");
    }
    let mut credential = Zeroizing::new(String::new());
    stdin.read_to_string(&mut credential).context("cannot read standard input")?;
    let credential = credential.trim();
    ensure!(!credential.is_empty(), "nothing came on standard input");
    println!("{}", ring.reader(credential.as_bytes()));
    Ok(ExitCode::SUCCESS)
}

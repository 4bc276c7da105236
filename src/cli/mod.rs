//! The command line.

mod audit;
mod cache;
mod doctor;
mod migrate;
mod operators;
mod policy;
mod secret;

use std::{path::PathBuf, process::ExitCode, time::SystemTime};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::{
    app::{self, App},
    config::{self, Config, ConfigError},
    crypto::envelope::secrets::{self, SecretError, Secrets},
    engine, http, lifecycle,
    reload::{PolicySource, said_of},
    telemetry, upstream,
};

/// Threads for the disk and for decryption, which has fewer turns than there are threads. Each keeps memory of its own.
const BLOCKING_THREADS: usize = 16;

/// Quarantine station for Matrix media.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT.
    Serve(ConfigArgs),
    /// Say what is wrong with a configuration, without starting anything.
    Check(ConfigArgs),
    /// Ask the configured clamds and ICAP servers what they really do, and say what to change in their settings.
    Doctor {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print the reports as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell a running Lazaret of signatures that clamd's version does not show.
    #[command(subcommand)]
    Epoch(EpochCommand),
    /// Ask a running Lazaret what it remembers of media, have it forget, and overrule engines.
    #[command(subcommand)]
    Cache(cache::Command),
    /// Check policies, hold them against their cases, explain what they decide, and try them on the past.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Have a running Lazaret read its request secrets, its policy and its certificate again.
    Reload(ConfigArgs),
    /// Manage the secrets that encrypted request bodies are opened with.
    #[command(subcommand)]
    Secret(secret::Command),
    /// Find who stands behind a pseudonym of the audit records.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Take over from a Matrix Content Scanner.
    #[command(subcommand)]
    Migrate(migrate::Command),
}

#[derive(Debug, Subcommand)]
enum EpochCommand {
    /// Make all verdicts so far outdated, and let a signature database go backwards once.
    Bump(ConfigArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// Configuration file (YAML); without one, defaults and LAZARET__… environment variables apply.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> Result<Config, ConfigError> {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        config::load(self.config.as_deref(), variables)
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve(&args),
        Command::Check(args) => check(&args),
        Command::Doctor { config, json } => {
            config.load().map_err(Into::into).and_then(|config| doctor::run(&config, json))
        }
        Command::Epoch(EpochCommand::Bump(config)) => {
            config.load().map_err(Into::into).and_then(|config| operators::post(&config, "/epoch/bump"))
        }
        Command::Cache(command) => cache::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Reload(config) => {
            config.load().map_err(Into::into).and_then(|config| operators::post(&config, "/reload"))
        }
        Command::Secret(command) => secret::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Migrate(command) => migrate::run(&command),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("lazaret: {error:#}");
        ExitCode::FAILURE
    })
}

/// Exits with 0 after a full drain, with 1 if requests were cut off.
fn serve(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = args.load()?;
    telemetry::log::init(&config.log);
    if let Err(error) = lifecycle::forbid_core_dumps() {
        tracing::warn!(%error, "core dumps cannot be forbidden; they may hold keys and plaintext");
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build()?;
    let finished = runtime.block_on(async {
        let (stops, hangups) = (lifecycle::signals()?, lifecycle::hangups()?);
        let app = App::build(config).await?;
        tokio::spawn(app.reloader().clone().follow(hangups));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");
        anyhow::Ok(app.run(stops).await)
    })?;
    runtime.shutdown_background();
    Ok(if finished { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = args.load()?;
    let now = SystemTime::now();
    let source = PolicySource::new(&config.policy, None, Some(app::engine_names(&config)))
        .of_server(config.homeserver.server_name.is_some());
    let policy = source.read(now).map_err(anyhow::Error::msg)?;
    upstream::check(&config.homeserver)?;
    upstream::redirect::check(&config.redirects)?;
    for exec in &config.engines.exec {
        engine::exec::check(exec, &config.limits).with_context(|| format!("engines.exec `{}`", exec.name))?;
    }
    for icap in &config.engines.icap {
        engine::icap::check(icap).with_context(|| format!("engines.icap `{}`", icap.name))?;
    }
    upstream::direct::check(&config.direct)?;
    let expired = http::tls::check(&config.tls)?;
    let secret = &config.crypto.request_secret_path;
    let mut notes = config.warnings();
    notes.extend(policy.origin().notes.iter().map(ToString::to_string));
    notes.extend(policy.rules().endings(now).iter().map(|ending| format!("policy: {}", said_of(ending, now))));
    notes.extend(expired);
    match Secrets::read(secret) {
        Ok(_) => notes.extend(secrets::exposed(secret)),
        Err(SecretError::Read(_, error)) if error.kind() == std::io::ErrorKind::NotFound => {
            notes.push(format!("{} does not exist and will be created at start", secret.display()));
        }
        Err(error) => return Err(error.into()),
    }
    for note in notes {
        eprintln!("note: {note}");
    }
    println!("configuration ok");
    Ok(ExitCode::SUCCESS)
}

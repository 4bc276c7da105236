//! Structured logs on standard error.
//!
//! Levels tell what an operator has to do: `error` needs someone, `warn` was coped with, `info` is for the record. Tokens,
//! keys, queries and file names appear at no level.

use std::{
    error::Error,
    fmt,
    io::{self, IsTerminal},
};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// `log` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How lines are written.
    pub format: Format,
    /// Filter in the syntax of `RUST_LOG`, which overrides it.
    pub level: Level,
}

impl Default for Config {
    fn default() -> Self {
        Self { format: Format::Text, level: Level("info".to_owned()) }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A filter that was checked when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Level(String);

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match EnvFilter::try_new(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(format!("`{text}` is no log filter ({error}); write for example info or lazaret=debug")),
        }
    }
}

/// An error with its causes, as one line of a log wants it.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Installs the subscriber; a second call in one process changes nothing.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&config.level.0));
    // Below info these write heads of requests, whose paths and headers carry tokens.
    let talkative = ["h2=info", "hyper=info", "hyper_util=info", "rustls=info", "axum=info"];
    let filter = talkative.iter().filter_map(|text| text.parse().ok()).fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let _already_installed = match config.format {
        Format::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
}

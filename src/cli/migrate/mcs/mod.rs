//! `lazaret migrate mcs`: read, map, write.

mod draft;
mod map;
pub(super) mod read;

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;

use self::draft::Draft;
use crate::files;

/// Everybody may read a configuration without secrets; the process's own mask is applied to it.
const OPEN: u32 = 0o666;
const PRIVATE: u32 = 0o600;

pub(super) fn run(from: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let settings = read::file(from)?;
    let draft = map::draft(&settings, from);
    let text = draft.text()?;
    match output {
        Some(output) => write(output, &draft, &text)?,
        None => print!("{text}"),
    }
    for warning in &draft.warnings {
        eprintln!("warning: {warning}");
    }
    eprintln!("note: read the comments, then try it with: lazaret check --config {}", shown(output));
    Ok(ExitCode::SUCCESS)
}

fn write(output: &Path, draft: &Draft, text: &str) -> anyhow::Result<()> {
    let mode = if draft.has_secrets { PRIVATE } else { OPEN };
    files::create(output, text.as_bytes(), mode).with_context(|| match output.exists() {
        true => format!("{} exists and is not overwritten", output.display()),
        false => format!("cannot write {}", output.display()),
    })
}

fn shown(output: Option<&Path>) -> String {
    output.map_or_else(|| "FILE".to_owned(), |output| output.display().to_string())
}

#[cfg(test)]
mod tests;

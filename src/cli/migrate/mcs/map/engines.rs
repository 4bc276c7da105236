//! The script, as an engine.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::super::{
    draft::{Section, shown},
    read::{Flavour, Settings},
};

pub(super) fn engines(settings: &Settings) -> Section {
    let section = Section::new("engines");
    let Some(script) = &settings.script else {
        return section.warning("engines.exec: no script was set; media are scanned by the clamd that `clamd` names.");
    };
    let (codes, odd): (Vec<i64>, Vec<i64>) =
        settings.exit_codes_to_ignore.iter().copied().partition(|code| (1..=255).contains(code));
    section
        .remark(
            "The script of MCS. 0 means clean here, too, and the codes in unavailable_exit_codes that it could not \
             scan: clients are then told to try again (503), while MCS told them \"infected\" and forgot it. So do \
             codes from 126 up, which are those of shells and of crashes. All others mean infected.",
        )
        .remark_if(codes.is_empty(), "No codes for \"could not scan\" were set; look up which ones the script has.")
        .remark_if(!odd.is_empty(), "Codes that no process can end with, or that mean clean, are left out.")
        .remark(
            "New: the script has 60s (timeout), at most four run at a time (max_processes), and it must pass canaries: \
             say \"infected\" of the EICAR test file and \"clean\" of harmless text, or nothing is let through. A \
             script that always ends with 0 does not.",
        )
        .remark(
            "Nobody sees when the script's signatures change, so its verdicts count for an hour (max_age); with a \
             version_command, whose output names the signatures, for as long as that stays the same.",
        )
        .remark(temporary(settings))
        .remark_if(is_for_shell(settings, script), "A shell runs it, as it did; make the paths in it absolute.")
        .remark_if(
            script.contains('/') && Path::new(script).is_relative(),
            format!("It was {}; check that this is the right folder.", shown(script)),
        )
        .set("exec", Value::Sequence(vec![exec(settings, script, codes).into()]))
}

fn temporary(settings: &Settings) -> String {
    let removal = settings.removal_command.as_deref().map(|command| format!(" and removal_command {}", shown(command)));
    let folder = settings.temp_directory.as_deref().map(|folder| format!(" {}", shown(folder)));
    format!(
        "temp_directory{}{} have no counterpart: files for the script are in memory (dir: /dev/shm), where there is \
         nothing to shred, and are gone with it.",
        folder.unwrap_or_default(),
        removal.unwrap_or_default()
    )
}

fn exec(settings: &Settings, script: &str, codes: Vec<i64>) -> Mapping {
    let mut entry = Mapping::new();
    entry.insert("name".into(), "script".into());
    entry.insert("command".into(), command(settings, script).into());
    if !codes.is_empty() {
        entry.insert("unavailable_exit_codes".into(), codes.into());
    }
    entry
}

/// The Python implementation starts the script, the one for Node had a shell do so.
fn command(settings: &Settings, script: &str) -> Vec<String> {
    match is_for_shell(settings, script) {
        true => ["/bin/sh", "-c", &format!("{script} \"$1\""), "sh"].map(str::to_owned).to_vec(),
        // A name alone is looked up in PATH.
        false if !script.contains('/') => vec![script.to_owned()],
        false => vec![settings.absolute(script).display().to_string()],
    }
}

fn is_for_shell(settings: &Settings, script: &str) -> bool {
    let is_path = script.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    settings.flavour == Flavour::Node && !is_path
}

pub(super) fn clamd(settings: &Settings) -> Section {
    match settings.script {
        Some(_) => Section::new("clamd")
            .remark(
                "The script is the only engine, as it was. If it does no more than ask clamd, remove it, and this \
                 section: Lazaret speaks to clamd itself, without a process for each file.",
            )
            .set("backends", Value::Sequence(Vec::new())),
        None => Section::top(),
    }
}

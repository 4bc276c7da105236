//! `lazaret doctor`: what the configured engines really do, next to what is needed of them.

mod icap;

use std::{fmt::Write as _, process::ExitCode, sync::Arc};

use futures_util::future::join_all;

use crate::{
    config::Config,
    engine::{
        clamd::conformance::{self, Depth, Finding, Needs, Report, State},
        icap::Diagnosis,
    },
    spool::Spooler,
};

/// Width of the longest name of a check.
const NAME_WIDTH: usize = 20;

/// Asks all backends and prints what they are like. Exits with 1 if one lacks what the default policy relies on.
pub(super) fn run(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let needs = needs(config);
    let backends = &config.clamd.backends;
    let examining = backends.iter().map(|backend| conformance::examine(backend, &needs, Depth::Full));
    let reports = runtime.block_on(join_all(examining));
    let servers = runtime.block_on(icap::examine(config))?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&entries(&reports, &servers)?)?),
        false => print!("{}{}", icap::text(&servers), text(&reports)),
    }
    let passes = reports.iter().all(Report::passes) && servers.iter().all(|server| server.fault.is_none());
    Ok(if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All of them in one form.
fn entries(reports: &[Report], servers: &[Diagnosis]) -> serde_json::Result<Vec<serde_json::Value>> {
    reports.iter().map(serde_json::to_value).chain(servers.iter().map(|server| Ok(icap::entry(server)))).collect()
}

/// A spool that is there is tried, too; a diagnosis creates none.
fn needs(config: &Config) -> Needs {
    let needs = Needs::new(&config.clamd, &config.limits);
    let spooler = || Spooler::open(&config.spool, config.limits.memory_bytes).ok();
    match config.spool.dir.is_dir().then(spooler).flatten() {
        Some(spooler) => needs.with_spooler(Arc::new(spooler)),
        None => needs,
    }
}

fn text(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let version = report.version.as_deref().unwrap_or("no answer");
        writeln!(text, "{}  {version}", report.backend).expect("memory takes all");
        text.extend(report.findings.iter().map(line));
        text.push('\n');
    }
    match reports {
        [] => text,
        _ => text + &closing(reports) + "\n",
    }
}

fn line(finding: &Finding) -> String {
    let state = match finding.state {
        State::Ok => "ok",
        State::Gap => "GAP",
        State::Unknown => "?",
    };
    let fix = finding.fix.as_ref().map(|fix| format!("      {:NAME_WIDTH$} -> {fix}\n", "")).unwrap_or_default();
    format!("  {state:3} {:NAME_WIDTH$} {}\n{fix}", finding.check.name(), finding.says)
}

fn closing(reports: &[Report]) -> String {
    let gaps = || reports.iter().flat_map(Report::gaps);
    let essential = gaps().filter(|gap| gap.check.is_essential()).count();
    match (essential, gaps().count() - essential) {
        (0, 0) => "No gaps.".to_owned(),
        (0, others) => format!("Nothing is missing that the default policy relies on; gaps of another kind: {others}."),
        (essential, others) => format!("Gaps in what the default policy relies on: {essential}; others: {others}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::clamd::conformance::Check;

    fn report(check: Check, state: State, fix: Option<&str>) -> Report {
        let finding = Finding { check, state, says: "It is so".to_owned(), fix: fix.map(str::to_owned) };
        Report { backend: "unix:/s".to_owned(), version: None, findings: vec![finding] }
    }

    #[test]
    fn names_fit_their_column() {
        assert!(Check::ALL.into_iter().all(|check| check.name().len() <= NAME_WIDTH));
    }

    #[test]
    fn the_line_to_change_is_below_its_gap() {
        assert_eq!(
            text(&[report(Check::LimitsAlerted, State::Gap, Some("AlertExceedsMax yes"))]),
            "unix:/s  no answer\n  GAP limits_alerted       It is so\n                           -> AlertExceedsMax yes\n\n\
             Gaps in what the default policy relies on: 1; others: 0.\n"
        );
    }

    #[test]
    fn the_last_line_sums_up() {
        let macros = report(Check::MacrosAlerted, State::Gap, None);
        assert_eq!(closing(&[report(Check::MacrosAlerted, State::Unknown, None)]), "No gaps.");
        assert!(closing(&[macros]).starts_with("Nothing is missing"));
    }
}

//! Servers that speak ICAP, as `lazaret doctor` shows them.

use std::fmt::Write as _;

use anyhow::Context as _;
use futures_util::future::join_all;
use prometheus::Registry;
use serde_json::{Value, json};

use super::NAME_WIDTH;
use crate::{
    config::Config,
    engine::{
        Tally,
        icap::{Diagnosis, Icap},
    },
};

/// Looks at each once.
pub(super) async fn examine(config: &Config) -> anyhow::Result<Vec<Diagnosis>> {
    let tally = Tally::register(&Registry::new())?;
    let server = |server| Icap::new(server, &config.limits, &tally);
    let servers: anyhow::Result<Vec<Icap>> = config.engines.icap.iter().map(server).collect();
    let servers = servers.context("engines.icap")?;
    Ok(join_all(servers.iter().map(Icap::diagnose)).await)
}

/// What was looked at, whether it is as it should be, and what is so.
fn findings(server: &Diagnosis) -> Vec<(&'static str, bool, String)> {
    let fine = || "It tells clean from infected, also at the end of the largest medium".to_owned();
    let mut findings = vec![("canaries", server.fault.is_none(), server.fault.clone().unwrap_or_else(fine))];
    if !server.passed_over.is_empty() {
        let types = server.passed_over.join(", ");
        findings.push(("types", false, format!("It does not look into these, so they are refused: {types}")));
    }
    findings
}

pub(super) fn text(servers: &[Diagnosis]) -> String {
    let mut text = String::new();
    for server in servers {
        let service = server.service.as_deref().unwrap_or("no answer");
        writeln!(text, "{} {}  {service}", server.name, server.backend).expect("memory takes all");
        for (check, is_fine, says) in findings(server) {
            let state = if is_fine { "ok" } else { "GAP" };
            writeln!(text, "  {state:3} {check:NAME_WIDTH$} {says}").expect("memory takes all");
        }
        text.push('\n');
    }
    text
}

/// In the form in which clamds are shown.
pub(super) fn entry(server: &Diagnosis) -> Value {
    let finding = |(check, is_fine, says): (&str, bool, String)| {
        let state = if is_fine { "ok" } else { "gap" };
        json!({"check": check, "state": state, "says": says, "fix": null})
    };
    let findings: Vec<Value> = findings(server).into_iter().map(finding).collect();
    json!({"backend": server.backend, "version": server.service, "findings": findings})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_server_is_said() {
        let server = Diagnosis {
            name: "appliance".to_owned(),
            backend: "icap://s:1344/a".to_owned(),
            service: None,
            fault: Some("cannot connect".to_owned()),
            passed_over: vec!["PNG", "PDF"],
        };
        assert_eq!(
            text(std::slice::from_ref(&server)),
            "appliance icap://s:1344/a  no answer\n  GAP canaries             cannot connect\n  \
             GAP types                It does not look into these, so they are refused: PNG, PDF\n\n"
        );
        let healthy = Diagnosis { fault: None, passed_over: Vec::new(), service: Some("S".to_owned()), ..server };
        assert_eq!(entry(&healthy)["findings"][0]["state"], "ok");
        assert!(text(&[healthy]).contains("  ok  canaries"));
    }
}

//! `lazaret doctor` names what a clamd lacks, with the line that closes the gap, and claims nothing that it did not see.

use std::{collections::BTreeSet, path::Path, process::Output};

use lazaret::engine::clamd::{
    self, BackendConfig,
    conformance::{self, Check, Depth, Needs},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Clamd, Script, ScriptedClamd, daily_database, lazaret, signature};

/// What Debian's clamd lacks without its non-free library, and what a test database never has.
const NOT_OURS: [&str; 2] = ["rar_support", "database_version"];

/// A setting, as an environment variable without its prefix.
type Setting<'a> = (&'a str, &'a str);

/// Runs `lazaret doctor` on `backends`, which is YAML.
async fn doctor(backends: &str, settings: &[Setting<'_>], args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let (file, spool) = (dir.path().join("lazaret.yaml"), dir.path().join("spool"));
    std::fs::create_dir(&spool).unwrap();
    let text = format!(
        "homeserver: {{url: 'http://127.0.0.1:1'}}\nclamd: {{backends: [{backends}]}}\nspool: {{dir: '{}'}}\n",
        spool.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = lazaret(&["doctor", "--config"]);
    command.arg(&file).envs(settings.iter().map(|(name, value)| (format!("LAZARET__{name}"), value)));
    command.args(args).output().await.unwrap()
}

/// What it found, by check.
struct Diagnosis {
    reports: Vec<Value>,
    passes: bool,
}

impl Diagnosis {
    async fn of(backends: &str, settings: &[Setting<'_>]) -> Self {
        let output = doctor(backends, settings, &["--json"]).await;
        let reports = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Self { reports, passes: output.status.success() }
    }

    async fn of_clamd(clamd: &Clamd) -> Self {
        Self::of(&backend(&clamd.address(), None), &[]).await
    }

    fn finding(&self, check: &str) -> &Value {
        let findings = self.reports[0]["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("{check} in {findings:?}"))
    }

    fn state(&self, check: &str) -> &str {
        self.finding(check)["state"].as_str().unwrap()
    }

    fn says(&self, check: &str) -> &str {
        self.finding(check)["says"].as_str().unwrap()
    }

    /// The gaps that settings can close, each with its fix.
    fn gaps(&self) -> BTreeSet<(&str, &str)> {
        let findings = self.reports[0]["findings"].as_array().unwrap();
        let gaps = findings.iter().filter(|finding| finding["state"] == "gap");
        let gaps = gaps.map(|gap| (gap["check"].as_str().unwrap(), gap["fix"].as_str().unwrap()));
        gaps.filter(|(check, _)| !NOT_OURS.contains(check)).collect()
    }
}

fn backend(address: &str, config_file: Option<&Path>) -> String {
    let config_file = config_file.map(|file| format!(", config_file: '{}'", file.display())).unwrap_or_default();
    format!("{{address: '{address}'{config_file}}}")
}

fn conf(clamd: &Clamd) -> std::path::PathBuf {
    clamd.socket().with_file_name("clamd.conf")
}

/// A clamd without gaps but for what `settings` say, and the folder in memory that it uses.
async fn well_set_but_for(settings: &str) -> (Clamd, TempDir) {
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let settings = format!("{settings}\nAlertOLE2Macros yes\nTemporaryDirectory {}\n", memory.path().display());
    (Clamd::start_with(settings.trim_start()).await, memory)
}

#[tokio::test]
async fn a_well_set_clamd_has_no_gap() {
    let (mut clamd, _memory) = well_set_but_for("").await;
    clamd.kill();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    std::fs::write(clamd.socket().with_file_name("db").join("daily.cud"), daily(27500, now)).unwrap();
    clamd.launch().await;
    let diagnosis = Diagnosis::of_clamd(&clamd).await;
    assert_eq!(diagnosis.gaps(), BTreeSet::new());
    assert!(diagnosis.passes);
    let findings = diagnosis.reports[0]["findings"].as_array().unwrap();
    let other = findings.iter().filter(|finding| finding["state"] != "ok" && finding["check"] != "rar_support");
    assert_eq!(other.count(), 0, "nothing is left unseen: {findings:?}");
    assert!(diagnosis.says("database_version").contains("27500"));
    assert!(diagnosis.reports[0]["version"].as_str().unwrap().contains("/27500/"));
}

#[tokio::test]
async fn an_old_database_is_named() {
    let mut clamd = Clamd::start().await;
    clamd.kill();
    std::fs::write(clamd.socket().with_file_name("db").join("daily.cud"), daily(1, 1_600_000_000)).unwrap();
    clamd.launch().await;
    let diagnosis = Diagnosis::of_clamd(&clamd).await;
    assert_eq!(diagnosis.state("database_age"), "gap", "{:?}", diagnosis.finding("database_age"));
}

#[tokio::test]
async fn each_gap_is_named_with_the_line_that_closes_it() {
    for (setting, check, line, essential) in [
        ("AlertExceedsMax no", "limits_alerted", "AlertExceedsMax yes", true),
        ("AlertEncrypted no", "encrypted_alerted", "AlertEncrypted yes", true),
        ("AlertOLE2Macros no", "macros_alerted", "AlertOLE2Macros yes", false),
        ("StreamMaxLength 1M", "stream_max_length", "StreamMaxLength 100M", true),
        ("MaxFileSize 1M", "max_file_size", "MaxFileSize 100M", true),
        ("MaxScanSize 1M", "max_file_size", "MaxScanSize 400M", true),
        ("MaxScanTime 0", "max_scan_time", "MaxScanTime 60000", false),
        ("ConcurrentDatabaseReload no", "reload_mode", "ConcurrentDatabaseReload yes", false),
    ] {
        let (clamd, _memory) = well_set_but_for(setting).await;
        let diagnosis = Diagnosis::of_clamd(&clamd).await;
        assert_eq!(diagnosis.gaps(), [(check, line)].into(), "{setting}");
        assert_eq!(diagnosis.passes, !essential, "{setting}");
    }
}

#[tokio::test]
async fn a_limit_on_streams_is_measured_to_the_byte() {
    let clamd = Clamd::start_with("StreamMaxLength 1234567\n").await;
    let blind = Path::new("/nonexistent/clamd.conf");
    let diagnosis = Diagnosis::of(&backend(&clamd.address(), Some(blind)), &[]).await;
    assert!(
        diagnosis.says("stream_max_length").contains("more than 1.2 MiB"),
        "{}",
        diagnosis.says("stream_max_length")
    );
    let exact = Diagnosis::of(&backend(&clamd.address(), None), &[("LIMITS__MAX_MEDIA_BYTES", "1234567")]).await;
    assert_eq!(exact.state("stream_max_length"), "ok");
    let beyond = Diagnosis::of(&backend(&clamd.address(), None), &[("LIMITS__MAX_MEDIA_BYTES", "1234568")]).await;
    assert_eq!(beyond.state("stream_max_length"), "gap");
}

#[tokio::test]
async fn a_temporary_directory_on_a_disk_or_nowhere_is_named() {
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let clamd = Clamd::start_with(&format!("TemporaryDirectory {}\n", disk.path().display())).await;
    let diagnosis = Diagnosis::of_clamd(&clamd).await;
    assert_eq!(diagnosis.state("temporary_directory"), "gap");
    assert!(diagnosis.says("temporary_directory").contains("on a disk"));
    drop(disk);
    let diagnosis = Diagnosis::of_clamd(&clamd).await;
    assert!(diagnosis.says("temporary_directory").contains("does not exist"));
}

#[tokio::test]
async fn what_was_measured_wins_over_what_is_written() {
    let clamd = Clamd::start_with("AlertExceedsMax no\n").await;
    std::fs::write(conf(&clamd), "AlertExceedsMax yes\n").unwrap();
    let diagnosis = Diagnosis::of_clamd(&clamd).await;
    assert_eq!(diagnosis.state("limits_alerted"), "gap");
    assert!(diagnosis.says("limits_alerted").contains("although clamd.conf has `AlertExceedsMax yes`"));
    assert!(diagnosis.finding("limits_alerted")["fix"].as_str().unwrap().starts_with("restart clamd"));
}

#[tokio::test]
async fn over_tcp_only_what_can_be_seen_is_claimed() {
    let clamd = Clamd::start_on_tcp("StreamMaxLength 2M\nMaxFileSize 1M\n").await;
    let blind = Diagnosis::of(&backend(&clamd.tcp_address(), None), &[]).await;
    for check in ["max_file_size", "max_scan_time", "temporary_directory", "reload_mode", "max_queue"] {
        assert_eq!(blind.state(check), "unknown", "{check}");
    }
    assert_eq!(blind.state("limits_alerted"), "ok");
    assert!(blind.says("stream_max_length").contains("2.0 MiB"), "{}", blind.says("stream_max_length"));
    let seeing = Diagnosis::of(&backend(&clamd.tcp_address(), Some(&conf(&clamd))), &[]).await;
    assert_eq!(seeing.finding("max_file_size")["fix"], "MaxFileSize 100M");
    assert_eq!(seeing.state("reload_mode"), "ok");
}

#[tokio::test]
async fn a_clamd_that_is_not_there_or_silent_is_a_report_too() {
    let dir = tempfile::Builder::new().prefix("lz").tempdir_in("/tmp").unwrap();
    let socket = dir.path().join("s");
    let _silent = tokio::net::UnixListener::bind(&socket).unwrap();
    let backends = ["unix:/nonexistent/s", &format!("unix:{}", socket.display())].map(|address| backend(address, None));
    let diagnosis = Diagnosis::of(&backends.join(", "), &[("CLAMD__PROBE_TIMEOUT", "200ms")]).await;
    assert!(!diagnosis.passes);
    assert_eq!(diagnosis.reports.len(), 2);
    for report in &diagnosis.reports {
        assert_eq!(report["version"], Value::Null);
        assert_eq!(report["findings"][0]["check"], "reachable");
        assert_eq!(report["findings"][0]["state"], "gap");
    }
}

#[tokio::test]
async fn a_clamd_that_says_ok_to_everything_does_not_pass() {
    let clamd = ScriptedClamd::start_without_descriptors(Script::always(b"{}: OK\0"));
    clamd.set_version("ClamAV 1.4.6/4294967295/invalid timestam");
    let diagnosis = Diagnosis::of(&backend(&clamd.address(), None), &[("CLAMD__PROBE_TIMEOUT", "500ms")]).await;
    assert!(!diagnosis.passes);
    for check in ["eicar", "limits_alerted", "encrypted_alerted", "database_intact", "descriptor_passing"] {
        assert_eq!(diagnosis.state(check), "gap", "{check}");
    }
}

#[tokio::test]
async fn more_scans_than_threads_are_told() {
    let (clamd, _memory) = well_set_but_for("MaxThreads 3").await;
    let diagnosis = Diagnosis::of(&backend(&clamd.address(), None), &[("CLAMD__MAX_SCANS", "10")]).await;
    assert_eq!(diagnosis.gaps(), [("max_threads", "MaxThreads 10")].into());
}

#[tokio::test]
async fn a_quick_look_tells_what_is_missing_and_not_how_much() {
    let clamd = Clamd::start_with("StreamMaxLength 1M\n").await;
    let backend = BackendConfig::at(clamd.address().parse().unwrap());
    let needs = Needs::new(&clamd::Config::default(), &lazaret::limits::Config::default());
    let report = conformance::examine(&backend, &needs, Depth::Quick).await;
    let finding = report.finding(Check::StreamMaxLength).unwrap();
    assert_eq!(finding.fix.as_deref(), Some("StreamMaxLength 100M"));
    assert!(finding.says.starts_with("streams of 100.0 MiB"), "{finding:?}");
}

#[tokio::test]
async fn people_read_the_line_below_the_gap() {
    let (clamd, _memory) = well_set_but_for("AlertExceedsMax no").await;
    let output = doctor(&backend(&clamd.address(), None), &[], &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(&format!("{}  ClamAV ", clamd.address())), "{text}");
    let mut lines = text.lines().skip_while(|line| !line.starts_with("  GAP limits_alerted "));
    assert_eq!(lines.nth(1).unwrap().trim(), "-> AlertExceedsMax yes", "{text}");
    assert!(text.ends_with("Gaps in what the default policy relies on: 1; others: 2.\n"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

fn daily(version: u32, made: u64) -> Vec<u8> {
    daily_database(version, made, &signature("Lazaret.Test.Daily", "lazaret-daily-signature"))
}

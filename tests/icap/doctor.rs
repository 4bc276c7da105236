//! `lazaret doctor` on servers that speak ICAP.

use std::process::Output;

use super::engine;
use crate::harness::{CIcap, Clamd, FakeIcap, lazaret};

async fn doctor(url: &str, args: &[&str]) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "homeserver: {{url: 'http://127.0.0.1:1'}}\nclamd: {{backends: []}}\nengines: {{icap: [{}]}}\n",
        engine(url, "")
    );
    std::fs::write(file.path(), text).unwrap();
    lazaret(&["doctor", "--config"]).arg(file.path()).args(args).output().await.unwrap()
}

#[tokio::test]
async fn types_that_a_server_passes_over_are_told() {
    let clamd = Clamd::start().await;
    let c_icap = CIcap::start_with(&clamd, "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE DOCUMENT").await;
    let output = doctor(&c_icap.url(), &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("  ok  canaries"), "{text}");
    assert!(text.contains("refused: PNG, JPEG, GIF, WebP, MP4") && !text.contains("PDF"), "{text}");
}

#[tokio::test]
async fn a_server_that_misses_eicar_does_not_pass() {
    let fake = FakeIcap::start().await;
    fake.looks_at(0);
    let output = doctor(&fake.url(), &["--json"]).await;
    let reports: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!output.status.success());
    assert_eq!(reports[0]["findings"][0]["state"], "gap");
    assert!(reports[0]["findings"][0]["says"].as_str().unwrap().contains("EICAR"), "{reports}");
}

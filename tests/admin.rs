//! The operators' side.

use crate::harness::{AppBuilder, Ask, Homeserver, Script, ScriptedClamd, Specimen, Stored, eicar, eventually, start};

#[tokio::test]
async fn alive_is_not_ready() {
    let homeserver = Homeserver::start().await;
    let clamd = ScriptedClamd::start(Script::always(b"stream: OK\0"));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).without_waiting().start().await;
    assert_eq!(app.admin.get("/livez").await.status, 200);
    clamd.has_answered(Ask::Canary(Specimen::Eicar), 1).await;
    assert_eq!(app.admin.get("/readyz").await.status, 503, "an engine that finds nothing is no engine");
    clamd.set(Script::reply(b"stream: OK\0"));
    app.ready().await;
    clamd.set(Script::always(b"stream: Everything FOUND\0"));
    eventually("it is out again", || async { app.admin.get("/readyz").await.status == 503 }).await;
}

#[tokio::test]
async fn every_family_is_there_from_the_start_and_counts() {
    let (homeserver, clamd, app) = start().await;
    let before = app.admin.get("/metrics").await;
    assert_eq!(before.header("content-type"), Some("text/plain; version=0.0.4"));
    for series in [
        r#"lazaret_scans_total{engine="clamd",verdict="error"} 0"#,
        r#"lazaret_cache_lookups_total{result="hit"} 0"#,
        r#"lazaret_media_bytes_total{direction="upload"} 0"#,
        r#"lazaret_upstream_failures_total{purpose="media"} 0"#,
        "lazaret_spool_memory_bytes 0",
        "lazaret_spool_disk_bytes 0",
        "lazaret_signature_outbreaks 0",
        "lazaret_cache_entries 0",
        "lazaret_requests_in_flight 0",
        concat!(r#"lazaret_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(before.text().lines().any(|line| line == series), "{series} in\n{}", before.text());
    }
    for family in ["process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"] {
        assert!(before.text().contains(family), "{family}");
    }

    homeserver.put_media("m", &Stored::media(b"twice"));
    homeserver.put_media("bad", &Stored::media(&eicar()));
    for id in ["m", "m", "bad"] {
        app.get(&format!("/_matrix/client/v1/media/download/hs.test/{id}")).await;
    }
    app.get("/_matrix/client/versions").await;
    for (series, value) in [
        (r#"lazaret_requests_total{outcome="served",route="download"}"#, 2),
        (r#"lazaret_requests_total{outcome="infected",route="download"}"#, 1),
        (r#"lazaret_requests_total{outcome="passed",route="passthrough"}"#, 1),
        (r#"lazaret_scans_total{engine="clamd",verdict="clean"}"#, 1),
        (r#"lazaret_scans_total{engine="clamd",verdict="infected"}"#, 1),
        (r#"lazaret_cache_lookups_total{result="hit"}"#, 1),
        (r#"lazaret_cache_lookups_total{result="miss"}"#, 2),
        (r#"lazaret_media_bytes_total{direction="download"}"#, 78),
        (r#"lazaret_upstream_duration_seconds_count{purpose="media"}"#, 3),
    ] {
        assert_eq!(app.metric(series).await, value, "{series}");
    }
    for (family, labels, value) in [
        ("lazaret_scanned_bytes_total", r#"engine="clamd""#, 73),
        ("lazaret_scan_duration_seconds_count", r#"class="small",engine="clamd",verdict="clean""#, 1),
        ("lazaret_scan_duration_seconds_count", r#"class="small",engine="clamd",verdict="infected""#, 1),
        ("lazaret_engine_replies_total", r#"kind="clean""#, 1),
        ("lazaret_engine_slots", "", 10),
        ("lazaret_engine_slots_in_use", "", 0),
        ("lazaret_canary_named", r#"canary="nested_gzip""#, 1),
        ("lazaret_canary_named", r#"canary="macro_document""#, 0),
    ] {
        let backend = format!(r#"backend="{}""#, clamd.address());
        let mut labels: Vec<&str> = labels.split(',').chain([&*backend]).filter(|label| !label.is_empty()).collect();
        labels.sort_unstable();
        let series = format!("{family}{{{}}}", labels.join(","));
        assert_eq!(app.metric(&series).await, value, "{series}");
    }
}

#[tokio::test]
async fn operators_routes_are_not_on_the_public_side() {
    let (homeserver, _clamd, app) = start().await;
    for path in ["/metrics", "/readyz", "/livez"] {
        assert_eq!(app.client.get(path).await.status, 404, "passed to the homeserver like any other path");
        assert_eq!(homeserver.last().target, path);
    }
}

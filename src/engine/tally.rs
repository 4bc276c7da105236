//! What is counted of every engine alike.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, core::Collector, histogram_opts};

use super::{EngineError, Scan};
use crate::verdict::{Provenance, Verdict};

/// Scans take from under a millisecond for a picture to a minute for an archive.
pub(super) const DURATIONS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Series of all engines; those of an instance carry its address.
#[derive(Clone)]
pub struct Tally {
    scans: IntCounterVec,
    durations: HistogramVec,
    bytes: IntCounterVec,
    up: IntGaugeVec,
}

impl Tally {
    /// Registers the series.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let durations = histogram_opts!(
            "lazaret_scan_duration_seconds",
            "Time that an engine instance took for a verdict.",
            DURATIONS.to_vec()
        );
        let scans = Opts::new("lazaret_scans_total", "Scans by engine and verdict; error means none was given.");
        let bytes = Opts::new("lazaret_scanned_bytes_total", "Bytes that led to a verdict.");
        let up = Opts::new("lazaret_engine_up", "1 while the engine instance passes its canaries.");
        Ok(Self {
            scans: register(registry, IntCounterVec::new(scans, &["engine", "verdict"])?)?,
            durations: register(registry, HistogramVec::new(durations, &["engine", "backend", "verdict", "class"])?)?,
            bytes: register(registry, IntCounterVec::new(bytes, &["engine", "backend"])?)?,
            up: register(registry, IntGaugeVec::new(up, &["engine", "backend"])?)?,
        })
    }

    /// Series exist from the start, so that their first step is seen.
    pub(super) fn begin(&self, engine: &str, backend: &str) {
        for verdict in Verdict::NAMES.into_iter().chain(["error"]) {
            self.scans.with_label_values(&[engine, verdict]);
        }
        self.up.with_label_values(&[engine, backend]);
        self.bytes.with_label_values(&[engine, backend]);
    }

    pub(super) fn scanned(&self, engine: &str, outcome: &Result<Scan, EngineError>) {
        let verdict = outcome.as_ref().map_or("error", |scan| scan.verdict.name());
        self.scans.with_label_values(&[engine, verdict]).inc();
    }

    /// `class` says which queue the scan went through.
    pub(super) fn judged(&self, scan: &Scan, class: &str) {
        let (Provenance { engine, backend, took, bytes, .. }, verdict) = (&scan.provenance, scan.verdict.name());
        self.durations.with_label_values(&[&**engine, backend, verdict, class]).observe(took.as_secs_f64());
        self.bytes.with_label_values(&[&**engine, backend]).inc_by(*bytes);
    }

    pub(super) fn set_up(&self, engine: &str, backend: &str, is_up: bool) {
        self.up.with_label_values(&[engine, backend]).set(is_up.into());
    }
}

pub(super) fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

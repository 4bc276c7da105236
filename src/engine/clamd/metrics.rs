//! What the clamd engine counts.

use std::sync::Arc;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, PullingGauge, Registry, histogram_opts};

use super::backend::Backend;
use crate::{
    engine::{EngineError, Scan},
    verdict::Verdict,
};

/// Scans take from under a millisecond for a picture to a minute for an archive.
const DURATIONS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

pub(super) struct Metrics {
    scans: IntCounterVec,
    durations: HistogramVec,
    bytes: IntCounter,
    up: IntGaugeVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry, backends: &Arc<[Backend]>) -> prometheus::Result<Self> {
        let scans = Opts::new("lazaret_scans_total", "Scans by engine and verdict; error means none was given.");
        let durations = histogram_opts!(
            "lazaret_scan_duration_seconds",
            "Time that an engine took for a verdict, waiting for a slot included.",
            DURATIONS.to_vec()
        );
        let up = Opts::new("lazaret_engine_up", "1 while the engine instance passes its canaries.");
        let metrics = Self {
            scans: IntCounterVec::new(scans, &["engine", "verdict"])?,
            durations: HistogramVec::new(durations, &["engine"])?,
            bytes: IntCounter::new("lazaret_scanned_bytes_total", "Bytes given to engines that led to a verdict.")?,
            up: IntGaugeVec::new(up, &["engine", "backend"])?,
        };
        for verdict in Verdict::NAMES.into_iter().chain(["error"]) {
            metrics.scans.with_label_values(&[super::NAME, verdict]);
        }
        for backend in backends.iter() {
            metrics.set_up(backend, false);
        }
        let watched = Arc::clone(backends);
        let in_use = move || watched.iter().map(Backend::slots_in_use).sum::<usize>() as f64;
        let help = "Scans that hold an engine slot.";
        let slots = PullingGauge::new("lazaret_engine_slots_in_use", help, Box::new(in_use))?;
        registry.register(Box::new(metrics.scans.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.up.clone()))?;
        registry.register(Box::new(slots))?;
        Ok(metrics)
    }

    pub(super) fn scanned(&self, outcome: &Result<Scan, EngineError>, seconds: f64) {
        let verdict = outcome.as_ref().map_or("error", |scan| scan.verdict.name());
        self.scans.with_label_values(&[super::NAME, verdict]).inc();
        if let Ok(scan) = outcome {
            self.durations.with_label_values(&[super::NAME]).observe(seconds);
            self.bytes.inc_by(scan.provenance.bytes);
        }
    }

    pub(super) fn set_up(&self, backend: &Backend, up: bool) {
        self.up.with_label_values(&[super::NAME, &backend.address().to_string()]).set(up.into());
    }
}

//! What the public side counts.

use std::time::Instant;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, histogram_opts};

/// From the cached answer of a small picture to the first scan of a large archive.
const DURATIONS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Metric families of the public side.
pub struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    bytes: IntCounterVec,
    in_flight: IntGauge,
}

impl Metrics {
    /// Makes and registers the families.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let requests = Opts::new("lazaret_requests_total", "Requests by route and outcome.");
        let durations = histogram_opts!(
            "lazaret_request_duration_seconds",
            "Time to the head of the answer, by route.",
            DURATIONS.to_vec()
        );
        let bytes = Opts::new("lazaret_media_bytes_total", "Bytes of media taken in for inspection, by direction.");
        let metrics = Self {
            requests: IntCounterVec::new(requests, &["route", "outcome"])?,
            durations: HistogramVec::new(durations, &["route"])?,
            bytes: IntCounterVec::new(bytes, &["direction"])?,
            in_flight: IntGauge::new("lazaret_requests_in_flight", "Requests whose answer has not begun.")?,
        };
        for direction in ["download", "upload"] {
            metrics.bytes.with_label_values(&[direction]);
        }
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        Ok(metrics)
    }

    /// Counts the bytes of bodies in this direction.
    pub(super) fn taken_in(&self, direction: &str) -> IntCounter {
        self.bytes.with_label_values(&[direction])
    }

    /// Begins to count a request; it is counted when the guard goes, whatever made it go.
    pub(super) fn begin(&self, route: &'static str) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight { metrics: self, route, begun: Instant::now(), outcome: "client_gone" }
    }
}

/// A request that is being answered.
pub(super) struct InFlight<'a> {
    metrics: &'a Metrics,
    route: &'static str,
    pub(super) begun: Instant,
    pub(super) outcome: &'static str,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.metrics.requests.with_label_values(&[self.route, self.outcome]).inc();
        self.metrics.durations.with_label_values(&[self.route]).observe(self.begun.elapsed().as_secs_f64());
    }
}

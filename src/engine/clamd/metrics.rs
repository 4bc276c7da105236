//! What the clamd engine counts.

use std::{sync::Arc, time::UNIX_EPOCH};

use prometheus::{
    HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    histogram_opts,
    proto::MetricFamily,
};

use super::{
    canary::Canary,
    conformance::{Finding, State},
    protocol::Version,
    slots::{Class, Slots},
};
use crate::engine::{
    EngineError, Scan,
    tally::{DURATIONS, Tally, register},
};

/// All series of this engine. Those of a backend carry its address.
pub(super) struct Metrics {
    tally: Tally,
    waits: HistogramVec,
    replies: IntCounterVec,
    retries: IntCounterVec,
    ejections: IntCounterVec,
    orphans: IntGaugeVec,
    orphans_total: IntCounterVec,
    canaries: IntGaugeVec,
    rounds: IntCounterVec,
    database: IntGaugeVec,
    built: IntGaugeVec,
    skew: IntGauge,
    queued: IntGaugeVec,
    gaps: IntGaugeVec,
}

impl Metrics {
    pub(super) fn register(tally: &Tally, backends: &[String], registry: &Registry) -> prometheus::Result<Arc<Self>> {
        let counter =
            |name, help, labels: &[&str]| register(registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let gauge = |name, help| register(registry, IntGaugeVec::new(Opts::new(name, help), &["backend"])?);
        let waits = histogram_opts!(
            "lazaret_engine_wait_seconds",
            "Time that scans waited for a slot, or until they were refused one.",
            DURATIONS.to_vec()
        );
        let canaries = Opts::new("lazaret_canary_named", "1 if the engine instance said of a specimen what it is.");
        let skew = Opts::new("lazaret_engine_database_skew", "Versions between the newest and the oldest in use.");
        let gaps = Opts::new("lazaret_engine_gap", "1 where it is not as it should be; see `lazaret doctor`.");
        let metrics = Self {
            tally: tally.clone(),
            waits: register(registry, HistogramVec::new(waits, &["class", "outcome"])?)?,
            replies: counter(
                "lazaret_engine_replies_total",
                "What the engine said of a medium, or why it said nothing.",
                &["backend", "kind"],
            )?,
            retries: counter("lazaret_engine_retries_total", "Scans tried once more, elsewhere.", &["engine"])?,
            ejections: counter("lazaret_engine_ejections_total", "Times it was taken out.", &["backend", "reason"])?,
            orphans: gauge("lazaret_engine_orphans", "Scans given up that the engine still works on.")?,
            orphans_total: counter("lazaret_engine_orphans_total", "Scans given up under way.", &["backend"])?,
            canaries: register(registry, IntGaugeVec::new(canaries, &["backend", "canary"])?)?,
            rounds: counter("lazaret_canary_rounds_total", "Rounds of canaries.", &["backend", "outcome"])?,
            database: gauge("lazaret_engine_database_version", "Number of the signature database.")?,
            built: gauge(
                "lazaret_engine_database_timestamp_seconds",
                "When the signature database was made, in Unix time; its age is the time since.",
            )?,
            skew: register(registry, IntGauge::with_opts(skew)?)?,
            gaps: register(registry, IntGaugeVec::new(gaps, &["backend", "check"])?)?,
            queued: gauge("lazaret_engine_queued", "Commands that wait within the engine, ours or others'.")?,
        };
        metrics.begin(backends);
        Ok(Arc::new(metrics))
    }

    /// Series exist from the start, so that their first step is seen.
    fn begin(&self, backends: &[String]) {
        self.retries.with_label_values(&[super::NAME]);
        for backend in backends {
            self.tally.begin(super::NAME, backend);
            self.orphans.with_label_values(&[backend]);
            self.orphans_total.with_label_values(&[backend]);
            for outcome in ["passed", "failed"] {
                self.rounds.with_label_values(&[backend, outcome]);
            }
        }
    }

    pub(super) fn scanned(&self, outcome: &Result<Scan, EngineError>) {
        self.tally.scanned(super::NAME, outcome);
    }

    pub(super) fn judged(&self, scan: &Scan, class: Class) {
        self.tally.judged(scan, class.name());
    }

    pub(super) fn waited(&self, class: Class, granted: bool, seconds: f64) {
        let outcome = if granted { "granted" } else { "refused" };
        self.waits.with_label_values(&[class.name(), outcome]).observe(seconds);
    }

    pub(super) fn replied(&self, backend: &str, kind: &str) {
        self.replies.with_label_values(&[backend, kind]).inc();
    }

    pub(super) fn retried(&self) {
        self.retries.with_label_values(&[super::NAME]).inc();
    }

    pub(super) fn orphaned(&self, backend: &str) {
        self.orphans.with_label_values(&[backend]).inc();
        self.orphans_total.with_label_values(&[backend]).inc();
    }

    pub(super) fn orphan_ended(&self, backend: &str) {
        self.orphans.with_label_values(&[backend]).dec();
    }

    pub(super) fn orphans(&self, backend: &str) -> usize {
        usize::try_from(self.orphans.with_label_values(&[backend]).get()).unwrap_or(0)
    }

    pub(super) fn canary(&self, backend: &str, canary: Canary, named: bool) {
        self.canaries.with_label_values(&[backend, canary.name()]).set(named.into());
    }

    pub(super) fn ejected(&self, backend: &str, reason: &str) {
        self.tally.set_up(super::NAME, backend, false);
        self.ejections.with_label_values(&[backend, reason]).inc();
    }

    pub(super) fn round(&self, backend: &str, outcome: &str) {
        self.rounds.with_label_values(&[backend, outcome]).inc();
    }

    pub(super) fn admitted(&self, backend: &str, version: &Version, queued: Option<usize>) {
        self.tally.set_up(super::NAME, backend, true);
        if let Some(queued) = queued.and_then(|queued| i64::try_from(queued).ok()) {
            self.queued.with_label_values(&[backend]).set(queued);
        }
        let Some(signatures) = version.signatures else { return };
        self.database.with_label_values(&[backend]).set(signatures.version.into());
        let built = signatures.built.and_then(|built| built.duration_since(UNIX_EPOCH).ok());
        if let Some(built) = built.and_then(|built| i64::try_from(built.as_secs()).ok()) {
            self.built.with_label_values(&[backend]).set(built);
        }
    }

    /// What could not be seen has no series.
    pub(super) fn found(&self, backend: &str, finding: &Finding) {
        match finding.state {
            State::Unknown => drop(self.gaps.remove_label_values(&[backend, finding.check.name()])),
            state => self.gaps.with_label_values(&[backend, finding.check.name()]).set((state == State::Gap).into()),
        }
    }

    pub(super) fn skewed(&self, versions: u32) {
        self.skew.set(versions.into());
    }
}

/// Slots and queue, looked at when they are asked for.
pub(super) struct Occupancy {
    slots: Arc<Slots>,
    backends: Vec<String>,
    max: IntGaugeVec,
    taken: IntGaugeVec,
    waiting: IntGaugeVec,
}

impl Occupancy {
    pub(super) fn register(registry: &Registry, slots: &Arc<Slots>, backends: &[String]) -> prometheus::Result<()> {
        let gauge = |name, help, label| IntGaugeVec::new(Opts::new(name, help), &[label]);
        registry.register(Box::new(Self {
            slots: Arc::clone(slots),
            backends: backends.to_vec(),
            max: gauge("lazaret_engine_slots", "Scans that it may do at a time.", "backend")?,
            taken: gauge("lazaret_engine_slots_in_use", "Scans that hold a slot.", "backend")?,
            waiting: gauge("lazaret_engine_waiting", "Scans that wait for a slot.", "class")?,
        }))
    }

    fn look(&self) {
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        for (at, backend) in self.backends.iter().enumerate() {
            self.max.with_label_values(&[backend]).set(whole(self.slots.max(at)));
            self.taken.with_label_values(&[backend]).set(whole(self.slots.taken(at)));
        }
        for class in Class::ALL {
            self.waiting.with_label_values(&[class.name()]).set(whole(self.slots.waiting(class)));
        }
    }
}

impl Collector for Occupancy {
    fn desc(&self) -> Vec<&Desc> {
        [&self.max, &self.taken, &self.waiting].into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.look();
        [&self.max, &self.taken, &self.waiting].into_iter().flat_map(Collector::collect).collect()
    }
}

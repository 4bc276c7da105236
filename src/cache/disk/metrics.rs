//! What is counted of the file.

use prometheus::{IntCounter, IntGauge, Registry};

/// What is counted of the file.
#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) entries: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) dropped: IntCounter,
    pub(super) unreadable: IntCounter,
    pub(super) set_aside: IntCounter,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            entries: IntGauge::new("lazaret_disk_store_entries", "Entries in the file of the verdict store.")?,
            bytes: IntGauge::new("lazaret_disk_store_bytes", "Bytes that this file takes on the disk.")?,
            dropped: IntCounter::new(
                "lazaret_disk_store_dropped_total",
                "Entries that made room in this file, or had expired.",
            )?,
            unreadable: IntCounter::new(
                "lazaret_disk_store_unreadable_total",
                "Entries met in this file that were damaged, or made under another secret or by a newer version.",
            )?,
            set_aside: IntCounter::new("lazaret_disk_store_set_aside_total", "Damaged files that were set aside.")?,
        };
        registry.register(Box::new(metrics.entries.clone()))?;
        registry.register(Box::new(metrics.bytes.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        registry.register(Box::new(metrics.unreadable.clone()))?;
        registry.register(Box::new(metrics.set_aside.clone()))?;
        Ok(metrics)
    }
}

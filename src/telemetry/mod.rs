//! What operators see: logs and the metrics of the process itself. Each module registers its own metrics.

pub mod log;
pub mod metrics;

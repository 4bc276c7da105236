//! The registry and its text form.

use prometheus::{Encoder, IntGaugeVec, Opts, Registry, TextEncoder, process_collector::ProcessCollector};

/// A registry with build information and the metrics of the process.
pub fn registry() -> prometheus::Result<Registry> {
    let registry = Registry::new();
    let build = Opts::new("lazaret_build_info", "1, labelled with the version that runs.");
    let build = IntGaugeVec::new(build, &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(ProcessCollector::for_self()))?;
    Ok(registry)
}

/// All metrics in the Prometheus text format.
pub fn encode(registry: &Registry) -> prometheus::Result<Vec<u8>> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

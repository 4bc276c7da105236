//! From the configuration to a store.

use std::sync::Arc;

use prometheus::{IntCounterVec, Opts, PullingGauge, Registry};

use super::{
    CacheError, Config, MemoryStore, RESULTS, StoreKind, VerdictCache, VerdictStore,
    disk::DiskStore,
    guard::Guarded,
    key::KeyRing,
    redis::{Leases, RedisStore},
    secret::SecretError,
    tiered::Tiered,
    usage::UsageLog,
};

impl VerdictCache {
    /// Opens the configured store.
    pub async fn open(config: &Config, registry: &Registry) -> Result<Self, CacheError> {
        match config.store {
            StoreKind::Memory => Self::open_memory(config, registry),
            StoreKind::Disk => Self::open_disk(config, registry).await,
            StoreKind::Redis => Self::open_redis(config, registry),
        }
    }

    /// A secret of its own will do for what ends with the process.
    fn open_memory(config: &Config, registry: &Registry) -> Result<Self, CacheError> {
        let ring = KeyRing::ephemeral().map_err(SecretError::from)?;
        let store = Arc::new(MemoryStore::new(config.max_bytes.as_u64(), config.ttl, config.ttl));
        let near = Arc::clone(&store);
        register_entries(move || near.size().entries, registry)?;
        let usage = UsageLog::register(registry)?;
        Ok(Self { store, tiered: None, leases: None, ring, usage, lookups: lookups(registry)? })
    }

    /// Of a store that others have, too.
    #[cfg(test)]
    pub(crate) fn sharing(
        store: Arc<dyn VerdictStore>,
        ring: KeyRing,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let usage = UsageLog::register(registry)?;
        Ok(Self { store, tiered: None, leases: None, ring, usage, lookups: lookups(registry)? })
    }

    /// Over a store of its own making, with memory in front of it.
    #[cfg(test)]
    pub(crate) fn with_memory_before(back: Arc<dyn VerdictStore>, is_shared: bool, ring: KeyRing) -> Self {
        let (config, registry) = (Config::default(), Registry::new());
        let front = MemoryStore::new(config.max_bytes.as_u64(), config.ttl, config.ttl);
        let back = Guarded::register(back, config.timeout, &registry).expect("nothing else is counted");
        let tiered = Arc::new(Tiered::new(front, back, is_shared));
        Self::over(tiered, None, ring, &registry).expect("nothing else is counted")
    }

    /// What is behind memory.
    #[cfg(test)]
    pub(crate) fn tiered(&self) -> &Tiered {
        self.tiered.as_deref().expect("it was made with one")
    }

    async fn open_disk(config: &Config, registry: &Registry) -> Result<Self, CacheError> {
        let ring = KeyRing::of_file(&config.secret_path)?;
        let back = Arc::new(DiskStore::open(config, &ring, registry).await?);
        let back = Guarded::register(back, config.timeout, registry)?;
        let front = MemoryStore::new(config.max_bytes.as_u64(), config.ttl, config.ttl);
        Ok(Self::over(Arc::new(Tiered::new(front, back, false)), None, ring, registry)?)
    }

    /// Nobody waits for the server here, nor asks whether it is there.
    fn open_redis(config: &Config, registry: &Registry) -> Result<Self, CacheError> {
        let ring = KeyRing::of_file(&config.secret_path)?;
        let redis = RedisStore::open(&config.redis, config.timeout, config.ttl, &ring, registry);
        let redis = Arc::new(redis.map_err(CacheError::Open)?);
        let back = Guarded::register(Arc::clone(&redis) as _, config.timeout, registry)?;
        let front = MemoryStore::new(config.max_bytes.as_u64(), config.ttl, config.redis.recheck);
        let store = Arc::new(Tiered::new(front, back, true));
        let leases = Leases::register(redis, Arc::clone(&store), registry)?;
        Ok(Self::over(store, Some(leases), ring, registry)?)
    }

    fn over(
        tiered: Arc<Tiered>,
        leases: Option<Leases>,
        ring: KeyRing,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let [near, waiting] = [Arc::clone(&tiered), Arc::clone(&tiered)];
        register_entries(move || near.near().entries, registry)?;
        let help = "Verdicts that wait for the canaries after them.";
        let waiting = Box::new(move || waiting.waiting() as f64);
        registry.register(Box::new(PullingGauge::new("lazaret_cache_unproven", help, waiting)?))?;
        let store: Arc<dyn VerdictStore> = Arc::clone(&tiered) as _;
        let usage = UsageLog::register(registry)?;
        Ok(Self { store, tiered: Some(tiered), leases, ring, usage, lookups: lookups(registry)? })
    }
}

fn register_entries(entries: impl Fn() -> u64 + Send + Sync + 'static, registry: &Registry) -> prometheus::Result<()> {
    let help = "Entries of the verdict cache in memory.";
    let entries = PullingGauge::new("lazaret_cache_entries", help, Box::new(move || entries() as f64))?;
    registry.register(Box::new(entries))
}

fn lookups(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Verdict look-ups; stale is a miss for its age of signatures, foreign one for its engines.";
    let lookups = IntCounterVec::new(Opts::new("lazaret_cache_lookups_total", help), &["result"])?;
    for result in RESULTS {
        lookups.with_label_values(&[result]);
    }
    registry.register(Box::new(lookups.clone()))?;
    Ok(lookups)
}

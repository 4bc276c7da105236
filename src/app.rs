//! The composition root: every part is built here, in the order of dependency, and nowhere else.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};

use crate::{
    admin,
    audit::Audit,
    cache::VerdictCache,
    clock::Clock,
    config::Config,
    crypto::envelope::EnvelopeKeys,
    engine::{Engine, Role, Tally, clamd::Clamd, exec::Exec, icap::Icap, panel::Panel},
    http,
    inspect::{Inspector, Stages},
    lifecycle::{self, Lifecycle},
    policy,
    reload::{PolicyFiles, PolicySource, Reloader},
    spool::Spooler,
    telemetry,
    upstream::{Origin, redirect::Follower},
    verdict::Heuristics,
};

/// How long parts may take to end once they are told to: a disk that hangs keeps no process.
const ENDING: Duration = Duration::from_secs(20);

/// A Lazaret that has bound its addresses and is about to serve.
pub struct App {
    public: TcpListener,
    admin: TcpListener,
    tls: Option<http::Tls>,
    context: Arc<http::Context>,
    engine: Arc<dyn Engine>,
    reloader: Reloader,
    registry: prometheus::Registry,
    lifecycle: Lifecycle,
    shutdown: lifecycle::Config,
}

impl App {
    /// Builds all parts and binds both listeners.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        Self::build_with(config, Clock::default()).await
    }

    /// The same, with policies that begin and end by another clock.
    pub async fn build_with(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let registry = telemetry::metrics::registry()?;
        let lifecycle = Lifecycle::default();
        let cache = VerdictCache::open(&config.cache, &registry).await?;
        let audit = Audit::register(&config.audit, &registry)?;
        let source = PolicySource::new(&config.policy, Some(cache.keys().clone()), Some(engine_names(&config)))
            .of_server(config.homeserver.server_name.is_some());
        let policy = source.read(clock.now()).map_err(anyhow::Error::msg)?;
        let relied = policy.relies_on();
        let policy = Arc::new(policy::InForce::register(policy, clock.now(), &registry)?);
        let envelope = Arc::new(EnvelopeKeys::load_or_create(&config.crypto)?);
        let files = PolicyFiles::new(source, Arc::clone(&policy), clock.clone(), audit.clone());
        let reloader = Reloader::new(&config.crypto, Arc::clone(&envelope), files, &registry)?;
        reloader.tell_notes();
        let spool_dir = || format!("spool.dir {} cannot be used", config.spool.dir.display());
        let spooler = Arc::new(Spooler::open(&config.spool, config.limits.memory_bytes).with_context(spool_dir)?);
        spooler.register(&registry)?;
        let engine = engines(&config, relied, &spooler, &registry).await?;
        let origin = Origin::new(&config.homeserver, &config.direct, &registry)?;
        let follower = Follower::new(&config.redirects, config.homeserver.timeouts.connect, &registry)?;
        let stages = Stages {
            engine: Arc::clone(&engine),
            cache,
            audit,
            policy,
            clock,
            spooler: Arc::clone(&spooler),
            scan_timeout: config.clamd.scan_timeout,
        };
        let bounds = http::Bounds::new(&config.limits);
        bounds.register(&config.limits, &registry)?;
        let inspector = Inspector::new(stages, &config.inspect, lifecycle.tasks().clone(), &registry)?;
        inspector.first_look_at_overrides().await;
        let context = http::Context {
            origin,
            server_name: config.homeserver.server_name,
            inspector,
            spooler,
            envelope,
            follower,
            native: config.native,
            compat: http::compat::Compat::new(&config.compat),
            arrivals: http::Arrivals::default(),
            trusted: config.trusted_proxies,
            bounds,
            metrics: http::Metrics::register(&registry)?,
        };
        Ok(Self {
            public: bind("listen", config.listen).await?,
            admin: bind("admin.listen", config.admin.listen).await?,
            tls: http::Tls::load(&config.tls, &registry)?.map(|tls| tls.nudged_by(reloader.certificate())),
            context: Arc::new(context),
            engine,
            reloader,
            registry,
            lifecycle,
            shutdown: config.shutdown,
        })
    }

    /// Where the public side listens.
    pub fn public_addr(&self) -> std::io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// Where the operators' side listens.
    pub fn admin_addr(&self) -> std::io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Reads again what may change meanwhile.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Serves until a first message on `stops` (or until its senders are gone), then drains; a second one, or the
    /// deadline, ends the drain. True if nothing failed and nothing was cut off.
    pub async fn run(self, mut stops: mpsc::Receiver<()>) -> bool {
        let Self { public, admin, tls, context, engine, reloader, registry, lifecycle, shutdown } = self;
        let (asked, watched) = (reloader.clone(), Arc::clone(&engine));
        let inspector = Arc::clone(&context.inspector);
        let remembering = Arc::clone(&inspector);
        let health = admin::Context {
            engine: watched,
            inspector,
            lifecycle: lifecycle.clone(),
            reloader: asked,
            spooler: Arc::clone(&context.spooler),
            server_name: context.server_name.clone(),
            replays: Arc::new(Semaphore::new(1)),
            registry,
        };
        let stopped = lifecycle.dropping().clone();
        let (looking, ending, draining) = (stopped.clone(), stopped.clone(), lifecycle.draining().clone());
        let mut parts = JoinSet::new();
        parts.spawn(admin::serve(admin, health));
        parts.spawn(http::serve(public, tls, context, lifecycle.clone()));
        parts.spawn(async move { engine.watch(stopped).await });
        parts.spawn(async move { reloader.watch(looking).await });
        parts.spawn(async move { remembering.watch(draining, ending).await });
        let failed = tokio::select! {
            _ = stops.recv() => false,
            // No part ends before it is told to. Without canaries, for one, readiness would mean nothing.
            Some(part) = parts.join_next() => {
                tracing::error!(?part, "a part of the process ended by itself");
                true
            }
        };
        tracing::info!("draining");
        let again = async {
            if stops.recv().await.is_none() {
                // Nobody is left who could ask again.
                std::future::pending::<()>().await;
            }
        };
        let finished = lifecycle.stop(&shutdown, again).await;
        let finished = ended(parts).await && finished;
        if finished {
            tracing::info!("drained");
        } else {
            tracing::warn!("stopped before all had ended");
        }
        finished && !failed
    }
}

/// Waits for the ends of all parts; false if some do not end.
async fn ended(mut parts: JoinSet<()>) -> bool {
    let joining = async {
        while let Some(part) = parts.join_next().await {
            if let Err(error) = part {
                tracing::error!(%error, "a part of the process failed");
            }
        }
    };
    let ended = timeout(ENDING, joining).await.is_ok();
    if !ended {
        tracing::error!("a part of the process does not end");
    }
    ended
}

/// The names of all engines that are configured.
pub fn engine_names(config: &Config) -> Vec<String> {
    let clamd = (!config.clamd.backends.is_empty()).then(|| "clamd".to_owned());
    let execs = config.engines.exec.iter().map(|exec| exec.name.clone());
    let icaps = config.engines.icap.iter().map(|icap| icap.name.clone());
    clamd.into_iter().chain(execs).chain(icaps).collect()
}

/// All engines that are configured, as one.
async fn engines(
    config: &Config,
    relied: Heuristics,
    spooler: &Arc<Spooler>,
    registry: &prometheus::Registry,
) -> anyhow::Result<Arc<dyn Engine>> {
    let tally = Tally::register(registry)?;
    let mut engines: Vec<(Role, Arc<dyn Engine>)> = Vec::new();
    if !config.clamd.backends.is_empty() {
        let clamd = Clamd::new(&config.clamd, &config.limits, relied, spooler, &tally, registry)?;
        let first =
            clamd.first_look().await.map_err(anyhow::Error::msg).context("no clamd keeps what the policy promises");
        match config.clamd.role {
            Role::Required => first?,
            Role::Advisory => drop(first.inspect_err(|error| tracing::warn!("{error:#}"))),
        }
        engines.push((config.clamd.role, Arc::new(clamd)));
    }
    for exec in &config.engines.exec {
        let engine = Exec::new(exec, &config.limits, spooler, &tally)
            .with_context(|| format!("engines.exec `{}`", exec.name))?;
        engines.push((exec.role, Arc::new(engine)));
    }
    for icap in &config.engines.icap {
        let engine =
            Icap::new(icap, &config.limits, &tally).with_context(|| format!("engines.icap `{}`", icap.name))?;
        engines.push((icap.role, Arc::new(engine)));
    }
    Ok(Panel::of(engines, config.engines.advisory_wait))
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {key} {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "{key}");
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_that_never_ends_does_not_keep_the_process() {
        let mut parts = JoinSet::new();
        parts.spawn(ready(()));
        assert!(ended(parts).await);
        let mut parts = JoinSet::new();
        parts.spawn(pending());
        parts.spawn(ready(()));
        assert!(!ended(parts).await);
    }
}

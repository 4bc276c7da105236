//! The composition root: every part is built here, in the order of dependency, and nowhere else.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use crate::{
    admin,
    cache::{VerdictCache, key::KeyRing},
    config::Config,
    crypto::envelope::EnvelopeKey,
    engine::{Engine, clamd::Clamd},
    http,
    inspect::{Inspector, Stages},
    lifecycle::{self, Lifecycle},
    policy::Policy,
    spool::Spooler,
    telemetry,
    upstream::{Upstream, redirect::Follower},
};

/// A Lazaret that has bound its addresses and is about to serve.
pub struct App {
    public: TcpListener,
    admin: TcpListener,
    tls: Option<http::Tls>,
    context: Arc<http::Context>,
    engine: Arc<dyn Engine>,
    registry: prometheus::Registry,
    lifecycle: Lifecycle,
    shutdown: lifecycle::Config,
}

impl App {
    /// Builds all parts and binds both listeners.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let registry = telemetry::metrics::registry()?;
        let lifecycle = Lifecycle::default();
        let policy = Policy::load(&config.policy)?;
        let envelope = EnvelopeKey::load_or_create(&config.crypto)?;
        let spool_dir = || format!("spool.dir {} cannot be used", config.spool.dir.display());
        let spooler = Arc::new(Spooler::open(&config.spool, config.limits.memory_bytes).with_context(spool_dir)?);
        spooler.register(&registry)?;
        let clamd = Clamd::new(&config.clamd, &config.limits, policy.relies_on(), &spooler, &registry)?;
        clamd.first_look().await.map_err(anyhow::Error::msg).context("no clamd keeps what the policy promises")?;
        let engine: Arc<dyn Engine> = Arc::new(clamd);
        let url = config.homeserver.url.clone().context("homeserver.url is not set")?;
        let upstream = Upstream::new(url, &config.homeserver, &registry)?;
        let follower = Follower::new(&config.redirects, config.homeserver.timeouts.connect, &registry)?;
        let stages = Stages {
            engine: Arc::clone(&engine),
            cache: VerdictCache::new(&config.cache, &registry)?,
            keys: KeyRing::ephemeral()?,
            policy,
            spooler: Arc::clone(&spooler),
            scan_timeout: config.clamd.scan_timeout,
        };
        let bounds = http::Bounds::new(&config.limits);
        bounds.register(&config.limits, &registry)?;
        let context = http::Context {
            upstream,
            inspector: Inspector::new(stages, &config.inspect, lifecycle.tasks().clone(), &registry)?,
            spooler,
            envelope,
            follower,
            native: config.native,
            arrivals: http::Arrivals::default(),
            trusted: config.trusted_proxies,
            bounds,
            metrics: http::Metrics::register(&registry)?,
        };
        Ok(Self {
            public: bind("listen", config.listen).await?,
            admin: bind("admin.listen", config.admin.listen).await?,
            tls: http::Tls::load(&config.tls, &registry)?,
            context: Arc::new(context),
            engine,
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

    /// Serves until a first message on `stops` (or until its senders are gone), then drains; a second one, or the
    /// deadline, ends the drain. True if nothing failed and nothing was cut off.
    pub async fn run(self, mut stops: mpsc::Receiver<()>) -> bool {
        let Self { public, admin, tls, context, engine, registry, lifecycle, shutdown } = self;
        let health = admin::Context { engine: Arc::clone(&engine), lifecycle: lifecycle.clone(), registry };
        let stopped = lifecycle.dropping().clone();
        let mut parts = JoinSet::new();
        parts.spawn(admin::serve(admin, health));
        parts.spawn(http::serve(public, tls, context, lifecycle.clone()));
        parts.spawn(async move { engine.watch(stopped).await });
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
        while let Some(part) = parts.join_next().await {
            if let Err(error) = part {
                tracing::error!(%error, "a part of the process failed");
            }
        }
        if finished {
            tracing::info!("drained");
        } else {
            tracing::warn!("stopped before all requests had ended");
        }
        finished && !failed
    }
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {key} {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "{key}");
    Ok(listener)
}

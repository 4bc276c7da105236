//! TLS on the public listener, with a certificate that is replaced while connections go on.
//!
//! Without a certificate Lazaret speaks plain HTTP, for use behind a front proxy.

mod pair;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Duration,
};

use anyhow::Context as _;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use self::pair::{Contents, Files, Pair};

/// `tls` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// PEM file with the certificate and those that lead from it to an authority. Unset: plain HTTP.
    pub certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub key: Option<PathBuf>,
    /// Time between two looks at these files.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { certificate: None, key: None, reload_interval: Duration::from_mins(1) }
    }
}

impl Config {
    fn files(&self) -> Option<Files> {
        Some(Files { certificate: self.certificate.clone()?, key: self.key.clone()? })
    }
}

/// Proves that the files that the settings name load and belong together, and gives what is wrong with them all the
/// same.
pub fn check(config: &Config) -> anyhow::Result<Option<String>> {
    let Some(files) = config.files() else { return Ok(None) };
    let pair = files.read()?.load(&provider()).with_context(|| files.to_string())?;
    Ok(pair.expiry.filter(|expiry| *expiry <= now()).map(|_| format!("{files}: the certificate has expired")))
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().expect("no panic while held")))
    }
}

/// Speaks TLS with clients.
pub struct Tls {
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    files: Files,
    interval: Duration,
    /// Asks for a look before its time.
    nudge: Arc<Notify>,
    /// What was last seen in the files; nothing if they could not be read.
    seen: Option<[u8; 32]>,
    reloads: IntCounterVec,
    expiry: IntGauge,
}

impl Tls {
    /// Loads the certificate, if one is configured.
    pub fn load(config: &Config, registry: &Registry) -> anyhow::Result<Option<Self>> {
        let Some(files) = config.files() else { return Ok(None) };
        let provider = provider();
        let contents = files.read()?;
        let pair = contents.load(&provider).with_context(|| files.to_string())?;
        let current = Arc::new(Current(RwLock::new(Arc::clone(&pair.certified))));
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let mut server =
            builder.with_no_client_auth().with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let (reloads, expiry) = register(registry)?;
        let tls = Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            provider,
            current,
            interval: config.reload_interval,
            nudge: Arc::default(),
            seen: Some(contents.digest()),
            files,
            reloads,
            expiry,
        };
        tls.observe(&pair);
        Ok(Some(tls))
    }

    /// Has the files looked at whenever `nudge` is notified, too.
    #[must_use]
    pub fn nudged_by(self, nudge: Arc<Notify>) -> Self {
        Self { nudge, ..self }
    }

    /// What shakes hands with clients.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Looks at the files again and again, and has new connections get what is new in them. Does not end.
    pub(super) async fn watch(mut self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => (),
                () = self.nudge.notified() => (),
            }
            let files = self.files.clone();
            match tokio::task::spawn_blocking(move || files.read()).await {
                Ok(contents) => self.look(contents),
                Err(error) => tracing::error!(%error, "the TLS certificate cannot be looked at"),
            }
        }
    }

    /// Takes over a changed pair. One that does not load is warned about once, and the old one stays.
    fn look(&mut self, contents: anyhow::Result<Contents>) {
        let digest = contents.as_ref().ok().map(Contents::digest);
        if digest == self.seen {
            return;
        }
        self.seen = digest;
        let outcome = match contents.and_then(|contents| contents.load(&self.provider)) {
            Ok(pair) => {
                self.observe(&pair);
                *self.current.0.write().expect("no panic while held") = pair.certified;
                tracing::info!(files = %self.files, "TLS certificate replaced");
                "loaded"
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, files = %self.files, "the changed TLS certificate is not usable; the old one stays");
                "failed"
            }
        };
        self.reloads.with_label_values(&[outcome]).inc();
    }

    fn observe(&self, pair: &Pair) {
        self.expiry.set(pair.expiry.unwrap_or_default());
        if pair.expiry.is_some_and(|expiry| expiry <= now()) {
            tracing::warn!(files = %self.files, "the TLS certificate has expired");
        }
    }
}

/// A connection after its handshake.
pub(super) type Secured = TlsStream<TcpStream>;

/// Shakes hands, within `limit`.
pub(super) async fn handshake(acceptor: &TlsAcceptor, stream: TcpStream, limit: Duration) -> io::Result<Secured> {
    tokio::time::timeout(limit, acceptor.accept(stream)).await.map_err(io::Error::from).flatten()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn register(registry: &Registry) -> prometheus::Result<(IntCounterVec, IntGauge)> {
    let reloads = Opts::new("lazaret_tls_reloads_total", "Changes of the TLS certificate's files, by outcome.");
    let reloads = IntCounterVec::new(reloads, &["outcome"])?;
    for outcome in ["loaded", "failed"] {
        reloads.with_label_values(&[outcome]);
    }
    let expiry = IntGauge::new(
        "lazaret_tls_certificate_expiry_timestamp_seconds",
        "When the TLS certificate expires; 0 if that cannot be told.",
    )?;
    registry.register(Box::new(reloads.clone()))?;
    registry.register(Box::new(expiry.clone()))?;
    Ok((reloads, expiry))
}

#[cfg(test)]
mod tests;

//! One clamd: its health, its slots and a scan on it.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Address, Config,
    canary::Canary,
    conn::{self, ConnError, Transfer},
    protocol::Reply,
};
use crate::{
    engine::{EngineError, Scan},
    plaintext::Plaintext,
    spool::{Spool, Spooler},
    verdict::{Epoch, Provenance, Verdict},
};

/// What is known of a clamd that passed its canaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// Its VERSION reply: engine and signature database.
    pub epoch: Epoch,
    /// The way by which the canaries passed, and by which scans go.
    pub transfer: Transfer,
}

/// One clamd.
pub(super) struct Backend {
    address: Address,
    slots: Semaphore,
    slot_count: usize,
    queue_timeout: Duration,
    probe_timeout: Duration,
    health: Mutex<Option<Health>>,
    /// How often it was taken out, so that a scan can tell whether it was meanwhile.
    ejections: AtomicU64,
    probed: AtomicBool,
    spooler: Arc<Spooler>,
}

impl Backend {
    pub(super) fn new(address: Address, config: &Config, spooler: &Arc<Spooler>) -> Self {
        Self {
            address,
            spooler: Arc::clone(spooler),
            slots: Semaphore::new(config.max_scans.get()),
            slot_count: config.max_scans.get(),
            queue_timeout: config.queue_timeout,
            probe_timeout: config.probe_timeout,
            health: Mutex::new(None),
            ejections: AtomicU64::new(0),
            probed: AtomicBool::new(false),
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Scans under way.
    pub(super) fn slots_in_use(&self) -> usize {
        self.slot_count - self.slots.available_permits()
    }

    /// What is known of it; `None` while it is out.
    pub(super) fn health(&self) -> Option<Health> {
        self.health.lock().expect("no panic while held").clone()
    }

    /// Takes it out until its next canaries pass.
    pub(super) fn eject(&self) {
        self.set_health(None);
    }

    fn set_health(&self, health: Option<Health>) {
        let mut current = self.health.lock().expect("no panic while held");
        if health.is_none() {
            self.ejections.fetch_add(1, Ordering::SeqCst);
        }
        *current = health;
    }

    /// Scans `plaintext` on this clamd. A clean verdict counts only if it was not ejected meanwhile: a
    /// clamd that failed its canaries during a scan may have been broken when the scan began.
    pub(super) async fn scan(&self, plaintext: &Plaintext, deadline: Instant) -> Result<Scan, EngineError> {
        let _slot = self.slot(deadline).await?;
        let ejections = self.ejections.load(Ordering::SeqCst);
        let health = self.health().ok_or_else(|| self.failed(&"ejected while the scan was waiting"))?;
        let begun = Instant::now();
        let reply = timeout_at(deadline, conn::scan(&self.address, health.transfer, plaintext)).await;
        match reply.map_err(|_| EngineError::Timeout)? {
            Ok(Reply::Verdict(Verdict::Clean(_))) if self.ejections.load(Ordering::SeqCst) != ejections => {
                Err(self.failed(&"ejected during the scan"))
            }
            Ok(Reply::Verdict(verdict)) => {
                let (backend, took) = (self.address.to_string(), begun.elapsed());
                let bytes = plaintext.len();
                let provenance = Provenance { engine: super::NAME, backend, epoch: health.epoch, bytes, took };
                Ok(Scan { verdict, provenance })
            }
            Ok(Reply::Error(text)) => Err(self.failed(&text)),
            Err(error) => {
                if let ConnError::Connect(_) = error {
                    self.eject();
                }
                Err(self.failed(&error))
            }
        }
    }

    async fn slot(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, EngineError> {
        let until = deadline.min(Instant::now() + self.queue_timeout);
        let permit = timeout_at(until, self.slots.acquire()).await.map_err(|_| EngineError::Busy)?;
        Ok(permit.expect("never closed"))
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> EngineError {
        EngineError::Failed { backend: self.address.to_string(), why: why.to_string() }
    }

    /// True once: before its first canaries nothing is known of it, not even that it is out.
    pub(super) fn first_probe(&self) -> bool {
        !self.probed.swap(true, Ordering::Relaxed)
    }

    /// Puts it through the canaries and remembers the outcome.
    pub(super) async fn probe(&self) -> Result<(), String> {
        let outcome = match timeout(self.probe_timeout, self.examine()).await {
            Ok(outcome) => outcome,
            // It works on our scans; the canaries wait for a thread of it. A scan has a deadline of its own.
            Err(_) if self.health().is_some() && self.slots_in_use() > 0 => return Ok(()),
            Err(_) => Err(format!("no answer within {:?}", self.probe_timeout)),
        };
        let (health, result) = outcome.map_or_else(|why| (None, Err(why)), |healthy| (Some(healthy), Ok(())));
        self.set_health(health);
        result
    }

    async fn examine(&self) -> Result<Health, String> {
        let epoch = Epoch(self.version().await?);
        let transfer = match self.takes_descriptors().await {
            Ok(()) => Transfer::Descriptor,
            Err(Failure::Refused(why)) => {
                tracing::debug!(backend = %self.address, why, "no descriptors");
                self.canaries(Transfer::Stream, |bytes| Ok(Spool::of(bytes))).await.map_err(Failure::into_words)?;
                Transfer::Stream
            }
            Err(Failure::Broken(why)) => return Err(why),
        };
        Ok(Health { epoch, transfer })
    }

    /// Whether it reads what we pass to it, from memory and from the spool directory. A security module may forbid
    /// either: Debian's `AppArmor` profile lets clamd read some directories only. Streaming still works then.
    async fn takes_descriptors(&self) -> Result<(), Failure> {
        if let Address::Tcp(_) = self.address {
            return Err(Failure::Refused("not on this machine".to_owned()));
        }
        self.canaries(Transfer::Descriptor, |bytes| Ok(Spool::of(bytes))).await?;
        self.canaries(Transfer::Descriptor, |bytes| self.spooler.specimen_on_disk(bytes)).await
    }

    async fn canaries(
        &self,
        transfer: Transfer,
        hold: impl Fn(&[u8]) -> io::Result<Spool> + Send,
    ) -> Result<(), Failure> {
        for canary in Canary::ALL {
            let spool = hold(&canary.bytes()).map_err(|error| Failure::Broken(format!("spool.dir: {error}")))?;
            let plaintext = Plaintext::Held(Arc::new(spool));
            match conn::scan(&self.address, transfer, &plaintext).await {
                Ok(Reply::Verdict(verdict)) if canary.expects(&verdict) => (),
                Ok(Reply::Error(why)) => return Err(Failure::Refused(why)),
                Err(error @ (ConnError::Protocol(_) | ConnError::Lost(_))) => {
                    return Err(Failure::Refused(error.to_string()));
                }
                Ok(Reply::Verdict(verdict)) => {
                    return Err(Failure::Broken(format!("{canary:?} canary was called {}", verdict.name())));
                }
                Err(error) => return Err(Failure::Broken(error.to_string())),
            }
        }
        Ok(())
    }

    async fn version(&self) -> Result<String, String> {
        let reply = match &self.address {
            Address::Unix(socket_path) => {
                clamav_client::tokio::get_version(clamav_client::tokio::Socket { socket_path }).await
            }
            Address::Tcp(host_address) => {
                clamav_client::tokio::get_version(clamav_client::tokio::Tcp { host_address }).await
            }
        };
        let text = String::from_utf8_lossy(&reply.map_err(|error| error.to_string())?).into_owned();
        let version = text.trim_end_matches(['\0', '\n']);
        version
            .starts_with("ClamAV ")
            .then(|| version.to_owned())
            .ok_or_else(|| format!("unexpected VERSION {version:?}"))
    }
}

/// Why canaries did not pass.
enum Failure {
    /// It gave no verdict on what it was handed; it may on what is streamed to it.
    Refused(String),
    /// It gave a wrong verdict, or could not be asked at all.
    Broken(String),
}

impl Failure {
    fn into_words(self) -> String {
        match self {
            Self::Refused(why) | Self::Broken(why) => why,
        }
    }
}

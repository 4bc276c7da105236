//! One clamd: its health, its slots and a scan on it.

use std::{
    io,
    sync::{Arc, Mutex},
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
    verdict::{Epoch, Provenance},
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
        *self.health.lock().expect("no panic while held") = None;
    }

    /// Scans `plaintext` on this clamd.
    pub(super) async fn scan(
        &self,
        health: Health,
        plaintext: &Plaintext,
        deadline: Instant,
    ) -> Result<Scan, EngineError> {
        let _slot = self.slot(deadline).await?;
        let begun = Instant::now();
        let reply = timeout_at(deadline, conn::scan(&self.address, health.transfer, plaintext)).await;
        match reply.map_err(|_| EngineError::Timeout)? {
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

    /// Puts it through the canaries and remembers the outcome.
    pub(super) async fn probe(&self) -> Result<(), String> {
        let outcome = timeout(self.probe_timeout, self.examine()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.probe_timeout)));
        let mut health = self.health.lock().expect("no panic while held");
        let (known, result) = outcome.map_or_else(|why| (None, Err(why)), |healthy| (Some(healthy), Ok(())));
        *health = known;
        result
    }

    async fn examine(&self) -> Result<Health, String> {
        let epoch = Epoch(self.version().await?);
        let transfer = match self.takes_descriptors().await {
            Ok(()) => Transfer::Descriptor,
            Err(why) => {
                tracing::debug!(backend = %self.address, why, "no descriptors");
                self.canaries(Transfer::Stream, |bytes| Ok(Spool::of(bytes))).await?;
                Transfer::Stream
            }
        };
        Ok(Health { epoch, transfer })
    }

    /// Whether it reads what we pass to it, from memory and from the spool directory. A security module may forbid
    /// either: Debian's `AppArmor` profile lets clamd read some directories only. Streaming still works then.
    async fn takes_descriptors(&self) -> Result<(), String> {
        if let Address::Tcp(_) = self.address {
            return Err("not on this machine".to_owned());
        }
        self.canaries(Transfer::Descriptor, |bytes| Ok(Spool::of(bytes))).await?;
        self.canaries(Transfer::Descriptor, |bytes| self.spooler.specimen_on_disk(bytes)).await
    }

    async fn canaries(
        &self,
        transfer: Transfer,
        hold: impl Fn(&[u8]) -> io::Result<Spool> + Send,
    ) -> Result<(), String> {
        for canary in Canary::ALL {
            let spool = hold(&canary.bytes()).map_err(|error| error.to_string())?;
            let plaintext = Plaintext::Held(Arc::new(spool));
            match conn::scan(&self.address, transfer, &plaintext).await.map_err(|error| error.to_string())? {
                Reply::Verdict(verdict) if canary.expects(&verdict) => (),
                reply => return Err(format!("{canary:?} canary got {reply:?}")),
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

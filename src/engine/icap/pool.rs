//! Connections to one server, and who may use one.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};

use super::{
    config::Config,
    conn::{Answer, Conn, ConnError, Request},
    protocol::Head,
};
use crate::{plaintext::Plaintext, trust};

/// A connection that nobody used for so long is closed: before the server closes it, which it may do just as a scan begins.
const IDLE: Duration = Duration::from_secs(10);

/// Whom to trust for `icaps://`.
pub(super) fn roots(config: &Config) -> anyhow::Result<RootCertStore> {
    trust::roots(config.ca_file.as_deref(), "ca_file", config.url.tls)
}

/// Connections to one server.
pub(super) struct Pool {
    address: super::address::Address,
    tls: Arc<ClientConfig>,
    /// Those that may be used again, the one used last at the end.
    idle: Mutex<Vec<(Instant, Conn)>>,
    slots: Semaphore,
    /// Slots that there are, and at most.
    size: Mutex<usize>,
    most: usize,
}

impl Pool {
    /// Fails if it cannot be known whom to trust.
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let most = config.max_connections.get();
        Ok(Self {
            address: config.url.clone(),
            tls: Arc::new(trust::client(roots(config)?)?),
            idle: Mutex::default(),
            slots: Semaphore::new(most),
            size: Mutex::new(most),
            most,
        })
    }

    /// Waits for its turn; `None` if it did not come in time.
    pub(super) async fn slot(&self, until: Instant) -> Option<SemaphorePermit<'_>> {
        Some(timeout_at(until, self.slots.acquire()).await.ok()?.expect("never closed"))
    }

    /// Scans that it takes at a time.
    pub(super) fn size(&self) -> usize {
        *self.size.lock().expect("no panic while held")
    }

    /// Scans under way.
    pub(super) fn taken(&self) -> usize {
        self.size.lock().expect("no panic while held").saturating_sub(self.slots.available_permits())
    }

    /// Takes note of how many connections the server takes. One is left for canaries, which must not wait for scans.
    pub(super) fn offered(&self, connections: Option<usize>) {
        let wanted = connections.map_or(self.most, |all| all.saturating_sub(1).clamp(1, self.most));
        let mut size = self.size.lock().expect("no panic while held");
        if wanted > *size {
            self.slots.add_permits(wanted - *size);
            *size = wanted;
        } else {
            // Those in use go with the next offer.
            *size -= self.slots.forget_permits(*size - wanted);
        }
    }

    /// Asks what the service offers.
    pub(super) async fn options(&self) -> Result<Head, ConnError> {
        // Whether it can be connected to is part of the question.
        let mut conn = Conn::open(&self.address, &self.tls).await?;
        conn.options(&self.address).await
    }

    /// Has the server look at `plaintext`. A server may close an idle connection just when it is to be used: then, and only
    /// then, another one is tried.
    pub(super) async fn scan(
        &self,
        request: &Request,
        plaintext: &Plaintext,
        handed: &AtomicBool,
    ) -> Result<Answer, ConnError> {
        if let Some(mut conn) = self.reused() {
            match conn.scan(request, plaintext, handed).await {
                Err(ConnError::Empty) => handed.store(false, Ordering::SeqCst),
                outcome => return Ok(self.keep(outcome?, conn)),
            }
        }
        let mut conn = Conn::open(&self.address, &self.tls).await?;
        let answer = conn.scan(request, plaintext, handed).await?;
        Ok(self.keep(answer, conn))
    }

    fn keep(&self, answer: Answer, conn: Conn) -> Answer {
        let mut idle = self.idle();
        if answer.reusable && idle.len() < self.most {
            idle.push((Instant::now(), conn));
        }
        answer
    }

    fn reused(&self) -> Option<Conn> {
        let mut idle = self.idle();
        idle.retain(|(since, _)| since.elapsed() < IDLE);
        while let Some((_, mut conn)) = idle.pop() {
            if conn.is_quiet() {
                return Some(conn);
            }
        }
        None
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, Conn)>> {
        self.idle.lock().expect("no panic while held")
    }
}

impl ConnError {
    /// True if a server that dies of a medium looks like this.
    pub(super) fn may_be_a_death(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Lost(error) => error.kind() != io::ErrorKind::TimedOut,
            _ => false,
        }
    }
}

//! Antivirus engines.
//!
//! An engine either gives a [`Verdict`] on exact bytes or fails with an [`EngineError`]. There is
//! no third way: silence, a closed socket or an unknown reply is a failure, and a failure is neither clean nor infected.
//! To add an engine, implement [`Engine`] in a module of its own and build it in `app`.

pub mod clamd;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    plaintext::Plaintext,
    verdict::{Epoch, Provenance, Verdict},
};

/// What an engine said and from what knowledge.
#[derive(Debug)]
pub struct Scan {
    /// What it said.
    pub verdict: Verdict,
    /// Which engine, in which state.
    pub provenance: Provenance,
}

/// Why an engine gave no verdict. Never cached.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// No instance is healthy.
    #[error("no engine is available")]
    Unavailable,
    /// All slots stayed taken for as long as a scan may wait for one.
    #[error("all engine slots are taken")]
    Busy,
    /// The deadline passed.
    #[error("the engine did not answer in time")]
    Timeout,
    /// The instance failed on this scan.
    #[error("{backend}: {why}")]
    Failed {
        /// The instance's address.
        backend: String,
        /// What went wrong, in words for the log.
        why: String,
    },
}

/// An antivirus product that looks at bytes.
pub trait Engine: Send + Sync {
    /// Scans all bytes of `plaintext`, answering before `deadline`.
    fn scan<'a>(&'a self, plaintext: &'a Plaintext, deadline: Instant) -> BoxFuture<'a, Result<Scan, EngineError>>;

    /// The state that its verdicts depend on, as last seen; `None` before it was seen at all.
    fn epoch(&self) -> Option<Epoch>;

    /// True while an instance has proven that it tells clean from infected.
    fn ready(&self) -> bool;

    /// Keeps proving it, until `stop`.
    fn watch(&self, stop: CancellationToken) -> BoxFuture<'_, ()>;
}

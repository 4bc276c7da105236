//! A conversation with clamd that goes on when nobody waits for it any more.
//!
//! clamd finishes a scan that it has begun, whether its client is there or not, and is busy until then. So the
//! conversation holds the slot and runs as a task of its own; whoever gives it up leaves an orphan, which is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    address::Address,
    conn::{self, ConnError, Route},
    metrics::Metrics,
    protocol::Said,
    slots::Slot,
};
use crate::plaintext::Plaintext;

const RUNNING: u8 = 0;
const ABANDONED: u8 = 1;
const DONE: u8 = 2;

/// Why there is no reply.
pub(super) enum Missing {
    /// The conversation failed; `handed` as below.
    Failed {
        /// How.
        error: ConnError,
        /// clamd had the bytes by then.
        handed: bool,
    },
    /// The deadline passed; `handed` tells whether clamd had all bytes by then.
    Late {
        /// clamd has the bytes and works on them.
        handed: bool,
    },
}

/// A scan under way.
pub(super) struct Errand {
    task: JoinHandle<(Result<Said, ConnError>, Slot)>,
    shared: Arc<Shared>,
}

struct Shared {
    /// clamd has all it needs, and cannot be stopped.
    handed: AtomicBool,
    state: AtomicU8,
    backend: String,
    metrics: Arc<Metrics>,
}

impl Errand {
    /// Sends `plaintext` to clamd. `longest` is how long the slot stays taken if no reply ever comes.
    pub(super) fn start(
        address: Address,
        route: Route,
        plaintext: Plaintext,
        slot: Slot,
        longest: Duration,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let shared = Arc::new(Shared {
            handed: AtomicBool::new(false),
            state: AtomicU8::new(RUNNING),
            backend: address.to_string(),
            metrics: Arc::clone(metrics),
        });
        let ours = Ending(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let conversation = conn::scan(&address, route, &plaintext, &ours.0.handed);
            let outcome = timeout(longest, conversation).await.unwrap_or_else(|_| {
                tracing::warn!(backend = %address, scan = %plaintext.spool().id(), "an abandoned scan never ended");
                Err(ConnError::Lost(std::io::ErrorKind::TimedOut.into()))
            });
            (outcome, slot)
        });
        Self { task, shared }
    }

    /// The reply, if it comes in time, and with it the slot.
    pub(super) async fn reply(mut self, deadline: Instant) -> (Result<Said, Missing>, Option<Slot>) {
        let ended = timeout_at(deadline, &mut self.task).await;
        let handed = self.shared.handed.load(Ordering::SeqCst);
        match ended {
            Ok(Ok((outcome, slot))) => (outcome.map_err(|error| Missing::Failed { error, handed }), Some(slot)),
            Ok(Err(error)) => {
                let error = ConnError::Lost(std::io::Error::other(error));
                (Err(Missing::Failed { error, handed }), None)
            }
            Err(_) => (Err(Missing::Late { handed }), None),
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if !self.shared.handed.load(Ordering::SeqCst) {
            // clamd drops a stream that breaks off.
            self.task.abort();
        } else if self.shared.state.compare_exchange(RUNNING, ABANDONED, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.shared.metrics.orphaned(&self.shared.backend);
        }
    }
}

/// Marks the end of the task, however it ends.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.state.swap(DONE, Ordering::SeqCst) == ABANDONED {
            self.0.metrics.orphan_ended(&self.0.backend);
        }
    }
}

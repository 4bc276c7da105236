//! From the first signal to the last byte: readiness, drain, deadline.
//!
//! 1. A signal (or the caller of [`Lifecycle::stop`]) marks the process as draining: `/readyz` fails.
//! 2. After `shutdown.delay`, in which load balancers notice, listeners close; requests under way go on.
//! 3. At `shutdown.deadline`, or at a second signal, what is still there is dropped.

use std::{io, time::Duration};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::Deserialize;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// `shutdown` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Time between failing readiness and closing the listeners.
    #[serde(with = "humantime_serde")]
    pub delay: Duration,
    /// Longest time for requests under way, counted from closing the listeners.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { delay: Duration::ZERO, deadline: Duration::from_secs(30) }
    }
}

/// The tokens that everything long-lived watches, and the tasks that must end before the process does.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    closing: CancellationToken,
    dropping: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// Cancelled when readiness must fail.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled when nothing new is to be taken on.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Cancelled when what is under way must end at once.
    pub fn dropping(&self) -> &CancellationToken {
        &self.dropping
    }

    /// Connections and scans under way.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Goes through all steps; `again` is a second request to stop. True if everything ended by itself.
    pub async fn stop(&self, config: &Config, again: impl Future<Output = ()>) -> bool {
        self.draining.cancel();
        self.tasks.close();
        let gently = async {
            sleep(config.delay).await;
            self.closing.cancel();
            timeout(config.deadline, self.tasks.wait()).await.is_ok()
        };
        let finished = tokio::select! {
            finished = gently => finished,
            () = again => false,
        };
        self.closing.cancel();
        self.dropping.cancel();
        finished
    }
}

/// Forbids core dumps, of this process and of those that it starts: they would put keys and plaintext on a disk.
pub fn forbid_core_dumps() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// One message for each SIGTERM or SIGINT. The first asks for a drain, the second for an end.
pub fn signals() -> io::Result<mpsc::Receiver<()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// One message for one or more SIGHUPs, which do not end the process from here on.
pub fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn config(deadline: Duration) -> Config {
        Config { delay: Duration::from_millis(1), deadline }
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_fails_first_and_a_task_may_finish() {
        let lifecycle = Lifecycle::default();
        let watched = lifecycle.clone();
        lifecycle.tasks().spawn(async move {
            watched.draining().cancelled().await;
            assert!(!watched.closing().is_cancelled());
            watched.closing().cancelled().await;
        });
        assert!(lifecycle.stop(&config(Duration::from_secs(30)), pending()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn deadline_and_second_signal_end_what_does_not_end() {
        for again in [false, true] {
            let lifecycle = Lifecycle::default();
            lifecycle.tasks().spawn(pending::<()>());
            let config = config(Duration::from_hours(1));
            let finished =
                if again { lifecycle.stop(&config, ready(())).await } else { lifecycle.stop(&config, pending()).await };
            assert!(!finished && lifecycle.dropping().is_cancelled());
        }
    }
}

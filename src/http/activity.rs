//! How long a connection has had nothing to do.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// The requests of one connection.
#[derive(Clone)]
pub(super) struct Activity(Arc<Mutex<State>>);

struct State {
    under_way: usize,
    /// When the connection was opened, or its last request ended.
    idle_since: Instant,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { under_way: 0, idle_since: Instant::now() })))
    }

    /// Begins a request, which ends when the guard goes.
    pub(super) fn begin(&self) -> Busy {
        self.0.lock().expect("no panic while held").under_way += 1;
        Busy(self.clone())
    }

    /// Waits until there was no request for `limit`. hyper watches the time of a head on HTTP/1 only, and only once it
    /// knows by some bytes that it is HTTP/1.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let due = {
                let state = self.0.lock().expect("no panic while held");
                if state.under_way == 0 { state.idle_since + limit } else { now + limit }
            };
            if due <= now {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// A request that is being answered.
pub(super) struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().expect("no panic while held");
        state.under_way -= 1;
        state.idle_since = Instant::now();
    }
}

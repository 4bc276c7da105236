//! Coalescing: what several requests want to know at once is found out once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio_util::task::TaskTracker;

use super::{InspectError, Judgement};
use crate::cache::key::Key;

/// What an inspection gives.
pub(super) type Outcome = Result<Judgement, InspectError>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// What is inspected, and which engines have to be heard besides those that always are.
pub(super) type Name = (Key, Option<Arc<[Arc<str>]>>);

/// Inspections under way, by what they inspect. An attachment and its plaintext have different keys, so the inspection
/// of one can wait for that of the other.
pub(super) struct Flights {
    under_way: Arc<Mutex<HashMap<Name, Flight>>>,
    tasks: TaskTracker,
}

impl Flights {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { under_way: Arc::default(), tasks }
    }

    /// Joins the inspection of `name`, or starts `work`. It runs in a task of its own: a client that leaves takes nothing
    /// with it, and the next one finds the verdict or the running inspection. Dropping the returned future is safe.
    pub(super) async fn join<W>(&self, name: Name, work: impl FnOnce() -> W) -> Outcome
    where
        W: Future<Output = Outcome> + Send + 'static,
    {
        // Who joins a flight lets go of what its own work would have needed, a plaintext in memory for one.
        self.board(name, work).await
    }

    fn board<W>(&self, name: Name, work: impl FnOnce() -> W) -> Flight
    where
        W: Future<Output = Outcome> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().expect("no panic while held");
        match under_way.get(&name) {
            Some(flight) => flight.clone(),
            None => {
                let flight = self.launch(name.clone(), work());
                under_way.insert(name, flight.clone());
                flight
            }
        }
    }

    fn launch(&self, name: Name, work: impl Future<Output = Outcome> + Send + 'static) -> Flight {
        let landing = Landing { name, under_way: Arc::clone(&self.under_way) };
        let task = self.tasks.spawn(async move {
            let _landing = landing;
            work.await
        });
        async move { task.await? }.boxed().shared()
    }
}

/// Takes a flight off the list when it ends, however it ends.
struct Landing {
    name: Name,
    under_way: Arc<Mutex<HashMap<Name, Flight>>>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.under_way.lock().expect("no panic while held").remove(&self.name);
    }
}

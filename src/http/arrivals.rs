//! Media on their way in: what several clients want at once is spooled once.
//!
//! Each of them asks the homeserver for itself, and only who is answered 200 comes this far: what is shared is the body,
//! never the permission. Errors are not shared either: who waited in vain for another's body takes its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use ulid::Ulid;

use crate::{body::ReceiveError, inspect::Location, spool::Spool};

type Outcome = Result<Arc<Spool>, Arc<ReceiveError>>;
type Receiving = BoxFuture<'static, Outcome>;

/// What is asked for, and how long it is said to be.
type Name = (Location, Option<u64>);

/// Bodies that are being received. Whoever waits for one keeps it going; when the last has left, it ends.
#[derive(Clone, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<Name, Arriving>>>);

/// A body on its way, told from later ones of the same name.
type Arriving = (Ulid, WeakShared<Receiving>);

impl Arrivals {
    /// The body that is arriving at a location, or else the one that `receive` gives.
    pub(super) async fn join<R>(&self, name: Name, receive: impl FnOnce() -> R) -> Outcome
    where
        R: Future<Output = Result<Spool, ReceiveError>> + Send + 'static,
    {
        let (id, receiving) = (Ulid::generate(), receive());
        let landing = Landing { name, id, arrivals: self.clone() };
        let receiving = async move {
            let _landing = landing;
            receiving.await.map(Arc::new).map_err(Arc::new)
        };
        let own = receiving.boxed().shared();
        while let Some(others) = self.board(name, id, &own) {
            if let Ok(spool) = others.await
                && name.1.is_none_or(|len| len == spool.len())
            {
                return Ok(spool);
            }
        }
        own.await
    }

    /// The body that is arriving already; else this one is put on the list.
    fn board(&self, name: Name, id: Ulid, own: &Shared<Receiving>) -> Option<Shared<Receiving>> {
        let mut arriving = self.0.lock().expect("no panic while held");
        let others = arriving.get(&name).and_then(|(_, weak)| weak.upgrade());
        if let (None, Some(weak)) = (&others, own.downgrade()) {
            arriving.insert(name, (id, weak));
        }
        others
    }
}

/// Takes a body off the list when it has arrived, or nobody waits for it any more.
struct Landing {
    name: Name,
    id: Ulid,
    arrivals: Arrivals,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut arriving = self.arrivals.0.lock().expect("no panic while held");
        if arriving.get(&self.name).is_some_and(|(id, _)| *id == self.id) {
            arriving.remove(&self.name);
        }
    }
}

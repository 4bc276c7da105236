//! The file while it is open, and how it comes to be open again.

use std::{
    mem,
    sync::{Arc, RwLock},
    time::SystemTime,
};

use redb::{CompactionError, Database, Durability, WriteTransaction};

use super::{
    OnCorruption,
    file::{Fault, Place, attempt},
    layout::{Layout, Limits},
    metrics::Metrics,
    queue::Batch,
    slots::{Draft, Snapshot},
};
use crate::cache::{codec::Codec, key::Key};

/// A file is made smaller at the start if it is larger than this, and less than half of it is in use.
const WORTHWHILE: u64 = 16 << 20;

/// And if what is in use is not more than this, which takes a few seconds to move.
const MOVABLE: u64 = 256 << 20;

/// The file while it is open.
pub(super) struct Opened {
    database: Database,
    /// Which opening of it this is.
    pub(super) number: u64,
}

impl Opened {
    pub(super) fn read<T>(&self, work: impl FnOnce(&Snapshot) -> Result<T, redb::Error>) -> Result<T, Fault> {
        attempt(|| work(&Snapshot::of(&self.database)?))
    }
}

/// Where the file is, what may be in it, and the file itself if it is open.
pub(super) struct Shelf {
    pub(super) place: Place,
    pub(super) on_corruption: OnCorruption,
    pub(super) limits: Limits,
    pub(super) codec: Codec,
    /// Under which it is kept what secret everything was made under.
    pub(super) marker: Key,
    pub(super) metrics: Metrics,
    pub(super) opened: RwLock<Option<Arc<Opened>>>,
}

impl Shelf {
    pub(super) fn opened(&self) -> Option<Arc<Opened>> {
        self.opened.read().expect("no panic while held").clone()
    }

    /// Opens the file; a damaged one is set aside for an empty one, if that is wanted.
    pub(super) fn open(&self, number: u64) -> Result<(), Fault> {
        let database = self.open_as_it_is().or_else(|fault| self.begin_anew(&fault))?;
        *self.opened.write().expect("no panic while held") = Some(Arc::new(Opened { database, number }));
        Ok(())
    }

    fn begin_anew(&self, fault: &Fault) -> Result<Database, Fault> {
        self.set_aside(fault)?;
        self.open_as_it_is()
    }

    /// Gives it up as damaged, if it is and that is wanted. Gives back what stands in the way.
    pub(super) fn set_aside(&self, fault: &Fault) -> Result<(), Fault> {
        let (Fault::Damaged { why, .. }, OnCorruption::StartEmpty) = (fault, self.on_corruption) else {
            return Err(fault.clone());
        };
        let refused = |error| Fault::Refused(format!("{why}; it cannot be set aside: {error}"));
        let aside = self.place.set_aside().map_err(refused)?;
        self.metrics.set_aside.inc();
        let (path, aside) = (self.place.path.display(), aside.display());
        tracing::error!(%path, set_aside = %aside, error = why, "the verdict store is damaged; an empty one is begun");
        Ok(())
    }

    fn open_as_it_is(&self) -> Result<Database, Fault> {
        let mut database = self.place.open()?;
        match attempt(|| self.prepare(&mut database)) {
            Ok(()) => Ok(database),
            Err(fault) => {
                close(database, &fault);
                Err(fault)
            }
        }
    }

    /// Writes only what is not there, so that a full disk does not matter.
    fn prepare(&self, database: &mut Database) -> Result<(), redb::Error> {
        let transaction = begin(database)?;
        let mut draft = Draft::of(&transaction, self.limits, SystemTime::now())?;
        let is_ours = draft.is_ours(&self.codec, self.marker)?;
        if !is_ours {
            let path = self.place.path.display();
            tracing::warn!(%path, "the verdict store was made under another secret; what is in it is forgotten");
            draft.clear()?;
            draft.clear_singles()?;
        }
        draft.tidy()?;
        let is_changed = draft.dropped > 0 || !is_ours || !draft.is_marked()?;
        self.metrics.dropped.inc_by(draft.dropped);
        if is_changed {
            draft.mark(&self.codec, self.marker)?;
        }
        let layout = draft.finish(is_changed)?;
        match is_changed {
            true => transaction.commit()?,
            false => transaction.abort()?,
        }
        self.compact(database, &layout)?;
        self.measure(&layout);
        Ok(())
    }

    fn compact(&self, database: &mut Database, layout: &Layout) -> Result<(), redb::Error> {
        let (there, used) = (self.place.bytes(), layout.extent());
        if there < WORTHWHILE || used > there / 2 || used > MOVABLE {
            return Ok(());
        }
        match database.compact() {
            Ok(_) => Ok(()),
            Err(CompactionError::Storage(error)) => Err(error.into()),
            // Nobody else is there, so there is no such error.
            Err(_) => Ok(()),
        }
    }

    fn measure(&self, layout: &Layout) {
        self.metrics.entries.set(layout.totals().0.try_into().unwrap_or(i64::MAX));
        self.metrics.bytes.set(self.place.bytes().try_into().unwrap_or(i64::MAX));
    }

    /// Writes changes to where they outlive the process and the system.
    pub(super) fn write(&self, batch: &Batch) -> Result<(), Fault> {
        let opened = self.opened().ok_or_else(|| Fault::Refused("it is not open".to_owned()))?;
        let layout = attempt(|| {
            let transaction = begin(&opened.database)?;
            let mut draft = Draft::of(&transaction, self.limits, SystemTime::now())?;
            if batch.clears {
                draft.clear()?;
            }
            draft.apply(&self.codec, &batch.changes)?;
            draft.tidy()?;
            let (dropped, unreadable) = (draft.dropped, draft.unreadable);
            let layout = draft.finish(true)?;
            transaction.commit()?;
            self.metrics.dropped.inc_by(dropped);
            self.metrics.unreadable.inc_by(unreadable);
            Ok(layout)
        })?;
        self.measure(&layout);
        Ok(())
    }

    /// True if there is something to be done though nobody wants anything.
    pub(super) fn has_expired(&self) -> bool {
        let read = |opened: Arc<Opened>| opened.read(|snapshot| Ok(snapshot.layout.has_expired(SystemTime::now())));
        self.opened().is_some_and(|opened| read(opened).unwrap_or(false))
    }

    /// Closes what is open. Who still reads in it keeps it from being closed until they are done.
    pub(super) fn close(&self, fault: Option<&Fault>) {
        let Some(opened) = self.opened.write().expect("no panic while held").take() else { return };
        match (Arc::try_unwrap(opened), fault) {
            (Ok(opened), Some(fault)) => close(opened.database, fault),
            (Ok(opened), None) => drop(attempt(|| Ok(opened.database.close()?))),
            (Err(shared), Some(Fault::Damaged { by_panic: true, .. })) => mem::forget(shared),
            (Err(_), _) => (),
        }
    }
}

/// What a panic has left is not touched again, not even to be closed.
fn close(database: Database, fault: &Fault) {
    match fault {
        Fault::Damaged { by_panic: true, .. } => mem::forget(database),
        _ => drop(attempt(|| Ok(database.close()?))),
    }
}

/// Commits of such transactions outlive everything, and what they leave can be opened without reading all of it.
fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate).expect("there are no savepoints");
    transaction.set_quick_repair(true);
    Ok(transaction)
}

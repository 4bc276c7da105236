//! The one who writes: a thread of its own, since a disk may keep it waiting for any time.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    file::Fault,
    queue::{Batch, Flush, Job, Queue},
    shelf::Shelf,
};
use crate::cache::store::StoreError;

/// What comes within this time is written together, unless somebody waits for it.
const PACE: Duration = Duration::from_millis(200);

/// How often it is looked whether something has expired, while nothing is written.
const TIDY: Duration = Duration::from_mins(1);

/// After what time it is tried again to write, first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The one who writes.
pub(super) struct Writer {
    pub(super) shelf: Arc<Shelf>,
    pub(super) queue: Arc<Queue>,
    /// Openings of the file so far.
    pub(super) openings: u64,
}

impl Writer {
    pub(super) fn run(mut self) {
        let mut begun = Instant::now();
        loop {
            let job = self.queue.next(begun + PACE, begun + TIDY);
            begun = Instant::now();
            let is_last = job.is_last;
            if !self.work(job) || is_last {
                break;
            }
        }
        self.shelf.close(None);
    }

    /// False if the end came before it was done.
    fn work(&mut self, Job { batch, flushes, fault, .. }: Job) -> bool {
        let fault = fault.filter(|(opening, _)| *opening == self.openings).map(|(_, fault)| fault);
        if batch.is_empty() && fault.is_none() && !self.shelf.has_expired() {
            answer(flushes, &Ok(()));
            return true;
        }
        let outcome = fault.map_or_else(|| self.shelf.write(&batch), Err);
        self.see_through(batch, flushes, outcome)
    }

    /// Tries again until it is written; once at once, and then after pauses.
    fn see_through(&mut self, mut batch: Arc<Batch>, mut flushes: Vec<Flush>, mut outcome: Result<(), Fault>) -> bool {
        let (mut tries, mut pause) = (0_u32, PAUSE.0);
        while let Err(fault) = outcome {
            let reopened = self.reopen(&fault);
            if tries > 0 || reopened.is_err() {
                let error = reopened.err().unwrap_or_else(|| fault.clone()).error();
                self.queue.fail(&error);
                answer(mem::take(&mut flushes), &Err(error));
                if !self.queue.pause(pause) {
                    return false;
                }
                pause = (2 * pause).min(PAUSE.1);
            }
            // If these changes are what it cannot stand, it must not be torn down for them for ever.
            if tries > 1 && matches!(fault, Fault::Damaged { .. }) {
                batch = Arc::default();
            }
            tries += 1;
            outcome = self.open().and_then(|()| self.shelf.write(&batch));
        }
        self.queue.written();
        answer(flushes, &Ok(()));
        true
    }

    /// After a failure the library takes nothing more until it was closed.
    fn reopen(&mut self, fault: &Fault) -> Result<(), Fault> {
        self.shelf.close(Some(fault));
        if matches!(fault, Fault::Damaged { .. }) {
            self.shelf.set_aside(fault)?;
        }
        self.open()
    }

    fn open(&mut self) -> Result<(), Fault> {
        if self.shelf.opened().is_some() {
            return Ok(());
        }
        self.openings += 1;
        self.shelf.open(self.openings)
    }
}

fn answer(flushes: Vec<Flush>, outcome: &Result<(), StoreError>) {
    for flush in flushes {
        // Who has stopped waiting does not mind.
        drop(flush.send(outcome.clone()));
    }
}

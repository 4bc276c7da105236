//! Whether the canaries that follow a verdict bear it out.
//!
//! Canaries tell that an engine works at one moment. A verdict counts if the engine passed before, was not taken out since,
//! and passes the next time: what it said in between is vouched for by the round that comes after.

use crate::verdict::{Standing, Vouch};

/// Verdicts of one engine instance that no canaries have followed yet.
pub(super) struct Vouches {
    /// How often it was taken out, so that a scan can tell whether it was meanwhile.
    ejections: u64,
    /// New verdicts get the last one.
    open: Vec<Vouch>,
}

impl Default for Vouches {
    fn default() -> Self {
        Self { ejections: 0, open: vec![Vouch::default()] }
    }
}

impl Vouches {
    /// How often it was taken out so far.
    pub(super) fn ejections(&self) -> u64 {
        self.ejections
    }

    /// Verdicts from now on are vouched for by canaries that have not begun yet. Gives the number of ejections so far.
    pub(super) fn begin_round(&mut self) -> u64 {
        self.open.push(Vouch::default());
        self.ejections
    }

    /// A round that began after so many `ejections` was passed. False if that proves nothing: it was taken out meanwhile.
    pub(super) fn passed(&mut self, ejections: u64) -> bool {
        let counts = self.ejections == ejections;
        if counts {
            self.settle(Standing::Proven);
        }
        counts
    }

    /// It is taken out, or still is.
    pub(super) fn ejected(&mut self, standing: Standing) {
        self.ejections += 1;
        self.settle(standing);
    }

    /// What the next canaries will say of a verdict given just now. If the engine was ejected since the scan began it may
    /// have been broken then: a clean verdict gets none, and another one that is not to be remembered.
    pub(super) fn vouch(&self, ejections: u64, is_clean: bool) -> Option<Vouch> {
        if self.ejections == ejections {
            return Some(self.open.last().cloned().unwrap_or_default());
        }
        let forgotten = Vouch::default();
        forgotten.settle(Standing::Refuted);
        (!is_clean).then_some(forgotten)
    }

    /// Settles what was said before the round that ends now; unless it was passed, also what was said during it.
    fn settle(&mut self, standing: Standing) {
        let during = if standing == Standing::Proven { self.open.pop() } else { None };
        for vouch in self.open.drain(..) {
            vouch.settle(standing);
        }
        self.open.push(during.unwrap_or_default());
    }
}

//! One scan of the same bytes among all who share a store.
//!
//! Who finds no verdict takes a lease and scans. The others look for the verdict again and again, less and less often, and take
//! over if the lease comes free without one, or if it takes too long. Where the store fails, everybody scans for themselves: a scan too
//! many is no harm.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Inspector, task::Hearing};
use crate::{
    cache::{Claim, Lease, Leases, Turn, key::Key},
    verdict::Record,
};

/// The first pause between two looks, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// What someone who found no verdict is to do.
pub(super) enum Part {
    /// Scan, with a lease if there is one to be had.
    Scan(Option<Lease>),
    /// Nothing: another one did.
    Take(Arc<Record>),
}

impl Inspector {
    /// Waits for the verdict of another one, or until it is this one's part to scan.
    pub(super) async fn part(&self, identity: Key, hearing: &Hearing, until: Instant) -> Part {
        let (Some(leases), Some(epoch)) = (self.stages.cache.leases(), self.stages.engine.epoch()) else {
            return Part::Scan(None);
        };
        let lease = self.stages.cache.keys().lease(identity, &epoch.setup);
        let (turn, part) = self.wait_for_part(leases, lease, (identity, hearing), until).await;
        leases.count(turn);
        part
    }

    async fn wait_for_part(
        &self,
        leases: &Leases,
        lease: Key,
        (identity, hearing): (Key, &Hearing),
        until: Instant,
    ) -> (Turn, Part) {
        let (mut turn, mut pause) = (Turn::Acquired, PAUSE.0);
        while Instant::now() < until {
            let claim = leases.claim(lease).await;
            // Asked for after the claim: who had the lease before may have kept its verdict just then.
            if claim.is_ok()
                && let Some(record) = self.kept_by_others(identity, hearing).await
            {
                if let Ok(Claim::Held(lease)) = claim {
                    lease.release(true);
                }
                return (Turn::Waited, Part::Take(record));
            }
            match claim {
                Ok(Claim::Held(lease)) => return (turn, Part::Scan(Some(lease))),
                Ok(Claim::Taken) => turn = Turn::TakenOver,
                Ok(Claim::InVain) | Err(_) => break,
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE.1);
        }
        (Turn::Without, Part::Scan(None))
    }

    /// The verdict of another one, if there is a current one by now.
    pub(super) async fn kept_by_others(&self, identity: Key, hearing: &Hearing) -> Option<Arc<Record>> {
        let latest = self.stages.cache.latest(identity).await;
        latest.filter(|record| self.is_current(record) && hearing.is_content_with(record))
    }
}

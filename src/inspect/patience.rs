//! How long a scan may take, with all that comes before it.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::EngineError;

/// Nobody waits longer than that for what another one may find out.
const FOR_OTHERS: Duration = Duration::from_mins(1);

/// An engine that was given this part of the time, or more, was given all that could make a difference.
const NEARLY_ALL: f64 = 0.9;

/// Until when to wait for what. It is made once per scan, so that waits do not add up.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For the scan of another one.
    pub(super) for_others: Instant,
    /// For a turn among rescans.
    pub(super) for_turn: Instant,
    /// For engines, which have a third of the time at least.
    pub(super) for_engines: Instant,
    /// All that there was at the beginning.
    whole: Duration,
}

impl Patience {
    /// From now on.
    pub(super) fn of(whole: Duration) -> Self {
        let (now, part) = (Instant::now(), whole / 3);
        let for_engines = now + whole;
        Self { for_others: now + part.min(FOR_OTHERS), for_turn: for_engines - part, for_engines, whole }
    }

    /// An engine that was not given all the time has not shown that it needs more than all.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a small number")]
    pub(super) fn fair(&self, error: EngineError, begun: Instant) -> EngineError {
        let given = self.for_engines.saturating_duration_since(begun).as_secs_f64() / self.whole.as_secs_f64();
        match error {
            EngineError::Timeout { blame } if given < NEARLY_ALL => {
                EngineError::Timeout { blame: (f64::from(blame) * given).round() as u32 }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::FULL_BLAME;

    #[tokio::test(start_paused = true)]
    async fn an_engine_is_blamed_for_as_much_as_it_was_given() {
        let patience = Patience::of(Duration::from_secs(100));
        let blame = |error: EngineError| patience.fair(error, Instant::now()).blame();
        let died = || EngineError::Failed { backend: String::new(), why: String::new(), blame: FULL_BLAME };
        assert_eq!(blame(EngineError::Timeout { blame: FULL_BLAME }), FULL_BLAME);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(blame(EngineError::Timeout { blame: FULL_BLAME }), FULL_BLAME, "nearly all of it");
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(blame(EngineError::Timeout { blame: FULL_BLAME }), 40 * FULL_BLAME / 100);
        assert_eq!(blame(died()), FULL_BLAME, "whenever it died");
    }
}

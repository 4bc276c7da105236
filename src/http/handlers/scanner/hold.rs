//! When a failure is told: at a time that says nothing of what failed.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A failure is told when a whole number of these has passed since the request was there. Far above what any of the
/// work takes: some tenth of a millisecond for each of at most eight secrets, and a few milliseconds for the largest body.
/// Should a busy machine need longer, the answer comes at the next multiple, and still not when the work happened to end.
///
/// The work is done where it is and not on a thread for blocking work, since the wait for one of those grows with what
/// others do on the disk, and is far longer than the work.
const HOLD: Duration = Duration::from_millis(25);

/// Gives something at once, and nothing at its time. `since` is when the request had been received.
pub(super) async fn or_hold<T>(outcome: Option<T>, since: Instant) -> Option<T> {
    if outcome.is_none() {
        sleep_until(since + told_after(since.elapsed())).await;
    }
    outcome
}

fn told_after(passed: Duration) -> Duration {
    let whole = passed.as_millis() / HOLD.as_millis();
    HOLD.saturating_mul(u32::try_from(whole + 1).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    async fn time_after(work: Duration, outcome: Option<()>) -> Duration {
        let since = Instant::now();
        advance(work).await;
        or_hold(outcome, since).await;
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_told_at_the_same_time_however_long_the_work_took() {
        for (millis, turns) in [(0, 1), (1, 1), (24, 1), (25, 2), (30, 2), (49, 2), (50, 3)] {
            assert_eq!(time_after(Duration::from_millis(millis), None).await, turns * HOLD, "{millis}");
        }
    }

    #[test]
    fn parts_of_a_millisecond_do_not_count() {
        for micros in [1, 999, 24_999] {
            assert_eq!(told_after(Duration::from_micros(micros)), HOLD, "{micros}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_opened_is_not_held() {
        let work = Duration::from_millis(3);
        assert_eq!(time_after(work, Some(())).await, work);
    }
}

//! How long verdicts of an engine count whose signatures are known by a text only, if at all.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::verdict::Epoch;

/// The state of one engine that its verdicts depend on, as far as it shows. Since some of it may not show, a verdict also
/// has an age at which it is given anew.
pub(super) struct Freshness {
    /// What is configured of it and changes what it says.
    settings: String,
    max_age: Duration,
    /// What it says of its signatures; `None` before it was asked.
    version: Mutex<Option<String>>,
    /// The operator's part.
    bump: AtomicU64,
}

impl Freshness {
    pub(super) fn new(settings: String, max_age: Duration) -> Self {
        Self { settings, max_age, version: Mutex::new(None), bump: AtomicU64::new(0) }
    }

    /// What it said of its signatures when it was last asked.
    pub(super) fn version(&self) -> Option<String> {
        self.version.lock().expect("no panic while held").clone()
    }

    /// Takes note of what it says of its signatures. True if that is news.
    pub(super) fn note(&self, version: &str) -> bool {
        let mut known = self.version.lock().expect("no panic while held");
        let is_news = known.as_deref() != Some(version);
        if is_news {
            *known = Some(version.to_owned());
        }
        is_news
    }

    /// The epoch of a verdict that is about to be given.
    pub(super) fn epoch(&self) -> Epoch {
        Epoch(format!("{} @{}", self.state(), seconds(SystemTime::now())))
    }

    pub(super) fn is_current(&self, epoch: &Epoch) -> bool {
        self.is_current_at(epoch, SystemTime::now())
    }

    fn is_current_at(&self, epoch: &Epoch, now: SystemTime) -> bool {
        let Some((state, given)) = epoch.0.rsplit_once(" @") else { return false };
        let age = given.parse().map(|given| seconds(now).saturating_sub(given));
        age.is_ok_and(|age| age < self.max_age.as_secs()) && state == self.state()
    }

    /// Makes all verdicts so far outdated.
    pub(super) fn bump(&self) -> u64 {
        // The time, so that it grows over restarts, too; and never twice the same.
        let now = seconds(SystemTime::now());
        let before = self.bump.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        now.max(before.unwrap_or_default() + 1)
    }

    fn state(&self) -> String {
        let version = self.version().unwrap_or_default();
        format!("{} {version} {}", self.settings, self.bump.load(Ordering::Relaxed))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freshness() -> Freshness {
        Freshness::new("script".to_owned(), Duration::from_hours(1))
    }

    #[test]
    fn a_verdict_counts_until_its_age_is_reached() {
        let freshness = freshness();
        let (epoch, now) = (freshness.epoch(), SystemTime::now());
        assert!(freshness.is_current_at(&epoch, now + Duration::from_secs(3590)));
        assert!(!freshness.is_current_at(&epoch, now + Duration::from_secs(3610)));
        assert!(freshness.is_current_at(&epoch, now - Duration::from_mins(1)), "a clock that was set back");
    }

    #[test]
    fn other_signatures_other_settings_and_a_bump_outdate_it() {
        let one = freshness();
        assert!(one.note("a") && !one.note("a"));
        let epoch = one.epoch();
        assert!(one.is_current(&epoch));
        assert!(one.note("b") && !one.is_current(&epoch));
        one.note("a");
        assert!(one.is_current(&epoch), "withdrawn signatures bring old verdicts back");
        let other = Freshness::new("another script".to_owned(), Duration::from_hours(1));
        other.note("a");
        assert!(!other.is_current(&epoch));
        let bumps = [one.bump(), one.bump()];
        assert!(bumps[0] < bumps[1] && !one.is_current(&epoch));
    }

    #[test]
    fn what_is_no_epoch_of_ours_never_counts() {
        for text in ["", "script  0", "script  0 @", "script  0 @x", "@1"] {
            assert!(!freshness().is_current(&Epoch(text.to_owned())), "{text}");
        }
    }
}

//! How long verdicts of an engine count whose signatures are known by a text only, if at all.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};

use crate::verdict::{Currency, Epoch};

/// The state of one engine that its verdicts depend on, as far as it shows. Since some of it may not show, a verdict also
/// has an age at which it is given anew.
pub(super) struct Freshness {
    /// What it is, and what is configured of it and changes what it says.
    settings: Arc<str>,
    max_age: Duration,
    /// What it says of its signatures; `None` before it was asked.
    version: Mutex<Option<String>>,
    /// The operator's part.
    bump: AtomicU64,
}

impl Freshness {
    /// Of an engine of that kind. Its settings may hold secrets, and epochs are kept with verdicts and shown to operators, so
    /// only a digest of them goes there.
    pub(super) fn new(kind: &str, settings: &str, max_age: Duration) -> Self {
        let settings = format!("{kind} {}", digest_text(settings)).into();
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
        let version = self.version().unwrap_or_default();
        let bump = self.bump.load(Ordering::Relaxed);
        Epoch::new(Arc::clone(&self.settings), format!("{version} {bump}"))
    }

    pub(super) fn currency(&self, epoch: &Epoch, given: SystemTime) -> Currency {
        self.currency_at(epoch, given, SystemTime::now())
    }

    fn currency_at(&self, epoch: &Epoch, given: SystemTime, now: SystemTime) -> Currency {
        let age = now.duration_since(given).unwrap_or_default();
        if epoch.setup != self.settings {
            Currency::Foreign
        } else if age < self.max_age && *epoch == self.epoch() {
            Currency::Current
        } else {
            Currency::Stale
        }
    }

    /// See [`Engine::bump`](super::Engine::bump). Tells also whether it grew.
    pub(super) fn bump(&self, least: u64) -> (u64, bool) {
        let before = self.bump.fetch_max(least, Ordering::Relaxed);
        (before.max(least), before < least)
    }
}

/// What tells settings from others, and nothing else of them.
fn digest_text(settings: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(settings).into();
    let first = digest.first_chunk().expect("it is longer");
    format!("{:032x}", u128::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freshness() -> Freshness {
        Freshness::new("exec", "script", Duration::from_hours(1))
    }

    #[test]
    fn a_verdict_counts_until_its_age_is_reached() {
        let freshness = freshness();
        freshness.note("a");
        let (epoch, given) = (freshness.epoch(), SystemTime::now());
        let after = |age| freshness.currency_at(&epoch, given, given + age);
        assert_eq!(after(Duration::from_secs(3590)), Currency::Current);
        assert_eq!(after(Duration::from_secs(3610)), Currency::Stale);
        let set_back = given - Duration::from_mins(1);
        assert_eq!(freshness.currency_at(&epoch, given, set_back), Currency::Current, "a clock that was set back");
    }

    #[test]
    fn other_signatures_other_settings_and_a_bump_outdate_it() {
        let (one, now) = (freshness(), SystemTime::now());
        assert!(one.note("a") && !one.note("a"));
        let epoch = one.epoch();
        assert_eq!(one.currency(&epoch, now), Currency::Current);
        assert!(one.note("b"));
        assert_eq!(one.currency(&epoch, now), Currency::Stale);
        one.note("a");
        assert_eq!(one.currency(&epoch, now), Currency::Current, "withdrawn signatures bring old verdicts back");
        let other = Freshness::new("exec", "another script", Duration::from_hours(1));
        other.note("a");
        assert_eq!(other.currency(&epoch, now), Currency::Foreign);
        assert_eq!((one.bump(7), one.bump(7), one.bump(3)), ((7, true), (7, false), (7, false)));
        assert_eq!(one.currency(&epoch, now), Currency::Stale);
    }

    #[test]
    fn settings_are_told_apart_and_not_told() {
        let setup = |settings| {
            let setup = Freshness::new("exec", settings, Duration::from_hours(1)).epoch().setup;
            assert!(setup.starts_with("exec ") && !setup.contains("secret"), "{setup}");
            setup
        };
        assert_eq!(setup("scan --token secret"), setup("scan --token secret"));
        assert_ne!(setup("scan --token secret"), setup("scan --token another-secret"));
    }
}

//! Which verdicts are current, where several clamds may have different signatures.

use std::sync::{RwLock, RwLockReadGuard};

use super::{database::is_known, health::Health};
use crate::verdict::{Currency, Epoch};

/// What was last seen of every backend.
pub(super) struct Epochs {
    state: RwLock<State>,
}

struct State {
    seen: Vec<Seen>,
    bump: u64,
}

#[derive(Clone, Default)]
struct Seen {
    /// Outlives the health of a backend, so that known verdicts stay valid while clamd is away.
    last: Option<Health>,
    /// That of its verdicts, made once and not on every look-up.
    epoch: Option<Epoch>,
    healthy: bool,
}

impl Seen {
    fn database(&self) -> Option<u32> {
        self.last.as_ref().and_then(|health| health.version.database())
    }

    fn name_epoch(&mut self, bump: u64) {
        self.epoch = self.last.as_ref().map(|health| health.epoch(bump));
    }

    /// Signatures without a number cannot be compared.
    fn lags(&self, newest: Option<u32>) -> bool {
        self.database().zip(newest).is_some_and(|(database, newest)| database < newest)
    }
}

impl Epochs {
    /// Nothing was seen yet.
    pub(super) fn new(backends: usize) -> Self {
        Self { state: RwLock::new(State { seen: vec![Seen::default(); backends], bump: 0 }) }
    }

    /// Takes note of a backend's health.
    pub(super) fn note(&self, backend: usize, health: Option<Health>) {
        let mut state = self.state.write().expect("no panic while held");
        let bump = state.bump;
        let seen = &mut state.seen[backend];
        seen.healthy = health.is_some();
        if health.is_some() && health != seen.last {
            seen.last = health;
            seen.name_epoch(bump);
        }
    }

    /// Makes all verdicts so far outdated, in the operator's name: the bump is then `least` or more. True if it grew.
    pub(super) fn bump(&self, least: u64) -> bool {
        let mut state = self.state.write().expect("no panic while held");
        let grew = least > state.bump;
        if grew {
            state.bump = least;
            state.seen.iter_mut().for_each(|seen| seen.name_epoch(least));
        }
        grew
    }

    /// The operator's part in the epoch.
    pub(super) fn bumped(&self) -> u64 {
        self.state().bump
    }

    /// Whether a verdict of this epoch would be given from other signatures today.
    pub(super) fn currency(&self, epoch: &Epoch) -> Currency {
        let state = self.state();
        let of_setup = |seen: &&Seen| seen.epoch.as_ref().is_some_and(|seen| seen.setup == epoch.setup);
        if state.newest_seen().any(|seen| seen.epoch.as_ref() == Some(epoch)) {
            Currency::Current
        } else if state.seen.iter().all(|seen| seen.epoch.is_none()) || state.seen.iter().any(|seen| of_setup(&seen)) {
            Currency::Stale
        } else {
            Currency::Foreign
        }
    }

    /// The epoch of the newest signatures in use; `None` while it is not known what they are.
    pub(super) fn newest(&self) -> Option<Epoch> {
        let state = self.state();
        let healthy_first = |seen: &&Seen| !seen.healthy;
        let mut newest: Vec<&Seen> = state.newest_seen().filter(|seen| seen.epoch.is_some()).collect();
        newest.sort_by_key(healthy_first);
        let newest = newest.first().filter(|seen| seen.last.as_ref().is_some_and(|last| is_known(&last.fingerprint)));
        newest.and_then(|seen| seen.epoch.clone())
    }

    /// The number of the newest database in use; 0 if it has none.
    pub(super) fn number(&self) -> u64 {
        self.state().newest().map_or(0, u64::from)
    }

    /// Per backend, whether a healthy one has newer signatures; and how many versions lie between the newest and the
    /// oldest healthy one.
    pub(super) fn lag(&self) -> (Vec<bool>, u32) {
        let state = self.state();
        let newest = state.newest();
        let oldest = state.healthy().filter_map(Seen::database).min();
        let lags = state.seen.iter().map(|seen| seen.lags(newest)).collect();
        (lags, newest.zip(oldest).map_or(0, |(newest, oldest)| newest - oldest))
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no panic while held")
    }
}

impl State {
    /// Those that nobody is ahead of.
    fn newest_seen(&self) -> impl Iterator<Item = &Seen> {
        let newest = self.newest();
        self.seen.iter().filter(move |seen| !seen.lags(newest))
    }

    fn healthy(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter().filter(|seen| seen.healthy)
    }

    /// The newest database of those in use; of those last seen while none is in use.
    fn newest(&self) -> Option<u32> {
        match self.healthy().next() {
            Some(_) => self.healthy().filter_map(Seen::database).max(),
            None => self.seen.iter().filter_map(Seen::database).max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::clamd::{conn::Route, protocol::Version},
        verdict::Heuristics,
    };

    fn health(database: &str) -> Health {
        let version = Version::parse(&format!("ClamAV 1.4.6{database}")).unwrap();
        Health {
            version,
            route: Route::STREAM,
            named: Heuristics::default(),
            fingerprint: String::new(),
            settings: None,
        }
    }

    fn seen(backends: &[&str]) -> Epochs {
        let epochs = Epochs::new(backends.len());
        for (at, database) in backends.iter().enumerate() {
            epochs.note(at, Some(health(database)));
        }
        epochs
    }

    #[test]
    fn a_verdict_is_current_by_the_newest_signatures_in_use() {
        let epochs = seen(&["/7/x", "/9/x"]);
        let (older, newer) = (health("/7/x").epoch(0), health("/9/x").epoch(0));
        assert_eq!((epochs.currency(&older), epochs.currency(&newer)), (Currency::Stale, Currency::Current));
        assert_eq!(epochs.lag(), (vec![true, false], 2));
        epochs.note(1, None);
        assert_eq!(
            (epochs.currency(&older), epochs.currency(&newer)),
            (Currency::Current, Currency::Current),
            "better than nothing"
        );
        assert_eq!(epochs.lag(), (vec![false, false], 0));
    }

    #[test]
    fn verdicts_stay_current_while_all_are_away() {
        let epochs = seen(&["/7/x", "/9/x"]);
        epochs.note(0, None);
        epochs.note(1, None);
        assert_eq!(epochs.currency(&health("/9/x").epoch(0)), Currency::Current);
        assert_ne!(epochs.currency(&health("/7/x").epoch(0)), Currency::Current);
    }

    #[test]
    fn a_bump_outdates_everything_and_nothing_is_current_before_anything_was_seen() {
        let epochs = seen(&[""]);
        assert_eq!(epochs.currency(&health("").epoch(0)), Currency::Current);
        epochs.bump(1);
        assert_ne!(epochs.currency(&health("").epoch(0)), Currency::Current);
        assert_eq!(epochs.currency(&health("").epoch(1)), Currency::Current);
        assert_ne!(Epochs::new(1).currency(&health("").epoch(0)), Currency::Current);
    }
}

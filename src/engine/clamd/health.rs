//! Whether a clamd is believed, and since when it is not.
//!
//! Pure but for the clock: the [`Backend`](super::backend::Backend) says what happened, this says what follows.

use std::time::Duration;

use tokio::time::Instant;

use super::{config::Config, conn::Route, protocol::Version};
use crate::{
    engine::vouches::Vouches,
    verdict::{Epoch, Heuristics, Standing, Vouch},
};

/// First pause before another attempt to bring a backend back.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The reason of an ejection for keeping silent about what the policy relies on.
pub(super) const NOT_CONFORMING: &str = "not_conforming";

/// The reason of an ejection for a wrong verdict on a canary.
pub(super) const WRONG: &str = "canary";

/// What is known of a clamd that passed its canaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    /// Engine and signature database.
    pub version: Version,
    /// The ways by which the canaries passed, and by which scans go.
    pub route: Route,
    /// What it names rather than calls clean.
    pub named: Heuristics,
    /// Signatures that its version does not show.
    pub fingerprint: String,
    /// What is configured of it, as far as that is known.
    pub settings: Option<String>,
}

impl Health {
    /// The state that its verdicts depend on; `bump` is the operator's part in it.
    pub(super) fn epoch(&self, bump: u64) -> Epoch {
        let Heuristics { limits, encrypted, macros } = self.named;
        let named = [(limits, "+limits"), (encrypted, "+encrypted"), (macros, "+macros")];
        let named: String = named.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
        let settings = self.settings.as_ref().map(|settings| format!(" {settings}")).unwrap_or_default();
        Epoch::new(format!("clamd{named}{settings}"), format!("{} {} {bump}", self.version.text, self.fingerprint))
    }
}

/// What is known of one clamd at a moment.
pub(super) struct State {
    /// `None` while it is out.
    health: Option<Health>,
    /// Why it is out; empty before it was looked at.
    why: String,
    /// The same in one word.
    reason: &'static str,
    /// The database number that it must not fall behind.
    pub(super) highest: Option<u32>,
    /// Ejections and failed rounds since it was last up for a good while.
    strikes: u32,
    admitted: Instant,
    /// What its verdicts are worth.
    vouches: Vouches,
}

impl State {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            health: None,
            why: String::new(),
            reason: "",
            highest: None,
            strikes: 0,
            admitted: Instant::now(),
            vouches: Vouches::default(),
        }
    }

    /// What is known of it; `None` while it is out.
    pub(super) fn health(&self) -> Option<&Health> {
        self.health.as_ref()
    }

    /// How often it was taken out so far.
    pub(super) fn ejections(&self) -> u64 {
        self.vouches.ejections()
    }

    /// Why it is out, in words and in one.
    pub(super) fn why(&self) -> (&str, &'static str) {
        (if self.why.is_empty() { "not looked at yet" } else { &self.why }, self.reason)
    }

    /// Takes it out. Nothing it called clean since its last canaries is remembered, and nothing at all if it got a canary
    /// wrong. Tells whether it was in, and whether the reason is another one than before.
    pub(super) fn eject(&mut self, reason: &'static str, why: String) -> (bool, bool) {
        let news = (self.health.take().is_some(), self.reason != reason);
        (self.reason, self.why) = (reason, why);
        self.strikes = self.strikes.saturating_add(1);
        self.vouches.ejected(if reason == WRONG { Standing::Refuted } else { Standing::Doubted });
        news
    }

    /// Takes it in, as the outcome of a round that began after so many `ejections`: a round during which it was ejected
    /// proves nothing, and is `None`. True if it is in anew, or another one than before.
    pub(super) fn admit(&mut self, health: Health, ejections: u64, config: &Config) -> Option<bool> {
        if !self.vouches.passed(ejections) {
            return None;
        }
        self.highest = health.version.database().or(self.highest);
        match self.health {
            None => self.admitted = Instant::now(),
            Some(_) if self.admitted.elapsed() >= config.max_backoff => self.strikes = 0,
            Some(_) => (),
        }
        (self.reason, self.why) = ("", String::new());
        let before = self.health.replace(health);
        Some(before != self.health)
    }

    /// See [`Vouches::begin_round`].
    pub(super) fn begin_round(&mut self) -> u64 {
        self.vouches.begin_round()
    }

    /// See [`Vouches::vouch`].
    pub(super) fn vouch(&self, ejections: u64, is_clean: bool) -> Option<Vouch> {
        self.vouches.vouch(ejections, is_clean)
    }

    /// How long to wait before it is looked at again, and whether trouble may cut that short.
    pub(super) fn pause(&self, config: &Config) -> (Duration, bool) {
        match self.health {
            Some(_) => (config.probe_interval, true),
            None => (backoff(self.strikes.saturating_sub(1), config), false),
        }
    }

    /// How long to leave it alone after it was ejected by a scan: not at all the first time.
    pub(super) fn penalty(&self, config: &Config) -> Duration {
        match (&self.health, self.strikes) {
            (Some(_), _) | (None, 0 | 1) => Duration::ZERO,
            (None, strikes) => backoff(strikes - 2, config),
        }
    }
}

fn backoff(doublings: u32, config: &Config) -> Duration {
    let first = FIRST_PAUSE.min(config.probe_interval);
    first.saturating_mul(1 << doublings.min(20)).min(config.max_backoff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Detection, Verdict};

    fn health() -> Health {
        let version = Version::parse("ClamAV 1.4.6/7/x").unwrap();
        let route = Route::BOTH;
        Health { version, route, named: Heuristics::default(), fingerprint: String::new(), settings: None }
    }

    fn pass(state: &mut State, config: &Config) -> Option<bool> {
        let ejections = state.begin_round();
        state.admit(health(), ejections, config)
    }

    fn up() -> (State, Config) {
        let (mut state, config) = (State::new(), Config::default());
        assert_eq!(pass(&mut state, &config), Some(true));
        (state, config)
    }

    #[tokio::test]
    async fn what_was_said_during_a_round_waits_for_the_next_one() {
        let (mut state, config) = up();
        let infected = Verdict::Infected { detection: Detection("X".to_owned()) };
        let before = state.vouch(state.ejections(), false).unwrap();
        let ejections = state.begin_round();
        let during = state.vouch(ejections, false).unwrap();
        assert_eq!(state.admit(health(), ejections, &config), Some(false));
        state.eject(WRONG, "it called EICAR clean".to_owned());
        assert!(!before.refutes(&infected), "its round has passed");
        assert!(during.refutes(&infected));
    }

    #[tokio::test]
    async fn a_clean_verdict_of_before_an_ejection_has_nobody_to_vouch_for_it() {
        let (mut state, config) = up();
        let begun = state.ejections();
        state.eject("refused", "gone".to_owned());
        pass(&mut state, &config);
        assert!(state.vouch(begun, true).is_none());
        let infected = Verdict::Infected { detection: Detection("X".to_owned()) };
        assert!(state.vouch(begun, false).unwrap().refutes(&infected), "bad news are told and not remembered");
        assert!(state.vouch(state.ejections(), true).is_some());
    }

    #[tokio::test]
    async fn a_round_during_which_it_was_ejected_proves_nothing() {
        let (mut state, config) = up();
        let ejections = state.begin_round();
        state.eject("end_of_file", "gone".to_owned());
        assert_eq!(state.admit(health(), ejections, &config), None);
        assert!(state.health().is_none());
        assert_eq!(pass(&mut state, &config), Some(true));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_left_alone_for_longer_each_time_until_it_was_up_for_a_while() {
        let (mut state, config) = up();
        let eject = |state: &mut State| {
            state.eject("refused", "gone".to_owned());
            (state.penalty(&config).as_secs(), state.pause(&config).0.as_secs())
        };
        assert_eq!([(); 6].map(|()| eject(&mut state)), [(0, 1), (1, 2), (2, 4), (4, 8), (8, 15), (15, 15)]);
        pass(&mut state, &config);
        assert_eq!(eject(&mut state), (15, 15), "it was up for a moment only");
        pass(&mut state, &config);
        tokio::time::advance(config.max_backoff).await;
        pass(&mut state, &config);
        assert_eq!(eject(&mut state), (0, 1));
    }

    #[test]
    fn other_settings_are_another_set_up() {
        let of = |settings: Option<&str>| Health { settings: settings.map(str::to_owned), ..health() }.epoch(0);
        assert_eq!(of(Some("a")), of(Some("a")));
        assert_ne!(of(Some("a")).setup, of(Some("b")).setup);
        assert_ne!(of(Some("a")).setup, of(None).setup);
    }
}

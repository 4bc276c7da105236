//! One clamd: what comes and goes.
//!
//! It takes scans from the moment its canaries passed until it is *ejected*: nobody listens, a connection ends without a
//! reply, a reply is none, a canary fails, its version is impossible. Then only the canaries bring it back, at once the
//! first time, after growing pauses if that goes on.

use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    address::Address,
    config::{BackendConfig, Config},
    control::Control,
    database::Watch,
    health::{Health, NOT_CONFORMING, State},
    metrics::Metrics,
    settings::Settings,
    slots::Slots,
};
use crate::{spool::Spooler, verdict::Heuristics};

/// What all backends are built with.
pub(super) struct Common {
    /// The section of the configuration.
    pub config: Config,
    /// What the policy relies on.
    pub relied: Heuristics,
    /// Who may scan.
    pub slots: Arc<Slots>,
    /// Where media lie, and so the canaries.
    pub spooler: Arc<Spooler>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// One clamd.
pub(super) struct Backend {
    /// Its place in the configuration.
    pub(super) index: usize,
    /// Its address as written in logs and metrics.
    pub(super) name: String,
    pub(super) address: Address,
    /// What else is configured of it.
    pub(super) config: BackendConfig,
    pub(super) control: Control,
    pub(super) common: Arc<Common>,
    state: Mutex<State>,
    /// Watches its signature files.
    database: Option<Mutex<Watch>>,
    /// Reads its settings.
    settings: Option<Mutex<Settings>>,
    /// Media that it had when it was last taken out by a scan.
    suspects: AtomicU32,
    /// Wakes the prober as soon as something went wrong.
    pub(super) trouble: Notify,
}

impl Backend {
    pub(super) fn new(index: usize, config: &BackendConfig, common: &Arc<Common>) -> Self {
        let watch = |dir| Mutex::new(Watch::new(dir, common.config.reload_settle));
        Self {
            index,
            name: config.address.to_string(),
            address: config.address.clone(),
            config: config.clone(),
            control: Control::new(config.address.clone()),
            common: Arc::clone(common),
            state: Mutex::new(State::new()),
            database: config.database_dir.clone().map(watch),
            settings: config.config_file.clone().map(|path| Mutex::new(Settings::new(path))),
            suspects: AtomicU32::new(1),
            trouble: Notify::new(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    /// What watches its signature files, if they are known.
    pub(super) fn database(&self) -> Option<MutexGuard<'_, Watch>> {
        self.database.as_ref().map(|database| database.lock().expect("no panic while held"))
    }

    /// What reads its settings, if they are known.
    pub(super) fn settings(&self) -> Option<MutexGuard<'_, Settings>> {
        self.settings.as_ref().map(|settings| settings.lock().expect("no panic while held"))
    }

    /// What is known of it; `None` while it is out.
    pub(super) fn health(&self) -> Option<Health> {
        self.state().health().cloned()
    }

    /// What is known of it, and how often it was taken out so far.
    pub(super) fn snapshot(&self) -> Option<(Health, u64)> {
        let state = self.state();
        Some((state.health()?.clone(), state.ejections()))
    }

    /// Why it is out, for people.
    pub(super) fn why(&self) -> String {
        format!("{}: {}", self.name, self.state().why().0)
    }

    /// Why it will not do, if it is there and keeps silent about what the policy relies on.
    pub(super) fn unfit(&self) -> Option<String> {
        let unfit = self.state().why().1 == NOT_CONFORMING;
        unfit.then(|| self.why())
    }

    /// Lets its database go backwards once: the operator says that this is meant.
    pub(super) fn forgive(&self) {
        self.state().highest = None;
        self.trouble.notify_one();
    }

    /// Takes it out until its next canaries pass.
    pub(super) fn eject(&self, reason: &'static str, why: &dyn Display) {
        self.eject_locked(&mut self.state(), reason, why);
    }

    /// Takes it out for what happened to a scan that began after so many `ejections`, unless it was since: then this is
    /// the same incident. Gives how many media it had then, any of which may have been the cause.
    pub(super) fn eject_for(&self, ejections: u64, reason: &'static str, why: &dyn Display) -> u32 {
        let mut state = self.state();
        if state.ejections() == ejections {
            self.eject_locked(&mut state, reason, why);
        }
        self.suspects.load(Ordering::SeqCst)
    }

    fn eject_locked(&self, state: &mut State, reason: &'static str, why: &dyn Display) {
        let (was_in, is_other) = state.eject(reason, why.to_string());
        if was_in {
            let media = self.common.slots.taken(self.index).max(1);
            self.suspects.store(u32::try_from(media).unwrap_or(u32::MAX), Ordering::SeqCst);
            self.common.metrics.ejected(&self.name, reason);
        }
        self.common.slots.set(self.index, None);
        if was_in || is_other {
            tracing::error!(backend = self.name, reason, %why, "clamd is out");
        } else {
            tracing::debug!(backend = self.name, reason, %why, "clamd is still out");
        }
        self.trouble.notify_one();
    }

    /// Lets it take so many scans at a time, if [`State::admit`] does.
    pub(super) fn admit(&self, health: Health, slots: usize, queued: Option<usize>, ejections: u64) {
        let mut state = self.state();
        let Some(is_news) = state.admit(health.clone(), ejections, &self.common.config) else { return };
        // Under the lock, so that no ejection comes in between.
        self.common.slots.set(self.index, Some(slots));
        self.common.metrics.admitted(&self.name, &health.version, queued);
        drop(state);
        if is_news {
            let (version, route, named) = (health.version.text, health.route, health.named);
            tracing::info!(backend = self.name, version, ?route, ?named, slots, "clamd passed its canaries");
        }
    }

    /// See [`State::pause`].
    pub(super) fn pause(&self) -> (Duration, bool) {
        self.state().pause(&self.common.config)
    }

    /// See [`State::penalty`].
    pub(super) fn penalty(&self) -> Duration {
        self.state().penalty(&self.common.config)
    }
}

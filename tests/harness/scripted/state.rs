//! What a scripted clamd goes by, and what it has seen.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

use super::{Ask, Mode, Script, ask};

/// Media in the order of their arrival.
pub type Media = Vec<Vec<u8>>;

/// What it has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Connections that it accepted.
    pub connections: usize,
    /// `IDSESSION`s begun.
    pub sessions: usize,
    /// Media that it is at now.
    pub scanning: usize,
    /// Most media that it was at together.
    pub peak: usize,
    asked: HashMap<Ask, usize>,
    answered: HashMap<Ask, usize>,
}

impl Counts {
    /// How often it was asked this.
    pub fn asked(&self, ask: Ask) -> usize {
        self.asked.get(&ask).copied().unwrap_or(0)
    }

    /// How often it went through all steps of its answer to this.
    pub fn answered(&self, ask: Ask) -> usize {
        self.answered.get(&ask).copied().unwrap_or(0)
    }

    /// Canaries of all kinds that it went through all steps of the answer to.
    pub fn canaries(&self) -> usize {
        let canaries = self.answered.iter().filter(|(ask, _)| matches!(ask, Ask::Canary(_)));
        canaries.map(|(_, count)| count).sum()
    }
}

/// Shared by all connections.
pub(super) struct State {
    scripts: Mutex<HashMap<Ask, Script>>,
    may_read_descriptors: AtomicBool,
    pub(super) counts: watch::Sender<Counts>,
    pub(super) media: watch::Sender<Media>,
    /// What the listener is to do; it says itself what it does.
    pub(super) mode: watch::Sender<Mode>,
}

impl State {
    pub(super) fn new(media: Script, may_read_descriptors: bool) -> Arc<Self> {
        Arc::new(Self {
            scripts: Mutex::new(ask::sound(media)),
            may_read_descriptors: AtomicBool::new(may_read_descriptors),
            counts: watch::Sender::default(),
            media: watch::Sender::default(),
            mode: watch::Sender::new(Mode::Serving),
        })
    }

    pub(super) fn set(&self, scripts: impl IntoIterator<Item = (Ask, Script)>) {
        self.scripts.lock().unwrap().extend(scripts);
    }

    /// What to do when asked this.
    pub(super) fn script(&self, ask: Ask) -> Script {
        let scripts = self.scripts.lock().unwrap();
        match (ask, &scripts[&Ask::Medium]) {
            (Ask::Canary(_), media) if media.for_canaries_too => media.clone(),
            _ => scripts[&ask].clone(),
        }
    }

    pub(super) fn may_read_descriptors(&self) -> bool {
        self.may_read_descriptors.load(Ordering::SeqCst)
    }

    pub(super) fn let_read_descriptors(&self, may: bool) {
        self.may_read_descriptors.store(may, Ordering::SeqCst);
    }

    pub(super) fn connected(&self) {
        self.counts.send_modify(|counts| counts.connections += 1);
    }

    pub(super) fn session_begun(&self) {
        self.counts.send_modify(|counts| counts.sessions += 1);
    }

    pub(super) fn asked(&self, ask: Ask) {
        self.counts.send_modify(|counts| *counts.asked.entry(ask).or_default() += 1);
    }

    pub(super) fn answered(&self, ask: Ask) {
        self.counts.send_modify(|counts| *counts.answered.entry(ask).or_default() += 1);
    }
}

/// Counts a medium as being scanned for as long as it lives.
pub(super) struct Scanning(Arc<State>);

impl Scanning {
    pub(super) fn begin(state: &Arc<State>) -> Self {
        state.counts.send_modify(|counts| {
            counts.scanning += 1;
            counts.peak = counts.peak.max(counts.scanning);
        });
        Self(Arc::clone(state))
    }
}

impl Drop for Scanning {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.scanning -= 1);
    }
}

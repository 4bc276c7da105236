//! A clamd that passes its canaries and then says of media, and of itself, whatever the test wants.

mod ask;
mod conversation;
mod intake;
mod peer;
mod script;
mod state;

use std::sync::Arc;

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use self::{
    ask::{Ask, Specimen},
    script::{Script, Step},
    state::{Counts, Media},
};
use self::{
    conversation::Conversation,
    peer::{Listener, Place},
    state::State,
};

/// What its listener does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Serving,
    /// Connections are made and wait; those that it has go on.
    Deaf,
    /// Nobody is there.
    Dead,
}

/// A running scripted clamd.
pub struct ScriptedClamd {
    address: String,
    state: Arc<State>,
    /// What its listener does by now.
    reached: watch::Receiver<Mode>,
    _dir: Option<tempfile::TempDir>,
    serving: JoinHandle<()>,
    /// Media that it took all bytes of.
    pub received: watch::Receiver<Media>,
}

impl ScriptedClamd {
    /// Starts one that listens on TCP.
    pub fn start(media: Script) -> Self {
        Self::launch(Place::tcp(), None, State::new(media, false))
    }

    /// Starts one that listens on a local socket and reads what is passed to it.
    pub fn start_on_socket(media: Script) -> Self {
        Self::launch_on_socket(State::new(media, true))
    }

    /// Starts one that listens on a local socket and may not read what is passed to it.
    pub fn start_without_descriptors(media: Script) -> Self {
        Self::launch_on_socket(State::new(media, false))
    }

    fn launch_on_socket(state: Arc<State>) -> Self {
        // A socket's path must be short, so it cannot be below just any temporary directory.
        let dir = tempfile::Builder::new().prefix("lz").tempdir_in("/tmp").unwrap();
        Self::launch(Place::Unix(dir.path().join("clamd.sock")), Some(dir), state)
    }

    fn launch(place: Place, dir: Option<tempfile::TempDir>, state: Arc<State>) -> Self {
        let (reach, reached) = watch::channel(Mode::Serving);
        let (address, received) = (place.address(), state.media.subscribe());
        // Before anyone can be told its address.
        let listener = place.listen();
        let serving = tokio::spawn(serve(place, listener, Arc::clone(&state), reach));
        Self { address, state, reached, _dir: dir, serving, received }
    }

    /// Its address, as in the configuration.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Changes what it does with media from the next one on.
    pub fn set(&self, media: Script) {
        self.on(Ask::Medium, media);
    }

    /// Changes what it does when it is asked something.
    pub fn on(&self, ask: Ask, script: Script) {
        self.state.set([(ask, script)]);
    }

    /// Changes what it says of a canary.
    pub fn canary(&self, specimen: Specimen, reply: impl AsRef<[u8]>) {
        self.on(Ask::Canary(specimen), Script::reply(reply));
    }

    /// Changes its version, as either command gives it.
    pub fn set_version(&self, version: &str) {
        self.state.set(ask::version(version));
    }

    /// Has it know `VERSION` no more, as where an operator switched it off; `VERSIONCOMMANDS` still works.
    pub fn disable_version(&self) {
        self.on(Ask::Version, Script::steps([Step::send(b"{id}COMMAND UNAVAILABLE\0"), Step::Close]));
    }

    /// Changes how many threads it says to have at most.
    pub fn set_max_threads(&self, max: usize) {
        self.on(Ask::Stats, ask::stats(max));
    }

    /// Lets it read what is passed to it, or no more.
    pub fn let_read_descriptors(&self, may: bool) {
        self.state.let_read_descriptors(may);
    }

    /// Crashes: when this returns, all connections have ended and new ones are refused.
    pub async fn kill(&self) {
        self.enter(Mode::Dead).await;
    }

    /// Listens on the same address again, or accepts again.
    pub async fn revive(&self) {
        self.enter(Mode::Serving).await;
    }

    /// Accepts no more: connections are made and nothing comes of them. Those that it has go on.
    pub async fn stop_accepting(&self) {
        self.enter(Mode::Deaf).await;
    }

    async fn enter(&self, mode: Mode) {
        self.state.mode.send_replace(mode);
        self.reached.clone().wait_for(|reached| *reached == mode).await.unwrap();
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        self.state.counts.borrow().clone()
    }

    /// Waits until what it has seen satisfies `condition`.
    pub async fn until(&self, condition: impl FnMut(&Counts) -> bool) {
        self.state.counts.subscribe().wait_for(condition).await.unwrap();
    }

    /// Waits until it has answered this `count` more times.
    pub async fn has_answered(&self, ask: Ask, count: usize) {
        let before = self.counts().answered(ask);
        self.until(|counts| counts.answered(ask) >= before + count).await;
    }

    /// Waits until it has all bytes of `count` media.
    pub async fn has_received(&self, count: usize) {
        self.received.clone().wait_for(|media| media.len() >= count).await.unwrap();
    }
}

impl Drop for ScriptedClamd {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Accepts, or not, as it is told. Conversations end with a crash, and with it.
async fn serve(place: Place, first: Listener, state: Arc<State>, reach: watch::Sender<Mode>) {
    let (mut mode, mut listener) = (state.mode.subscribe(), Some(first));
    let mut conversations = JoinSet::new();
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Dead {
            listener = None;
            conversations.shutdown().await;
        }
        let listening = (now != Mode::Dead).then(|| &*listener.get_or_insert_with(|| place.listen()));
        reach.send_replace(now);
        tokio::select! {
            changed = mode.changed() => changed.unwrap(),
            peer = accept(listening.filter(|_| now == Mode::Serving)) => {
                conversations.spawn(Conversation::new(peer, Arc::clone(&state)).run());
            }
        }
    }
}

async fn accept(listener: Option<&Listener>) -> Box<dyn peer::Peer> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

//! Which signatures are in use here, and among all who share the store.
//!
//! A verdict counts if the engines here would say the same today. It also counts if it was given from newer signatures than the
//! ones here, by another node: when signatures spread, some nodes have them first, and the others are not to undo what those
//! found.
//!
//! * That something is clean is believed of newer signatures while someone uses them. That it is not is believed of all that
//!   are newer than the ones here and no newer than the newest in use.
//! * Nothing is believed of others between the moment when signatures change here and the look after it, nor, of what was
//!   said before this process began, until the store was asked for the operators' part.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus::{IntGauge, Registry};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Inspector;
use crate::{
    cache::{
        Entry,
        epochs::{self, EpochName, Used, Watcher},
        store::StoreError,
    },
    facts::Sniff,
    verdict::{Currency, Epoch, Order, Provenance, Record, Verdict},
};

/// How often engines and store are asked for news.
const LOOK: Duration = Duration::from_secs(1);

/// How often a node says what it uses, if that has not changed.
const CONFIRM: Duration = Duration::from_secs(30);

/// The entry of the registry.
const REGISTRY: &str = "epochs";

/// What is known of the signatures in use.
pub(super) struct Signatures {
    generation: AtomicU64,
    /// The store told once what it has.
    is_told: AtomicBool,
    /// When this process began, in the terms of [`Order::fence`].
    began: u64,
    fleet: Mutex<Fleet>,
    /// What is in use here.
    in_force: Mutex<Option<InForce>>,
    lag: IntGauge,
}

/// Signatures in use here.
struct InForce {
    epoch: Epoch,
    /// The operators' part in that.
    bump: u64,
    since: Instant,
    /// Those that were in use until then, if they were here, too, and nobody wanted all that they said outdated.
    before: Option<Epoch>,
}

/// What all who share the store use, as of the last look.
#[derive(Default)]
struct Fleet {
    registry: Arc<epochs::Registry>,
    watcher: Watcher,
    /// What is used here.
    own: Option<EpochName>,
    /// What others use; nothing if the store is not shared.
    in_use: Vec<EpochName>,
    said: Option<(Used, Instant)>,
}

impl Fleet {
    /// True if a verdict was given from signatures that are newer than those here, and can be believed.
    fn is_ahead(&self, record: &Record, name: EpochName) -> bool {
        let Some(own) = self.own else { return false };
        match record.verdict {
            Verdict::Clean(_) => self.in_use.contains(&name) && self.registry.is_surpassed(own, name),
            _ => {
                let newest = self.registry.newest_in_use(own, &self.in_use);
                let is_used = name != own && self.in_use.contains(&name);
                // It may have been given just before its signatures had a number.
                let generation = record.order.generation.max(self.registry.generation(name));
                let is_newer = generation > self.registry.generation(own) && generation <= newest;
                is_newer || (is_used && self.registry.may_be_newer(own, name))
            }
        }
    }
}

impl Signatures {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Generations of signatures by which others who share the store are ahead.";
        let lag = IntGauge::new("lazaret_generations_behind", help)?;
        registry.register(Box::new(lag.clone()))?;
        let (generation, is_told) = (AtomicU64::new(0), AtomicBool::new(false));
        let (fleet, in_force) = (Mutex::default(), Mutex::default());
        Ok(Self { generation, is_told, began: fence(), fleet, in_force, lag })
    }

    /// True if a verdict was given from signatures that others use, by this name, and that are newer than those here, which are `now`.
    fn is_ahead(&self, record: &Record, name: EpochName, now: Option<&Epoch>) -> bool {
        let fleet = self.fleet.lock().expect("no panic while held");
        now.is_some_and(|now| fleet.own == Some(EpochName::of(now))) && fleet.is_ahead(record, name)
    }

    /// True if whoever gave a verdict, of this epoch, has said more of its signatures than was heard here.
    fn is_news(&self, record: &Record, epoch: &Epoch) -> bool {
        record.order.generation > self.generation(epoch)
    }

    /// False for what was said before this process began, while it is not known what operators have said of it.
    fn may_tell(&self, record: &Record) -> bool {
        self.is_told.load(Ordering::Relaxed) || record.order.fence >= self.began
    }

    fn note_in_force(&self, epoch: Epoch, bump: u64, now: Instant) {
        let mut in_force = self.in_force.lock().expect("no panic while held");
        if in_force.as_ref().is_none_or(|known| known.epoch != epoch) {
            let before = in_force.take().filter(|known| known.bump == bump).map(|known| known.epoch);
            *in_force = Some(InForce { epoch, bump, since: now, before });
        }
    }

    /// The number of the signatures here, and the highest that someone uses.
    pub(super) fn in_use(&self) -> (u64, u64) {
        let fleet = self.fleet.lock().expect("no panic while held");
        let newest = fleet.own.map_or(0, |own| fleet.registry.newest_in_use(own, &fleet.in_use));
        let own = self.generation.load(Ordering::Relaxed);
        (own, newest.max(own))
    }

    /// The order of a verdict of a scan that begins now.
    pub(super) fn order(&self) -> Order {
        Order { generation: self.generation.load(Ordering::Relaxed), fence: fence() }
    }

    fn generation(&self, epoch: &Epoch) -> u64 {
        self.fleet.lock().expect("no panic while held").registry.generation(EpochName::of(epoch))
    }

    /// Takes note of what is in use.
    fn note(&self, fleet: &mut Fleet, name: EpochName) {
        fleet.own = Some(name);
        let own = fleet.registry.generation(name);
        let newest = fleet.registry.newest_in_use(name, &fleet.in_use);
        self.generation.store(own, Ordering::Relaxed);
        self.lag.set(i64::try_from(newest.saturating_sub(own)).unwrap_or(i64::MAX));
    }
}

/// The time as fences have it.
fn fence() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Inspector {
    /// True for a verdict from the signatures right before those that came into force here within the last `grace`. One that is
    /// older than that missed a change already, and so did those of before a start.
    pub(super) fn follows_within(&self, record: &Record, grace: Duration) -> bool {
        self.note_in_force();
        let epoch = self.stages.engine.usual(&record.provenance.epoch);
        let in_force = self.signatures.in_force.lock().expect("no panic while held");
        let is_before = |in_force: &&InForce| in_force.before.as_ref() == Some(&epoch);
        in_force.as_ref().filter(is_before).is_some_and(|in_force| in_force.since.elapsed() < grace)
    }

    fn note_in_force(&self) {
        if let Some(epoch) = self.stages.engine.epoch() {
            self.signatures.note_in_force(epoch, self.stages.engine.bump(0), Instant::now());
        }
    }

    /// How a record stands to what would be said today.
    pub(super) fn currency(&self, record: &Record) -> Currency {
        let Provenance { epoch, vouch, .. } = &record.provenance;
        if vouch.refutes(&record.verdict) {
            return Currency::Foreign;
        }
        let engine = &self.stages.engine;
        let currency = match engine.currency(&record.verdict, epoch, record.scanned_at) {
            Currency::Current if !self.signatures.may_tell(record) => Currency::Stale,
            Currency::Stale => {
                let name = EpochName::of(&engine.usual(epoch));
                let is_ahead = self.signatures.is_ahead(record, name, engine.epoch().as_ref());
                if is_ahead { Currency::Current } else { Currency::Stale }
            }
            currency => currency,
        };
        // Policies would decide on less than what is seen today. What a newer process found out is good here, too.
        let is_blind = record.facts.sniff < Sniff::CURRENT;
        if is_blind { currency.max(Currency::Stale) } else { currency }
    }

    /// The same, before it is scanned again: others may have come to new signatures a moment ago.
    pub(super) async fn currency_by_news(&self, record: &Record) -> Currency {
        match self.currency(record) {
            Currency::Stale if self.signatures.is_news(record, &self.stages.engine.usual(&record.provenance.epoch)) => {
                self.look_at_signatures().await;
                self.currency(record)
            }
            currency => currency,
        }
    }

    /// The order of a verdict, now that it is known which signatures gave it: new ones, or an older engine may have stood in.
    pub(super) async fn order_of(&self, order: Order, epoch: &Epoch) -> Order {
        let epoch = self.stages.engine.usual(epoch);
        if self.signatures.generation(&epoch) == 0 && self.stages.engine.epoch().as_ref() == Some(&epoch) {
            self.look_at_signatures().await;
        }
        match self.signatures.generation(&epoch) {
            0 => order,
            generation => Order { generation, ..order },
        }
    }

    /// Makes all verdicts so far outdated, here and among all who share the store. Gives the number that says so, and why others,
    /// and this process once it is started again, may not hear of it.
    pub async fn bump(&self) -> (u64, Option<StoreError>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let before = self.registry().await.map_or(0, |registry| registry.bump).max(self.stages.engine.bump(0));
        let bump = self.stages.engine.bump(now.max(before + 1));
        self.stages.audit.record("epoch_bump", &json!({"bump": bump}));
        self.look_at_signatures().await;
        (bump, self.keep_bump(bump).await.err())
    }

    /// What was said of all verdicts must not be lost before they are.
    async fn keep_bump(&self, bump: u64) -> Result<(), StoreError> {
        let store = self.stages.cache.store();
        store.put(self.registry_key(), Entry::Epochs(Arc::new(epochs::Registry::bumped(bump)))).await?;
        store.flush().await
    }

    /// Asks engines and store for news, until `stop`.
    pub(super) async fn watch_signatures(&self, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let looking = async {
            loop {
                ticks.tick().await;
                self.look_at_signatures().await;
                self.look_at_overrides().await;
            }
        };
        stop.run_until_cancelled(looking).await;
    }

    /// Has the engines and the registry know of each other. Without a store that answers, everything stays as it is; what an
    /// operator said meanwhile is told later.
    pub async fn look_at_signatures(&self) {
        self.note_in_force();
        let Some(found) = self.registry().await else { return };
        let engine = &self.stages.engine;
        let is_known = self.signatures.fleet.lock().expect("no panic while held").said.is_some();
        if is_known && found.bump > engine.bump(0) {
            // If the signatures changed, too, that is said first: a bump alone tells nothing of which are newer.
            self.say_what_is_used(&found).await;
        }
        engine.bump(found.bump);
        self.signatures.is_told.store(true, Ordering::Relaxed);
        self.say_what_is_used(&found).await;
    }

    async fn say_what_is_used(&self, found: &epochs::Registry) {
        let (engine, now) = (&self.stages.engine, Instant::now());
        let bump = engine.bump(0);
        let Some(epoch) = engine.epoch() else {
            if bump > found.bump {
                self.tell_all(epochs::Registry::bumped(bump)).await;
            }
            return;
        };
        let us = Used { name: EpochName::of(&epoch), bump, number: engine.number() };
        let Some(said) = self.take_note(found, us, now) else { return };
        if self.tell_all(said.clone()).await {
            let mut fleet = self.signatures.fleet.lock().expect("no panic while held");
            fleet.said = Some((us, now));
            fleet.registry = Arc::new(fleet.registry.and(&said));
            self.signatures.note(&mut fleet, us.name);
        }
    }

    /// Takes note of what the store has, and gives what is to be said to that, if anything is.
    fn take_note(&self, found: &epochs::Registry, us: Used, now: Instant) -> Option<epochs::Registry> {
        let mut fleet = self.signatures.fleet.lock().expect("no panic while held");
        let fleet = &mut *fleet;
        let all = fleet.registry.and(found);
        fleet.registry = Arc::new(all);
        fleet.watcher.look(&fleet.registry, now);
        fleet.in_use = if self.stages.cache.is_shared() { fleet.watcher.in_use(now) } else { Vec::new() };
        let is_said = fleet.said.is_some_and(|(said, at)| said == us && now.duration_since(at) < CONFIRM);
        if is_said && found.generation(us.name) > 0 && found.bump >= us.bump {
            self.signatures.note(fleet, us.name);
            return None;
        }
        let before = fleet.said.map(|(before, _)| before);
        Some(fleet.registry.using(us, before, &fleet.in_use, SystemTime::now()))
    }

    async fn tell_all(&self, said: epochs::Registry) -> bool {
        self.stages.cache.store().put(self.registry_key(), Entry::Epochs(Arc::new(said))).await.is_ok()
    }

    /// What the store has; `None` if it does not answer.
    async fn registry(&self) -> Option<Arc<epochs::Registry>> {
        match self.stages.cache.store().get(self.registry_key()).await.ok()? {
            Some(Entry::Epochs(registry)) => Some(registry),
            _ => Some(Arc::default()),
        }
    }

    fn registry_key(&self) -> crate::cache::key::Key {
        self.stages.cache.keys().single(REGISTRY)
    }
}

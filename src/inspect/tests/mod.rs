//! What nodes that share a store learn from each other.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use bytesize::ByteSize;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{sync::Notify, time::Instant};

use super::*;
use crate::{
    audit,
    cache::{
        MemoryStore, VerdictStore,
        far::Far,
        key::KeyRing,
        overrides::{Override, Target},
    },
    engine::Scan,
    facts::{Direction, Facts, Occasion},
    plaintext::Plaintext,
    policy::{self, Access, Decision, Refusal},
    spool::{self, Spool},
    verdict::{Currency, Detection, Effect, Epoch, Provenance, Verdict, Vouch},
};

mod remembered;

/// An engine that does as it is told, and counts how often it was asked.
struct Told {
    outcome: Result<Verdict, EngineError>,
    epoch: Mutex<Epoch>,
    asked: AtomicUsize,
    /// Has scans wait for it.
    holds: Option<Notify>,
    /// Until when the last scan was to end.
    until: Mutex<Option<Instant>>,
}

impl Told {
    fn now(&self) -> Epoch {
        self.epoch.lock().unwrap().clone()
    }
}

impl Engine for Told {
    fn scan<'a>(
        &'a self,
        _: &'a Plaintext,
        _: &'a Facts,
        _: &'a [Arc<str>],
        until: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.until.lock().unwrap() = Some(until);
        let provenance = Provenance {
            engine: "told".into(),
            version: "1".to_owned(),
            signatures: None,
            backend: "here".to_owned(),
            epoch: self.now(),
            bytes: 1,
            took: Duration::ZERO,
            vouch: Vouch::proven(),
        };
        async {
            if let Some(held) = &self.holds {
                held.notified().await;
            }
            self.outcome.clone().map(|verdict| Scan { verdict, provenance })
        }
        .boxed()
    }

    fn name(&self) -> &'static str {
        "told"
    }

    fn currency(&self, _: &Verdict, epoch: &Epoch, _: SystemTime) -> Currency {
        if *epoch == self.now() { Currency::Current } else { Currency::Stale }
    }

    fn epoch(&self) -> Option<Epoch> {
        Some(self.now())
    }

    fn slots(&self) -> usize {
        1
    }

    fn bump(&self, least: u64) -> u64 {
        least
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn watch(&self, _: CancellationToken) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// The policy that is there without any rules.
pub(super) fn in_force() -> Arc<policy::InForce> {
    in_force_with(policy::rule::RuleSet::default())
}

/// A policy of these rules.
pub(super) fn in_force_with(rules: policy::rule::RuleSet) -> Arc<policy::InForce> {
    let policy = policy::Policy::new(&policy::Config::default(), rules);
    Arc::new(policy::InForce::register(policy, SystemTime::now(), &Registry::new()).unwrap())
}

/// A request of whoever reads media as they are.
pub(super) fn occasion() -> Arc<Occasion> {
    Arc::new(Occasion::new(Direction::Scan, "scanner_scan"))
}

/// A store and a secret, which nodes share.
struct Fleet {
    store: Arc<dyn VerdictStore>,
    ring: KeyRing,
    dir: tempfile::TempDir,
    audit: Audit,
}

impl Fleet {
    fn new() -> Self {
        let hour = Duration::from_hours(1);
        let store = Arc::new(MemoryStore::new(1 << 20, hour, hour));
        let dir = tempfile::tempdir().unwrap();
        let audit = audit::Config { path: Some(dir.path().join("audit")) };
        let audit = Audit::register(&audit, &Registry::new()).unwrap();
        Self { store, ring: KeyRing::ephemeral().unwrap(), dir, audit }
    }

    fn node(&self, outcome: Result<Verdict, EngineError>) -> (Arc<Inspector>, Arc<Told>) {
        self.node_with(outcome, "1", &Config::default())
    }

    fn node_with(
        &self,
        outcome: Result<Verdict, EngineError>,
        signatures: &str,
        config: &Config,
    ) -> (Arc<Inspector>, Arc<Told>) {
        let epoch = Mutex::new(Epoch::new("told", signatures));
        let engine =
            Arc::new(Told { outcome, epoch, asked: AtomicUsize::new(0), holds: None, until: Mutex::default() });
        (self.node_of(&engine, config), engine)
    }

    fn node_of(&self, engine: &Arc<Told>, config: &Config) -> Arc<Inspector> {
        let registry = Registry::new();
        let cache = VerdictCache::sharing(Arc::clone(&self.store), self.ring.clone(), &registry).unwrap();
        self.node_with_cache(engine, config, cache, &registry)
    }

    fn node_with_cache(
        &self,
        engine: &Arc<Told>,
        config: &Config,
        cache: VerdictCache,
        registry: &Registry,
    ) -> Arc<Inspector> {
        let spool = spool::Config { dir: self.dir.path().to_owned(), ..spool::Config::default() };
        let stages = Stages {
            engine: Arc::clone(engine) as _,
            cache,
            audit: self.audit.clone(),
            policy: in_force(),
            clock: Clock::default(),
            spooler: Arc::new(Spooler::open(&spool, ByteSize::mib(1)).unwrap()),
            scan_timeout: Duration::from_secs(10),
        };
        Inspector::new(stages, config, TaskTracker::new(), registry).unwrap()
    }

    async fn told(&self) -> Vec<serde_json::Value> {
        assert!(self.audit.written(Duration::from_mins(1)).await);
        let text = std::fs::read_to_string(self.dir.path().join("audit")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn body() -> Arc<Spool> {
    Arc::new(Spool::of(b"a medium"))
}

fn dies() -> EngineError {
    EngineError::Failed { backend: "here".to_owned(), why: "it died".to_owned(), blame: crate::engine::FULL_BLAME }
}

fn found() -> Verdict {
    Verdict::Infected { detection: Detection("X".to_owned()) }
}

fn opaque() -> Verdict {
    Verdict::Opaque { why: Detection("Y".to_owned()) }
}

async fn inspect(node: &Arc<Inspector>) -> Result<Inspection, InspectError> {
    node.inspect(&body(), Way::Plain(node.reader(Some(b"token"))), &occasion()).await
}

#[tokio::test]
async fn a_medium_that_killed_an_engine_of_each_of_two_nodes_is_shown_to_none_of_a_third() {
    let fleet = Fleet::new();
    for _ in 0..2 {
        let (node, _) = fleet.node(Err(dies()));
        assert!(matches!(inspect(&node).await, Err(InspectError::Engine(_))));
    }
    let (third, engine) = fleet.node(Ok(opaque()));
    let inspection = inspect(&third).await.unwrap();
    assert!(
        matches!(&inspection.record.as_ref().unwrap().verdict, Verdict::Incomplete { why } if why.0 == "Lazaret.Toxic")
    );
    assert_eq!(engine.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_scan_that_ends_well_clears_a_medium_for_all() {
    let fleet = Fleet::new();
    let (first, _) = fleet.node(Err(dies()));
    assert!(inspect(&first).await.is_err());
    let (second, _) = fleet.node(Ok(opaque()));
    assert!(inspect(&second).await.is_ok());
    let name = fleet.ring.blame(fleet.ring.plaintext(body().digest()));
    assert!(fleet.store.get(name).await.unwrap().is_none());
    fleet.store.remove(fleet.ring.plaintext(body().digest())).await.unwrap();
    let (third, _) = fleet.node(Err(dies()));
    assert!(inspect(&third).await.is_err());
    let (fourth, engine) = fleet.node(Ok(opaque()));
    assert!(inspect(&fourth).await.is_ok(), "one death may be an accident");
    assert_eq!(engine.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_another_node_had_noted_is_told_when_it_brings_it() {
    let fleet = Fleet::new();
    let (first, _) = fleet.node(Ok(found()));
    let (second, _) = fleet.node(Ok(found()));
    let identity = fleet.ring.plaintext(body().digest());
    first.note(identity, &Decision::Allow, Some(first.reader(Some(b"one"))), (&occasion(), Access::Keyed));
    second.note(identity, &Decision::Allow, Some(second.reader(Some(b"two"))), (&occasion(), Access::Keyed));
    inspect(&first).await.unwrap();
    let readers = |line: &serde_json::Value| line["readers"].as_array().unwrap().len();
    assert_eq!(fleet.told().await.iter().map(readers).collect::<Vec<_>>(), [1]);
    second.flush_usage().await;
    first.flush_usage().await;
    second.flush_usage().await;
    assert_eq!(fleet.told().await.iter().map(readers).collect::<Vec<_>>(), [1, 2], "each of them once");
    assert_eq!(fleet.told().await[1]["times"], 2);
}

#[tokio::test]
async fn what_was_noted_when_a_process_ended_is_told_by_the_next() {
    let fleet = Fleet::new();
    let (first, _) = fleet.node(Ok(opaque()));
    let stop = CancellationToken::new();
    stop.cancel();
    first.note(
        fleet.ring.plaintext(body().digest()),
        &Decision::Allow,
        Some(first.reader(None)),
        (&occasion(), Access::Keyed),
    );
    first.watch(stop.clone(), stop).await;
    drop(first);
    let (second, _) = fleet.node(Ok(found()));
    inspect(&second).await.unwrap();
    assert_eq!(fleet.told().await[0]["readers"], serde_json::json!([fleet.ring.reader(b"anonymous").to_string()]));
}

#[tokio::test(start_paused = true)]
async fn the_grace_counts_from_when_signatures_changed_here_and_only_for_what_they_replaced() {
    let fleet = Fleet::new();
    let (before, _) = fleet.node(Ok(found()));
    inspect(&before).await.unwrap();
    let grace = Duration::from_mins(10);
    let (node, engine) = fleet.node_with(Ok(opaque()), "1", &Config { grace, ..Config::default() });
    let learn = |state| *engine.epoch.lock().unwrap() = Epoch::new("told", state);
    node.look_at_signatures().await;
    learn("2");
    for _ in 0..3 {
        assert!(inspect(&node).await.unwrap().record.unwrap().verdict.is_infected());
        tokio::time::advance(grace / 3).await;
    }
    assert_eq!(engine.asked.load(Ordering::SeqCst), 0);
    assert_eq!(inspect(&node).await.unwrap().record.unwrap().verdict, opaque(), "the grace is over");
    assert_eq!(engine.asked.load(Ordering::SeqCst), 1);
    for state in ["3", "4"] {
        learn(state);
        node.look_at_signatures().await;
    }
    inspect(&node).await.unwrap();
    assert_eq!(engine.asked.load(Ordering::SeqCst), 2, "it missed a change");
    let (started, engine) = fleet.node_with(Ok(opaque()), "5", &Config { grace, ..Config::default() });
    inspect(&started).await.unwrap();
    assert_eq!(engine.asked.load(Ordering::SeqCst), 1, "nothing has changed here since the start");
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_a_rescan_is_asked_to_come_again() {
    let fleet = Fleet::new();
    let (before, _) = fleet.node(Ok(found()));
    inspect(&before).await.unwrap();
    let (node, engine) = fleet.node_with(Ok(found()), "2", &Config::default());
    let other = fleet.ring.location("another medium");
    let taken = node.rescans.take_turn(other).await;
    assert!(matches!(inspect(&node).await, Err(InspectError::Engine(EngineError::Busy))));
    assert_eq!(engine.asked.load(Ordering::SeqCst), 0);
    drop(taken);
    inspect(&node).await.unwrap();
    assert_eq!(engine.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_comes_after_a_change_is_not_given_what_a_scan_from_before_it_says() {
    let fleet = Fleet::new();
    let epoch = Mutex::new(Epoch::new("told", "1"));
    let engine = Arc::new(Told {
        outcome: Ok(opaque()),
        epoch,
        asked: AtomicUsize::new(0),
        holds: Some(Notify::new()),
        until: Mutex::default(),
    });
    let node = fleet.node_of(&engine, &Config::default());
    let begun = async |times| {
        while engine.asked.load(Ordering::SeqCst) < times {
            tokio::task::yield_now().await;
        }
    };
    let changing = async {
        begun(1).await;
        *engine.epoch.lock().unwrap() = Epoch::new("told", "2");
        let joining = inspect(&node);
        let going_on = async {
            tokio::task::yield_now().await;
            engine.holds.as_ref().unwrap().notify_one();
            begun(2).await;
            engine.holds.as_ref().unwrap().notify_one();
        };
        tokio::join!(joining, going_on).0
    };
    let (_, joined) = tokio::join!(inspect(&node), changing);
    assert_eq!(&*joined.unwrap().record.unwrap().provenance.epoch.state, "2");
    assert_eq!(engine.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_no_engine_is_shown_any_more_is_let_pass_by_no_signature() {
    let fleet = Fleet::new();
    for _ in 0..2 {
        assert!(inspect(&fleet.node(Err(dies())).0).await.is_err());
    }
    let (node, _) = fleet.node(Ok(opaque()));
    overrule(&node, "Lazaret.Toxic").await.unwrap();
    assert!(matches!(inspect(&node).await.unwrap().decided.decision, Decision::Block(_)));
}

/// Has all that is called so pass.
async fn overrule(node: &Inspector, signature: &str) -> Result<Said, DeskError> {
    say(node, Effect::ForceClean, Target::Signature(signature.to_owned())).await
}

async fn say(node: &Inspector, effect: Effect, target: Target) -> Result<Said, DeskError> {
    let now = SystemTime::now();
    let words = ("sam".to_owned(), "ticket".to_owned());
    let new = Override::new(effect, target, words, (now, now + Duration::from_hours(1)));
    node.overrule(new.unwrap()).await
}

/// A store that nodes do not share, and that may fail.
fn far() -> (Fleet, Arc<Far>) {
    let ring = KeyRing::ephemeral().unwrap();
    let far = Arc::new(Far::new(ring.clone()));
    (Fleet { store: Arc::clone(&far) as _, ring, ..Fleet::new() }, far)
}

#[tokio::test]
async fn an_override_is_told_before_it_acts_and_never_acts_after_it_was_said_to_have_failed() {
    let (fleet, far) = far();
    let (node, _) = fleet.node(Ok(found()));
    far.is_fleeting.store(true, Ordering::Relaxed);
    let said = overrule(&node, "X").await.unwrap();
    assert!(said.doubt.is_some(), "it may be lost");
    assert_eq!(inspect(&node).await.unwrap().decided.decision, Decision::Allow);
    assert!(node.take_back(said.id, "sam".to_owned()).await.unwrap().doubt.is_some());
    far.is_down.store(true, Ordering::Relaxed);
    assert!(matches!(overrule(&node, "X").await, Err(DeskError::Store(_))));
    assert!(matches!(inspect(&node).await.unwrap().decided.decision, Decision::Block(_)));

    let mut told = fleet.told().await;
    told.retain(|line| line["event"] != "exposure");
    let events: Vec<_> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["override_add", "override_remove", "override_add", "override_failed"]);
    let ids: Vec<_> = told.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2] && ids[2] == ids[3], "{ids:?}");
    assert_eq!(told[0]["author"], "sam");
}

#[tokio::test]
async fn a_bump_that_is_not_kept_is_not_said_to_be() {
    let (fleet, far) = far();
    let (node, _) = fleet.node(Ok(found()));
    assert!(node.bump().await.1.is_none());
    far.is_fleeting.store(true, Ordering::Relaxed);
    assert!(node.bump().await.1.is_some(), "it may be lost");
    far.is_fleeting.store(false, Ordering::Relaxed);
    far.is_down.store(true, Ordering::Relaxed);
    assert!(node.bump().await.1.is_some());
    assert!(fleet.told().await.iter().all(|line| line["event"] == "epoch_bump" && line["bump"].is_u64()));
}

#[tokio::test]
async fn what_was_purged_is_told_by_its_content() {
    let fleet = Fleet::new();
    let (node, _) = fleet.node(Ok(opaque()));
    let inspection = inspect(&node).await.unwrap();
    node.remember(|| "hs.test/m".to_owned(), 8, &inspection).await;
    node.purge(&Purge::Of(Subject::Address("hs.test/m".to_owned()))).await.unwrap();
    node.purge(&Purge::Stale).await.unwrap();
    let told = fleet.told().await;
    let events: Vec<_> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["purge", "purged", "purge", "purged"]);
    assert_eq!(told[0]["identity"], inspection.identity.to_string());
    assert!(!format!("{told:?}").contains("hs.test"), "{told:?}");
}

#[tokio::test]
async fn what_the_store_behind_has_given_up_is_purged_from_memory() {
    let (fleet, far) = far();
    let (_, engine) = fleet.node(Ok(opaque()));
    let cache = VerdictCache::with_memory_before(Arc::clone(&far) as _, true, fleet.ring.clone());
    let node = fleet.node_with_cache(&engine, &Config::default(), cache, &Registry::new());
    let identity = inspect(&node).await.unwrap().identity;
    far.evict(identity);
    let removed = node.purge(&Purge::Epoch("1".to_owned())).await.unwrap();
    assert_eq!(removed.get("records"), Some(&1), "{removed:?}");
    inspect(&node).await.unwrap();
    assert_eq!(engine.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_waits_for_what_the_security_team_says() {
    let (fleet, far) = far();
    let (node, _) = fleet.node(Ok(found()));
    overrule(&node, "X").await.unwrap();
    far.is_down.store(true, Ordering::Relaxed);
    let (late, _) = fleet.node(Ok(found()));
    late.first_look_at_overrides().await;
    assert!(late.trouble().unwrap().contains("security team"), "it goes on without and says so");
    let (other, _) = fleet.node(Ok(found()));
    let looking = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.first_look_at_overrides().await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!looking.is_finished());
    far.is_down.store(false, Ordering::Relaxed);
    looking.await.unwrap();
    assert!(other.trouble().is_none());
    assert_eq!(inspect(&other).await.unwrap().decided.decision, Decision::Allow);
}

#[tokio::test]
async fn an_override_that_says_what_the_engine_says_decides_nothing() {
    let fleet = Fleet::new();
    let (node, _) = fleet.node(Ok(found()));
    let identity = fleet.ring.plaintext(body().digest());
    let decided = |effect| node.overruled.decided(effect);
    say(&node, Effect::ForceInfected, Target::Identity(identity)).await.unwrap();
    assert!(matches!(inspect(&node).await.unwrap().decided.decision, Decision::Block(_)));
    assert_eq!(decided(Effect::ForceInfected), 0);
    let (node, _) = fleet.node_with(Ok(opaque()), "2", &Config::default());
    node.look_at_overrides().await;
    assert_eq!(inspect(&node).await.unwrap().decided.decision, Decision::Block(Refusal::Infected));
    assert_eq!(node.overruled.decided(Effect::ForceInfected), 1);
}

#[tokio::test(start_paused = true)]
async fn waits_and_scan_have_one_deadline() {
    let fleet = Fleet::new();
    let (before, _) = fleet.node(Ok(found()));
    inspect(&before).await.unwrap();
    let (node, engine) = fleet.node_with(Ok(found()), "2", &Config::default());
    let taken = node.rescans.take_turn(fleet.ring.location("another medium")).await;
    let came = Instant::now();
    let leaving = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(taken);
    };
    let (inspection, ()) = tokio::join!(inspect(&node), leaving);
    inspection.unwrap();
    assert_eq!(*engine.until.lock().unwrap(), Some(came + Duration::from_secs(10)));
}

/// A node whose engine has learned since, in its grace, with a medium that it is to scan again.
async fn in_grace(fleet: &Fleet, outcome: Result<Verdict, EngineError>) -> (Arc<Inspector>, Arc<Told>) {
    let (before, _) = fleet.node(Ok(opaque()));
    inspect(&before).await.unwrap();
    let config = Config { grace: Duration::from_hours(1), ..Config::default() };
    let (node, engine) = fleet.node_with(outcome, "1", &config);
    node.look_at_signatures().await;
    *engine.epoch.lock().unwrap() = Epoch::new("told", "2");
    assert_eq!(inspect(&node).await.unwrap().record.unwrap().verdict, opaque());
    (node, engine)
}

/// Waits until no thread looks at any bytes: those know no other time than the real one.
async fn looked(node: &Arc<Inspector>) {
    let turns = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap());
    drop(node.turns.acquire_many(turns).await.unwrap());
}

/// Does in the background what there is to do in that time.
async fn rescan_for(node: &Arc<Inspector>, seconds: u64) {
    let mut rescanning = Box::pin(node.watch_rescans(CancellationToken::new()));
    for _ in 0..seconds {
        for _ in 0..50 {
            assert!(rescanning.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
            looked(node).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rescan_for_which_engines_have_no_room_is_tried_less_and_less_often() {
    let fleet = Fleet::new();
    let (node, engine) = in_grace(&fleet, Err(EngineError::Busy)).await;
    rescan_for(&node, 60).await;
    assert_eq!(engine.asked.load(Ordering::SeqCst), 6, "after 0, 1, 3, 7, 15 and 31 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_rescan_that_joined_a_request_content_with_the_old_verdict_is_made_all_the_same() {
    let fleet = Fleet::new();
    let (node, engine) = in_grace(&fleet, Ok(found())).await;
    let identity = fleet.ring.plaintext(body().digest());
    let Recalled::Stale(record) = node.recall(identity).await else { panic!("it is from before") };
    let (came, landing) = (Instant::now(), Duration::from_secs(2));
    let request = node.flights.join((identity, None), || async move {
        tokio::time::sleep(landing).await;
        Ok(Judgement { plaintext: identity, record })
    });
    assert!(request.boxed().now_or_never().is_none());
    rescan_for(&node, 10).await;
    assert_eq!(engine.asked.load(Ordering::SeqCst), 1);
    let begun = came + landing + Duration::from_secs(1);
    assert_eq!(*engine.until.lock().unwrap(), Some(begun + Duration::from_secs(10)), "it joined, and rested");
    assert!(inspect(&node).await.unwrap().record.unwrap().verdict.is_infected());
}

//! What nodes that share a store learn from each other.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytesize::ByteSize;

use super::*;
use crate::{
    audit,
    cache::{MemoryStore, VerdictStore, far::Far, key::KeyRing},
    engine::testing::Says,
    facts::{Direction, Facts, Occasion},
    policy::{self, Access, Decision},
    spool::{self, Spool},
    verdict::{Detection, Verdict},
};

mod overrides;
mod remembered;
mod rescans;

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

    fn node(&self, outcome: Result<Verdict, EngineError>) -> (Arc<Inspector>, Arc<Says>) {
        self.node_with(outcome, 1, &Config::default())
    }

    fn node_with(
        &self,
        outcome: Result<Verdict, EngineError>,
        signatures: u64,
        config: &Config,
    ) -> (Arc<Inspector>, Arc<Says>) {
        let engine = Says::with("told", "down", |says| {
            says.outcome = Mutex::new(outcome);
            says.signatures = AtomicU64::new(signatures);
        });
        (self.node_of(&engine, config), engine)
    }

    fn node_of(&self, engine: &Arc<Says>, config: &Config) -> Arc<Inspector> {
        let registry = Registry::new();
        let cache = VerdictCache::sharing(Arc::clone(&self.store), self.ring.clone(), &registry).unwrap();
        self.node_with_cache(engine, config, cache, &registry)
    }

    fn node_with_cache(
        &self,
        engine: &Arc<Says>,
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
    assert_eq!(engine.asked(), 0);
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
    assert_eq!(engine.asked(), 1);
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

/// A store that nodes do not share, and that may fail.
fn far() -> (Fleet, Arc<Far>) {
    let ring = KeyRing::ephemeral().unwrap();
    let far = Arc::new(Far::new(ring.clone()));
    (Fleet { store: Arc::clone(&far) as _, ring, ..Fleet::new() }, far)
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
    assert_eq!(engine.asked(), 2);
}

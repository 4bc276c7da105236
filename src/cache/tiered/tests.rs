use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use prometheus::Registry;

use super::*;
use crate::{
    cache::{entry::Located, far::Far, key::KeyRing},
    facts::Facts,
    verdict::{Clean, Epoch, Provenance, Standing, Verdict, Vouch},
};

/// A store and a node that uses it.
struct Bench {
    ring: KeyRing,
    far: Arc<Far>,
    node: Arc<Tiered>,
    key: Key,
}

impl Bench {
    fn new(is_shared: bool) -> Self {
        let ring = KeyRing::ephemeral().unwrap();
        let far = Arc::new(Far::new(ring.clone()));
        let (node, key) = (Arc::new(node(&far, is_shared)), ring.plaintext(&[1; 32]));
        Self { ring, far, node, key }
    }

    /// A node that has just been started beside, or in place of, the other one.
    fn other(&self) -> Tiered {
        node(&self.far, self.node.is_shared)
    }

    fn puts(&self) -> usize {
        self.far.puts.load(Ordering::Relaxed)
    }

    async fn put(&self, record: &Arc<Record>) {
        self.node.put(self.key, Entry::Record(Arc::clone(record))).await.unwrap();
    }

    async fn has(&self, node: &Tiered) -> bool {
        node.get(self.key).await.unwrap().is_some()
    }
}

fn node(far: &Arc<Far>, is_shared: bool) -> Tiered {
    let hour = Duration::from_hours(1);
    let back = Guarded::register(Arc::clone(far) as _, Duration::from_millis(250), &Registry::new()).unwrap();
    Tiered::new(MemoryStore::new(1 << 20, hour, hour), back, is_shared)
}

fn record(fence: u64) -> Arc<Record> {
    let provenance = Provenance {
        engine: "e".into(),
        version: String::new(),
        signatures: None,
        backend: String::new(),
        epoch: Epoch::new("e", "1"),
        bytes: 1,
        took: Duration::ZERO,
        vouch: Vouch::default(),
    };
    #[expect(clippy::disallowed_methods, reason = "what an engine would say")]
    let verdict = Verdict::Clean(Clean::attest());
    let facts = Facts { size: 1, ..Facts::default() };
    Arc::new(Record {
        order: Order { generation: 1, fence },
        facts,
        verdict,
        provenance,
        scanned_at: SystemTime::now(),
    })
}

fn settle(record: &Record, standing: Standing) {
    record.provenance.vouch.settle(standing);
}

#[tokio::test]
async fn what_is_not_proven_does_not_outlive_the_process_in_a_store_of_its_own() {
    let (bench, record) = (Bench::new(false), record(1));
    bench.put(&record).await;
    bench.node.flush().await.unwrap();
    assert_eq!((bench.puts(), bench.has(&bench.node).await, bench.has(&bench.other()).await), (0, true, false));
    bench.node.evict(bench.key);
    assert!(bench.has(&bench.node).await, "it waits for its proof all the same");
    settle(&record, Standing::Proven);
    bench.node.settle().await;
    assert_eq!((bench.puts(), bench.node.waiting(), bench.has(&bench.other()).await), (1, 0, true));
}

#[tokio::test]
async fn what_is_not_proven_is_shared_at_once_and_for_a_short_time() {
    let (bench, record) = (Bench::new(true), record(1));
    bench.put(&record).await;
    let other = bench.other();
    assert!(bench.has(&other).await);
    bench.far.expire_unproven();
    assert!(!bench.has(&other).await, "it is not kept near by those who do not know how it comes out");
    settle(&record, Standing::Proven);
    bench.node.settle().await;
    bench.far.expire_unproven();
    assert!(bench.has(&other).await);
}

#[tokio::test]
async fn what_was_refuted_is_taken_back_from_all() {
    for standing in [Standing::Refuted, Standing::Doubted] {
        let (bench, record) = (Bench::new(true), record(1));
        bench.put(&record).await;
        let other = bench.other();
        assert!(bench.has(&other).await);
        settle(&record, standing);
        bench.node.settle().await;
        assert_eq!((bench.has(&bench.node).await, bench.has(&other).await), (false, false));
        bench.put(&record).await;
        assert_eq!((bench.puts(), bench.node.waiting()), (1, 0), "nor is it taken in any more");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_refuted_while_the_store_was_down_does_not_come_back_from_it() {
    let (bench, record) = (Bench::new(true), record(1));
    bench.put(&record).await;
    bench.far.is_down.store(true, Ordering::Relaxed);
    settle(&record, Standing::Refuted);
    bench.node.settle().await;
    bench.far.is_down.store(false, Ordering::Relaxed);
    assert!(bench.has(&bench.other()).await, "the store has it still");
    assert!(!bench.has(&bench.node).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_what_was_refuted_does_not_come_back_from_a_store_that_did_not_hear_of_that() {
    let (bench, first, second) = (Bench::new(true), record(1), record(2));
    bench.put(&first).await;
    bench.far.is_down.store(true, Ordering::Relaxed);
    let entry = Entry::Record(Arc::clone(&second));
    assert!(bench.node.put(bench.key, entry).await.is_err());
    bench.far.is_down.store(false, Ordering::Relaxed);
    for record in [&first, &second] {
        settle(record, Standing::Doubted);
    }
    assert!(bench.has(&bench.other()).await, "the store has the first still");
    bench.node.evict(bench.key);
    assert!(!bench.has(&bench.node).await);
    bench.node.settle().await;
    assert_eq!((bench.has(&bench.node).await, bench.has(&bench.other()).await), (false, false));
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_forgotten_while_the_store_was_down_is_not_believed_when_it_comes_back() {
    for all in [false, true] {
        let (bench, record) = (Bench::new(true), record(1));
        bench.put(&record).await;
        bench.far.is_down.store(true, Ordering::Relaxed);
        settle(&record, Standing::Doubted);
        let node = &bench.node;
        assert!(if all { node.clear().await } else { node.remove(bench.key).await }.is_err());
        bench.far.is_down.store(false, Ordering::Relaxed);
        assert!(bench.has(&bench.other()).await, "the store has it still");
        assert!(!bench.has(&bench.node).await);
    }
}

#[tokio::test]
async fn what_another_node_said_since_is_not_taken_back_with_it() {
    let (bench, refuted) = (Bench::new(true), record(1));
    bench.put(&refuted).await;
    let (other, later) = (bench.other(), record(2));
    settle(&later, Standing::Proven);
    other.put(bench.key, Entry::Record(later)).await.unwrap();
    settle(&refuted, Standing::Refuted);
    bench.node.settle().await;
    assert!(bench.has(&bench.other()).await && bench.has(&bench.node).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_proven_while_the_store_was_down_is_put_later() {
    let (bench, record) = (Bench::new(false), record(1));
    bench.put(&record).await;
    bench.far.hangs.store(true, Ordering::Relaxed);
    settle(&record, Standing::Proven);
    bench.node.settle().await;
    bench.far.hangs.store(false, Ordering::Relaxed);
    assert!(bench.far.read(bench.key).is_none());
    bench.node.settle().await;
    assert!(bench.far.read(bench.key).is_some());
}

#[tokio::test]
async fn what_a_full_store_does_not_take_waits_until_there_is_room() {
    let (bench, record) = (Bench::new(false), record(1));
    bench.put(&record).await;
    settle(&record, Standing::Proven);
    *bench.far.refuses.lock().unwrap() = Some(StoreError::Full);
    bench.node.settle().await;
    assert_eq!(bench.node.waiting(), 1);
    *bench.far.refuses.lock().unwrap() = None;
    bench.node.settle().await;
    assert!(bench.far.read(bench.key).is_some() && bench.node.waiting() == 0);
}

#[tokio::test]
async fn what_is_forgotten_does_not_come_back_with_an_answer_that_was_under_way() {
    let (bench, record) = (Bench::new(false), record(1));
    settle(&record, Standing::Proven);
    bench.put(&record).await;
    bench.node.evict(bench.key);
    bench.far.answers.forget_permits(usize::MAX);
    let (node, key) = (Arc::clone(&bench.node), bench.key);
    let asked = tokio::spawn(async move { node.get(key).await });
    tokio::task::yield_now().await;
    bench.node.remove(bench.key).await.unwrap();
    bench.far.answers.add_permits(10);
    assert!(asked.await.unwrap().unwrap().is_some(), "it was asked before");
    assert!(!bench.has(&bench.node).await);
}

#[tokio::test]
async fn addresses_that_are_known_are_not_written_again() {
    let bench = Bench::new(false);
    let located = |len| Entry::Located(Located { identity: bench.key, len });
    let name = bench.ring.location("a");
    for (len, puts) in [(1, 1), (1, 1), (2, 2), (2, 2), (1, 3)] {
        bench.node.put(name, located(len)).await.unwrap();
        assert_eq!(bench.puts(), puts);
    }
}

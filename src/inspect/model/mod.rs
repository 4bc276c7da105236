//! A model of several nodes that share a store, or of one that keeps a store of its own, checked against the real thing.
//!
//! Everything is real but the engine, the store's place and the time. Steps come in any order; after each answer it is checked
//! whether it may be given.
//!
//! The suite looks at the same few cases each time. To hunt among others, give numbers of your own: a case that fails is
//! printed as the fewest steps that show it.
//!
//! ```text
//! PROPTEST_RNG_SEED=2 PROPTEST_CASES=5000 PROPTEST_MAX_SHRINK_ITERS=2000 cargo test --release --lib inspect::model
//! ```

mod engine;
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use bytesize::ByteSize;
use prometheus::Registry;
use tokio_util::task::TaskTracker;

use self::engine::{Fake, Scanned, Scans, Signatures};
use super::{Config, Inspector, Stages, Way, tests::occasion};
use crate::{
    audit::{self, Audit},
    cache::{
        Entry, VerdictCache,
        far::Far,
        key::{Key, KeyRing},
    },
    clock::Clock,
    engine::Engine as _,
    spool::{self, Spool, Spooler},
    verdict::{Record, Standing, Verdict},
};

/// What may happen. Numbers are taken modulo what there is of it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Ask(usize, usize),
    /// After what is near has reached its age.
    AskAfresh(usize, usize),
    Publish(u8),
    /// A node loads signatures that are as new as its own or newer.
    Update(usize, usize),
    /// All nodes go back to the signatures before, one after the other, as operators do it.
    Withdraw,
    Look(usize),
    Settle(usize),
    Wait(u64),
    Break(usize),
    Canaries(usize, bool),
    EvictFar(usize),
    ExpireUnproven,
    StoreDown,
    StoreUp,
    LoseStore,
    Purge(usize, usize),
    Clear(usize),
    Bump(usize),
    /// A process ends without a word, and another one takes its place, which may have been built with older signatures.
    Crash(usize, usize),
}

const CONTENTS: usize = 3;

pub(super) struct World {
    nodes: Vec<Node>,
    far: Arc<Far>,
    ring: KeyRing,
    signatures: Signatures,
    /// When each version was last published, of which each node may know or not.
    published: Vec<u64>,
    scans: Scans,
    processes: usize,
    is_numbered: bool,
    is_shared: bool,
    /// The operators' part, as far as the store was told.
    bump: u64,
    spooler: Arc<Spooler>,
}

struct Node {
    inspector: Arc<Inspector>,
    engine: Arc<Fake>,
    process: usize,
    /// Scans and bump at its start.
    began: (usize, u64),
    /// Scans that were purged here, by content.
    purged: HashMap<usize, usize>,
    /// Version that it told the store of.
    told: Option<usize>,
}

impl World {
    pub(super) fn new(nodes: usize, is_shared: bool, is_numbered: bool, dir: &std::path::Path) -> Self {
        let ring = KeyRing::ephemeral().unwrap();
        let spools = spool::Config { dir: dir.to_owned(), ..spool::Config::default() };
        let mut world = Self {
            nodes: Vec::new(),
            far: Arc::new(Far::new(ring.clone())),
            ring,
            signatures: Arc::new(Mutex::new(vec![0])),
            published: vec![0],
            scans: Scans::default(),
            processes: 0,
            is_numbered,
            is_shared,
            bump: 0,
            spooler: Arc::new(Spooler::open(&spools, ByteSize::mib(1)).unwrap()),
        };
        world.nodes = (0..nodes).map(|_| world.start(0)).collect();
        world
    }

    fn start(&mut self, version: usize) -> Node {
        self.processes += 1;
        let engine = Fake::new(&self.signatures, &self.scans, self.processes, self.is_numbered, version);
        let engine = Arc::new(engine);
        let stages = Stages {
            engine: Arc::clone(&engine) as _,
            cache: VerdictCache::with_memory_before(Arc::clone(&self.far) as _, self.is_shared, self.ring.clone()),
            audit: Audit::register(&audit::Config::default(), &Registry::new()).unwrap(),
            policy: super::tests::in_force(),
            clock: Clock::default(),
            spooler: Arc::clone(&self.spooler),
            scan_timeout: Duration::from_mins(1),
        };
        let inspector = Inspector::new(stages, &Config::default(), TaskTracker::new(), &Registry::new()).unwrap();
        let began = (self.scans.lock().unwrap().len(), self.bump);
        Node { inspector, engine, process: self.processes, began, purged: HashMap::new(), told: None }
    }

    fn scans(&self) -> Vec<Scanned> {
        self.scans.lock().unwrap().clone()
    }

    fn is_up(&self) -> bool {
        !self.far.is_down.load(Ordering::Relaxed)
    }

    fn spool(content: usize) -> Arc<Spool> {
        Arc::new(Spool::of(&[u8::try_from(content).unwrap()]))
    }

    fn key(&self, content: usize) -> Key {
        self.ring.plaintext(Self::spool(content).digest())
    }

    fn knows(&self, version: usize, content: usize) -> bool {
        self.signatures.lock().unwrap()[version] & 1 << content != 0
    }

    pub(super) async fn step(&mut self, step: &Step) {
        let (nodes, versions) = (self.nodes.len(), self.published.len());
        match *step {
            Step::Ask(node, content) => self.ask(node % nodes, content % CONTENTS).await,
            Step::AskAfresh(node, content) => self.ask_afresh(node % nodes, content % CONTENTS).await,
            Step::Publish(known) => {
                self.signatures.lock().unwrap().push(known);
                self.published.push(self.published.iter().max().unwrap() + 1);
            }
            Step::Update(node, by) => {
                let node = &self.nodes[node % nodes];
                let own = self.published[node.engine.version()];
                let newer: Vec<usize> = (0..versions).filter(|version| self.published[*version] >= own).collect();
                node.engine.version.store(newer[by % newer.len()], Ordering::Relaxed);
            }
            Step::Withdraw => self.withdraw().await,
            Step::Look(node) => self.look(node % nodes).await,
            Step::Settle(node) => self.nodes[node % nodes].cache().tiered().settle().await,
            Step::Wait(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
            Step::Break(node) => self.nodes[node % nodes].engine.broken.store(true, Ordering::Relaxed),
            Step::Canaries(node, wrong) => {
                let standing = if wrong { Standing::Refuted } else { Standing::Doubted };
                self.nodes[node % nodes].engine.canaries(standing);
            }
            Step::EvictFar(content) => self.far.evict(self.key(content % CONTENTS)),
            Step::ExpireUnproven => self.far.expire_unproven(),
            Step::StoreDown => self.far.is_down.store(true, Ordering::Relaxed),
            Step::StoreUp => self.far.is_down.store(false, Ordering::Relaxed),
            Step::LoseStore => {
                self.far.lose_everything();
                self.bump = 0;
                self.nodes.iter_mut().for_each(Node::lose_store);
            }
            Step::Purge(node, content) => self.purge(node % nodes, content % CONTENTS).await,
            Step::Clear(node) => {
                drop(self.nodes[node % nodes].cache().store().clear().await);
                (0..CONTENTS).for_each(|content| self.note_purge(node % nodes, content));
            }
            Step::Bump(node) => {
                self.nodes[node % nodes].inspector.bump().await;
                self.note_look(node % nodes);
            }
            Step::Crash(node, version) => self.nodes[node % nodes] = self.start(version % versions),
        }
    }

    async fn look(&mut self, node: usize) {
        self.nodes[node].inspector.look_at_signatures().await;
        self.note_look(node);
    }

    fn note_look(&mut self, node: usize) {
        let Some(Entry::Epochs(registry)) = self.far.read(self.ring.single("epochs")) else { return };
        self.bump = registry.bump;
        let node = &mut self.nodes[node];
        if self.far.is_down.load(Ordering::Relaxed) || node.cache().trouble().is_some() {
            return;
        }
        node.told = Some(node.engine.version());
    }

    /// The one before is newer than the one that was, for all who heard of it.
    async fn withdraw(&mut self) {
        let newest = (0..self.published.len()).max_by_key(|version| self.published[*version]).unwrap();
        let before = newest.saturating_sub(1);
        if self.is_numbered || !self.is_up() {
            return;
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].engine.version.store(newest, Ordering::Relaxed);
            self.look(node).await;
        }
        self.published[before] = self.published[newest] + 1;
        for at in 0..2 * self.nodes.len() {
            let node = at % self.nodes.len();
            self.nodes[node].engine.version.store(before, Ordering::Relaxed);
            self.look(node).await;
        }
    }

    async fn purge(&mut self, node: usize, content: usize) {
        let key = self.key(content);
        drop(self.nodes[node].cache().store().remove(key).await);
        self.note_purge(node, content);
    }

    fn note_purge(&mut self, node: usize, content: usize) {
        let scans = self.scans.lock().unwrap().len();
        let node = &mut self.nodes[node];
        if !self.far.is_down.load(Ordering::Relaxed) && node.cache().trouble().is_none() {
            node.purged.insert(content, scans);
        }
    }

    async fn ask(&mut self, node: usize, content: usize) {
        let body = Self::spool(content);
        let bump = self.nodes[node].engine.bump(0);
        let said = self.judged(node, &body).await;
        self.check(node, content, bump, &said);
    }

    async fn judged(&self, node: usize, body: &Arc<Spool>) -> Arc<Record> {
        let said = self.nodes[node].inspector.inspect(body, Way::Upload(None), &occasion()).await;
        said.unwrap().record.expect("an engine said so")
    }

    async fn ask_afresh(&mut self, node: usize, content: usize) {
        let key = self.key(content);
        self.nodes[node].cache().tiered().evict(key);
        self.look(node).await;
        let known = self.far.read(key);
        let is_reachable = self.is_up() && self.nodes[node].cache().trouble().is_none();
        let bump = self.nodes[node].engine.bump(0);
        let said = self.judged(node, &Self::spool(content)).await;
        self.check(node, content, bump, &said);
        if let Some(Entry::Record(record)) = known.filter(|_| is_reachable) {
            let scan = self.scan_of(&record.provenance.backend).1;
            let (own, theirs) = (self.nodes[node].engine.version(), scan.version);
            let is_newer = self.published[theirs] > self.published[own];
            let is_used = self.nodes.iter().any(|node| node.told == Some(theirs) && node.engine.version() == theirs);
            let counts = record.verdict.is_infected() && !record.is_refuted() && scan.bump >= self.bump;
            let is_undone = !said.verdict.is_infected();
            assert!(
                !(is_newer && is_used && counts && is_undone && self.is_shared && !Self::was_taken_back(&scan)),
                "node {node} at {own} undoes what {theirs} found in {content}"
            );
        }
    }

    fn was_taken_back(scan: &Scanned) -> bool {
        scan.vouch.refutes(&Verdict::Infected { detection: crate::verdict::Detection(String::new()) })
    }

    fn scan_of(&self, backend: &str) -> (usize, Scanned) {
        let at: usize = backend.parse().expect("scans are numbered");
        (at, self.scans.lock().unwrap()[at].clone())
    }

    /// What must hold of every answer.
    fn check(&self, at: usize, content: usize, known_bump: u64, record: &Record) {
        let node = &self.nodes[at];
        let (number, scan) = self.scan_of(&record.provenance.backend);
        let (own, used) = (node.engine.version(), scan.version);
        assert_eq!(scan.content, content, "it is about other bytes");
        let purged = node.purged.get(&content).copied().unwrap_or_default();
        assert!(number >= purged || scan.by != node.process, "it was purged on {at}");
        let is_refuted = scan.vouch.refutes(&record.verdict);
        assert!(!(scan.by == node.process && is_refuted), "it was refuted on {at}");
        if scan.broken {
            assert!(!(record.is_proven() && is_refuted), "nobody bears it out");
            return;
        }
        let is_known = self.knows(used, content);
        assert_eq!(record.verdict.is_infected(), is_known, "an engine said something else");
        if is_known {
            return;
        }
        // Clean: it has to be the word of whoever knows most.
        assert!(used == own || self.is_shared, "there is nobody else");
        assert!(
            used == own || self.published[used] > self.published[own],
            "node {at} has {own}, which is newer than {used}, and takes its word that {content} is clean"
        );
        let is_before = number < node.began.0;
        let bump = if is_before { node.began.1 } else { 0 };
        assert!(scan.bump >= bump, "an operator had outdated it before node {at} began");
        assert!(used != own || scan.by != node.process || scan.bump >= known_bump, "an operator outdated it");
    }
}

impl Node {
    /// What it was not told yet is told by nobody any more.
    fn lose_store(&mut self) {
        self.told = None;
        self.began.1 = self.began.1.min(self.engine.bump(0));
    }

    fn cache(&self) -> &VerdictCache {
        &self.inspector.stages.cache
    }
}

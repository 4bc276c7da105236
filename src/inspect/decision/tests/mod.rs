//! Policies of a few rules, put together by hand.

mod engines;
mod unscanned;

use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use prometheus::Registry;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    audit::{self, Audit},
    cache::{MemoryStore, VerdictCache, key::KeyRing},
    clock::Clock,
    engine::{
        Engine, Role,
        panel::Panel,
        testing::{Says, outcome},
    },
    inspect::{Config, InspectError, Inspection, Location, Stages, Way, task::Task, tests::occasion},
    plaintext::Plaintext,
    policy::{
        InForce, Refusal,
        condition::{Condition, Matcher, Set, Test},
        fact::Fact,
        rule::{Action, Defaults, Denial, Exception, Lifted, Mode, Otherwise, Rule, RuleSet, Severity},
    },
    spool::{self, Spool, Spooler},
    verdict::Currency,
};

struct Node {
    inspector: Arc<Inspector>,
    registry: Registry,
    _dir: tempfile::TempDir,
}

impl Node {
    fn new(engine: Arc<dyn Engine>, rules: RuleSet) -> Self {
        Self::with(engine, rules, &Config::default())
    }

    fn with(engine: Arc<dyn Engine>, rules: RuleSet, settings: &Config) -> Self {
        let (dir, registry, hour) = (tempfile::tempdir().unwrap(), Registry::new(), Duration::from_hours(1));
        let store = Arc::new(MemoryStore::new(1 << 20, hour, hour));
        let policy = Policy::new(&crate::policy::Config::default(), rules);
        let config = spool::Config { dir: dir.path().to_owned(), ..spool::Config::default() };
        let stages = Stages {
            engine,
            cache: VerdictCache::sharing(store, KeyRing::ephemeral().unwrap(), &registry).unwrap(),
            audit: Audit::register(&audit::Config::default(), &Registry::new()).unwrap(),
            policy: InForce::register(policy, SystemTime::now(), &registry).unwrap().into(),
            clock: Clock::default(),
            spooler: Arc::new(Spooler::open(&config, ByteSize::mib(1)).unwrap()),
            scan_timeout: Duration::from_secs(10),
        };
        let inspector = Inspector::new(stages, settings, TaskTracker::new(), &registry).unwrap();
        Self { inspector, registry, _dir: dir }
    }

    async fn ask(&self, occasion: &Arc<Occasion>) -> Result<Inspection, InspectError> {
        self.ask_for(&body(), occasion).await
    }

    async fn ask_for(&self, medium: &Arc<Spool>, occasion: &Arc<Occasion>) -> Result<Inspection, InspectError> {
        let reader = self.inspector.reader(Some(b"token"));
        let way = match occasion.direction {
            Direction::Upload => Way::Upload(None),
            Direction::Scan => Way::Plain(reader),
            Direction::Download | Direction::Thumbnail | Direction::Federation => Way::Keyless(reader),
        };
        self.inspector.inspect(medium, way, occasion).await
    }

    async fn decides(&self, occasion: &Arc<Occasion>) -> Option<Decision> {
        self.ask(occasion).await.ok().map(|inspection| inspection.decided.decision)
    }

    /// What was delivered, in media and in bytes, with these labels.
    fn delivered(&self, reason: &str, rule: &str, direction: &str) -> (u64, u64) {
        self.inspector.stages.policy.tally().passed([reason, rule, direction])
    }
}

/// What looks like ciphertext.
fn noise() -> Arc<Spool> {
    let mut state = 1_u64;
    let byte = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    Arc::new(Spool::of(&(0..4096).map(byte).collect::<Vec<u8>>()))
}

fn body() -> Arc<Spool> {
    Arc::new(Spool::of(b"a medium"))
}

fn asked(direction: Direction) -> Arc<Occasion> {
    Arc::new(Occasion::new(direction, "download"))
}

fn matching(fact: &str, value: &str) -> Matcher {
    let mut set = Set::default();
    set.texts.insert(value.into());
    Matcher {
        any: vec![vec![Condition { fact: Fact::named(fact).unwrap(), test: Test::Among(set.into()) }]],
        when: None,
    }
}

fn rule(id: &str, matcher: Matcher, action: Action) -> Rule {
    let denial = Denial {
        rule: id.into(),
        wire: crate::policy::rule::Wire::default(),
        reasons: std::collections::BTreeMap::new(),
        severity: Severity::default(),
        quarantine: false,
    };
    Rule {
        id: id.into(),
        description: None,
        matcher,
        action,
        mode: Mode::Enforce,
        expires: None,
        denial: denial.into(),
    }
}

fn scan_by(engine: &str) -> Action {
    Action::Scan([engine.into()].into())
}

fn allowing(states: &[(State, Direction)]) -> RuleSet {
    let said = states.iter().map(|at| (*at, Otherwise::Allow)).collect();
    RuleSet { defaults: Defaults { said, opaque_media: None }, ..RuleSet::default() }
}

fn panel(required: &Arc<Says>, advisory: &Arc<Says>) -> Arc<dyn Engine> {
    let engines = vec![
        (Role::Required, Arc::clone(required) as Arc<dyn Engine>),
        (Role::Advisory, Arc::clone(advisory) as Arc<dyn Engine>),
    ];
    Panel::of(engines, Duration::ZERO)
}

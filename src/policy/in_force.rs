//! The policy in force: one set of rules at a time, replaced as a whole while requests go on.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use super::{
    Decided, Policy,
    rule::{Mode, Rule, RuleSet},
    tally::{Medium, Tally},
};

/// How long before its end a rule or an exception is warned of.
const SOON: Duration = Duration::from_hours(7 * 24);

/// The policy in force, and what is counted of it.
pub struct InForce {
    policy: ArcSwap<Policy>,
    tally: Tally,
    standing: Mutex<Standing>,
    gauges: Gauges,
}

/// How the set in force came to be, and what became of the last try to replace it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// When it was taken.
    pub loaded_at: SystemTime,
    /// When another one was not taken since, and why.
    pub failure: Option<(SystemTime, String)>,
}

/// A rule or an exception that ends soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What ends: `rule` or `exception`.
    pub what: &'static str,
    /// Its id.
    pub id: Arc<str>,
    /// When.
    pub at: SystemTime,
    /// True if it is over.
    pub is_over: bool,
}

struct Gauges {
    info: IntGaugeVec,
    loaded: IntGauge,
    rules: IntGaugeVec,
    expired: IntGauge,
    exceptions: IntGaugeVec,
}

impl InForce {
    /// This policy, counted.
    pub fn register(policy: Policy, now: SystemTime, registry: &Registry) -> prometheus::Result<Self> {
        let in_force = Self {
            policy: ArcSwap::from_pointee(policy),
            tally: Tally::register(registry)?,
            standing: Mutex::new(Standing { loaded_at: now, failure: None }),
            gauges: Gauges::register(registry)?,
        };
        in_force.taken(now);
        Ok(in_force)
    }

    /// The policy that decides now. Who decides several things of one request asks once.
    pub fn current(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Has another one decide from now on.
    pub fn replace(&self, policy: Policy, now: SystemTime) {
        self.policy.store(Arc::new(policy));
        *self.standing() = Standing { loaded_at: now, failure: None };
        self.taken(now);
    }

    /// Notes that what there is cannot be taken, and that the set in force stays.
    pub fn refuse(&self, why: String, now: SystemTime) {
        self.standing().failure = Some((now, why));
    }

    /// Notes that what there is is what is in force.
    pub fn confirm(&self) {
        self.standing().failure = None;
    }

    /// How the set in force came to be.
    pub fn how(&self) -> Standing {
        self.standing().clone()
    }

    /// Counts a decision.
    pub fn count(&self, decided: &Decided, medium: Medium<'_>) {
        self.tally.count(decided, medium);
    }

    /// What was counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Brings numbers up to date that change with time alone.
    pub fn refresh(&self, now: SystemTime) {
        self.gauges.show(self.current().rules(), now);
    }

    fn taken(&self, now: SystemTime) {
        let policy = self.current();
        self.gauges.info.reset();
        let (revision, is_shipped) = (policy.revision(), policy.origin().is_shipped.to_string());
        self.gauges.info.with_label_values(&[revision, is_shipped]).set(1);
        self.gauges.loaded.set(seconds(now));
        self.gauges.show(policy.rules(), now);
        self.tally.prepare(policy.rules(), now);
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        // At worst it tells of the time before a panic.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Policy {
    /// What it is called in logs and metrics: the same for the same files.
    pub fn revision(&self) -> String {
        self.origin().fingerprint.map_or_else(|| "none".to_owned(), |fingerprint| fingerprint.revision())
    }
}

impl RuleSet {
    /// What ends within a week from now, or has ended.
    pub fn endings(&self, now: SystemTime) -> Vec<Ending> {
        let of_rules = self.rules.iter().filter_map(|rule| Some(("rule", &rule.id, rule.expires?)));
        let of_exceptions = self.exceptions.iter().map(|one| ("exception", &one.id, one.until));
        let endings = of_rules.chain(of_exceptions).filter(|(_, _, at)| *at <= now + SOON);
        endings.map(|(what, id, at)| Ending { what, id: Arc::clone(id), at, is_over: at <= now }).collect()
    }
}

impl Gauges {
    fn register(registry: &Registry) -> prometheus::Result<Self> {
        let vec = |name: &str, help: &str, label: &str| IntGaugeVec::new(Opts::new(name, help), &[label]);
        let info = "1, labelled with the revision of the policy in force, and whether it is the shipped default one.";
        let gauges = Self {
            info: IntGaugeVec::new(Opts::new("lazaret_policy_info", info), &["revision", "shipped"])?,
            loaded: IntGauge::new(
                "lazaret_policy_loaded_timestamp_seconds",
                "When the policy in force was taken, in seconds since 1970.",
            )?,
            rules: vec("lazaret_policy_rules", "Rules that are not over, by mode.", "mode")?,
            expired: IntGauge::new("lazaret_policy_rules_expired", "Rules that are over and do not act any more.")?,
            exceptions: vec("lazaret_policy_exceptions", "Exceptions, by whether they act.", "state")?,
        };
        registry.register(Box::new(gauges.info.clone()))?;
        registry.register(Box::new(gauges.loaded.clone()))?;
        registry.register(Box::new(gauges.rules.clone()))?;
        registry.register(Box::new(gauges.expired.clone()))?;
        registry.register(Box::new(gauges.exceptions.clone()))?;
        Ok(gauges)
    }

    fn show(&self, rules: &RuleSet, now: SystemTime) {
        let is_over = |rule: &&Rule| rule.is_over(now);
        for mode in Mode::ALL {
            let of_mode = rules.rules.iter().filter(|rule| rule.mode == mode && !rule.is_over(now));
            self.rules.with_label_values(&[mode.name()]).set(number(of_mode.count()));
        }
        self.expired.set(number(rules.rules.iter().filter(is_over).count()));
        let acting = rules.exceptions.iter().filter(|one| !one.is_over(now)).count();
        for (state, count) in [("acting", acting), ("expired", rules.exceptions.len() - acting)] {
            self.exceptions.with_label_values(&[state]).set(number(count));
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

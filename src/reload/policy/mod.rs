//! The policy's files: read, checked, and taken as a whole or not at all.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use serde_json::json;

use super::{
    look::{Look, Settling},
    sample,
};
use crate::{
    audit::Audit,
    cache::key::KeyRing,
    clock::Clock,
    policy::{self, Hash, InForce, Naming, Policy},
    telemetry::log::Chain,
};

/// After which time files that could not be taken are tried again although they look the same: what was wrong may be elsewhere.
const RETRY: Duration = Duration::from_mins(1);

/// How often files that change while they are read are tried, when someone asks for it.
const TRIES: usize = 10;

/// How long files have to be left alone before they are read, when someone asks for it: of one that is cut between two rules, nothing
/// but time tells that it is not whole.
const REST: Duration = Duration::from_millis(100);

/// Reads the policy of a configuration.
pub struct PolicySource {
    config: policy::Config,
    naming: Box<Naming>,
    engines: Option<Vec<String>>,
    is_server_named: bool,
}

impl PolicySource {
    /// That of `policy.dir`. Digests in rules are named as media are; `engines` are those that are configured, if that is known.
    pub fn new(config: &policy::Config, keys: Option<KeyRing>, engines: Option<Vec<String>>) -> Self {
        let naming: Box<Naming> = match keys {
            Some(keys) => Box::new(move |digest| Hash(keys.plaintext(digest).to_bytes())),
            None => Box::new(Hash::plain),
        };
        Self { config: config.clone(), naming, engines, is_server_named: true }
    }

    /// Whether it is configured which server's media are ours. If not, rules that ask for that are noted.
    #[must_use]
    pub fn of_server(self, is_server_named: bool) -> Self {
        Self { is_server_named, ..self }
    }

    /// Reads it, has its cases run at this time, and checks that its engines exist. Blocks on the disk.
    pub fn read(&self, now: SystemTime) -> Result<Policy, String> {
        self.read_noting(now, &mut BTreeSet::new())
    }

    /// The same; the files that it is made of are noted whatever comes of it.
    fn read_noting(&self, now: SystemTime, files: &mut BTreeSet<PathBuf>) -> Result<Policy, String> {
        let policy = Policy::load_noting(&self.config, (&*self.naming, &sample::examine), now, files);
        let mut policy = policy.map_err(|error| Chain(&error).to_string())?;
        self.check(&policy)?;
        if !self.is_server_named {
            policy.note_unnamed_server(self.path());
        }
        Ok(policy)
    }

    /// Checks that the engines exist that rules want to be heard.
    pub fn check(&self, policy: &Policy) -> Result<(), String> {
        let Some(engines) = &self.engines else { return Ok(()) };
        let missing = policy.missing_engines(engines);
        if missing.is_empty() {
            return Ok(());
        }
        let there = if engines.is_empty() { "none" } else { &engines.join(", ") };
        let missing = missing.join("`, `");
        Err(format!("rules want engines to be heard that are not configured: `{missing}`; configured: {there}"))
    }

    /// Names digests as media are named.
    pub fn naming(&self) -> &Naming {
        &*self.naming
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.config.dir
    }

    /// What the configuration says besides.
    pub fn config(&self) -> &policy::Config {
        &self.config
    }
}

/// What came of reading files again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are in force now.
    Taken(Summary),
    /// They are what was in force.
    Unchanged(Summary),
    /// They cannot be taken.
    Refused(String),
}

/// A set of rules in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub revision: String,
    /// Number of rules.
    pub rules: usize,
    /// Number of exceptions.
    pub exceptions: usize,
}

impl Summary {
    /// That of a policy.
    pub fn of(policy: &Policy) -> Self {
        let rules = policy.rules();
        let (revision, exceptions) = (policy.revision(), rules.exceptions.len());
        Self { revision, rules: rules.rules.len(), exceptions }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, rules, exceptions } = self;
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(f, "revision {revision}, {rules} rule{}", plural(*rules))?;
        write!(f, ", {exceptions} exception{}", plural(*exceptions))
    }
}

/// Keeps the policy in force as its files say.
pub struct PolicyFiles {
    source: PolicySource,
    in_force: Arc<InForce>,
    clock: Clock,
    audit: Audit,
    /// Locked while files are read, so that of two readers the later one wins.
    state: Mutex<State>,
    /// Waits for `REST`.
    rest: Box<dyn Fn() + Send + Sync>,
}

struct State {
    settling: Settling,
    /// All files that were read, or could not be, the last time.
    files: BTreeSet<PathBuf>,
    /// When files could not be taken, and what was said of that.
    failed: Option<(Instant, String)>,
}

impl PolicyFiles {
    /// `in_force` was read of this source just now.
    pub fn new(source: PolicySource, in_force: Arc<InForce>, clock: Clock, audit: Audit) -> Self {
        let files = in_force.current().origin().files.iter().cloned().collect();
        // What is there may have changed since it was read: it counts as not read yet.
        let state = Mutex::new(State { settling: Settling::default(), files, failed: None });
        Self { source, in_force, clock, audit, state, rest: Box::new(|| std::thread::sleep(REST)) }
    }

    /// The policy in force.
    pub fn in_force(&self) -> &Arc<InForce> {
        &self.in_force
    }

    /// Where it comes from.
    pub fn source(&self) -> &PolicySource {
        &self.source
    }

    /// The time by which it ends.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads the files again. Blocks on the disk.
    pub fn reload(&self) -> Outcome {
        // What a poisoned state lacks is read again.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..TRIES {
            let look = self.look_by(&state);
            (self.rest)();
            if self.look_by(&state) == look
                && let Some(outcome) = self.try_read(&mut state)
            {
                return outcome;
            }
        }
        self.refuse(format!("{}: files change while they are read; try again", self.source.path().display()))
    }

    /// Looks at the files, and reads them if they are others than before and have come to rest. Gives what is to be told.
    pub fn look(&self) -> Option<Outcome> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let look = self.look_by(&state);
        let is_time = state.failed.as_ref().is_some_and(|(at, _)| at.elapsed() >= RETRY);
        if !state.settling.is_due(look) && !is_time {
            return None;
        }
        let told = state.failed.as_ref().map(|(_, why)| why.clone());
        match self.try_read(&mut state)? {
            Outcome::Unchanged(_) if told.is_none() => None,
            Outcome::Refused(why) if told.as_ref() == Some(&why) => None,
            outcome => Some(outcome),
        }
    }

    fn look_by(&self, state: &State) -> Look {
        Look::at(self.source.path(), &state.files)
    }

    /// Reads the files; `None` if they changed meanwhile, or may have: those that are read for the first time were not looked at before.
    fn try_read(&self, state: &mut State) -> Option<Outcome> {
        let (before, mut files) = (self.look_by(state), BTreeSet::new());
        let read = self.source.read_noting(self.clock.now(), &mut files);
        let is_unchanged = self.look_by(state) == before && before.covers(&files);
        state.files = files;
        if !is_unchanged {
            return None;
        }
        state.settling.read(before);
        let outcome = self.take(read);
        state.failed = match &outcome {
            Outcome::Refused(why) => Some((Instant::now(), why.clone())),
            Outcome::Taken(_) | Outcome::Unchanged(_) => None,
        };
        Some(outcome)
    }

    fn take(&self, read: Result<Policy, String>) -> Outcome {
        let policy = match read {
            Ok(policy) => policy,
            Err(why) => return self.refuse(why),
        };
        let (summary, before) = (Summary::of(&policy), self.in_force.current());
        if policy.origin().is_shipped && !before.origin().is_shipped {
            return self.refuse(format!("{}: there are no policy files any more", self.source.path().display()));
        }
        if policy.revision() == before.revision() {
            self.in_force.confirm();
            return Outcome::Unchanged(summary);
        }
        let Summary { revision, rules, exceptions } = &summary;
        let told = json!({"revision": revision, "before": before.revision(), "rules": rules, "exceptions": exceptions});
        self.audit.record("policy", &told);
        self.in_force.replace(policy, self.clock.now());
        Outcome::Taken(summary)
    }

    fn refuse(&self, why: String) -> Outcome {
        self.in_force.refuse(why.clone(), self.clock.now());
        Outcome::Refused(why)
    }
}

#[cfg(test)]
mod tests;

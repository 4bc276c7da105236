//! Several engines that judge together.
//!
//! All are asked at once. What any of them recognises is infected, and the others are waited for no longer. Otherwise every
//! required engine has to give its verdict: one that fails leaves none. Among their verdicts the one that says least for
//! the medium counts: *incomplete* before *opaque* before *clean*. An advisory engine is heard if it finds something while
//! the others are at it, or soon after; what it says else changes nothing, and neither does its silence. Unless it is needed for
//! this medium: then it counts as required, and is heard even where another one recognised something.

mod heard;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use self::heard::{Heard, Part};
use super::{Engine, EngineError, Role, Scan};
use crate::{
    facts::Facts,
    plaintext::Plaintext,
    verdict::{Currency, Epoch, Provenance, Verdict, Vouch},
};

/// Engines and how much each counts.
pub struct Panel {
    engines: Vec<(Role, Arc<dyn Engine>)>,
    /// How long advisory engines are waited for when all others have answered.
    advisory_wait: Duration,
}

/// A part of the epochs of those whose verdicts made up one, by their names.
type Parts = BTreeMap<String, Arc<str>>;

impl Panel {
    /// What these engines are together. One alone needs no panel.
    pub fn of(mut engines: Vec<(Role, Arc<dyn Engine>)>, advisory_wait: Duration) -> Arc<dyn Engine> {
        match engines.len() {
            1 => engines.remove(0).1,
            _ => Arc::new(Self { engines, advisory_wait }),
        }
    }

    fn required(&self) -> impl Iterator<Item = &Arc<dyn Engine>> {
        self.engines.iter().filter(|(role, _)| *role == Role::Required).map(|(_, engine)| engine)
    }

    async fn ask(
        &self,
        plaintext: &Plaintext,
        facts: &Facts,
        needed: &[Arc<str>],
        deadline: Instant,
    ) -> Result<Scan, EngineError> {
        let is_needed = |engine: &Arc<dyn Engine>| needed.iter().any(|name| **name == *engine.name());
        let ask = |(role, engine): &(Role, Arc<dyn Engine>)| {
            let engine = Arc::clone(engine);
            let part = Part { counts: *role == Role::Required || is_needed(&engine), is_needed: is_needed(&engine) };
            async move { (part, engine.scan(plaintext, facts, needed, deadline).await) }
        };
        let mut asked: FuturesUnordered<_> = self.engines.iter().map(ask).collect();
        let counts = self.engines.iter().filter(|(role, engine)| *role == Role::Required || is_needed(engine));
        let needs = self.engines.iter().filter(|(_, engine)| is_needed(engine));
        let mut heard = Heard::expecting(counts.count(), needs.count());
        let mut until = deadline;
        while let Ok(Some((part, outcome))) = timeout_at(until, asked.next()).await {
            heard.take(part, outcome);
            if heard.is_infected && heard.needed == 0 {
                break;
            }
            if part.counts && heard.missing == 0 {
                until = deadline.min(Instant::now() + self.advisory_wait);
            }
        }
        heard.together()
    }
}

/// How little a verdict says for a medium.
fn doubt(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Clean(_) => 0,
        Verdict::Opaque { .. } => 1,
        Verdict::Incomplete { .. } => 2,
        Verdict::Infected { .. } => 3,
    }
}

/// The verdict of all these, of which there is one at least.
fn combined(mut scans: Vec<Scan>) -> Scan {
    scans.sort_by_key(|scan| doubt(&scan.verdict));
    let verdict = scans.last().expect("someone is required").verdict.clone();
    scans.sort_by(|one, other| one.provenance.engine.cmp(&other.provenance.engine));
    let parts: Vec<Provenance> = scans.into_iter().map(|scan| scan.provenance).collect();
    let text = |part: fn(&Provenance) -> &str| parts.iter().map(part).collect::<Vec<_>>().join("+");
    let epoch = joined(&parts.iter().map(|part| (&*part.engine, &part.epoch)));
    let provenance = Provenance {
        engine: text(|part| &part.engine).into(),
        version: text(|part| &part.version),
        signatures: parts.iter().find_map(|part| part.signatures),
        backend: text(|part| &part.backend),
        epoch,
        bytes: parts.iter().map(|part| part.bytes).max().unwrap_or_default(),
        took: parts.iter().map(|part| part.took).max().unwrap_or_default(),
        vouch: Vouch::of_all(parts.iter().map(|part| part.vouch.clone())),
    };
    Scan { verdict, provenance }
}

/// The epochs of several engines as one.
fn joined<'a>(epochs: &(impl Iterator<Item = (&'a str, &'a Epoch)> + Clone)) -> Epoch {
    let join = |part: fn(&Epoch) -> &Arc<str>| {
        let parts: Parts = epochs.clone().map(|(name, epoch)| (name.to_owned(), Arc::clone(part(epoch)))).collect();
        serde_json::to_string(&parts).expect("texts can be written")
    };
    Epoch::new(join(|epoch| &epoch.setup), join(|epoch| &epoch.state))
}

/// What was joined; `None` if that is none of ours.
fn parted(epoch: &Epoch) -> Option<BTreeMap<String, Epoch>> {
    let setups: Parts = serde_json::from_str(&epoch.setup).ok()?;
    let mut states: Parts = serde_json::from_str(&epoch.state).ok()?;
    let parts = setups.into_iter().map(|(name, setup)| Some((states.remove(&name)?, name, setup)));
    parts.map(|part| part.map(|(state, name, setup)| (name, Epoch { setup, state }))).collect()
}

impl Engine for Panel {
    fn scan<'a>(
        &'a self,
        plaintext: &'a Plaintext,
        facts: &'a Facts,
        needed: &'a [Arc<str>],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>> {
        self.ask(plaintext, facts, needed, deadline).boxed()
    }

    fn name(&self) -> &'static str {
        "panel"
    }

    fn names(&self) -> Vec<String> {
        self.engines.iter().flat_map(|(_, engine)| engine.names()).collect()
    }

    /// As current as the least current part of it; and unless someone recognised something, all who are required today had
    /// their say.
    fn currency(&self, verdict: &Verdict, epoch: &Epoch, given: SystemTime) -> Currency {
        let Some(parts) = parted(epoch).filter(|parts| !parts.is_empty()) else { return Currency::Foreign };
        if !verdict.is_infected() && self.required().any(|engine| !parts.contains_key(engine.name())) {
            return Currency::Foreign;
        }
        let engine = |name: &str| self.engines.iter().map(|(_, engine)| engine).find(|engine| engine.name() == name);
        let of_part = |(name, part)| engine(name).map_or(Currency::Foreign, |it| it.currency(verdict, part, given));
        parts.iter().map(|(name, part)| of_part((name.as_str(), part))).max().unwrap_or(Currency::Foreign)
    }

    /// That of a verdict for which all were heard who are required.
    fn epoch(&self) -> Option<Epoch> {
        let epochs: Option<Vec<_>> = self.required().map(|engine| Some((engine.name(), engine.epoch()?))).collect();
        Some(joined(&epochs?.iter().map(|(name, epoch)| (*name, epoch))))
    }

    fn usual(&self, epoch: &Epoch) -> Epoch {
        let (mut usual, mut others) = (Vec::new(), parted(epoch).unwrap_or_default());
        for engine in self.required() {
            usual.extend(others.remove(engine.name()).map(|part| (engine.name(), part)));
        }
        let engine = |name: &str| self.engines.iter().map(|(_, engine)| engine).find(|engine| engine.name() == name);
        let is_newest = |(name, part): (&String, &Epoch)| engine(name).and_then(|it| it.epoch()).as_ref() == Some(part);
        match !usual.is_empty() && others.iter().all(is_newest) {
            true => joined(&usual.iter().map(|(name, part)| (*name, part))),
            false => epoch.clone(),
        }
    }

    fn is_complete(&self, epoch: &Epoch) -> bool {
        parted(epoch).is_some_and(|parts| self.required().all(|engine| parts.contains_key(engine.name())))
    }

    /// That of the first engine that has one: where two have, what is newer in one part may be older in the other.
    fn number(&self) -> u64 {
        self.required().map(|engine| engine.number()).find(|number| *number > 0).unwrap_or_default()
    }

    fn slots(&self) -> usize {
        self.required().map(|engine| engine.slots()).min().unwrap_or(1)
    }

    fn bump(&self, least: u64) -> u64 {
        self.engines.iter().map(|(_, engine)| engine.bump(least)).max().unwrap_or(least)
    }

    fn ready(&self) -> Result<(), String> {
        let out: Vec<String> = self.required().filter_map(|engine| engine.ready().err()).collect();
        if out.is_empty() { Ok(()) } else { Err(out.join("\n")) }
    }

    fn watch(&self, stop: CancellationToken) -> BoxFuture<'_, ()> {
        let watching = self.engines.iter().map(|(_, engine)| engine.watch(stop.clone()));
        join_all(watching).map(|_| ()).boxed()
    }
}

#[cfg(test)]
mod tests;

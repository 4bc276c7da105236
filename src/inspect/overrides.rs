//! What the security team says in place of engines, as it is in force here.
//!
//! All of it is held in memory and looked at again every second, so no request waits for a store because of it. What a store has
//! lost it is given back, and one that fails takes nothing out of force.

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{Inspector, desk::DeskError};
use crate::{
    audit::timestamp,
    cache::{
        Entry,
        key::Key,
        overrides::{InForce, Override, OverrideError, OverrideId, Overrides, Ruling, Target},
        store::StoreError,
    },
    verdict::{Effect, Record},
};

/// Longest wait for a store at the start. It may still have to be connected to.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// How long it is left alone in between.
const PAUSE: Duration = Duration::from_millis(100);

/// The entry of all overrides.
const OVERRIDES: &str = "overrides";

/// That something was said and is in force here, or taken back.
#[derive(Debug)]
pub struct Said {
    /// What is meant.
    pub id: OverrideId,
    /// Why the store may lose it, if it may.
    pub doubt: Option<StoreError>,
}

/// What is in force, and how often it decided.
pub(super) struct Overruled {
    known: RwLock<(Arc<Overrides>, Arc<InForce>)>,
    /// The store told once what it has.
    is_told: AtomicBool,
    acting: IntGaugeVec,
    decided: IntCounterVec,
}

impl Overruled {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let opts = Opts::new("lazaret_overrides", "Overrides of the security team that act, by effect.");
        let acting = IntGaugeVec::new(opts, &["effect"])?;
        let opts =
            Opts::new("lazaret_overridden_total", "Decisions by an override in place of the verdict, by effect.");
        let decided = IntCounterVec::new(opts, &["effect"])?;
        for effect in Effect::ALL {
            acting.with_label_values(&[effect.name()]);
            decided.with_label_values(&[effect.name()]);
        }
        registry.register(Box::new(acting.clone()))?;
        registry.register(Box::new(decided.clone()))?;
        Ok(Self { known: RwLock::default(), is_told: AtomicBool::new(false), acting, decided })
    }

    /// False while it is not known what was said before this process began.
    pub(super) fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Relaxed)
    }

    fn all(&self) -> Arc<Overrides> {
        Arc::clone(&self.known.read().expect("no panic while held").0)
    }

    fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.known.read().expect("no panic while held").1)
    }

    /// Takes in what was said. Gives all that is known then.
    fn learn(&self, more: &Overrides) -> Arc<Overrides> {
        let mut known = self.known.write().expect("no panic while held");
        let both = known.0.and(more);
        if both != *known.0 {
            *known = (Arc::new(both.clone()), Arc::new(InForce::of(&both)));
        }
        let (all, now) = (Arc::clone(&known.0), SystemTime::now());
        for effect in Effect::ALL {
            let acting = all.iter().filter(|(_, one)| one.effect == effect && one.is_acting(now)).count();
            self.acting.with_label_values(&[effect.name()]).set(i64::try_from(acting).unwrap_or(i64::MAX));
        }
        all
    }

    /// What is said of bytes as such.
    pub(super) fn on_identity(&self, identity: Key) -> Option<Ruling> {
        self.in_force().on_identity(identity, SystemTime::now())
    }

    #[cfg(test)]
    pub(super) fn decided(&self, effect: Effect) -> u64 {
        self.decided.with_label_values(&[effect.name()]).get()
    }

    /// Counts a decision that would be another one without it.
    pub(super) fn count(&self, ruling: Option<Ruling>) {
        let Some(Ruling { id, effect }) = ruling else { return };
        self.decided.with_label_values(&[effect.name()]).inc();
        tracing::info!(%id, effect = effect.name(), "decided by an override");
    }
}

impl Inspector {
    /// What is said of bytes of which this is known.
    pub(super) fn ruling(&self, identity: Key, record: &Record) -> Option<Ruling> {
        let is_complete = || self.stages.engine.is_complete(&record.provenance.epoch);
        self.overruled.in_force().on(identity, &record.verdict, is_complete, SystemTime::now())
    }

    /// The same, of what a key opened a ciphertext to. Who forbids a ciphertext forbids all that it opens to; who lets it pass
    /// says nothing of that, since another key opens it to something else.
    pub(super) fn ruling_on_opened(&self, ciphertext: Key, plaintext: Key, record: &Record) -> Option<Ruling> {
        let said = self.overruled.on_identity(ciphertext);
        let forbidden = said.filter(|ruling| ruling.effect == Effect::ForceInfected);
        forbidden.or_else(|| self.ruling(plaintext, record))
    }

    /// True if bytes are to be taken for infected.
    pub(super) fn is_taken_for_infected(&self, identity: Key, record: &Record) -> bool {
        let ruling = self.ruling(identity, record);
        ruling.map_or(record.verdict.is_infected(), |ruling| ruling.effect == Effect::ForceInfected)
    }

    /// All overrides that are known.
    pub fn overrides(&self) -> Arc<Overrides> {
        self.overruled.all()
    }

    /// Looks for overrides that others made, and gives the store back what it has lost. One that fails changes nothing.
    pub async fn look_at_overrides(&self) {
        let key = self.overrides_key();
        let Ok(found) = self.stages.cache.store().get(key).await else { return };
        let found = match found {
            Some(Entry::Overrides(found)) => found,
            _ => Arc::default(),
        };
        let known = self.overruled.learn(&found);
        self.overruled.is_told.store(true, Ordering::Relaxed);
        if *known != *found {
            self.stages.cache.put(key, Entry::Overrides(known)).await;
        }
    }

    /// Waits for a while until the store has told what the security team says: what it forbids is forbidden to the first
    /// request, too.
    pub async fn first_look_at_overrides(&self) {
        let looking = async {
            loop {
                self.look_at_overrides().await;
                if self.overruled.is_told() {
                    return;
                }
                sleep(PAUSE).await;
            }
        };
        if timeout(FIRST_LOOK, looking).await.is_err() {
            tracing::warn!("the verdict store does not answer; overrides are in force once it does");
        }
    }

    /// Has media taken for what they are not in the eyes of engines. It is told before it can act, and whatever becomes of it.
    pub async fn overrule(&self, new: Override) -> Result<Said, DeskError> {
        self.look_at_overrides().await;
        let told = new.clone();
        let (id, said) = self.overruled.all().adding(new, SystemTime::now())?;
        self.stages.audit.record("override_add", &added(id, &told));
        let said = match self.say(id, said).await {
            Ok(_) if self.overruled.all().get(id).is_none() => Err(OverrideError::TooMany.into()),
            said => said,
        };
        self.tell_failure(id, said)
    }

    /// Takes an override back.
    pub async fn take_back(&self, id: OverrideId, author: String) -> Result<Said, DeskError> {
        self.look_at_overrides().await;
        let said = self.overruled.all().removing(id, author.clone(), SystemTime::now())?;
        self.stages.audit.record("override_remove", &json!({"id": id.to_string(), "author": author}));
        let said = self.say(id, said).await;
        self.tell_failure(id, said)
    }

    fn tell_failure(&self, id: OverrideId, said: Result<Said, DeskError>) -> Result<Said, DeskError> {
        if let Err(error) = &said {
            let why = json!({"id": id.to_string(), "why": error.to_string()});
            self.stages.audit.record("override_failed", &why);
        }
        said
    }

    /// Has the store know, and then this process. What the store does not take is not in force.
    async fn say(&self, id: OverrideId, said: Overrides) -> Result<Said, DeskError> {
        let all = self.overruled.all().and(&said);
        let store = self.stages.cache.store();
        store.put(self.overrides_key(), Entry::Overrides(Arc::new(all))).await?;
        self.overruled.learn(&said);
        let doubt = store.flush().await.err();
        if let Some(error) = &doubt {
            tracing::warn!(%id, %error, "an override may be lost");
        }
        Ok(Said { id, doubt })
    }

    fn overrides_key(&self) -> Key {
        self.stages.cache.keys().single(OVERRIDES)
    }
}

/// What is told of a new one.
fn added(id: OverrideId, new: &Override) -> Value {
    let (identity, signature) = match &new.target {
        Target::Identity(identity) => (Some(identity.to_string()), None),
        Target::Signature(signature) => (None, Some(signature)),
    };
    json!({
        "id": id.to_string(),
        "effect": new.effect.name(),
        "identity": identity,
        "signature": signature,
        "author": new.author,
        "reason": new.reason,
        "until": timestamp(new.until),
    })
}

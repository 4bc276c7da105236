//! Who was given what turned out to be infected.
//!
//! Every request for a medium is noted with who asked, as a pseudonym. When a medium is found infected that was given out, or called
//! clean, before, that is an exposure: audit says when, how often and to whom. It is told again if it turns out that there
//! was more of it, for one when another node brings its notes.

use std::{sync::Arc, time::SystemTime};

use futures_util::{StreamExt, stream};
use prometheus::{IntCounter, Registry};
use serde::Serialize;
use tokio::{
    sync::Mutex,
    time::{Duration, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::Inspector;
use crate::{
    audit::timestamp,
    cache::{
        Entry,
        entry::{Exposure, Served},
        key::{Key, Reader},
    },
    verdict::{Record, Verdict},
};

/// How often what was noted is brought to the store.
const FLUSH: Duration = Duration::from_secs(3);

/// Media that are looked at together then.
const AT_ONCE: usize = 16;

/// Who comes without a credential.
const ANONYMOUS: &[u8] = b"anonymous";

/// Tells of exposures.
pub(super) struct Exposures {
    /// One is told at a time, so that none is told twice.
    telling: Mutex<()>,
    found: IntCounter,
    cleared: IntCounter,
}

impl Exposures {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Media that were given out before they were found to be infected.";
        let found = IntCounter::new("lazaret_exposures_total", help)?;
        let help = "Media in which nothing is found any more.";
        let cleared = IntCounter::new("lazaret_cleared_media_total", help)?;
        registry.register(Box::new(found.clone()))?;
        registry.register(Box::new(cleared.clone()))?;
        Ok(Self { telling: Mutex::default(), found, cleared })
    }
}

/// What audit is told.
#[derive(Serialize)]
struct Told<'a> {
    identity: String,
    detection: &'a str,
    first_served: String,
    last_served: String,
    times: u64,
    readers: Vec<String>,
    more_readers: bool,
    engine: &'a str,
    engine_version: &'a str,
    signatures: Option<u32>,
    backend: &'a str,
    scanned_at: String,
}

impl<'a> Told<'a> {
    fn of(identity: Key, exposure: &'a Exposure, record: &'a Record) -> Self {
        let (served, provenance) = (&exposure.served, &record.provenance);
        Self {
            identity: identity.to_string(),
            detection: &exposure.detection.0,
            first_served: timestamp(served.first),
            last_served: timestamp(served.last),
            times: served.times,
            readers: served.readers.iter().map(ToString::to_string).collect(),
            more_readers: served.more,
            engine: &provenance.engine,
            engine_version: &provenance.version,
            signatures: provenance.signatures.map(|signatures| signatures.version),
            backend: &provenance.backend,
            scanned_at: timestamp(record.scanned_at),
        }
    }
}

/// True if what was told of before is all that there is to tell.
fn is_told(before: &Exposure, served: &Served) -> bool {
    served.last <= before.found && served.times <= before.served.times
}

impl Inspector {
    /// Who comes with this credential, as it is kept; the credential is not.
    pub fn reader(&self, credential: Option<&[u8]>) -> Reader {
        self.stages.cache.keys().reader(credential.unwrap_or(ANONYMOUS))
    }

    /// Sees to what follows from a verdict that is new.
    pub(super) async fn follow_up(&self, identity: Key, before: Option<&Record>, record: &Record) {
        let was_infected = before.is_some_and(|before| before.verdict.is_infected());
        match &record.verdict {
            Verdict::Infected { .. } => self.expose(identity, record).await,
            _ if was_infected => {
                self.exposures.cleared.inc();
                tracing::info!(%identity, verdict = record.verdict.name(), "a medium is infected no more");
            }
            _ => (),
        }
    }

    /// Tells of a plaintext, in which something was found, that it was given out before, if it was.
    pub(super) async fn expose(&self, identity: Key, record: &Record) {
        let Verdict::Infected { detection } = &record.verdict else { return };
        let cache = &self.stages.cache;
        let served = async || cache.usage(identity).await.and_then(|usage| usage.served);
        if served().await.is_none() {
            return;
        }
        let _turn = self.exposures.telling.lock().await;
        let Some(served) = served().await else { return };
        let name = cache.keys().exposure(identity);
        if let Some(Entry::Exposure(before)) = cache.get(name).await
            && is_told(&before, &served)
        {
            return;
        }
        let exposure = Arc::new(Exposure { found: SystemTime::now(), detection: detection.clone(), served });
        cache.put(name, Entry::Exposure(Arc::clone(&exposure))).await;
        self.exposures.found.inc();
        self.stages.audit.record("exposure", &Told::of(identity, &exposure, record));
    }

    /// Brings what was noted to the store, until `stop` and then once more.
    pub(super) async fn watch_usage(&self, stop: CancellationToken) {
        let mut ticks = interval(FLUSH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was taken out of the notes is always brought to its end.
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.flush_usage().await;
        }
        self.flush_usage().await;
    }

    /// What was given out while a scan was under way, here or at another node, is known by now.
    pub(super) async fn flush_usage(&self) {
        let look = async |identity: Key| {
            if let Some(record) = self.stages.cache.record(identity).await {
                self.expose(identity, &record).await;
            }
        };
        stream::iter(self.stages.cache.flush_usage().await).for_each_concurrent(AT_ONCE, look).await;
    }
}

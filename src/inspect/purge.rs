//! What operators have forgotten, so that the next request has it scanned again.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::{
    Inspector,
    desk::{DeskError, Subject},
};
use crate::{
    cache::{Entry, key::Key, store::StoreError},
    verdict::Currency,
};

/// Entries that are removed at a time.
const AT_A_TIME: usize = 32;

/// A store that has too much to do is given time, so often.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(25);

/// What is to be forgotten.
#[derive(Clone, Debug)]
pub enum Purge {
    /// Where some bytes were found, what was said of them, and of what keys opened them to.
    Of(Subject),
    /// What was said in this state of the engines.
    Epoch(String),
    /// What was said from signatures that are no longer in use.
    Stale,
    /// Everything but overrides and the order of signatures.
    All,
}

/// How many entries were removed, by kind.
pub type Removed = BTreeMap<&'static str, u64>;

impl Inspector {
    /// Forgets. Who was given what stays known, unless all is to be forgotten. It is told before anything is gone, and whatever
    /// becomes of it.
    pub async fn purge(&self, what: &Purge) -> Result<Removed, DeskError> {
        let identity = match what {
            Purge::Of(subject) => Some(self.resolve(subject).await?.identity),
            Purge::Epoch(_) | Purge::Stale | Purge::All => None,
        };
        self.stages.audit.record("purge", &told(what, identity));
        let outcome = match (what, identity) {
            (Purge::Of(subject), Some(identity)) => self.purge_one(subject, identity).await,
            (Purge::All, _) => self.purge_all().await,
            _ => self.purge_where(|entry| self.is_meant(what, entry)).await,
        };
        let audit = &self.stages.audit;
        match &outcome {
            Ok(removed) => audit.record("purged", &json!({"removed": removed})),
            Err(error) => audit.record("purge_failed", &json!({"why": error.to_string()})),
        }
        outcome
    }

    async fn purge_all(&self) -> Result<Removed, DeskError> {
        let removed = self.purge_where(|entry| !entry.is_single()).await?;
        self.stages.cache.store().clear().await?;
        Ok(removed)
    }

    fn is_meant(&self, what: &Purge, entry: &Entry) -> bool {
        match (what, entry) {
            (Purge::Epoch(state), Entry::Record(record)) => *record.provenance.epoch.state == **state,
            (Purge::Stale, Entry::Record(record)) => self.currency(record) == Currency::Stale,
            _ => false,
        }
    }

    async fn purge_one(&self, subject: &Subject, identity: Key) -> Result<Removed, DeskError> {
        let keys = self.stages.cache.keys();
        let mut names = Vec::new();
        if let Subject::Address(address) = subject {
            names.push(keys.location(address));
        }
        for content in [vec![identity], self.plaintexts(identity).await?].concat() {
            self.toxic.forget(content);
            names.extend([content, keys.openings(content), keys.blame(content)]);
        }
        let mut removed = Removed::new();
        for name in names {
            if let Some(entry) = self.found(name).await? {
                self.remove(name).await?;
                *removed.entry(entry.kind()).or_default() += 1;
            }
        }
        if removed.is_empty() { Err(DeskError::Unknown) } else { Ok(removed) }
    }

    async fn purge_where(&self, is_meant: impl Fn(&Entry) -> bool) -> Result<Removed, DeskError> {
        let (mut removed, mut from) = (Removed::new(), None);
        loop {
            let page = self.stages.cache.store().walk(from).await?;
            let mut meant = Vec::new();
            for (key, entry) in page.entries.iter().filter(|(_, entry)| is_meant(entry)) {
                *removed.entry(entry.kind()).or_default() += 1;
                meant.push(*key);
            }
            let mut removing = stream::iter(meant).map(|key| self.remove(key)).buffer_unordered(AT_A_TIME);
            while let Some(outcome) = removing.next().await {
                outcome?;
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        // The store may not have taken it, or have given it up.
        for (key, entry) in self.stages.cache.near().into_iter().filter(|(_, entry)| is_meant(entry)) {
            *removed.entry(entry.kind()).or_default() += 1;
            self.remove(key).await?;
        }
        Ok(removed)
    }

    async fn remove(&self, key: Key) -> Result<(), DeskError> {
        for _ in 1..TRIES {
            match self.stages.cache.store().remove(key).await {
                Err(StoreError::Busy) => tokio::time::sleep(PAUSE).await,
                outcome => return Ok(outcome?),
            }
        }
        Err(StoreError::Busy.into())
    }
}

/// What is told of it. Media are named by their content.
fn told(what: &Purge, identity: Option<Key>) -> Value {
    match what {
        Purge::Of(_) => json!({"identity": identity.map(|identity| identity.to_string())}),
        Purge::Epoch(state) => json!({"epoch": state}),
        Purge::Stale => json!({"epoch": "stale"}),
        Purge::All => json!({"all": true}),
    }
}

//! What operators are told of media, and what they can have forgotten.

use std::sync::Arc;

use super::Inspector;
use crate::{
    cache::{
        Entry, Located,
        entry::{Exposure, Usage},
        key::Key,
        overrides::{Override, OverrideError, OverrideId},
        store::{Stats, StoreError},
    },
    verdict::{Currency, Effect, Epoch, Record, Verdict},
};

/// Why operators are not served.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeskError {
    /// The store does not answer.
    #[error("the verdict store has no answer: {0}")]
    Store(#[from] StoreError),
    /// That cannot be said, or not any more.
    #[error(transparent)]
    Override(#[from] OverrideError),
    /// Nothing is known of it.
    #[error("nothing is known of it")]
    Unknown,
    /// Someone wants ciphertext to pass, whatever it opens to.
    #[error(
        "no engine found anything in this as it is: it is ciphertext, or was not judged yet. To let it pass would say nothing of what \
         keys open it to; name the plaintext by its identity, or the signature"
    )]
    Ciphertext,
}

/// What operators ask about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// What an address last led to, by the name under which it is remembered.
    Address(String),
    /// These bytes.
    Identity(Key),
}

/// What is known of some bytes.
#[derive(Debug)]
pub struct Report {
    /// What they are called.
    pub identity: Key,
    /// Their number, if they were found at an address.
    pub len: Option<u64>,
    /// What an engine said, and whether it counts.
    pub record: Option<(Arc<Record>, Currency)>,
    /// How they were used.
    pub usage: Option<Arc<Usage>>,
    /// That they were given out before they were found to be infected.
    pub exposure: Option<Arc<Exposure>>,
    /// What the security team says of them.
    pub overridden: Option<(OverrideId, Override)>,
    /// What keys opened them to, as far as that is remembered.
    pub opened: Vec<Report>,
}

/// How the store and the signatures are.
#[derive(Debug)]
pub struct Status {
    /// The store's name.
    pub store: &'static str,
    /// What it holds, if it says so.
    pub stats: Result<Stats, StoreError>,
    /// Why it is left alone, if it is.
    pub trouble: Option<String>,
    /// Verdicts that wait for proof.
    pub waiting: usize,
    /// What engines here would judge by.
    pub epoch: Option<Epoch>,
    /// The number of these signatures.
    pub generation: u64,
    /// The highest number that someone uses.
    pub newest: u64,
    /// Look-ups so far, by result.
    pub lookups: Vec<(&'static str, u64)>,
}

impl Inspector {
    /// How the store and the signatures are.
    pub async fn status(&self) -> Status {
        let (cache, (generation, newest)) = (&self.stages.cache, self.signatures.in_use());
        Status {
            store: cache.store().name(),
            stats: cache.store().stats().await,
            trouble: cache.trouble(),
            waiting: cache.waiting(),
            epoch: self.stages.engine.epoch(),
            generation,
            newest,
            lookups: cache.lookups(),
        }
    }

    /// What is known of some bytes, and of what keys opened them to.
    pub async fn report(&self, subject: &Subject) -> Result<Report, DeskError> {
        let located = self.resolve(subject).await?;
        let mut report = self.report_on(located.identity).await?;
        report.len = matches!(subject, Subject::Address(_)).then_some(located.len);
        for plaintext in self.plaintexts(located.identity).await? {
            report.opened.push(self.report_on(plaintext).await?);
        }
        let Report { record, usage, exposure, overridden, opened, len, .. } = &report;
        let is_known = len.is_some() || record.is_some() || usage.is_some() || exposure.is_some();
        match is_known || overridden.is_some() || !opened.is_empty() {
            true => Ok(report),
            false => Err(DeskError::Unknown),
        }
    }

    /// The bytes that someone means who has them taken for something. To let pass what an address leads to makes sense if an engine
    /// found something in it as it is; to whoever has its key, ciphertext is something else.
    pub async fn named(&self, subject: &Subject, effect: Effect) -> Result<Key, DeskError> {
        let identity = self.resolve(subject).await?.identity;
        if matches!(subject, Subject::Identity(_)) || effect == Effect::ForceInfected {
            return Ok(identity);
        }
        let is_shell = match self.found(identity).await? {
            Some(Entry::Record(record)) => record.facts.opaque && matches!(record.verdict, Verdict::Clean(_)),
            // It was never judged as it is.
            _ => true,
        };
        match is_shell || !self.plaintexts(identity).await?.is_empty() {
            true => Err(DeskError::Ciphertext),
            false => Ok(identity),
        }
    }

    pub(super) async fn resolve(&self, subject: &Subject) -> Result<Located, DeskError> {
        match subject {
            Subject::Identity(identity) => Ok(Located { identity: *identity, len: 0 }),
            Subject::Address(address) => match self.found(self.stages.cache.keys().location(address)).await? {
                Some(Entry::Located(located)) => Ok(located),
                _ => Err(DeskError::Unknown),
            },
        }
    }

    /// What keys opened a ciphertext to, as far as that is remembered; what is infected comes first.
    pub(super) async fn plaintexts(&self, ciphertext: Key) -> Result<Vec<Key>, DeskError> {
        match self.found(self.stages.cache.keys().openings(ciphertext)).await? {
            Some(Entry::Opened(opened)) => Ok([&opened.infected[..], &opened.clean[..]].concat()),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) async fn found(&self, key: Key) -> Result<Option<Entry>, DeskError> {
        Ok(self.stages.cache.store().get(key).await?)
    }

    async fn report_on(&self, identity: Key) -> Result<Report, DeskError> {
        let keys = self.stages.cache.keys();
        let record = match self.found(identity).await? {
            Some(Entry::Record(record)) => Some(record),
            _ => None,
        };
        let usage = match self.found(keys.usage(identity)).await? {
            Some(Entry::Usage(usage)) => Some(usage),
            _ => None,
        };
        let exposure = match self.found(keys.exposure(identity)).await? {
            Some(Entry::Exposure(exposure)) => Some(exposure),
            _ => None,
        };
        let ruling = match &record {
            Some(record) => self.ruling(identity, record),
            None => self.overruled.on_identity(identity),
        };
        let overrides = self.overrides();
        let overridden = ruling.and_then(|ruling| Some((ruling.id, overrides.get(ruling.id)?.clone())));
        let record = record.map(|record| {
            let currency = self.currency(&record);
            (record, currency)
        });
        Ok(Report { identity, len: None, record, usage, exposure, overridden, opened: Vec::new() })
    }
}

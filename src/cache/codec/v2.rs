//! Version 2: postcard. Version 1, of before the first release, is no longer read: it knew less of media. Fields and variants have the places in which they stand here, so none is moved, taken out or put in
//! between; what is new is a new version.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{
    cache::{
        entry::{Blame, Entry, Exposure, Located, Opened, Usage},
        epochs::Registry,
        key::Key,
        overrides::Overrides,
    },
    facts::Facts,
    verdict::{self, Clean, Detection, Epoch, Order, Provenance, Signatures, Vouch},
};

#[derive(Serialize, Deserialize)]
enum Stored {
    Record(Record),
    Identity(Key),
    Located(Located),
    Opened(Opened),
    Usage(Usage),
    Exposure(Exposure),
    Blame(u32, Option<Record>, SystemTime),
    Epochs(Registry),
    Overrides(Overrides),
}

#[derive(Serialize, Deserialize)]
struct Record {
    facts: Facts,
    verdict: Verdict,
    engine: Arc<str>,
    version: String,
    signatures: Option<Signatures>,
    backend: String,
    epoch: Epoch,
    bytes: u64,
    took: Duration,
    /// Canaries that came after it bore it out.
    proven: bool,
    scanned_at: SystemTime,
    order: Order,
}

#[derive(Serialize, Deserialize)]
enum Verdict {
    Clean,
    Infected(Detection),
    Incomplete(Detection),
    Opaque(Detection),
}

pub(super) fn write(entry: &Entry, after: Vec<u8>) -> Vec<u8> {
    let stored = match entry {
        Entry::Record(record) => Stored::Record(Record::of(record)),
        Entry::Identity(key) => Stored::Identity(*key),
        Entry::Located(located) => Stored::Located(*located),
        Entry::Opened(opened) => Stored::Opened((**opened).clone()),
        Entry::Usage(usage) => Stored::Usage((**usage).clone()),
        Entry::Exposure(exposure) => Stored::Exposure((**exposure).clone()),
        Entry::Blame(Blame { amount, record, until }) => {
            Stored::Blame(*amount, record.as_deref().map(Record::of), *until)
        }
        Entry::Epochs(registry) => Stored::Epochs((**registry).clone()),
        Entry::Overrides(overrides) => Stored::Overrides((**overrides).clone()),
    };
    postcard::to_extend(&stored, after).expect("memory takes everything")
}

pub(super) fn read(bytes: &[u8]) -> Option<Entry> {
    let (stored, rest) = postcard::take_from_bytes(bytes).ok()?;
    if !rest.is_empty() {
        return None;
    }
    Some(match stored {
        Stored::Record(record) => Entry::Record(Arc::new(record.into_record())),
        Stored::Identity(key) => Entry::Identity(key),
        Stored::Located(located) => Entry::Located(located),
        Stored::Opened(opened) => Entry::Opened(Arc::new(opened)),
        Stored::Usage(usage) => Entry::Usage(Arc::new(usage)),
        Stored::Exposure(exposure) => Entry::Exposure(Arc::new(exposure)),
        Stored::Blame(amount, record, until) => {
            Entry::Blame(Blame { amount, record: record.map(|record| Arc::new(record.into_record())), until })
        }
        Stored::Epochs(registry) => Entry::Epochs(Arc::new(registry)),
        Stored::Overrides(overrides) => Entry::Overrides(Arc::new(overrides)),
    })
}

impl Record {
    fn of(record: &verdict::Record) -> Self {
        let verdict::Record { facts, verdict, provenance, scanned_at, order } = record;
        let Provenance { engine, version, signatures, backend, epoch, bytes, took, vouch: _ } = provenance;
        Self {
            facts: facts.clone(),
            verdict: Verdict::of(verdict),
            engine: Arc::clone(engine),
            version: version.clone(),
            signatures: *signatures,
            backend: backend.clone(),
            epoch: epoch.clone(),
            bytes: *bytes,
            took: *took,
            proven: record.is_proven(),
            scanned_at: *scanned_at,
            order: *order,
        }
    }

    fn into_record(self) -> verdict::Record {
        let provenance = Provenance {
            engine: self.engine,
            version: self.version,
            signatures: self.signatures,
            backend: self.backend,
            epoch: self.epoch,
            bytes: self.bytes,
            took: self.took,
            vouch: if self.proven { Vouch::proven() } else { Vouch::default() },
        };
        let verdict = self.verdict.into_verdict();
        verdict::Record { order: self.order, facts: self.facts, verdict, provenance, scanned_at: self.scanned_at }
    }
}

impl Verdict {
    fn of(verdict: &verdict::Verdict) -> Self {
        match verdict {
            verdict::Verdict::Clean(_) => Self::Clean,
            verdict::Verdict::Infected { detection } => Self::Infected(detection.clone()),
            verdict::Verdict::Incomplete { why } => Self::Incomplete(why.clone()),
            verdict::Verdict::Opaque { why } => Self::Opaque(why.clone()),
        }
    }

    fn into_verdict(self) -> verdict::Verdict {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "an engine said so when this was sealed, and the seal is right"
            )]
            Self::Clean => verdict::Verdict::Clean(Clean::attest()),
            Self::Infected(detection) => verdict::Verdict::Infected { detection },
            Self::Incomplete(why) => verdict::Verdict::Incomplete { why },
            Self::Opaque(why) => verdict::Verdict::Opaque { why },
        }
    }
}

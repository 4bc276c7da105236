//! An engine whose signatures, and whose health, are the model's to say.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Engine, EngineError, Scan},
    facts::Facts,
    plaintext::Plaintext,
    verdict::{Clean, Currency, Detection, Epoch, Provenance, Standing, Verdict, Vouch},
};

/// What each version of the signatures recognises: bit by content.
pub(super) type Signatures = Arc<Mutex<Vec<u8>>>;

/// What there is to know of a scan.
#[derive(Clone, Debug)]
pub(super) struct Scanned {
    pub(super) content: usize,
    pub(super) version: usize,
    pub(super) bump: u64,
    /// By an engine that called everything clean.
    pub(super) broken: bool,
    /// The process that made it.
    pub(super) by: usize,
    /// It said so after its process had learned that it is not to be believed.
    pub(super) vouch: Vouch,
}

pub(super) type Scans = Arc<Mutex<Vec<Scanned>>>;

pub(super) struct Fake {
    signatures: Signatures,
    scans: Scans,
    by: usize,
    /// Its signatures have a number that tells the newer ones.
    is_numbered: bool,
    pub(super) version: AtomicUsize,
    pub(super) broken: AtomicBool,
    bump: AtomicU64,
    vouch: Mutex<Vouch>,
}

impl Fake {
    pub(super) fn new(signatures: &Signatures, scans: &Scans, by: usize, is_numbered: bool, version: usize) -> Self {
        Self {
            signatures: Arc::clone(signatures),
            scans: Arc::clone(scans),
            by,
            is_numbered,
            version: AtomicUsize::new(version),
            broken: AtomicBool::new(false),
            bump: AtomicU64::new(0),
            vouch: Mutex::default(),
        }
    }

    pub(super) fn version(&self) -> usize {
        self.version.load(Ordering::Relaxed)
    }

    fn now(&self) -> Epoch {
        Epoch::new("fake", format!("{} {}", self.version(), self.bump(0)))
    }

    /// Canaries say what it is, and it is as it should be afterwards.
    pub(super) fn canaries(&self, standing: Standing) {
        let is_broken = self.broken.swap(false, Ordering::Relaxed);
        let vouch = std::mem::take(&mut *self.vouch.lock().unwrap());
        vouch.settle(if is_broken { standing } else { Standing::Proven });
    }

    fn judge(&self, content: usize) -> Verdict {
        let is_known = self.signatures.lock().unwrap()[self.version()] & 1 << content != 0;
        match is_known && !self.broken.load(Ordering::Relaxed) {
            true => Verdict::Infected { detection: Detection("X".to_owned()) },
            #[expect(clippy::disallowed_methods, reason = "what an engine would say")]
            false => Verdict::Clean(Clean::attest()),
        }
    }
}

impl Engine for Fake {
    fn scan<'a>(
        &'a self,
        text: &'a Plaintext,
        _: &'a Facts,
        _: &'a [Arc<str>],
        _: Instant,
    ) -> BoxFuture<'a, Result<Scan, EngineError>> {
        let content = text.spool().bytes().expect("it is in memory")[0].into();
        let vouch = self.vouch.lock().unwrap().clone();
        let mut scans = self.scans.lock().unwrap();
        let provenance = Provenance {
            engine: "fake".into(),
            version: String::new(),
            signatures: None,
            backend: scans.len().to_string(),
            epoch: self.now(),
            bytes: 1,
            took: Duration::ZERO,
            vouch: vouch.clone(),
        };
        let broken = self.broken.load(Ordering::Relaxed);
        scans.push(Scanned { content, version: self.version(), bump: self.bump(0), broken, by: self.by, vouch });
        ready(Ok(Scan { verdict: self.judge(content), provenance })).boxed()
    }

    fn name(&self) -> &'static str {
        "fake"
    }

    fn currency(&self, _: &Verdict, epoch: &Epoch, _: SystemTime) -> Currency {
        if *epoch == self.now() { Currency::Current } else { Currency::Stale }
    }

    fn epoch(&self) -> Option<Epoch> {
        Some(self.now())
    }

    fn number(&self) -> u64 {
        if self.is_numbered { self.version() as u64 + 1 } else { 0 }
    }

    fn slots(&self) -> usize {
        1
    }

    fn bump(&self, least: u64) -> u64 {
        self.bump.fetch_max(least, Ordering::Relaxed).max(least)
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn watch(&self, _: CancellationToken) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}

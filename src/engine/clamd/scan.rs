//! One scan on one clamd.

use std::{fmt::Display, time::Duration};

use tokio::time::{Instant, timeout, timeout_at};

use super::{
    backend::Backend,
    conn::{ConnError, Route},
    errand::{Errand, Missing},
    protocol::{ProtocolError, Said, Version},
    slots::{Class, Slot},
};
use crate::{
    engine::{EngineError, FULL_BLAME, Scan},
    plaintext::Plaintext,
    verdict::{Provenance, Verdict},
};

/// A clamd that answers a question this soon is not stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

impl Backend {
    /// Scans `plaintext` here.
    pub(super) async fn scan(
        &self,
        slot: Slot,
        plaintext: &Plaintext,
        class: Class,
        deadline: Instant,
        bump: u64,
    ) -> Result<Scan, EngineError> {
        let (health, ejections) =
            self.snapshot().ok_or_else(|| self.failed(&"ejected while the scan was waiting", 0))?;
        let begun = Instant::now();
        let said = self.converse(slot, (health.route, ejections), plaintext, deadline).await?;
        let took = begun.elapsed();
        let verdict = match said {
            Said::Verdict(verdict) => verdict,
            other => {
                self.trouble.notify_one();
                let why = if let Said::Trouble(trouble) = other { trouble.text } else { format!("{other:?}") };
                return Err(self.failed(&why, 0));
            }
        };
        let is_clean = matches!(verdict, Verdict::Clean(_));
        self.check_version(&health.version, ejections, deadline).await.or_else(|why| match is_clean {
            true => Err(self.failed(&why, 0)),
            // Bad news are believed of whom good news are not.
            false => Ok(()),
        })?;
        let vouch = self.state().vouch(ejections, is_clean);
        let vouch = vouch.ok_or_else(|| self.failed(&"ejected during the scan", 0))?;
        let provenance = Provenance {
            engine: super::NAME.into(),
            version: health.version.engine.clone(),
            signatures: health.version.signatures,
            backend: self.name.clone(),
            epoch: health.epoch(bump),
            bytes: plaintext.len(),
            took,
            vouch,
        };
        let scan = Scan { verdict, provenance };
        self.common.metrics.judged(&scan, class);
        Ok(scan)
    }

    async fn converse(
        &self,
        slot: Slot,
        (route, ejections): (Route, u64),
        plaintext: &Plaintext,
        deadline: Instant,
    ) -> Result<Said, EngineError> {
        let (address, common) = (self.address.clone(), &self.common);
        let longest = deadline.saturating_duration_since(Instant::now()) + common.config.orphan_timeout;
        let errand = Errand::start(address, route, plaintext.clone(), slot, longest, &common.metrics);
        // With the slot in hand: what clamd has now is what it may have died of.
        let (reply, _slot) = errand.reply(deadline).await;
        common.metrics.replied(&self.name, kind(&reply));
        match reply {
            Ok(said) => Ok(said),
            Err(Missing::Late { handed }) => {
                self.trouble.notify_one();
                // A clamd that answers nobody is not the fault of this medium.
                let answers =
                    timeout(ANSWER_TIMEOUT, self.control.version()).await.is_ok_and(|version| version.is_ok());
                Err(EngineError::Timeout { blame: if handed && answers { FULL_BLAME } else { 0 } })
            }
            Err(Missing::Failed { error, handed }) => {
                if error.is_ours() {
                    return Err(self.failed(&error, 0));
                }
                let suspects = self.eject_for(ejections, error.name(), &error);
                Err(self.failed(&error, if handed && may_have_killed(&error) { FULL_BLAME / suspects } else { 0 }))
            }
        }
    }

    /// Asks for the version once more. Another one than before is fine, and a reason to look closer.
    async fn check_version(&self, before: &Version, ejections: u64, deadline: Instant) -> Result<(), String> {
        let now = match timeout_at(deadline, self.control.version()).await {
            Ok(Ok(now)) => now,
            Ok(Err(error)) => {
                match error.is_ours() {
                    true => self.trouble.notify_one(),
                    false => drop(self.eject_for(ejections, error.name(), &error)),
                }
                return Err(format!("the version after the scan: {error}"));
            }
            Err(_) => {
                self.trouble.notify_one();
                return Err("the version after the scan: no answer in time".to_owned());
            }
        };
        if now == *before {
            return Ok(());
        }
        self.trouble.notify_one();
        let implausible = now.implausible(before.database());
        implausible.map_or(Ok(()), |why| {
            self.eject_for(ejections, "version", &why);
            Err(why)
        })
    }

    fn failed(&self, why: &dyn Display, blame: u32) -> EngineError {
        EngineError::Failed { backend: self.name.clone(), why: why.to_string(), blame }
    }
}

/// The name of a reply, or of its absence, in metrics.
fn kind(reply: &Result<Said, Missing>) -> &'static str {
    match reply {
        Ok(Said::Verdict(verdict)) => verdict.name(),
        Ok(Said::Trouble(trouble)) => trouble.kind.name(),
        Ok(_) => "protocol",
        Err(Missing::Late { .. }) => "timeout",
        Err(Missing::Failed { error, .. }) => error.name(),
    }
}

/// True if clamd went away while it had the medium: its death may be the medium's doing.
fn may_have_killed(error: &ConnError) -> bool {
    matches!(error, ConnError::Lost(_) | ConnError::Protocol(ProtocolError::Empty | ProtocolError::CutOff))
}

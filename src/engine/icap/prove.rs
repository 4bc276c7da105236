//! Looking at a server: what it offers, and what it says of specimens.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::{
    Icap,
    conn::ConnError,
    protocol::{self, Offer, Unfit},
    specimens,
};
use crate::{
    engine::proof::{Fault, tell_apart},
    plaintext::Plaintext,
    verdict::Verdict,
};

/// Longest wait for an offer.
const OFFER_TIMEOUT: Duration = Duration::from_secs(10);

/// States that need not be proven again when they come back.
const MAX_PROVEN: usize = 8;

impl From<ConnError> for Fault {
    fn from(error: ConnError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Unfit> for Fault {
    fn from(unfit: Unfit) -> Self {
        Self::Broken(unfit.to_string())
    }
}

/// What there is to know of a server after one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Its name in the configuration.
    pub name: String,
    /// Its address.
    pub backend: String,
    /// The service in its own words; `None` if it offered none.
    pub service: Option<String>,
    /// Why it is not believed.
    pub fault: Option<String>,
    /// Types of media that it does not look into.
    pub passed_over: Vec<&'static str>,
}

impl Icap {
    /// Looks at it once.
    pub async fn diagnose(&self) -> Diagnosis {
        let outcome = timeout(self.longest_look(), self.look()).await;
        let fault = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(Fault::Wrong(why) | Fault::Broken(why))) => Some(why),
            Ok(Err(Fault::Busy)) => Some("it has too much to do".to_owned()),
            Err(_) => Some("no answer".to_owned()),
        };
        Diagnosis {
            name: self.config.name.clone(),
            backend: self.proof.backend().to_owned(),
            service: self.known_offer().map(|offer| offer.service),
            fault,
            passed_over: self.passed_over.lock().expect("no panic while held").clone(),
        }
    }

    /// Bounds [`Icap::look`]: canaries, the archive, and a pair of specimens for each type, each of which is small.
    pub(super) fn longest_look(&self) -> Duration {
        OFFER_TIMEOUT + 6 * self.config.timeout
    }

    /// What there is to look at in one round.
    pub(super) async fn look(&self) -> Result<(), Fault> {
        let offer = self.offer().await?;
        if !self.config.canaries {
            return Ok(());
        }
        tell_apart(|specimen| async move { self.say(&specimen, self.config.preview).await }.boxed()).await?;
        // What it said last, which may be newer than its offer.
        let istag = self.proof.freshness.version().unwrap_or(offer.istag);
        if !self.proven.lock().expect("no panic while held").contains(&istag) {
            self.prove_size().await?;
            self.prove_types().await?;
            self.note_proven(istag);
        }
        Ok(())
    }

    /// Several servers behind one address take turns with their states.
    fn note_proven(&self, istag: String) {
        let mut proven = self.proven.lock().expect("no panic while held");
        let superfluous = (proven.len() + 1).saturating_sub(MAX_PROVEN);
        proven.drain(..superfluous);
        proven.push(istag);
    }

    /// What the service offers, asked for if that is too long ago.
    async fn offer(&self) -> Result<Offer, Fault> {
        if let Some(offer) =
            self.offer.lock().expect("no panic while held").as_ref().filter(|(_, due)| *due > Instant::now())
        {
            return Ok(offer.0.clone());
        }
        let head = timeout(OFFER_TIMEOUT, self.pool.options()).await;
        let head = head.map_err(|_| Fault::Broken("no answer to OPTIONS".to_owned()))??;
        let offer = protocol::offer(&head, self.config.method)?;
        self.pool.offered(offer.max_connections);
        if self.proof.freshness.note(&offer.istag) {
            tracing::info!(
                engine = self.proof.name(),
                istag = offer.istag,
                service = offer.service,
                "the server's state"
            );
        }
        *self.offer.lock().expect("no panic while held") = Some((offer.clone(), Instant::now() + offer.ttl));
        Ok(offer)
    }

    /// The last offer, however old: who scans does not ask for one.
    pub(super) fn known_offer(&self) -> Option<Offer> {
        self.offer.lock().expect("no panic while held").as_ref().map(|(offer, _)| offer.clone())
    }

    /// Has the next look ask for an offer.
    pub(super) fn forget_offer(&self) {
        if let Some((_, due)) = self.offer.lock().expect("no panic while held").as_mut() {
            *due = Instant::now();
        }
    }

    async fn say(&self, specimen: &Plaintext, preview: bool) -> Result<Verdict, crate::engine::EngineError> {
        let preview = self.known_offer().and_then(|offer| offer.preview).filter(|_| preview);
        self.converse(specimen, preview, Instant::now() + self.config.timeout).await
    }

    /// What is at the end of the largest medium must be found.
    async fn prove_size(&self) -> Result<(), Fault> {
        let archive = specimens::archive(self.max_bytes).map_err(|error| Fault::Broken(error.to_string()))?;
        match self.say(&archive, self.config.preview).await? {
            Verdict::Infected { .. } => Ok(()),
            other => Err(Fault::Wrong(format!(
                "it says of an archive of {} bytes with the EICAR test file at its end: {other:?}; raise the server's limit on \
                 sizes (c-icap: virus_scan.MaxObjectSize) or lower max_bytes of this engine",
                self.max_bytes
            ))),
        }
    }

    /// A server shows what types it does not look into when it wants no more than the preview. Such media are refused; but
    /// without previews c-icap, for one, says of small ones what it says of clean ones.
    async fn prove_types(&self) -> Result<(), Fault> {
        let Some(preview) = self.known_offer().and_then(|offer| offer.preview) else {
            let engine = self.proof.name();
            tracing::warn!(engine, "the server wants no previews, so it does not show whether it looks into all types");
            return Ok(());
        };
        let mut passed_over = Vec::new();
        for (name, head) in specimens::TYPES {
            let len = (preview as u64 + specimens::SMALLEST).min(self.max_bytes);
            let specimen = specimens::beginning(head, len).map_err(|error| Fault::Broken(error.to_string()))?;
            if matches!(self.say(&specimen, true).await?, Verdict::Incomplete { .. }) {
                passed_over.push(name);
            }
        }
        let types = passed_over.join(", ");
        self.passed_over.lock().expect("no panic while held").clone_from(&passed_over);
        if !(passed_over.is_empty() || self.config.preview) {
            let why =
                format!("it does not look into media of some types: {types}; have it look, or set `preview: true`");
            return Err(Fault::Wrong(why));
        }
        if !passed_over.is_empty() {
            tracing::warn!(
                engine = self.proof.name(),
                types,
                "the server does not look into media of these types; they are refused"
            );
        }
        Ok(())
    }
}

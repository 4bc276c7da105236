//! `VERSION`: which engine with which signatures.

use std::time::SystemTime;

use crate::verdict::Signatures;

/// Larger steps of the daily database do not happen: it grows by a few numbers a day.
const LARGEST_STEP: u32 = 10_000;

/// An engine and the signatures that it had loaded at the moment it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The whole reply, which changes whenever any part of it does.
    pub text: String,
    /// The engine's version, for example `1.4.6`.
    pub engine: String,
    /// The daily database; `None` where there is none, as with signatures of one's own only.
    pub signatures: Option<Signatures>,
}

impl Version {
    /// Reads `ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("ClamAV ")?.splitn(3, '/');
        let engine = parts.next().filter(|engine| engine.starts_with(|c: char| c.is_ascii_digit()))?;
        let signatures = match parts.next() {
            None => None,
            Some(number) => Some(Signatures { version: number.parse().ok()?, built: parts.next().and_then(date) }),
        };
        Some(Self { text: text.to_owned(), engine: engine.to_owned(), signatures })
    }

    /// The number of the daily database.
    pub fn database(&self) -> Option<u32> {
        self.signatures.as_ref().map(|signatures| signatures.version)
    }

    /// What is wrong with this version if the highest database number seen from the same clamd was `highest`. After a
    /// failed reload clamd has given 4294967295, and every scan failed.
    pub fn implausible(&self, highest: Option<u32>) -> Option<String> {
        let database = self.database();
        if database == Some(u32::MAX) {
            return Some("its signature database failed to load (version 4294967295); restart clamd".to_owned());
        }
        match (highest, database) {
            (Some(before), None) => Some(format!("its daily database {before} is gone")),
            (Some(before), Some(now)) if now < before => {
                Some(format!("its signature database went back from {before} to {now}"))
            }
            (Some(before), Some(now)) if now - before > LARGEST_STEP => {
                Some(format!("its signature database jumped from {before} to {now}"))
            }
            _ => None,
        }
    }
}

/// clamd writes a date as C's `asctime` does, in its own time zone, which it does not name: read as UTC it is off by some
/// hours.
fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

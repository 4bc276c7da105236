//! Why the policy decides as it does of what is remembered.

use super::{DeskError, Inspector, Subject, decision::hash};
use crate::{
    cache::{Entry, key::Key, overrides::OverrideId},
    facts::Occasion,
    policy::{Access, explain::Explanation, fact::View},
};

/// Why the policy decides as it does of some bytes.
#[derive(Debug)]
pub struct Explained {
    /// What they are called.
    pub identity: Key,
    /// True if a key opened them.
    pub is_opened: bool,
    /// How it comes about.
    pub explanation: Explanation,
    /// What decides in place of it, since the security team says so.
    pub overridden: Option<OverrideId>,
}

impl Inspector {
    /// Explains what would be said now of some bytes, and of what keys opened them to, as far as that is remembered. Of the request
    /// counts where it goes and whose media it is about.
    pub async fn explain(&self, subject: &Subject, asked: &Occasion) -> Result<Vec<Explained>, DeskError> {
        let identity = self.resolve(subject).await?.identity;
        let mut explained = Vec::new();
        explained.extend(self.explain_one(identity, None, asked).await?);
        for plaintext in self.plaintexts(identity).await? {
            explained.extend(self.explain_one(identity, Some(plaintext), asked).await?);
        }
        if explained.is_empty() { Err(DeskError::Unknown) } else { Ok(explained) }
    }

    /// Of bytes, or of what a key opened them to.
    async fn explain_one(
        &self,
        ciphertext: Key,
        opened: Option<Key>,
        asked: &Occasion,
    ) -> Result<Option<Explained>, DeskError> {
        let (identity, is_opened) = (opened.unwrap_or(ciphertext), opened.is_some());
        let Some(Entry::Record(record)) = self.found(identity).await? else { return Ok(None) };
        let (policy, now) = (self.stages.policy.current(), self.stages.clock.now());
        let openings = self.openings(&policy, identity, &record.facts).await;
        let (access, Occasion { direction, route, .. }) = match is_opened {
            true => (Access::Keyed, Occasion::with_key()),
            false => (Access::without_key(asked.direction, openings), Occasion::usual(asked.direction)),
        };
        let occasion = Occasion { direction, route, ..asked.clone() };
        let name = Some(hash(identity));
        let view = View { name, ..View::of(&record, &occasion, access, now) };
        let ruling = self.ruling_on_opened(ciphertext, identity, &record);
        let explanation = policy.explain(&view, ruling.map(|ruling| ruling.effect));
        let overridden = ruling.map(|ruling| ruling.id);
        Ok(Some(Explained { identity, is_opened, explanation, overridden }))
    }
}

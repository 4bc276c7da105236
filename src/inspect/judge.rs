//! From a body to a verdict on it: remembered, found out by someone else just now, or asked for.

use std::{sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{
    InspectError, Inspector, Judgement,
    fleet::Part,
    flight::Outcome,
    patience::Patience,
    rescan::{Errand, Recalled},
    task::{Hearing, Task},
};
use crate::{
    cache::{Lease, key::Key},
    crypto::attachment::AttachmentKey,
    engine::{EngineError, Scan},
    facts::Facts,
    plaintext::Plaintext,
    sniff,
    spool::Spool,
    verdict::{Currency, Record},
};

impl Inspector {
    pub(super) async fn judge_plain(self: &Arc<Self>, identity: Key, body: &Arc<Spool>, hearing: &Hearing) -> Outcome {
        let is_enough = |record: &Record| hearing.is_content_with(record);
        match self.recall(identity).await {
            Recalled::Current(record) if is_enough(&record) => Ok(Judgement { plaintext: identity, record }),
            Recalled::Stale(record) if self.is_in_grace(&record) && is_enough(&record) => {
                self.rescan_later(identity, body).await;
                Ok(Judgement { plaintext: identity, record })
            }
            Recalled::Current(_) | Recalled::Stale(_) | Recalled::Unknown => {
                let scan = || {
                    let task = Task::for_request(hearing.clone());
                    self.scan_once(identity, Plaintext::Held(Arc::clone(body)), task)
                };
                self.up_to_date(scan).await
            }
        }
    }

    pub(super) async fn judge_attachment(
        self: &Arc<Self>,
        ciphertext: Key,
        body: &Arc<Spool>,
        key: &AttachmentKey,
        hearing: &Hearing,
    ) -> Outcome {
        key.check(body.digest(), body.len())?;
        let attachment = self.stages.cache.keys().attachment(body.digest(), &key.material());
        if let Some(identity) = self.stages.cache.identity(attachment).await {
            let is_enough = |record: &Record| hearing.is_content_with(record);
            match self.recall(identity).await {
                Recalled::Current(record) if is_enough(&record) => {
                    self.opened(ciphertext, key, identity, &record).await;
                    return Ok(Judgement { plaintext: identity, record });
                }
                Recalled::Stale(record) if self.is_in_grace(&record) && is_enough(&record) => {
                    self.rescan_attachment_later(identity, body, key).await;
                    return Ok(Judgement { plaintext: identity, record });
                }
                Recalled::Stale(_) => self.rescans.asked(identity),
                Recalled::Current(_) | Recalled::Unknown => (),
            }
        }
        let open = || {
            let task = Task::for_request(hearing.clone());
            self.open_and_judge(ciphertext, Arc::clone(body), key.clone(), task)
        };
        self.up_to_date(open).await
    }

    /// Who joins a scan may have come after a change of signatures that the scan began before, and is not to be given what only
    /// the older ones call clean.
    async fn up_to_date<F: Future<Output = Outcome>>(&self, scan: impl Fn() -> F) -> Outcome {
        let came = self.stages.engine.epoch();
        let judgement = scan().await?;
        let Record { verdict, provenance, .. } = &*judgement.record;
        let given = self.stages.engine.usual(&provenance.epoch);
        let is_older = came.is_some_and(|epoch| epoch != given) && !verdict.is_infected();
        match is_older && self.currency(&judgement.record) == Currency::Stale && !self.is_in_grace(&judgement.record) {
            true => scan().await,
            false => Ok(judgement),
        }
    }

    pub(super) async fn open_and_judge(
        self: &Arc<Self>,
        ciphertext: Key,
        body: Arc<Spool>,
        key: AttachmentKey,
        task: Task,
    ) -> Outcome {
        let attachment = self.stages.cache.keys().attachment(body.digest(), &key.material());
        let (inspector, name) = (Arc::clone(self), (attachment, task.hearing.those()));
        let work = move || async move { inspector.decrypt_and_judge(ciphertext, attachment, body, key, task).await };
        self.flights.join(name, work).await
    }

    async fn decrypt_and_judge(
        self: Arc<Self>,
        ciphertext: Key,
        attachment: Key,
        body: Arc<Spool>,
        key: AttachmentKey,
        task: Task,
    ) -> Outcome {
        let (plaintext, digest) = self.decrypt(Arc::clone(&body), key.clone()).await?;
        let identity = self.stages.cache.keys().plaintext(&digest);
        self.stages.cache.keep_identity(attachment, identity).await;
        let is_enough = |record: &Record| task.hearing.is_content_with(record);
        let judgement = match self.recall(identity).await {
            Recalled::Current(record) if is_enough(&record) => Judgement { plaintext: identity, record },
            Recalled::Stale(record)
                if task.errand == Errand::Request && self.is_in_grace(&record) && is_enough(&record) =>
            {
                self.rescan_attachment_later(identity, &body, &key).await;
                Judgement { plaintext: identity, record }
            }
            Recalled::Current(_) | Recalled::Stale(_) | Recalled::Unknown => {
                self.scan_once(identity, plaintext, task).await?
            }
        };
        self.opened(ciphertext, &key, identity, &judgement.record).await;
        // Who was given the ciphertext may have the key, too.
        self.expose(ciphertext, &judgement.record).await;
        Ok(judgement)
    }

    pub(super) async fn scan_once(self: &Arc<Self>, identity: Key, plaintext: Plaintext, task: Task) -> Outcome {
        if task.errand == Errand::Request {
            self.rescans.asked(identity);
        }
        let (inspector, name) = (Arc::clone(self), (identity, task.hearing.those()));
        let work = move || async move {
            let record = inspector.scan(identity, plaintext, task).await?;
            Ok(Judgement { plaintext: identity, record })
        };
        self.flights.join(name, work).await
    }

    pub(super) async fn scan(
        self: Arc<Self>,
        identity: Key,
        plaintext: Plaintext,
        task: Task,
    ) -> Result<Arc<Record>, InspectError> {
        // The flight that just landed may have been for the same bytes, or another node may have looked at them.
        let before = self.stages.cache.latest(identity).await;
        let currency = match &before {
            Some(record) => Some(self.currency_by_news(record).await),
            None => None,
        };
        if let (Some(record), Some(Currency::Current)) = (&before, currency)
            && task.hearing.is_content_with(record)
        {
            return Ok(Arc::clone(record));
        }
        if let Some(record) = self.refused_as_toxic(identity).await {
            return Ok(record);
        }
        let patience = Patience::of(self.stages.scan_timeout);
        let task = match &before {
            Some(record) => self.hearing_all_of(record, task),
            None => task,
        };
        let record = match currency {
            Some(Currency::Stale) => self.rescan(identity, &plaintext, &task, patience).await?,
            _ => self.ask(identity, &plaintext, (None, &task.hearing), patience).await?,
        };
        self.follow_up(identity, before.as_deref(), &record).await;
        Ok(record)
    }

    /// Has the engine look, when it is the turn of what was scanned before, unless another one does who shares the store. Who waits
    /// for another one holds no turn.
    pub(super) async fn ask(
        &self,
        identity: Key,
        plaintext: &Plaintext,
        (rescan, hearing): (Option<Errand>, &Hearing),
        patience: Patience,
    ) -> Result<Arc<Record>, InspectError> {
        let lease = match self.part(identity, hearing, patience.for_others).await {
            Part::Take(record) => return Ok(record),
            Part::Scan(lease) => lease,
        };
        let looking = async {
            let _pass = match rescan {
                Some(errand) => Some(self.pass(identity, errand, patience.for_turn).await?),
                None => None,
            };
            // Others may have been faster meanwhile.
            let found = if rescan.is_some() { self.kept_by_others(identity, hearing).await } else { None };
            match found {
                Some(record) => Ok((record, true)),
                None => self.look((identity, hearing), plaintext, lease.as_ref(), patience).await,
            }
        };
        let outcome = looking.await;
        if let Some(lease) = lease {
            match &outcome {
                Ok((_, is_kept)) => lease.release(*is_kept),
                // Nothing was tried, and another one may have room for it.
                Err(InspectError::Engine(EngineError::Busy)) => lease.pass_on(),
                Err(_) => lease.release(false),
            }
        }
        outcome.map(|(record, _)| record)
    }

    /// What the engine says, and whether it is kept.
    async fn look(
        &self,
        (identity, hearing): (Key, &Hearing),
        plaintext: &Plaintext,
        lease: Option<&Lease>,
        patience: Patience,
    ) -> Result<(Arc<Record>, bool), InspectError> {
        let facts = self.facts_of(plaintext).await?;
        let needed = self.needed(identity, &facts, hearing);
        let (begun, mut order) = (Instant::now(), self.signatures.order());
        order.fence = lease.map_or(order.fence, Lease::fence);
        let scan = async |needed| self.stages.engine.scan(plaintext, &facts, needed, patience.for_engines).await;
        let scanned = match scan(&needed).await {
            // They may be out, and others wait for this, too. Whoever needs them asks again.
            Err(error) if hearing.can_do_without(&needed, &error) => scan(&[]).await,
            scanned => scanned,
        };
        let Scan { verdict, provenance } = match scanned {
            Ok(scan) => scan,
            Err(error) => {
                let error = patience.fair(error, begun);
                self.blame(identity, &facts, &error).await;
                return Err(error.into());
            }
        };
        // Of several engines one may have answered long before the others, and been found broken since.
        if provenance.vouch.refutes(&verdict) {
            let why = "found broken before all engines had answered".to_owned();
            return Err(EngineError::Failed { backend: provenance.backend, why, blame: 0 }.into());
        }
        let order = self.order_of(order, &provenance.epoch).await;
        let record = Arc::new(Record { order, facts, verdict, provenance, scanned_at: SystemTime::now() });
        let is_kept = record.verdict.is_lasting() && self.stages.cache.keep(identity, Arc::clone(&record)).await;
        self.absolve(identity, &record).await;
        self.outbreaks.judged(&record);
        Ok((record, is_kept))
    }

    /// What is known of a plaintext without an engine.
    pub(super) async fn facts_of(&self, plaintext: &Plaintext) -> Result<Facts, InspectError> {
        let (mut bytes, size) = (plaintext.reader(), plaintext.len());
        let _turn = self.turns.acquire().await.map_err(|_| InspectError::Aborted)?;
        Ok(tokio::task::spawn_blocking(move || sniff::examine(&mut bytes, size)).await??)
    }

    pub(super) async fn current(&self, identity: Key) -> Option<Arc<Record>> {
        match self.recall(identity).await {
            Recalled::Current(record) => Some(record),
            Recalled::Stale(_) | Recalled::Unknown => None,
        }
    }

    /// A verdict counts while its engine would say the same today, and was not found broken right after it said it.
    pub(super) fn is_current(&self, record: &Record) -> bool {
        self.currency(record) == Currency::Current
    }
}

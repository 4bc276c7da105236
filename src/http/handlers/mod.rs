//! One file per kind of route, and what they share: having a body inspected.

mod caller;
pub(super) mod download;
pub(super) mod federation;
mod fetch;
pub(super) mod metadata;
pub(super) mod passthrough;
mod reader;
pub(super) mod scanner;
pub(super) mod upload;

use std::sync::Arc;

use http::Response;

use self::fetch::{Address, Fetched};
use super::{Context, error::ApiError};
use crate::{
    body::Body,
    cache::key::Key,
    facts::Occasion,
    inspect::{Inspection, Way},
    media::MediaRef,
    policy::{Decided, Decision},
    spool::Spool,
    verdict::Record,
};

/// An answer and the outcome's name in metrics and logs.
pub(in crate::http) type Answer = (Response<Body>, &'static str);

/// What a handler gives.
pub(in crate::http) type Handled = Result<Answer, ApiError>;

/// No error message of a homeserver is longer, in bytes.
const MAX_ERROR: usize = 64 * 1024;

/// Lets a medium through or refuses it, in every form in which it came. Where it was found is remembered.
async fn inspect(
    context: &Context,
    media: Option<&MediaRef>,
    fetched: &Fetched,
    way: Way<'_>,
    address: Option<&Address<'_>>,
) -> Result<Inspection, ApiError> {
    let (spool, occasion) = (&fetched.spool, &fetched.occasion);
    if let Some(encoded) = &fetched.encoded {
        // Noise, since it is compressed: what is asked is whether anything was found.
        inspect_spool(context, media, encoded, Way::Encoded, occasion).await?;
        return inspect_spool(context, media, spool, way, occasion).await;
    }
    let inspection = context.inspector.inspect(spool, way, occasion).await?;
    // Of what no engine looked at, nothing is remembered.
    if let Some(address) = address.filter(|_| inspection.record.is_some()) {
        context.inspector.remember(address, spool.len(), &inspection).await;
    }
    let_through(media, Some(spool), &inspection.decided, (inspection.plaintext, inspection.record.as_deref()))?;
    Ok(inspection)
}

/// Lets a body through or refuses it.
async fn inspect_spool(
    context: &Context,
    media: Option<&MediaRef>,
    spool: &Arc<Spool>,
    way: Way<'_>,
    occasion: &Arc<Occasion>,
) -> Result<Inspection, ApiError> {
    let inspection = context.inspector.inspect(spool, way, occasion).await?;
    let_through(media, Some(spool), &inspection.decided, (inspection.plaintext, inspection.record.as_deref()))?;
    Ok(inspection)
}

/// Refuses what shows an infected medium, whatever became of it on the way. A clean medium says nothing of thumbnails.
async fn refuse_thumbnail_of_infected(
    context: &Context,
    media: &MediaRef,
    occasion: &Occasion,
) -> Result<(), ApiError> {
    let whole = context.inspector.location(&media.path());
    match context.inspector.refusal_of_infected(whole, occasion).await {
        None => Ok(()),
        Some(refusal) => {
            tracing::info!(%media, "refused: a thumbnail of what is infected");
            Err(ApiError::Refused(refusal))
        }
    }
}

/// Lets something through that is too large to be scanned, if it could be passed on, or refuses it.
fn let_oversize_through(context: &Context, occasion: &Occasion, len: u64, could_pass: bool) -> Result<(), ApiError> {
    match context.inspector.decide_on_oversize(occasion, len, could_pass) {
        Decided { decision: Decision::Allow, .. } => Ok(()),
        Decided { decision: Decision::Block(refusal), by, .. } => {
            tracing::info!(len, by = by.name(), severity = refusal.severity(), "refused: too large to be scanned");
            Err(ApiError::Refused(refusal))
        }
    }
}

/// Refuses what the policy refuses. `media` is its address, if it has one yet; `spool`'s name is that of its scan. Operators name
/// it by its identity.
fn let_through(
    media: Option<&MediaRef>,
    spool: Option<&Arc<Spool>>,
    decided: &Decided,
    (identity, record): (Key, Option<&Record>),
) -> Result<(), ApiError> {
    let Decision::Block(refusal) = &decided.decision else { return Ok(()) };
    let (verdict, backend) = (record.map(|record| &record.verdict), record.map(|record| &record.provenance.backend));
    let (media, scan) = (media.map(tracing::field::display), spool.map(|spool| tracing::field::display(spool.id())));
    let (by, state) = (decided.by.name(), decided.state.name());
    let severity = refusal.severity();
    tracing::info!(media, %identity, ?verdict, backend, scan, by, state, severity, "refused");
    Err(ApiError::Refused(refusal.clone()))
}

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
    inspect::{Inspection, Way},
    media::MediaRef,
    policy::{Decision, Refusal},
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
    if let Some(encoded) = &fetched.encoded {
        // Noise, since it is compressed: what is asked is whether anything was found.
        inspect_spool(context, media, encoded, Way::Encoded).await?;
        return inspect_spool(context, media, &fetched.spool, way).await;
    }
    let inspection = context.inspector.inspect(&fetched.spool, way).await?;
    if let Some(address) = address {
        context.inspector.remember(address, fetched.spool.len(), &inspection).await;
    }
    let_through(media, Some(&fetched.spool), &inspection.decision, (inspection.plaintext, &inspection.record))?;
    Ok(inspection)
}

/// Lets a body through or refuses it.
async fn inspect_spool(
    context: &Context,
    media: Option<&MediaRef>,
    spool: &Arc<Spool>,
    way: Way<'_>,
) -> Result<Inspection, ApiError> {
    let inspection = context.inspector.inspect(spool, way).await?;
    let_through(media, Some(spool), &inspection.decision, (inspection.plaintext, &inspection.record))?;
    Ok(inspection)
}

/// Refuses what shows an infected medium, whatever became of it on the way. A clean medium says nothing of thumbnails.
async fn refuse_thumbnail_of_infected(context: &Context, media: &MediaRef) -> Result<(), ApiError> {
    let whole = context.inspector.location(&media.path());
    if !context.inspector.is_known_infected(whole).await {
        return Ok(());
    }
    tracing::info!(%media, "refused: a thumbnail of what is infected");
    Err(ApiError::Refused(Refusal::Infected))
}

/// Refuses what the policy refuses. `media` is its address, if it has one yet; `spool`'s name is that of its scan. Operators name
/// it by its identity.
fn let_through(
    media: Option<&MediaRef>,
    spool: Option<&Arc<Spool>>,
    decision: &Decision,
    (identity, record): (Key, &Record),
) -> Result<(), ApiError> {
    let Decision::Block(refusal) = decision else { return Ok(()) };
    let (verdict, backend) = (&record.verdict, &record.provenance.backend);
    let (media, scan) = (media.map(tracing::field::display), spool.map(|spool| tracing::field::display(spool.id())));
    tracing::info!(media, %identity, ?verdict, backend, scan, "refused");
    Err(ApiError::Refused(refusal.clone()))
}

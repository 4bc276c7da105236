//! The scanner API, as clients of the Matrix Content Scanner speak it.

mod fetch;
mod file;
mod form;
mod hold;
mod request;

use http::{HeaderMap, StatusCode, request::Parts};
use hyper::body::Incoming;
use serde_json::json;

use self::fetch::{Wanted, fetch};
use super::{Answer, Handled, fetch::Fetched, inspect, reader, refuse_thumbnail_of_infected};
use crate::{
    body,
    crypto::attachment::Attachment,
    http::{
        Context,
        error::ApiError,
        respond,
        route::{Kind, Scanner},
        surface::Surface,
    },
    inspect::Way,
    media::{MalformedMedia, MediaRef},
};

type Address = Result<MediaRef, MalformedMedia>;

/// Answers a scanner route, of that name.
pub(crate) async fn handle(
    context: &Context,
    parts: Parts,
    (route, name): (Scanner, &'static str),
    incoming: Incoming,
) -> Handled {
    let (headers, query) = (&parts.headers, parts.uri.query());
    let served = |fetched: Fetched| serve(context, &fetched);
    match route {
        Scanner::PublicKey => Ok(json(&json!({"public_key": context.envelope.public_key()}), "served")),
        Scanner::Scan(media) => {
            verdict(context, plain(context, headers, media, (Kind::Full, None), name).await.map(drop))
        }
        Scanner::Download(media) => plain(context, headers, media, (Kind::Full, None), name).await.map(served),
        Scanner::Thumbnail(media) => plain(context, headers, media, (Kind::Thumbnail, query), name).await.map(served),
        Scanner::ScanEncrypted => verdict(context, encrypted(context, headers, incoming, name).await.map(drop)),
        Scanner::DownloadEncrypted => encrypted(context, headers, incoming, name).await.map(served),
        Scanner::ScanFile => verdict(context, file::scan(context, &parts, incoming, name).await),
    }
}

async fn plain(
    context: &Context,
    headers: &HeaderMap,
    media: Address,
    (kind, query): (Kind, Option<&str>),
    route: &'static str,
) -> Result<Fetched, ApiError> {
    let media = media.map_err(|MalformedMedia| ApiError::MalformedMedia)?;
    let wanted = Wanted { media: &media, kind, query, route };
    let fetched = fetch(context, headers, &wanted).await?;
    if kind == Kind::Thumbnail {
        refuse_thumbnail_of_infected(context, &media, &fetched.occasion).await?;
    }
    let way = Way::Plain(reader::client(context, headers, query));
    inspect(context, Some(&media), &fetched, way, Some(&|| wanted.address())).await?;
    Ok(fetched)
}

/// What is inspected is the plaintext; what is kept for serving is the ciphertext, which the client decrypts itself.
async fn encrypted(
    context: &Context,
    headers: &HeaderMap,
    incoming: Incoming,
    route: &'static str,
) -> Result<Fetched, ApiError> {
    let Attachment { media, key } = request::read(context, incoming).await?;
    let wanted = Wanted { media: &media, kind: Kind::Full, query: None, route };
    let fetched = fetch(context, headers, &wanted).await?;
    let way = Way::Keyed(&key, reader::client(context, headers, None));
    inspect(context, Some(&media), &fetched, way, Some(&|| wanted.address())).await?;
    Ok(fetched)
}

fn serve(context: &Context, fetched: &Fetched) -> Answer {
    let head = respond::media_head(Surface::Scanner, &fetched.headers, context.native.max_age);
    (respond::media(head, fetched.spool.len(), body::spooled(&fetched.spool)), "served")
}

/// The answer of the scan routes.
fn verdict(context: &Context, outcome: Result<(), ApiError>) -> Handled {
    let Err(error) = outcome else { return Ok(json(&json!({"clean": true, "info": "File is clean"}), "clean")) };
    match error.verdict(context.compat.answers) {
        Some((info, outcome)) => Ok(json(&json!({"clean": false, "info": info}), outcome)),
        None => Err(error),
    }
}

fn json(value: &serde_json::Value, outcome: &'static str) -> Answer {
    (respond::json(Surface::Scanner, StatusCode::OK, value), outcome)
}

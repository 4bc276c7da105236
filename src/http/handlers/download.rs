//! Native reads: media and thumbnails.

use std::sync::Arc;

use headers::{ETag, HeaderMapExt};
use http::{
    HeaderMap, Method, Response, StatusCode,
    header::{CONTENT_ENCODING, IF_NONE_MATCH, IF_RANGE, RANGE, TRANSFER_ENCODING},
    uri::PathAndQuery,
};

use super::{
    Handled,
    fetch::{address, ask, declared_length, oversize, relay_refusal, take_in},
    inspect, let_oversize_through, let_through, reader, refuse_thumbnail_of_infected,
};
use crate::{
    body::{self, Body, HOLD},
    cache::key::Reader,
    facts::{Direction, Occasion},
    http::{
        Context, occasion, respond,
        route::{Download, Kind},
        surface::Surface,
        validators::{self, Precondition},
    },
    inspect::{Known, Way},
    media::MediaRef,
    policy::Decision,
    spool::Digest,
    upstream::query::without_redirects,
};

/// What a client asks for, and how.
pub(crate) struct Read {
    pub wanted: Download,
    pub method: Method,
    pub headers: HeaderMap,
    pub target: PathAndQuery,
    /// The route's name.
    pub route: &'static str,
}

/// What remains of a request while it is answered.
struct Asked {
    media: MediaRef,
    kind: Kind,
    /// As it came, if it is for a thumbnail.
    query: Option<String>,
    method: Method,
    /// Headers that the homeserver is not asked with.
    conditions: HeaderMap,
    reader: Reader,
    occasion: Arc<Occasion>,
}

impl Asked {
    /// The name of what is asked for.
    fn address(&self) -> String {
        address(&self.media, self.kind, self.query.as_deref())
    }
}

/// Fetches with the caller's own credentials, and serves the very bytes that were judged: from the spool that was
/// scanned, or, when they are known, as they come, with the end held back until they prove to be the same.
pub(crate) async fn download(context: &Context, read: Read) -> Handled {
    let Read { wanted, method, headers, target, route } = read;
    let reader = reader::client(context, &headers, target.query());
    let query = target.query().filter(|_| wanted.kind == Kind::Thumbnail).map(str::to_owned);
    let conditions = conditions(&headers);
    let target = if wanted.is_legacy { without_redirects(&target) } else { target };
    let answer = ask(context, headers, target).await?;
    if answer.status() != StatusCode::OK {
        return relay_refusal(context, answer).await;
    }
    let occasion = occasion(context, &wanted, route, answer.headers());
    let asked = Asked { media: wanted.media, kind: wanted.kind, query, method, conditions, reader, occasion };
    if wanted.kind == Kind::Thumbnail {
        refuse_thumbnail_of_infected(context, &asked.media, &asked.occasion).await?;
    }
    if let Some(len) = oversize(context, answer.headers()) {
        return serve_unscanned(context, &asked, answer, len);
    }
    match expected(context, answer.headers(), &asked).await {
        Some(known) => serve_known(context, &asked, known, answer).await,
        None => serve_spooled(context, &asked, answer).await,
    }
}

/// The request, and what the homeserver says of the medium. What a client adds to the address to be taken for a homeserver makes
/// no difference here: it could as well not.
fn occasion(context: &Context, wanted: &Download, route: &'static str, answer: &HeaderMap) -> Arc<Occasion> {
    let direction = match wanted.kind {
        Kind::Full => Direction::Download,
        Kind::Thumbnail => Direction::Thumbnail,
    };
    let declared = occasion::declared(answer);
    Arc::new(Occasion { declared, ..occasion::of_media(context, direction, route, &wanted.media) })
}

fn conditions(headers: &HeaderMap) -> HeaderMap {
    let named = [IF_NONE_MATCH, IF_RANGE, RANGE];
    let values = named.iter().flat_map(|name| headers.get_all(name).iter().map(|value| (name.clone(), value.clone())));
    let mut conditions = HeaderMap::new();
    for (name, value) in values {
        conditions.append(name, value);
    }
    conditions
}

/// What is known of an answer before its body is read. What fits into what is held back is not worth the question.
async fn expected(context: &Context, answer: &HeaderMap, asked: &Asked) -> Option<Known> {
    let len = declared_length(answer).filter(|len| *len > HOLD)?;
    if answer.contains_key(CONTENT_ENCODING) || answer.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    context.inspector.known(context.inspector.location(&asked.address()), len, &asked.occasion).await
}

async fn serve_known(context: &Context, asked: &Asked, known: Known, answer: Response<Body>) -> Handled {
    let tag = validators::etag(known.identity().as_bytes());
    let is_current = validators::precondition(&asked.conditions, &tag) == Precondition::NotModified;
    let is_buffered = !is_current && (context.native.always_buffer || asked.conditions.contains_key(RANGE));
    if known.decided.decision == Decision::Allow && is_buffered {
        return serve_spooled(context, asked, answer).await;
    }
    known.count(asked.reader);
    let_through(Some(&asked.media), None, &known.decided, (known.identity(), Some(known.record())))?;
    let head = media_head(context, answer.headers(), &tag);
    if is_current {
        return Ok((respond::not_modified(head), "not_modified"));
    }
    let len = declared_length(answer.headers()).unwrap_or_default();
    let body = body::guarded(answer.into_body(), context.bounds.stall);
    let media = asked.media.clone();
    let confirm = move |digest: &Digest| {
        let unconfirmed = known.confirm(digest).err();
        if let Some(why) = unconfirmed {
            tracing::error!(%media, "a transfer was cut: {why}");
        }
        unconfirmed.is_none()
    };
    Ok((respond::media(head, len, body::held_back(body, len, confirm)), "streamed"))
}

async fn serve_spooled(context: &Context, asked: &Asked, answer: Response<Body>) -> Handled {
    let address = || asked.address();
    let fetched = take_in(context, Some(&address), answer, Arc::clone(&asked.occasion)).await?;
    let inspection = inspect(context, Some(&asked.media), &fetched, Way::Keyless(asked.reader), Some(&address)).await?;
    let (spool, tag) = (&fetched.spool, validators::etag(inspection.identity.as_bytes()));
    let head = media_head(context, &fetched.headers, &tag);
    if validators::precondition(&asked.conditions, &tag) == Precondition::NotModified {
        return Ok((respond::not_modified(head), "not_modified"));
    }
    let part = validators::range(&asked.method, &asked.conditions, &tag, spool.len());
    Ok((respond::part(head, &part, spool), "served"))
}

/// Passes on what is too large to be scanned, if the policy lets it pass. Nobody compares it with anything, so it has no name to be
/// asked for again by.
fn serve_unscanned(context: &Context, asked: &Asked, answer: Response<Body>, len: u64) -> Handled {
    let_oversize_through(context, &asked.occasion, len, true)?;
    let head = respond::media_head(Surface::Native, answer.headers(), context.native.max_age);
    let body = body::guarded(answer.into_body(), context.bounds.stall);
    Ok((respond::media(head, len, body), "unscanned"))
}

fn media_head(context: &Context, upstream: &HeaderMap, tag: &ETag) -> HeaderMap {
    let mut head = respond::media_head(Surface::Native, upstream, context.native.max_age);
    head.typed_insert(tag.clone());
    head
}

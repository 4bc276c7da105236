//! Which media route of the homeserver a scanner request stands for.

use std::sync::Arc;

use http::{
    HeaderMap, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
    uri::PathAndQuery,
};
use serde::Deserialize;

use crate::{
    body::{self, Body},
    facts::{Direction, Occasion},
    http::{
        Context,
        compat::PASSED_ON,
        error::ApiError,
        handlers::{
            MAX_ERROR, caller,
            fetch::{self, Fetched, take_in},
        },
        occasion,
        route::Kind,
    },
    json,
    media::MediaRef,
    upstream::{Origin, query::without_redirects},
};

/// What to fetch.
pub(super) struct Wanted<'a> {
    pub media: &'a MediaRef,
    pub kind: Kind,
    /// Parameters of a thumbnail, as they came.
    pub query: Option<&'a str>,
    /// The name of the route that asks for it.
    pub route: &'static str,
}

impl Wanted<'_> {
    fn target(&self, prefix: &str) -> Result<PathAndQuery, ApiError> {
        let kind = match self.kind {
            Kind::Full => "download",
            Kind::Thumbnail => "thumbnail",
        };
        let query = self.query.map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{prefix}/{kind}/{}{query}", self.media.path());
        target.parse().map_err(|_| ApiError::BadRequest("The query is malformed"))
    }

    fn occasion(&self, context: &Context, answer: &HeaderMap) -> Arc<Occasion> {
        let declared = occasion::declared(answer);
        Arc::new(Occasion { declared, ..occasion::of_media(context, Direction::Scan, self.route, self.media) })
    }

    pub(super) fn address(&self) -> String {
        fetch::address(self.media, self.kind, self.query)
    }
}

/// Fetches a medium as its client would: from the authenticated route if it sends a token, else from the old routes,
/// the oldest last. A server that must not see the token is asked as if there were none.
pub(super) async fn fetch(context: &Context, headers: &HeaderMap, wanted: &Wanted<'_>) -> Result<Fetched, ApiError> {
    let sends_token = headers.contains_key(AUTHORIZATION);
    if !sends_token && context.native.is_closed(wanted.media) {
        return Err(ApiError::MissingToken);
    }
    let is_stranger = matches!(&context.origin, Origin::Direct(direct) if !direct.trusts(wanted.media));
    let has_token = sends_token && !is_stranger;
    let prefixes: &[&str] = match has_token {
        true => &["/_matrix/client/v1/media"],
        false => &["/_matrix/media/v3", "/_matrix/media/r0"],
    };
    let mut failure = ApiError::NotFound;
    for prefix in prefixes {
        let target = wanted.target(prefix)?;
        let target = if has_token { target } else { without_redirects(&target) };
        let answer = match &context.origin {
            Origin::Homeserver(_) => ask(context, headers, target).await?,
            Origin::Direct(direct) => direct.get(wanted.media, &target, headers.get(AUTHORIZATION)).await?,
        };
        if answer.status() == StatusCode::OK {
            let kinds = answer.headers().get_all(CONTENT_TYPE).iter().count();
            return match kinds {
                1 => {
                    let occasion = wanted.occasion(context, answer.headers());
                    take_in(context, Some(&|| wanted.address()), answer, occasion).await
                }
                _ => Err(ApiError::UpstreamAnswer("not exactly one content type")),
            };
        }
        failure = match refusal(context, answer).await {
            // It was shown none, and clients would sign their user out.
            ApiError::MissingToken | ApiError::UnknownToken if is_stranger => {
                ApiError::UpstreamAnswer("a demand for a token that is not for it")
            }
            failure => failure,
        };
        if !matches!(failure, ApiError::NotFound) {
            break;
        }
    }
    Err(failure)
}

async fn ask(context: &Context, from: &HeaderMap, target: PathAndQuery) -> Result<Response<Body>, ApiError> {
    fetch::ask(context, for_homeserver(context, from), target).await
}

/// The headers of a request that stands for one of a client.
fn for_homeserver(context: &Context, from: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    context.compat.add_headers(from, &mut headers);
    headers
}

/// Refuses a caller whom the homeserver does not say that it knows, before anything is done that it has no part in. Gives the name of
/// one whom it does.
pub(super) async fn admit(context: &Context, headers: &HeaderMap) -> Result<Option<Arc<str>>, ApiError> {
    if !headers.contains_key(AUTHORIZATION) {
        return Err(ApiError::MissingToken);
    }
    let answer = caller::ask(context, for_homeserver(context, headers), None).await?;
    if answer.status() == StatusCode::OK {
        return Ok(caller::user(context, answer).await);
    }
    Err(match refusal(context, answer).await {
        ApiError::NotFound => ApiError::UpstreamAnswer("it does not say who asks"),
        refused => refused,
    })
}

/// The part of a Matrix error that decides.
#[derive(Deserialize)]
struct MatrixError {
    errcode: String,
}

/// What a refusal of the homeserver is called in the scanner API.
async fn refusal(context: &Context, answer: Response<Body>) -> ApiError {
    let status = answer.status();
    if status == StatusCode::NOT_FOUND {
        return ApiError::NotFound;
    }
    let text = body::small(answer.into_body(), MAX_ERROR, context.bounds.stall).await.unwrap_or_default();
    let errcode = json::object(&text).map(|error: MatrixError| error.errcode).unwrap_or_default();
    match (status, errcode.as_str()) {
        (StatusCode::BAD_REQUEST, "M_UNRECOGNIZED") => ApiError::NotFound,
        (StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN") => ApiError::MissingToken,
        (StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN") => ApiError::UnknownToken,
        _ => ApiError::UpstreamAnswer("an error"),
    }
}

//! Which media route of the homeserver a scanner request stands for.

use http::{
    HeaderMap, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, USER_AGENT},
    uri::PathAndQuery,
};
use serde::Deserialize;

use crate::{
    body::{self, Body},
    http::{
        Context,
        error::ApiError,
        handlers::{
            MAX_ERROR,
            fetch::{self, Fetched, take_in},
        },
        route::Kind,
    },
    json,
    media::MediaRef,
    upstream::query::without_redirects,
};

/// Headers of a scanner request that say something to the homeserver; those of its body do not.
const PASSED_ON: [http::HeaderName; 6] = [
    AUTHORIZATION,
    HOST,
    ORIGIN,
    USER_AGENT,
    http::HeaderName::from_static("x-forwarded-for"),
    http::HeaderName::from_static("x-forwarded-proto"),
];

/// What to fetch.
pub(super) struct Wanted<'a> {
    pub media: &'a MediaRef,
    pub kind: Kind,
    /// Parameters of a thumbnail, as they came.
    pub query: Option<&'a str>,
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

    pub(super) fn address(&self) -> String {
        fetch::address(self.media, self.kind, self.query)
    }
}

/// Fetches a medium as its client would: from the authenticated route if it sends a token, else from the old routes,
/// the oldest last.
pub(super) async fn fetch(context: &Context, headers: &HeaderMap, wanted: &Wanted<'_>) -> Result<Fetched, ApiError> {
    let has_token = headers.contains_key(AUTHORIZATION);
    if !has_token && context.native.is_closed(wanted.media) {
        return Err(ApiError::MissingToken);
    }
    let prefixes: &[&str] = match has_token {
        true => &["/_matrix/client/v1/media"],
        false => &["/_matrix/media/v3", "/_matrix/media/r0"],
    };
    let mut failure = ApiError::NotFound;
    for prefix in prefixes {
        let target = wanted.target(prefix)?;
        let target = if has_token { target } else { without_redirects(&target) };
        let answer = ask(context, headers, target).await?;
        if answer.status() == StatusCode::OK {
            let kinds = answer.headers().get_all(CONTENT_TYPE).iter().count();
            return match kinds {
                1 => take_in(context, Some(&|| wanted.address()), answer).await,
                _ => Err(ApiError::UpstreamAnswer("not exactly one content type")),
            };
        }
        failure = refusal(context, answer).await;
        if !matches!(failure, ApiError::NotFound) {
            break;
        }
    }
    Err(failure)
}

async fn ask(context: &Context, from: &HeaderMap, target: PathAndQuery) -> Result<Response<Body>, ApiError> {
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    fetch::ask(context, headers, target).await
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

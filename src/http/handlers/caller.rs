//! Who asks for something that the homeserver has no part in, and that costs scans.

use std::sync::Arc;

use http::{HeaderMap, Method, Response, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;

use crate::{
    body::{self, Body},
    http::{Context, error::ApiError},
    json,
    upstream::{Purpose, headers::ask_for_all_of_it},
};

/// Tells who a token belongs to.
const WHO_AM_I: &str = "/_matrix/client/v3/account/whoami";

/// Longest answer to who a token belongs to, in bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// Longest [user identifier](https://spec.matrix.org/v1.16/appendices/#user-identifiers), in bytes.
const MAX_USER: usize = 255;

/// Who asks.
pub(super) enum Caller {
    /// Nobody who may, says the homeserver.
    Refused(Response<Body>),
    /// Someone, by name if the homeserver gave one.
    Known(Option<Arc<str>>),
}

/// Asks the homeserver who the caller is. Only a clear refusal counts: what serves media need not know users, and what is asked for
/// goes to the homeserver anyway.
pub(super) async fn identify(context: &Context, headers: HeaderMap, query: Option<&str>) -> Result<Caller, ApiError> {
    let answer = ask(context, headers, query).await?;
    let refuses = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
    match answer.status() {
        status if refuses.contains(&status) => Ok(Caller::Refused(answer)),
        StatusCode::OK => Ok(Caller::Known(user(context, answer).await)),
        _ => Ok(Caller::Known(None)),
    }
}

/// The part of the answer that names someone.
#[derive(Deserialize)]
struct WhoAmI {
    user_id: String,
}

/// The user whom an answer names; `None` if it names nobody.
pub(super) async fn user(context: &Context, answer: Response<Body>) -> Option<Arc<str>> {
    let text = body::small(answer.into_body(), MAX_ANSWER, context.bounds.stall).await.ok()?;
    let WhoAmI { user_id } = json::object(&text).ok()?;
    (user_id.starts_with('@') && user_id.len() <= MAX_USER).then(|| user_id.into())
}

/// The homeserver's answer to who the caller is.
pub(super) async fn ask(
    context: &Context,
    mut headers: HeaderMap,
    query: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    ask_for_all_of_it(&mut headers);
    headers.remove(CONTENT_TYPE);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{WHO_AM_I}{query}").parse();
    let target = target.map_err(|_| ApiError::BadRequest("The request target is too long"))?;
    let answer = context.homeserver()?.send(Purpose::Access, Method::GET, target, headers, body::empty()).await?;
    Ok(answer.map(|incoming| body::relayed(incoming, context.bounds.stall)))
}

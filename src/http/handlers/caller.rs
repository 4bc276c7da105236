//! Who asks for something that the homeserver has no part in, and that costs scans.

use http::{HeaderMap, Method, Response, StatusCode, header::CONTENT_TYPE};

use crate::{
    body::{self, Body},
    http::{Context, error::ApiError},
    upstream::{Purpose, headers::ask_for_all_of_it},
};

/// Tells who a token belongs to.
const WHO_AM_I: &str = "/_matrix/client/v3/account/whoami";

/// Asks the homeserver who the caller is, and gives its refusal, if it refuses. Only a clear refusal counts: what serves media
/// need not know users, and what is asked for goes to the homeserver anyway.
pub(super) async fn refusal(
    context: &Context,
    headers: HeaderMap,
    query: Option<&str>,
) -> Result<Option<Response<Body>>, ApiError> {
    let answer = ask(context, headers, query).await?;
    let refuses = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
    Ok(refuses.contains(&answer.status()).then_some(answer))
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

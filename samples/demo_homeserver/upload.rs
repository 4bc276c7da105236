//! Uploads: at once, or in two steps (create an address, fill it later).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde_json::json;

use crate::answer::{self, Refusal};
use crate::store::{MAX_UPLOAD_BYTES, Media, Reservation, Store};
use crate::{Homeserver, SERVER_NAME, query_value};

/// A body slower than this is given up, since it holds room in the store.
const BODY_TIMEOUT: Duration = Duration::from_mins(2);

/// `POST /_matrix/media/{v3,r0,v1}/upload`
pub(crate) async fn upload(State(homeserver): State<Arc<Homeserver>>, request: Request) -> Result<Response, Refusal> {
    let (media, room) = receive(&homeserver.store, request).await?;
    let id = homeserver.store.add(media, room);
    Ok(content_uri(&id))
}

/// `POST /_matrix/media/v1/create`
pub(crate) async fn create(State(homeserver): State<Arc<Homeserver>>) -> Result<Response, Refusal> {
    let id = homeserver.store.create()?;
    Ok(content_uri(&id))
}

/// `PUT /_matrix/media/v3/upload/{server}/{media}`. There is one user, who therefore created every address.
pub(crate) async fn fill(
    State(homeserver): State<Arc<Homeserver>>,
    Path((server, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    if server != SERVER_NAME {
        return Err(Refusal::NOT_FOUND);
    }
    homeserver.store.check_awaited(&id)?;
    let (media, room) = receive(&homeserver.store, request).await?;
    homeserver.store.fill(id, media, room)?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

fn content_uri(id: &str) -> Response {
    let uri = format!("mxc://{SERVER_NAME}/{id}");
    answer::json(StatusCode::OK, &json!({"content_uri": uri}))
}

async fn receive(store: &Store, request: Request) -> Result<(Media, Reservation<'_>), Refusal> {
    let length = declared_length(request.headers())?;
    let filename = query_value(request.uri(), "filename").filter(|name| !name.is_empty());
    let content_type = declared_type(request.headers());
    let overhead = Media::overhead(&content_type, filename.as_deref());
    let room = store.reserve(length.saturating_add(overhead))?;
    let bytes = read_body(request.into_body(), length).await?;
    Ok((Media { content_type, filename, bytes }, room))
}

/// The length is required, as on Synapse: chunked uploads are refused.
fn declared_length(headers: &HeaderMap) -> Result<u64, Refusal> {
    let value = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = value.and_then(|text| text.parse().ok()).ok_or(Refusal::NO_LENGTH)?;
    if length > MAX_UPLOAD_BYTES {
        return Err(Refusal::TOO_LARGE);
    }
    Ok(length)
}

fn declared_type(headers: &HeaderMap) -> HeaderValue {
    let default = HeaderValue::from_static("application/octet-stream");
    headers.get(header::CONTENT_TYPE).cloned().unwrap_or(default)
}

async fn read_body(body: Body, length: u64) -> Result<Bytes, Refusal> {
    let limit = usize::try_from(length).map_err(|_| Refusal::TOO_LARGE)?;
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await;
    match body {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(_)) | Err(_) => Err(Refusal::BROKEN_BODY),
    }
}

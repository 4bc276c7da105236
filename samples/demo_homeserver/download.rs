//! Reading media back, with the headers that Synapse sends.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::answer::Refusal;
use crate::store::Media;
use crate::{Homeserver, SERVER_NAME};

const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
     style-src 'unsafe-inline'; media-src 'self'; object-src 'self';",
);

/// Types that the specification lets a browser show in place.
const INLINE_TYPES: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// Left as they are in an encoded file name (RFC 8187).
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The variable part of a media address.
#[derive(Deserialize)]
pub(crate) struct Location {
    server: String,
    media: String,
    filename: Option<String>,
}

/// `GET .../download/{server}/{media}` with or without `/{filename}`
pub(crate) async fn download(
    State(homeserver): State<Arc<Homeserver>>,
    Path(location): Path<Location>,
) -> Result<Response, Refusal> {
    let media = find(&homeserver, &location)?;
    let mut response = media_response(&media, location.filename.as_deref());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    headers.insert(HeaderName::from_static("x-content-security-policy"), CONTENT_SECURITY_POLICY);
    Ok(response)
}

/// `GET .../thumbnail/{server}/{media}`: the original, which the specification allows. Synapse sends no content
/// security policy here.
pub(crate) async fn thumbnail(
    State(homeserver): State<Arc<Homeserver>>,
    Path(location): Path<Location>,
) -> Result<Response, Refusal> {
    let media = find(&homeserver, &location)?;
    Ok(media_response(&media, None))
}

fn find(homeserver: &Homeserver, location: &Location) -> Result<Arc<Media>, Refusal> {
    if location.server != SERVER_NAME {
        return Err(Refusal::NOT_FOUND);
    }
    homeserver.store.get(&location.media)
}

fn media_response(media: &Media, filename: Option<&str>) -> Response {
    let mut response = Body::from(media.bytes.clone()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media.content_type.clone());
    if let Some(value) = content_disposition(media, filename) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    add_fixed_headers(headers);
    response
}

fn add_fixed_headers(headers: &mut HeaderMap) {
    let fixed = [
        (header::CACHE_CONTROL, "public,max-age=86400,s-maxage=0,proxy-revalidate"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        // Synapse's entity tag is this constant for all media, and not even quoted.
        (header::ETAG, "1"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow, noarchive, noimageindex"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn content_disposition(media: &Media, filename: Option<&str>) -> Option<HeaderValue> {
    let kind = if shown_inline(&media.content_type) { "inline" } else { "attachment" };
    let filename = filename.or(media.filename.as_deref());
    let value = filename.map_or_else(|| kind.to_owned(), |name| format!("{kind}; {}", filename_parameter(name)));
    HeaderValue::try_from(value).ok()
}

fn shown_inline(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    INLINE_TYPES.iter().any(|inline| essence.eq_ignore_ascii_case(inline))
}

fn filename_parameter(name: &str) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_token) {
        return format!("filename={name}");
    }
    format!("filename*=utf-8''{}", utf8_percent_encode(name, &UNRESERVED))
}

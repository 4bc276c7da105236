//! Answers in Matrix form: JSON, errors with a code and a text, and the CORS headers that browsers ask for.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request turned down, in the words that Synapse would use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    errcode: &'static str,
    error: &'static str,
}

impl Refusal {
    pub(crate) const MISSING_TOKEN: Self =
        Self::new(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", "Missing access token");
    pub(crate) const UNKNOWN_TOKEN: Self =
        Self::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
    pub(crate) const UNRECOGNISED: Self = Self::new(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "Unrecognized request");
    pub(crate) const WRONG_METHOD: Self =
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", "Unrecognized request");
    pub(crate) const NO_LENGTH: Self =
        Self::new(StatusCode::BAD_REQUEST, "M_UNKNOWN", "Request must specify a Content-Length");
    pub(crate) const TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", "Upload request body is too large");
    pub(crate) const BROKEN_BODY: Self =
        Self::new(StatusCode::BAD_REQUEST, "M_UNKNOWN", "The request body did not arrive in full");
    pub(crate) const STORE_FULL: Self =
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "M_UNKNOWN", "The demo homeserver holds all the media it can");
    pub(crate) const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", "Not found");
    pub(crate) const NOT_YET_UPLOADED: Self =
        Self::new(StatusCode::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED", "Media has not been uploaded yet");
    pub(crate) const ALREADY_UPLOADED: Self =
        Self::new(StatusCode::CONFLICT, "M_CANNOT_OVERWRITE_MEDIA", "Media ID already has content");

    const fn new(status: StatusCode, errcode: &'static str, error: &'static str) -> Self {
        Self { status, errcode, error }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json(self.status, &json!({"errcode": self.errcode, "error": self.error}))
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, content_type, value.to_string()).into_response()
}

/// Answers CORS preflights for every path, and lets web clients read all answers.
pub(crate) async fn with_cors(request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        (StatusCode::NO_CONTENT, Body::empty()).into_response()
    } else {
        next.run(request).await
    };
    add_cors(response.headers_mut());
    response
}

fn add_cors(headers: &mut HeaderMap) {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "X-Requested-With, Content-Type, Authorization, Date"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Synapse-Trace-Id, Server"),
    ];
    for (name, value) in allowed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

//! The one place where a failure becomes a status and a body.
//!
//! Native routes answer `errcode` and `error`, scanner routes `reason` and `info`, and never both: clients read a scanner
//! error that carries an `errcode` as an ordinary Matrix error and miss the verdict.

use http::{HeaderValue, Response, StatusCode, header::RETRY_AFTER};
use serde::Serialize;

use super::{respond, surface::Surface};
use crate::{
    body::{Body, ReceiveError},
    crypto::attachment::DecryptError,
    inspect::InspectError,
    policy::Refusal,
    spool::SpoolError,
    telemetry::log::Chain,
    upstream::UpstreamError,
};

/// Seconds after which a client may try again what could not be done for want of capacity.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

#[derive(Serialize)]
struct MatrixError {
    errcode: &'static str,
    error: String,
}

#[derive(Serialize)]
struct ScannerError {
    reason: &'static str,
    info: String,
}

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// Policy refuses the medium.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// No verdict could be had for now.
    #[error("cannot scan")]
    CannotScan(#[source] InspectError),
    /// A bound is reached; waiting helps.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// The upload is larger than the limit.
    #[error("the upload is too large")]
    UploadTooLarge,
    /// The upload is in a form that readers would see differently from us.
    #[error("the upload is encoded: {0}")]
    UploadEncoded(&'static str),
    /// The client's body stalled.
    #[error("the request body stalled")]
    RequestStalled,
    /// The client's body broke off.
    #[error("the request body broke off")]
    RequestBroken,
    /// The request is not one that can be classified and forwarded unchanged.
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    /// Looks like media and is no route.
    #[error("no such route")]
    Unrecognized,
    /// A route with another method.
    #[error("wrong method")]
    WrongMethod,
    /// Federation media.
    #[error("federation media is not served")]
    Federation,
    /// The homeserver cannot be reached.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The homeserver broke off or stalled.
    #[error("the homeserver's answer broke off")]
    UpstreamBroken,
    /// The homeserver's answer cannot be vouched for.
    #[error("unusable answer of the homeserver: {0}")]
    UpstreamAnswer(&'static str),
    /// The body of a scanner request is not as it must be.
    #[error("malformed body: {0}")]
    MalformedJson(String),
    /// The body of a scanner request is larger than any that is well-formed.
    #[error("the body is too large")]
    JsonTooLarge,
    /// The envelope of a scanner request cannot be opened.
    #[error("the encrypted body cannot be opened")]
    BadEnvelope,
    /// The attachment's key does not open it.
    #[error("cannot decrypt: {0}")]
    Decrypt(&'static str),
    /// The address in a scanner request is none.
    #[error("malformed media id")]
    MalformedMedia,
    /// The homeserver has no such medium.
    #[error("not found")]
    NotFound,
    /// The homeserver wants a token.
    #[error("missing token")]
    MissingToken,
    /// The homeserver does not know the token.
    #[error("unknown token")]
    UnknownToken,
    /// Our own fault.
    #[error("internal error: {0}")]
    Internal(String),
}

impl ApiError {
    /// A body of the client could not be taken in.
    pub(super) fn from_request(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Stalled => Self::RequestStalled,
            ReceiveError::Broken(_) => Self::RequestBroken,
            ReceiveError::Spool(SpoolError::TooLarge) => Self::UploadTooLarge,
            ReceiveError::Spool(error) => Self::from_spool(&error),
        }
    }

    /// A body of the homeserver could not be taken in.
    pub(super) fn from_upstream(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Stalled | ReceiveError::Broken(_) => Self::UpstreamBroken,
            ReceiveError::Spool(SpoolError::TooLarge) => Self::Refused(Refusal::Oversize),
            ReceiveError::Spool(error) => Self::from_spool(&error),
        }
    }

    fn from_spool(error: &SpoolError) -> Self {
        match error {
            SpoolError::Full => Self::Overloaded("the spool is full"),
            SpoolError::TooLarge | SpoolError::Io(_) => Self::Internal(Chain(error).to_string()),
        }
    }

    /// The outcome's name in metrics and logs.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Infected) => "infected",
            Self::Refused(Refusal::Incomplete) => "incomplete",
            Self::Refused(Refusal::Opaque) => "opaque",
            Self::Refused(Refusal::Oversize) | Self::UploadTooLarge => "oversize",
            Self::CannotScan(_) => "cannot_scan",
            Self::Overloaded(_) => "overloaded",
            Self::RequestStalled | Self::RequestBroken => "client_failed",
            Self::Unrecognized | Self::WrongMethod | Self::Federation => "no_route",
            Self::Upstream(_) | Self::UpstreamBroken | Self::UpstreamAnswer(_) => "upstream_failed",
            Self::Decrypt(_) | Self::BadEnvelope => "undecryptable",
            Self::NotFound | Self::MissingToken | Self::UnknownToken => "upstream_refused",
            Self::UploadEncoded(_)
            | Self::BadRequest(_)
            | Self::MalformedJson(_)
            | Self::JsonTooLarge
            | Self::MalformedMedia => "bad_request",
            Self::Internal(_) => "internal",
        }
    }

    /// Status and `errcode` on native routes: `matrix-spec` and, for refusals, what clients take as final.
    fn native(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Refused(_) => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            Self::CannotScan(_) | Self::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"),
            Self::UploadTooLarge | Self::JsonTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
            Self::UploadEncoded(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "M_UNKNOWN"),
            Self::RequestStalled => (StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN"),
            Self::RequestBroken | Self::BadRequest(_) | Self::MalformedMedia => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "M_NOT_JSON"),
            Self::Unrecognized => (StatusCode::NOT_FOUND, "M_UNRECOGNIZED"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED"),
            // Anything but a plain "not found" makes remote servers retry elsewhere or back off from this one.
            Self::Federation | Self::NotFound => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
            Self::Upstream(_) | Self::UpstreamBroken | Self::UpstreamAnswer(_) => {
                (StatusCode::BAD_GATEWAY, "M_UNKNOWN")
            }
            Self::BadEnvelope | Self::Decrypt(_) => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
            Self::MissingToken => (StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN"),
            Self::UnknownToken => (StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN"),
        }
    }

    /// Status and `reason` on scanner routes. The vocabulary is closed: clients match on it.
    fn scanner(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Refused(_) | Self::MalformedMedia => (StatusCode::FORBIDDEN, "MCS_MEDIA_NOT_CLEAN"),
            Self::Upstream(_) | Self::UpstreamBroken | Self::UpstreamAnswer(_) => {
                (StatusCode::BAD_GATEWAY, "MCS_MEDIA_REQUEST_FAILED")
            }
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "MCS_MALFORMED_JSON"),
            Self::JsonTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "MCS_MALFORMED_JSON"),
            Self::BadEnvelope => (StatusCode::FORBIDDEN, "MCS_BAD_DECRYPTION"),
            Self::Decrypt(_) => (StatusCode::BAD_REQUEST, "MCS_MEDIA_FAILED_TO_DECRYPT"),
            Self::CannotScan(_)
            | Self::Overloaded(_)
            | Self::UploadTooLarge
            | Self::UploadEncoded(_)
            | Self::RequestStalled
            | Self::RequestBroken
            | Self::BadRequest(_)
            | Self::Unrecognized
            | Self::WrongMethod
            | Self::Federation
            | Self::NotFound
            | Self::MissingToken
            | Self::UnknownToken
            | Self::Internal(_) => self.native(),
        }
    }

    /// What the client is told. Names no signature, no address and no reason of ours that an attacker could use.
    fn text(&self, surface: Surface) -> String {
        let text = match self {
            Self::Refused(Refusal::Infected) if surface == Surface::Scanner => "***VIRUS DETECTED***",
            Self::Refused(Refusal::Infected) => "This file was refused: malware was found in it",
            Self::Refused(Refusal::Incomplete) => "This file was refused: it could not be scanned completely",
            Self::Refused(Refusal::Opaque) => {
                "This file was refused: it contains encrypted content that cannot be scanned"
            }
            Self::Refused(Refusal::Oversize) => "This file was refused: it is too large to be scanned",
            Self::CannotScan(_) => "The file could not be scanned; try again later",
            Self::Overloaded(_) => "Too many requests at the moment; try again later",
            Self::UploadTooLarge => "The file is too large to be uploaded",
            Self::UploadEncoded(what) | Self::BadRequest(what) => what,
            Self::RequestStalled => "The request body did not arrive in time",
            Self::RequestBroken => "The request body is incomplete",
            Self::Unrecognized | Self::WrongMethod => "Unrecognized request",
            Self::Federation => "Not found",
            Self::Upstream(_) | Self::UpstreamBroken => "Failed to reach the remote server",
            Self::UpstreamAnswer(_) => "The remote server responded with an error",
            Self::MalformedJson(what) => return what.clone(),
            Self::JsonTooLarge => "The request body is too large",
            Self::BadEnvelope => "The encrypted body could not be decrypted",
            Self::Decrypt(what) => what,
            Self::MalformedMedia => "Malformed media ID",
            Self::NotFound => "File not found",
            Self::MissingToken => "Access token missing from request",
            Self::UnknownToken => "Invalid access token passed",
            Self::Internal(_) => "Internal Server Error",
        };
        text.to_owned()
    }

    /// Writes the failure to the log at the level of what it asks of an operator.
    fn log(&self) {
        match self {
            Self::Internal(_) => tracing::error!(error = %Chain(self), "request failed"),
            Self::CannotScan(_)
            | Self::Overloaded(_)
            | Self::Upstream(_)
            | Self::UpstreamBroken
            | Self::UpstreamAnswer(_) => tracing::warn!(error = %Chain(self), "request failed"),
            _ => tracing::debug!(error = %self, "request refused"),
        }
    }

    /// Logs the failure and answers it.
    pub(super) fn into_response(self, surface: Surface) -> Response<Body> {
        self.log();
        let text = self.text(surface);
        let is_routing = matches!(self, Self::Unrecognized | Self::WrongMethod);
        let mut response = match surface {
            Surface::Scanner if !is_routing => {
                let (status, reason) = self.scanner();
                respond::json(surface, status, &ScannerError { reason, info: text })
            }
            // Errors of routing have the Matrix shape everywhere.
            Surface::Native | Surface::Scanner => {
                let (status, errcode) = self.native();
                respond::json(surface, status, &MatrixError { errcode, error: text })
            }
        };
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response
    }
}

impl From<InspectError> for ApiError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Decrypt(DecryptError::Hash) => Self::Decrypt("The file's hash does not match its content"),
            InspectError::Decrypt(DecryptError::CounterWrap) => Self::Decrypt("The file's IV is not usable"),
            InspectError::Engine(_) | InspectError::Aborted => Self::CannotScan(error),
            InspectError::Spool(error) => Self::Internal(Chain(&*error).to_string()),
        }
    }
}

//! The one place where a failure becomes a status and a body.
//!
//! Native routes answer `errcode` and `error`, scanner routes `reason` and `info`, and never both: clients read a scanner
//! error that carries an `errcode` as an ordinary Matrix error and miss the verdict.

mod languages;
mod native;
mod scanner;
mod words;

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, RETRY_AFTER},
};
use serde::Serialize;

pub(super) use self::languages::Languages;
use super::{compat, native::RefusalStyle, respond, surface::Surface};
use crate::{
    body::{Body, ReceiveError},
    crypto::attachment::DecryptError,
    inspect::InspectError,
    policy::Refusal,
    spool::{GunzipError, SpoolError},
    telemetry::log::Chain,
    upstream::{UpstreamError, direct::DirectError, redirect::RedirectError},
};

/// Seconds after which a client may try again what could not be done for want of capacity.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

#[derive(Serialize)]
struct MatrixError {
    errcode: &'static str,
    error: String,
}

/// How failures are told where there is a choice.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// What users read.
    pub(super) languages: Languages,
    /// Refusals on native routes.
    pub(super) refusal: RefusalStyle,
    /// Failures on scanner routes.
    pub(super) compat: compat::Answers,
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
    /// The verdict did not come in the time that the other side waits. The scan goes on.
    #[error("no verdict in time")]
    Late,
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
    /// The head of the request can be read in more than one way, so its connection must end with it.
    #[error("bad request: {0}")]
    Framing(&'static str),
    /// The request target is longer than homeservers take.
    #[error("the request target is too long")]
    TargetTooLong,
    /// Looks like media and is no route.
    #[error("no such route")]
    Unrecognized,
    /// A route with another method.
    #[error("wrong method")]
    WrongMethod,
    /// A legacy read, while these are closed.
    #[error("legacy media is closed")]
    Closed,
    /// The homeserver cannot be reached.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The homeserver broke off or stalled.
    #[error("the homeserver's answer broke off")]
    UpstreamBroken,
    /// The homeserver's answer cannot be vouched for.
    #[error("unusable answer of the homeserver: {0}")]
    UpstreamAnswer(&'static str),
    /// What the homeserver points at cannot be had.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The server that an address names gives nothing.
    #[error(transparent)]
    Direct(#[from] DirectError),
    /// The body of a scanner request is not as it must be.
    #[error("malformed body: {0}")]
    MalformedJson(String),
    /// The body of a scanner request is larger than any that is well-formed.
    #[error("the body is too large")]
    JsonTooLarge,
    /// The body of a scanner request is not even text.
    #[error("the body is no UTF-8")]
    NotUtf8,
    /// The form of a scanner request is not as it must be.
    #[error("malformed form: {0}")]
    MalformedForm(&'static str),
    /// The file in a form, or what stands around it, is larger than the limit.
    #[error("the form is too large")]
    FormTooLarge,
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
    pub(super) fn from_upstream(error: &ReceiveError) -> Self {
        match error {
            ReceiveError::Stalled | ReceiveError::Broken(_) => Self::UpstreamBroken,
            ReceiveError::Spool(SpoolError::TooLarge) => Self::Refused(Refusal::Oversize),
            ReceiveError::Spool(error) => Self::from_spool(error),
        }
    }

    /// An encoded body of the homeserver could not be decoded.
    pub(super) fn from_gunzip(error: &GunzipError) -> Self {
        match error {
            GunzipError::Malformed(_) => Self::UpstreamAnswer("encoded although identity was asked for, and damaged"),
            GunzipError::Bomb | GunzipError::Spool(SpoolError::TooLarge) => Self::Refused(Refusal::Oversize),
            GunzipError::Spool(error) => Self::from_spool(error),
        }
    }

    fn from_spool(error: &SpoolError) -> Self {
        match error {
            SpoolError::Full => Self::Overloaded("the spool is full"),
            SpoolError::TooLarge | SpoolError::Io(_) => Self::Internal(Chain(error).to_string()),
        }
    }

    /// Writes the failure to the log at the level of what it asks of an operator.
    fn log(&self) {
        match self {
            Self::Internal(_) => tracing::error!(error = %Chain(self), "request failed"),
            Self::CannotScan(_)
            | Self::Late
            | Self::Overloaded(_)
            | Self::Upstream(_)
            | Self::UpstreamBroken
            | Self::UpstreamAnswer(_)
            | Self::Redirect(_) => tracing::warn!(error = %Chain(self), "request failed"),
            // Anybody can name a server that is not there.
            Self::Direct(_) => tracing::info!(error = %Chain(self), "request failed"),
            // Their texts are ours, and whoever sends them to all requests, a proxy perhaps, must be found.
            Self::Framing(_) | Self::BadRequest(_) | Self::TargetTooLong => {
                tracing::info!(error = %self, "request refused");
            }
            _ => tracing::debug!(error = %self, "request refused"),
        }
    }

    /// Logs the failure and answers it.
    pub(super) fn into_response(self, surface: Surface, style: &Style) -> Response<Body> {
        self.log();
        let styled = self.styled(style.refusal).filter(|_| surface == Surface::Native);
        let text = match styled {
            Some((StatusCode::NOT_FOUND, _)) => Self::NotFound.text(surface, &style.languages),
            _ => self.text(surface, &style.languages),
        };
        let is_routing = matches!(self, Self::Unrecognized | Self::WrongMethod);
        let ends_connection = matches!(self, Self::Framing(_));
        let mut response = match surface {
            Surface::Scanner if !is_routing => self.scanner_response(style.compat, &style.languages),
            Surface::Federation => {
                let (status, errcode) = self.federation();
                respond::json(surface, status, &MatrixError { errcode, error: text })
            }
            // Errors of routing have the Matrix shape everywhere.
            Surface::Native | Surface::Scanner => {
                let (status, errcode) = styled.unwrap_or_else(|| self.native());
                respond::json(surface, status, &MatrixError { errcode, error: text })
            }
        };
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        if ends_connection {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
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

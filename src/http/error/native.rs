//! Failures in the words of Matrix, for clients and for other homeservers.

use http::StatusCode;

use super::ApiError;
use crate::{http::native::RefusalStyle, policy::Refusal, upstream::UpstreamError};

impl ApiError {
    /// Status and `errcode` on native routes: `matrix-spec` and, for refusals, what clients take as final.
    pub(super) fn native(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Refused(Refusal::EngineError) | Self::CannotScan(_) | Self::Late | Self::Overloaded(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN")
            }
            Self::Refused(_) => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            Self::UploadTooLarge | Self::JsonTooLarge | Self::FormTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE")
            }
            Self::UploadEncoded(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "M_UNKNOWN"),
            Self::RequestStalled => (StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN"),
            Self::RequestBroken
            | Self::BadRequest(_)
            | Self::Framing(_)
            | Self::MalformedMedia
            | Self::MalformedForm(_) => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "M_UNKNOWN"),
            Self::MalformedJson(_) | Self::NotUtf8 => (StatusCode::BAD_REQUEST, "M_NOT_JSON"),
            Self::Unrecognized => (StatusCode::NOT_FOUND, "M_UNRECOGNIZED"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED"),
            Self::Closed | Self::NotFound => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
            Self::Upstream(_)
            | Self::UpstreamBroken
            | Self::UpstreamAnswer(_)
            | Self::Redirect(_)
            | Self::Direct(_) => (StatusCode::BAD_GATEWAY, "M_UNKNOWN"),
            Self::BadEnvelope | Self::Decrypt(_) => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
            Self::MissingToken => (StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN"),
            Self::UnknownToken => (StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN"),
        }
    }

    /// Status and `errcode` for other homeservers. Whatever happened here, the medium is not to be had: anything but a
    /// plain "not found" makes Synapse ask again on the legacy routes, or back off from all of this server for minutes.
    pub(super) fn federation(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unrecognized | Self::WrongMethod | Self::BadRequest(_) | Self::Framing(_) | Self::TargetTooLong => {
                self.native()
            }
            // Then everything is, and backing off is right.
            Self::Upstream(UpstreamError::Unreachable(_)) => self.native(),
            _ => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
        }
    }

    /// Status and `errcode` of a refusal in another style than the usual.
    pub(super) fn styled(&self, style: RefusalStyle) -> Option<(StatusCode, &'static str)> {
        match (self, style) {
            // Waiting helps.
            (Self::Refused(Refusal::EngineError), _) => None,
            (Self::Refused(_), RefusalStyle::NotFound) => Some((StatusCode::NOT_FOUND, "M_NOT_FOUND")),
            (Self::Refused(_), RefusalStyle::Safety) => Some((StatusCode::BAD_REQUEST, "ORG.MATRIX.MSC4387_SAFETY")),
            _ => None,
        }
    }
}

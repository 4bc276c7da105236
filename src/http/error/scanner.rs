//! Failures in the words of the Matrix Content Scanner.

use http::{Response, StatusCode};
use serde::Serialize;

use super::{ApiError, Languages};
use crate::{
    body::Body,
    http::{compat::Answers, respond, surface::Surface},
    policy::{Refusal, rule::Wire},
};

const VIRUS: &str = "***VIRUS DETECTED***";

#[derive(Serialize)]
struct ScannerError<'a> {
    reason: &'static str,
    info: &'a str,
    /// As Matrix has it beside: see [`Answers::matrix_401`].
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl ApiError {
    /// What the scan routes say as a verdict, and the outcome's name. Clients keep it for good, so it is said only of what
    /// was found infected, or has no address that could be anything; and of all that is not clean, for those who want it so.
    pub(in crate::http) fn verdict(&self, answers: Answers) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MalformedMedia => Some(("Malformed media ID", "bad_request")),
            Self::Refused(Refusal::Infected) => Some((VIRUS, "infected")),
            _ if answers.strict_mcs && self.is_unclean() => Some((VIRUS, self.outcome())),
            _ => None,
        }
    }

    /// True for all that the Matrix Content Scanner knows no other word for than infected.
    fn is_unclean(&self) -> bool {
        match self {
            Self::Refused(Refusal::Type(_)) => false,
            Self::Refused(Refusal::Rule(denial)) => denial.wire == Wire::NotClean,
            Self::Refused(_) | Self::CannotScan(_) | Self::Late => true,
            _ => false,
        }
    }

    pub(super) fn scanner_response(&self, answers: Answers, languages: &Languages) -> Response<Body> {
        let (status, reason, text) = match self.strict().filter(|_| answers.strict_mcs) {
            Some((status, reason, text)) => (status, reason, text.to_owned()),
            None => {
                let (status, reason) = self.scanner();
                (status, reason, self.text(Surface::Scanner, languages))
            }
        };
        let is_dual = answers.matrix_401 && status == StatusCode::UNAUTHORIZED;
        let (errcode, error) = (is_dual.then_some(reason), is_dual.then_some(text.as_str()));
        respond::json(Surface::Scanner, status, &ScannerError { reason, info: &text, errcode, error })
    }

    /// Status, `reason` and `info` where the Matrix Content Scanner itself answers differently from us.
    fn strict(&self) -> Option<(StatusCode, &'static str, &'static str)> {
        match self {
            _ if self.is_unclean() => Some((StatusCode::FORBIDDEN, "MCS_MEDIA_NOT_CLEAN", VIRUS)),
            // The status is that of any other decryption. One text for all failures, here too: it must not tell how far it came.
            Self::BadEnvelope => {
                let text = "The encrypted body could not be decrypted";
                Some((StatusCode::BAD_REQUEST, "MCS_MEDIA_FAILED_TO_DECRYPT", text))
            }
            Self::JsonTooLarge | Self::NotUtf8 => {
                Some((StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Internal Server Error"))
            }
            _ => None,
        }
    }

    /// Status and `reason`. The vocabulary is closed: clients match on it.
    fn scanner(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Refused(Refusal::EngineError) => self.native(),
            Self::Refused(Refusal::Type(_)) => (StatusCode::FORBIDDEN, "MCS_MIME_TYPE_FORBIDDEN"),
            Self::Refused(Refusal::Rule(denial)) if denial.wire == Wire::TypeForbidden => {
                (StatusCode::FORBIDDEN, "MCS_MIME_TYPE_FORBIDDEN")
            }
            Self::Refused(_) | Self::MalformedMedia => (StatusCode::FORBIDDEN, "MCS_MEDIA_NOT_CLEAN"),
            Self::Upstream(_)
            | Self::UpstreamBroken
            | Self::UpstreamAnswer(_)
            | Self::Redirect(_)
            | Self::Direct(_) => (StatusCode::BAD_GATEWAY, "MCS_MEDIA_REQUEST_FAILED"),
            Self::MalformedJson(_) | Self::NotUtf8 => (StatusCode::BAD_REQUEST, "MCS_MALFORMED_JSON"),
            Self::JsonTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "MCS_MALFORMED_JSON"),
            Self::MalformedForm(_) => (StatusCode::BAD_REQUEST, "MCS_MALFORMED_MULTIPART"),
            Self::FormTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "MCS_MALFORMED_MULTIPART"),
            Self::BadEnvelope => (StatusCode::FORBIDDEN, "MCS_BAD_DECRYPTION"),
            Self::Decrypt(_) => (StatusCode::BAD_REQUEST, "MCS_MEDIA_FAILED_TO_DECRYPT"),
            Self::CannotScan(_)
            | Self::Late
            | Self::Overloaded(_)
            | Self::UploadTooLarge
            | Self::UploadEncoded(_)
            | Self::RequestStalled
            | Self::RequestBroken
            | Self::BadRequest(_)
            | Self::Framing(_)
            | Self::TargetTooLong
            | Self::Unrecognized
            | Self::WrongMethod
            | Self::Closed
            | Self::NotFound
            | Self::MissingToken
            | Self::UnknownToken
            | Self::Internal(_) => self.native(),
        }
    }
}

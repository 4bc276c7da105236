//! What a failure is called in metrics, in logs and to clients.

use http::StatusCode;

use super::{ApiError, Languages};
use crate::{http::surface::Surface, policy::Refusal};

impl ApiError {
    /// The outcome's name in metrics and logs.
    pub(in crate::http) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::Infected) => "infected",
            Self::Refused(Refusal::Incomplete) => "incomplete",
            Self::Refused(Refusal::Opaque) => "opaque",
            Self::Refused(Refusal::Oversize) | Self::UploadTooLarge | Self::FormTooLarge => "oversize",
            Self::Refused(Refusal::Type(_)) => "type",
            Self::Refused(Refusal::Unscanned) => "unscanned",
            Self::Refused(Refusal::EngineError) => "cannot_scan",
            Self::Refused(Refusal::Rule(_) | Refusal::Unlisted) => "rule",
            Self::CannotScan(_) | Self::Late => "cannot_scan",
            Self::Overloaded(_) => "overloaded",
            Self::RequestStalled | Self::RequestBroken => "client_failed",
            Self::Unrecognized | Self::WrongMethod | Self::Closed => "no_route",
            Self::Upstream(_)
            | Self::UpstreamBroken
            | Self::UpstreamAnswer(_)
            | Self::Redirect(_)
            | Self::Direct(_) => "upstream_failed",
            Self::Decrypt(_) | Self::BadEnvelope => "undecryptable",
            Self::NotFound | Self::MissingToken | Self::UnknownToken => "upstream_refused",
            Self::UploadEncoded(_)
            | Self::BadRequest(_)
            | Self::Framing(_)
            | Self::TargetTooLong
            | Self::MalformedJson(_)
            | Self::JsonTooLarge
            | Self::NotUtf8
            | Self::MalformedForm(_)
            | Self::MalformedMedia => "bad_request",
            Self::Internal(_) => "internal",
        }
    }

    /// What the client is told. Names no signature, no address and no reason of ours that an attacker could use.
    /// What a rule says is its author's.
    pub(super) fn text(&self, surface: Surface, languages: &Languages) -> String {
        let text = match self {
            _ if surface == Surface::Federation && self.federation().0 == StatusCode::NOT_FOUND => "Not found",
            Self::Refused(Refusal::Infected) if surface == Surface::Scanner => "***VIRUS DETECTED***",
            Self::Refused(Refusal::Infected) => "This file was refused: malware was found in it",
            Self::Refused(Refusal::Incomplete) => "This file was refused: it could not be scanned completely",
            Self::Refused(Refusal::Opaque) => {
                "This file was refused: it contains encrypted content that cannot be scanned"
            }
            Self::Refused(Refusal::Oversize) => "This file was refused: it is too large to be scanned",
            Self::Refused(Refusal::Unscanned) => {
                "This file was refused: it is encrypted, and was not scanned with its key"
            }
            Self::Refused(Refusal::Type(name)) if surface == Surface::Scanner => {
                return format!("File type: {name} not allowed");
            }
            Self::Refused(Refusal::Type(_)) => "This file was refused: files of its type are not allowed",
            Self::Refused(Refusal::Rule(denial)) if let Some(reason) = languages.choose(&denial.reasons) => reason,
            Self::Refused(Refusal::Rule(_) | Refusal::Unlisted) => {
                "This file was refused: files like it are not allowed"
            }
            Self::Refused(Refusal::EngineError) | Self::CannotScan(_) | Self::Late => {
                "The file could not be scanned; try again later"
            }
            Self::Overloaded(_) => "Too many requests at the moment; try again later",
            Self::UploadTooLarge => "The file is too large to be uploaded",
            Self::UploadEncoded(what) | Self::BadRequest(what) | Self::Framing(what) => what,
            Self::TargetTooLong => "The request target is too long",
            Self::RequestStalled => "The request body did not arrive in time",
            Self::RequestBroken => "The request body is incomplete",
            Self::Unrecognized | Self::WrongMethod => "Unrecognized request",
            Self::Closed => "Not found",
            // One text, whatever it was: that a name is one of our own network is nobody's business.
            Self::Upstream(_) | Self::UpstreamBroken | Self::Direct(_) => "Failed to reach the remote server",
            Self::UpstreamAnswer(_) | Self::Redirect(_) => "The remote server responded with an error",
            Self::MalformedJson(what) => return what.clone(),
            Self::JsonTooLarge => "The request body is too large",
            Self::NotUtf8 => "not UTF-8",
            Self::MalformedForm(what) => what,
            Self::FormTooLarge => "The file is too large to be scanned",
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
}

//! Why a redirect led to nothing. Of a URL, errors name the host alone: signed ones are credentials.

use http::StatusCode;

use crate::upstream::destination::Destination;

/// Why there is no medium at the end of a redirect.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// It leads where we do not go.
    #[error("a redirect was not followed: {0}")]
    Refused(#[from] Refusal),
    /// The host cannot be reached, proves to be no one we trust, or broke off.
    #[error("{0}, where a redirect leads, cannot be reached")]
    Unreachable(Destination, #[source] reqwest::Error),
    /// It took too long to the head of an answer.
    #[error("{0}, where a redirect leads, did not answer in time")]
    Timeout(Destination),
    /// It answered with something else than a medium.
    #[error("{0}, where a redirect leads, answered {1}")]
    Status(Destination, StatusCode),
    /// It answered with more headers than anyone needs.
    #[error("{0}, where a redirect leads, sent too many headers")]
    Headers(Destination),
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The `Location` is relative, or nonsense.
    #[error("its target is no absolute URL")]
    NoUrl,
    /// Anyone on the way could read or change the medium.
    #[error("its target is not https")]
    NotHttps,
    /// The URL has a user name or a password in it.
    #[error("its target has credentials before the host")]
    Credentials,
    /// The operator did not name the host.
    #[error("{0} is not one of redirects.hosts")]
    NotListed(Destination),
    /// The host is inside a network that the operator did not name.
    #[error("{0} has no address but private ones, and none in redirects.private_networks")]
    Private(Destination),
    /// Each redirect led to another one.
    #[error("it leads from redirect to redirect")]
    TooMany,
}

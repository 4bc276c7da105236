//! Why a server gave nothing. Of a URL, errors name the host alone.

use crate::upstream::destination::Destination;

/// Why a medium cannot be had of the server that its address names.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// It is nowhere we go, or sends us there.
    #[error("a server was not asked: {0}")]
    Refused(#[from] Refusal),
    /// The host cannot be reached, proves to be no one we trust, or broke off.
    #[error("{0} cannot be reached")]
    Unreachable(Destination, #[source] reqwest::Error),
    /// It took too long.
    #[error("{0} did not answer in time")]
    Timeout(Destination),
    /// It answered with more headers than anyone needs.
    #[error("{0} sent too many headers")]
    Headers(Destination),
    /// It does not say, or not in a way that can be used, where its homeserver is.
    #[error("{0} does not say where its homeserver is: {1}")]
    Unusable(Destination, &'static str),
}

/// Why a place is nowhere we go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is nonsense.
    #[error("it is no URL with a host")]
    NoUrl,
    /// Anyone on the way could read or change the medium.
    #[error("it is not https")]
    NotHttps,
    /// The URL has a user name or a password in it.
    #[error("it has credentials before the host")]
    Credentials,
    /// The URL has more than a plain path in it, so that what follows it would mean something else.
    #[error("it has more behind the host than a plain path")]
    Path,
    /// The host is inside a network that the operator did not name.
    #[error("{0} has no address but private ones, and none in direct.private_networks")]
    Private(Destination),
    /// Each redirect led to another one.
    #[error("it leads from redirect to redirect")]
    TooMany,
}

//! What a service offers.

use std::time::Duration;

use super::head::{Head, Malformed};
use crate::engine::icap::config::Method;

/// Longest preview that is sent, whatever the server would take.
const MAX_PREVIEW: usize = 64 * 1024;

/// An offer is asked for again after this time, however long the server says that it lasts, and no sooner than this.
const LONGEST: Duration = Duration::from_mins(5);
const SHORTEST: Duration = Duration::from_secs(5);

/// What a service offers, as far as it matters here.
///
/// `Transfer-Preview` and `Transfer-Complete` sort media by the ending of their names. Ours have names without one, and
/// are sent in full; so only a service that wants nothing at all (`Transfer-Ignore: *`) is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The service in its own words.
    pub service: String,
    /// Its state.
    pub istag: String,
    /// Bytes that it wants first; `None` if it wants no preview.
    pub preview: Option<usize>,
    /// Connections that it takes at a time.
    pub max_connections: Option<usize>,
    /// How long this is to be believed.
    pub ttl: Duration,
}

/// Why a service cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The answer is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It refuses.
    #[error("the server answered OPTIONS with {0}")]
    Status(u16),
    /// It does not take media that way.
    #[error("the service does not offer {0}: set `method` to the other one")]
    Method(&'static str),
    /// It would return all media.
    #[error("the service does not offer `Allow: 204`, without which nothing says that a medium is clean")]
    Allow,
    /// It wants nothing.
    #[error("the service looks at nothing (Transfer-Ignore: *)")]
    Ignores,
    /// It has no state to tie verdicts to.
    #[error("the service has no ISTag, so its verdicts would never become outdated")]
    NoTag,
}

/// Reads the answer to `OPTIONS`.
pub fn offer(head: &Head, method: Method) -> Result<Offer, Unfit> {
    if head.status != 200 {
        return Err(Unfit::Status(head.status));
    }
    if !head.lists("methods", method.token()) {
        return Err(Unfit::Method(method.token()));
    }
    if !head.lists("allow", "204") {
        return Err(Unfit::Allow);
    }
    if head.lists("transfer-ignore", "*") {
        return Err(Unfit::Ignores);
    }
    let istag = super::state(head)?.ok_or(Unfit::NoTag)?;
    let number = |name| head.only(name).map(|value| value.and_then(|value| value.parse::<usize>().ok()));
    let ttl = number("options-ttl")?.map_or(LONGEST, |seconds| Duration::from_secs(seconds as u64));
    Ok(Offer {
        service: super::printable(head.first("service").unwrap_or_default()),
        istag,
        preview: number("preview")?.map(|bytes| bytes.min(MAX_PREVIEW)),
        max_connections: number("max-connections")?,
        ttl: ttl.clamp(SHORTEST, LONGEST),
    })
}

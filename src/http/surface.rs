//! The APIs on the public listener.

use http::{
    HeaderMap, HeaderValue,
    header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN},
};

/// The API that a request belongs to, and so the shape of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    /// The homeserver's own routes, for clients.
    Native,
    /// The homeserver's media, for other homeservers.
    Federation,
    /// The scanner's routes.
    Scanner,
}

impl Surface {
    /// The surface that a path belongs to.
    pub(super) fn of(path: &str) -> Self {
        if path.starts_with("/_matrix/media_proxy/") {
            Self::Scanner
        } else if path.starts_with("/_matrix/federation/v1/media/") {
            Self::Federation
        } else {
            Self::Native
        }
    }

    /// Lets pages of every origin read an answer of ours.
    pub(super) fn allow_origins(self, headers: &mut HeaderMap) {
        let (methods, names) = match self {
            Surface::Native | Surface::Federation => {
                ("GET, HEAD, POST, PUT, DELETE, OPTIONS", "X-Requested-With, Content-Type, Authorization, Date")
            }
            Surface::Scanner => ("GET, POST, OPTIONS", "Origin, X-Requested-With, Content-Type, Accept, Authorization"),
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
    }
}

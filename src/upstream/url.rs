//! The homeserver's base URL.

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use serde::Deserialize;

/// `http://` or `https://` with host and optional port. No path: paths are forwarded untouched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and port.
    pub authority: Authority,
}

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no base URL of a homeserver; write http://host:port or https://host, without a path")
        };
        let parts = text.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else { return Err(wrong()) };
        let known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        let bare = parts.path_and_query.is_none_or(|path| path == "/") && !authority.as_str().contains('@');
        (known && bare).then_some(Self { scheme, authority }).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_http_urls_are_taken() {
        for text in ["http://127.0.0.1:8008", "https://hs.test", "http://[::1]:8008/"] {
            assert!(BaseUrl::try_from(text.to_owned()).is_ok(), "{text}");
        }
        for text in [
            "",
            "127.0.0.1:8008",
            "ftp://hs.test",
            "http://hs.test/path",
            "http://hs.test/?q",
            "http://user:secret@hs.test",
            "/x",
        ] {
            assert!(BaseUrl::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}

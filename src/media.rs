//! Names of media: server names, media ids and the `mxc://` URIs made of them.
//!
//! The grammar is stricter than most parsers of Matrix identifiers, on purpose: whatever passes here is put into
//! upstream paths and cache keys, so it can hold no separator, no dot segment and no second encoding.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// Longest server name and longest media id that is accepted, in bytes.
const MAX_LEN: usize = 255;

/// A medium's address: `mxc://{server}/{media_id}`, decoded and checked.
///
/// See the [Matrix content repository](https://spec.matrix.org/v1.16/client-server-api/#matrix-content-mxc-uris).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct MediaRef {
    server: String,
    media_id: String,
}

/// The text is not the address of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid server name and media id")]
pub struct MalformedMedia;

impl MediaRef {
    /// Reads two raw path segments. Each is percent-decoded exactly once; a decoded `%`, `/`, `\` or NUL is outside the
    /// grammar, so nothing can hide behind a second decoding.
    pub fn from_segments(server: &str, media_id: &str) -> Result<Self, MalformedMedia> {
        let server = decode_once(server)?;
        let media_id = decode_once(media_id)?;
        if is_server_name(&server) && is_media_id(&media_id) {
            Ok(Self { server, media_id })
        } else {
            Err(MalformedMedia)
        }
    }

    /// Reads an `mxc://` URI as clients put it into events. One `#fragment` is dropped (Element Web adds blurhashes
    /// there), a query is refused.
    pub fn from_mxc(uri: &str) -> Result<Self, MalformedMedia> {
        let rest = uri.strip_prefix("mxc://").ok_or(MalformedMedia)?;
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (server, media_id) = rest.split_once('/').ok_or(MalformedMedia)?;
        if is_server_name(server) && is_media_id(media_id) {
            Ok(Self { server: server.to_owned(), media_id: media_id.to_owned() })
        } else {
            Err(MalformedMedia)
        }
    }

    /// The server's name.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The id that it has there.
    pub fn media_id(&self) -> &str {
        &self.media_id
    }

    /// `{server}/{media_id}` for an upstream path. Only `:`, `[` and `]` of the grammar need encoding.
    pub fn path(&self) -> String {
        if self.server.bytes().all(|byte| !b":[]".contains(&byte)) {
            return format!("{}/{}", self.server, self.media_id);
        }
        let server = self.server.replace(':', "%3A").replace('[', "%5B").replace(']', "%5D");
        format!("{server}/{}", self.media_id)
    }
}

/// A [server name](https://spec.matrix.org/v1.16/appendices/#server-name).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerName(String);

impl ServerName {
    /// As it is written in addresses.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if an address names this server. Case makes no difference.
    pub fn has(&self, media: &MediaRef) -> bool {
        self.0.eq_ignore_ascii_case(media.server())
    }
}

impl TryFrom<String> for ServerName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if is_server_name(&name) { Ok(Self(name)) } else { Err(format!("`{name}` is no server name")) }
    }
}

impl fmt::Display for MediaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mxc://{}/{}", self.server, self.media_id)
    }
}

/// True for a raw path segment that names a medium of the homeserver itself, read as in [`MediaRef::from_segments`].
pub fn is_media_id_segment(segment: &str) -> bool {
    decode_once(segment).is_ok_and(|id| is_media_id(&id))
}

impl TryFrom<String> for MediaRef {
    type Error = String;

    fn try_from(uri: String) -> Result<Self, String> {
        Self::from_mxc(&uri).map_err(|MalformedMedia| format!("`{uri}` is no mxc:// URI"))
    }
}

fn decode_once(segment: &str) -> Result<String, MalformedMedia> {
    let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| MalformedMedia)?;
    Ok(decoded.into_owned())
}

fn is_media_id(text: &str) -> bool {
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// [Server names](https://spec.matrix.org/v1.16/appendices/#server-name): a DNS name, an IPv4 address or a bracketed
/// IPv6 address, with an optional port. Every label of a DNS name needs a letter or a digit, which leaves out `..`.
fn is_server_name(text: &str) -> bool {
    if text.len() > MAX_LEN {
        return false;
    }
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once(']') {
            Some((address, port)) => address.parse::<std::net::Ipv6Addr>().is_ok() && is_port_suffix(port),
            None => false,
        };
    }
    let (host, port) = text.find(':').map_or((text, ""), |at| text.split_at(at));
    is_port_suffix(port) && host.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && label.bytes().any(|b| b.is_ascii_alphanumeric())
}

/// Nothing, or `:` and a port number of one to five digits.
fn is_port_suffix(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else { return text.is_empty() };
    (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_with_ports_and_addresses_are_accepted() {
        for server in
            ["hs.test", "hs.test:8448", "hs%2Etest", "hs.test%3A8448", "10.0.0.1", "%5B::1%5D:8448", "[2001:db8::1]"]
        {
            assert!(MediaRef::from_segments(server, "abcDEF_-1").is_ok(), "{server}");
        }
    }

    #[test]
    fn traversal_and_second_encodings_are_refused() {
        for server in [
            "", ".", "..", "a..b", "%2E%2E", "a%2Fb", "a%5Cb", "a%00b", "a%252Eb", "-", "a.-", "hs:", "hs:99999",
            "hs:1x", "[::1", "[x]", "é",
        ] {
            assert!(MediaRef::from_segments(server, "abc").is_err(), "{server}");
        }
        for id in ["", "..", "a/b", "a%2Fb", "a%25b", "a b", "a.b", "a~b"] {
            assert!(MediaRef::from_segments("hs.test", id).is_err(), "{id}");
        }
        assert!(MediaRef::from_segments("hs.test", &"a".repeat(256)).is_err());
    }

    #[test]
    fn an_encoded_id_is_the_same_medium() {
        assert_eq!(MediaRef::from_segments("hs%2Etest", "%61bc"), MediaRef::from_segments("hs.test", "abc"));
    }

    #[test]
    fn mxc_uris_are_read_and_written_back() {
        let media = MediaRef::from_mxc("mxc://hs.test:8448/abc#blur").unwrap();
        assert_eq!(media.to_string(), "mxc://hs.test:8448/abc");
        assert_eq!(media.path(), "hs.test%3A8448/abc");
        for uri in
            ["", "mxc:/hs/a", "http://hs/a", "mxc://hs", "mxc://hs/a/b", "mxc://hs/a?x", "mxc://../a", "mxc://hs/"]
        {
            assert_eq!(MediaRef::from_mxc(uri), Err(MalformedMedia), "{uri}");
        }
    }
}

//! Headers on their way to the homeserver and back.
//!
//! Connections on both sides have a framing of their own, so what describes a connection ends at us (RFC 9110 §7.6.1).

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, FORWARDED,
        HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
    uri::Authority,
};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What a request is about. A client that calls these part of the connection would have us ask something else.
const END_TO_END: [HeaderName; 4] = [HOST, AUTHORIZATION, CONTENT_TYPE, CONTENT_ENCODING];

/// Removes what belongs to a connection: the fixed list, and whatever `Connection` names.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !END_TO_END.contains(name))
        .collect();
    let fixed = ["keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "http2-settings"];
    let fixed = fixed.map(HeaderName::from_static);
    for name in named.into_iter().chain(fixed).chain([CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, EXPECT]) {
        headers.remove(name);
    }
}

/// Removes what would make the homeserver answer with less than the whole medium, or with other bytes.
pub fn ask_for_all_of_it(headers: &mut HeaderMap) {
    for name in [RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, CONTENT_LENGTH] {
        headers.remove(name);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Who sent a request, as far as we can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The nearest address that is not one of our own front proxies.
    pub address: IpAddr,
    /// `http` or `https`, as the client used it.
    pub scheme: &'static str,
}

impl Client {
    /// Reads the forwarding headers, if the peer is a front proxy of ours. They are followed from the right, and only
    /// through trusted addresses: what stands further left may be the client's own invention. `scheme` is that of the
    /// peer's own connection.
    pub fn of(peer: IpAddr, scheme: &'static str, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
        let peer = peer.to_canonical();
        if !is_trusted(&peer) {
            return Self { address: peer, scheme };
        }
        let mut chain = headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|value| {
            let hops = value.to_str().unwrap_or_default().rsplit(',');
            hops.map(|hop| hop.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical()))
        });
        let mut address = peer;
        while is_trusted(&address)
            && let Some(Some(hop)) = chain.next()
        {
            address = hop;
        }
        let scheme = match headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes) {
            None => scheme,
            Some(https) if https.eq_ignore_ascii_case(b"https") => "https",
            Some(_) => "http",
        };
        Self { address, scheme }
    }
}

/// Replaces all forwarding headers by what is known. Synapse counts the first address of `X-Forwarded-For` as the
/// client, so there is only one. Of a trusted peer, `X-Forwarded-Host` is kept.
pub fn set_forwarded(headers: &mut HeaderMap, client: &Client, from_trusted_peer: bool) {
    headers.remove(FORWARDED);
    if !from_trusted_peer {
        headers.remove(FORWARDED_HOST);
    }
    let address = HeaderValue::try_from(client.address.to_string()).expect("an address is a valid value");
    headers.remove(REAL_IP);
    headers.insert(FORWARDED_FOR, address);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(client.scheme));
}

/// Keeps the client's `Host`; over HTTP/2 that is `:authority`.
pub fn set_host(headers: &mut HeaderMap, authority: Option<&Authority>) {
    if let Some(value) = authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok()) {
        headers.insert(HOST, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn client(peer: &str, pairs: &[(&'static str, &'static str)]) -> (String, &'static str) {
        let trusted = ["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let client = Client::of(peer.parse().unwrap(), "http", &headers(pairs), &trusted);
        (client.address.to_string(), client.scheme)
    }

    #[test]
    fn a_stranger_cannot_say_who_it_is() {
        let claims = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https")];
        assert_eq!(client("203.0.113.9", &claims), ("203.0.113.9".to_owned(), "http"));
    }

    #[test]
    fn the_chain_is_followed_through_trusted_proxies_only() {
        let chain = [
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9"),
            ("x-forwarded-for", "10.1.2.3"),
            ("x-forwarded-proto", "https"),
        ];
        assert_eq!(client("127.0.0.1", &chain), ("203.0.113.9".to_owned(), "https"));
        assert_eq!(client("::ffff:127.0.0.1", &chain).0, "203.0.113.9");
        assert_eq!(client("127.0.0.1", &[]).0, "127.0.0.1");
        assert_eq!(client("127.0.0.1", &[("x-forwarded-for", "6.6.6.6, unknown")]).0, "127.0.0.1", "stops at nonsense");
    }

    #[test]
    fn the_connection_says_the_scheme_unless_a_trusted_proxy_does() {
        let trusted = ["127.0.0.0/8".parse().unwrap()];
        let scheme = |peer: &str, pairs| Client::of(peer.parse().unwrap(), "https", &headers(pairs), &trusted).scheme;
        let claim = [("x-forwarded-proto", "http")];
        assert_eq!(["203.0.113.9", "127.0.0.1"].map(|peer| scheme(peer, &claim)), ["https", "http"]);
        assert_eq!(["203.0.113.9", "127.0.0.1"].map(|peer| scheme(peer, &[])), ["https", "https"]);
    }

    #[test]
    fn connection_headers_and_those_they_name_are_removed() {
        let mut map = headers(&[
            ("connection", "close, X-Mine, Authorization"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "x"),
            ("authorization", "Bearer t"),
        ]);
        strip_hop_by_hop(&mut map);
        assert_eq!(map, headers(&[("authorization", "Bearer t")]));
    }

    #[test]
    fn forwarding_headers_are_replaced() {
        let mut map = headers(&[
            ("forwarded", "for=x"),
            ("x-real-ip", "x"),
            ("x-forwarded-for", "x"),
            ("x-forwarded-for", "y"),
            ("x-forwarded-host", "x"),
        ]);
        let client = Client { address: "203.0.113.9".parse().unwrap(), scheme: "https" };
        set_forwarded(&mut map, &client, false);
        assert_eq!(map, headers(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")]));
    }
}

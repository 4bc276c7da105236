//! How close the scanner API keeps to the Matrix Content Scanner: the answers in which we differ from it, and the headers
//! that it is told to send to the homeserver.

use std::{collections::BTreeMap, fmt};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, EXPECT, HOST, ORIGIN, RANGE, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE, USER_AGENT,
    },
};
use serde::{Deserialize, Deserializer, de::Error as _};

/// Headers of a scanner request that say something to the homeserver; those of its body do not.
pub const PASSED_ON: [HeaderName; 6] = [
    AUTHORIZATION,
    HOST,
    ORIGIN,
    USER_AGENT,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// `compat` section of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The answers of the Matrix Content Scanner where ours differ: a file that cannot be scanned, not in full or not now,
    /// is called infected; a broken `encrypted_body` is 400 `MCS_MEDIA_FAILED_TO_DECRYPT`; a body that is too large or no
    /// UTF-8 is 500.
    pub strict_mcs: bool,
    /// 401 answers carry `errcode` and `error` beside `reason` and `info`: the Matrix Rust SDK then refreshes its token.
    pub matrix_401: bool,
    /// Headers of the client that the homeserver gets with the requests of the scanner API, if the client sends them.
    pub forward_headers: Vec<String>,
    /// Headers that the homeserver gets with all requests of the scanner API.
    pub additional_headers: BTreeMap<String, Secret>,
}

/// A value that may be a secret, and is not shown.
#[derive(Clone, PartialEq)]
pub struct Secret(String);

impl<'de> Deserialize<'de> for Secret {
    /// What serde says of other kinds of values quotes them.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Self).map_err(|_| D::Error::custom("additional_headers: a value is no text; put it in quotes"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Config {
    /// What cannot be meant.
    pub fn problems(&self) -> Vec<String> {
        let forwarded = self.forward_headers.iter().map(|name| ("compat.forward_headers", name, refuse(name)));
        let added = self.additional_headers.iter().map(|(name, Secret(value))| {
            let has_value = HeaderValue::try_from(value).is_ok();
            let problem = refuse(name).or_else(|| refuse_added(name));
            (
                "compat.additional_headers",
                name,
                problem.or((!has_value).then_some("its value cannot be one of a header")),
            )
        });
        let problem =
            |(key, name, problem): (&str, &String, Option<&str>)| Some(format!("{key}: {name}: {}", problem?));
        forwarded.chain(added).filter_map(problem).collect()
    }

    /// True if the homeserver is to get headers that it would not get otherwise.
    pub fn adds_headers(&self) -> bool {
        !(self.forward_headers.is_empty() && self.additional_headers.is_empty())
    }

    /// What the operator should know of these settings.
    pub fn warning(&self) -> Option<String> {
        let text = "compat.strict_mcs: what the scanner cannot look at, for trouble of its own, is called infected, and \
                    clients keep that for good";
        self.strict_mcs.then(|| text.to_owned())
    }
}

/// Why a header is none for others to set.
pub fn refuse(name: &str) -> Option<&'static str> {
    let Ok(name) = HeaderName::try_from(name) else { return Some("is no name of a header") };
    let of_connection = [CONNECTION, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let named = ["keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "http2-settings"];
    if of_connection.contains(&name) || named.contains(&name.as_str()) {
        return Some("belongs to one connection, and each has its own");
    }
    let of_answer = [ACCEPT_ENCODING, RANGE].contains(&name) || name.as_str().starts_with("if-");
    if of_answer {
        return Some("would bring something else than the whole medium");
    }
    let of_request = name == HOST || name.as_str().starts_with("content-");
    of_request.then_some("describes a request that is not the one that is sent")
}

/// Why a header is none to send with everyone's requests.
pub fn refuse_added(name: &str) -> Option<&'static str> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if is(AUTHORIZATION.as_str()) {
        return Some("media is asked for with the caller's own credentials, never with others");
    }
    let says_who = is("forwarded") || is("x-forwarded-for") || is("x-forwarded-proto") || is("x-real-ip");
    says_who.then_some("says who asks, which differs from request to request")
}

/// How failures are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answers {
    /// As [`Config::strict_mcs`].
    pub(super) strict_mcs: bool,
    /// As [`Config::matrix_401`].
    pub(super) matrix_401: bool,
}

/// The settings, ready for use.
#[derive(Debug)]
pub struct Compat {
    pub(super) answers: Answers,
    forwarded: Vec<HeaderName>,
    added: HeaderMap,
}

impl Compat {
    /// Takes settings without [problems](Config::problems).
    pub fn new(config: &Config) -> Self {
        let added = config.additional_headers.iter().filter_map(|(name, Secret(value))| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        });
        Self {
            answers: Answers { strict_mcs: config.strict_mcs, matrix_401: config.matrix_401 },
            forwarded: config.forward_headers.iter().filter_map(|name| name.parse().ok()).collect(),
            added: added.collect(),
        }
    }

    /// Adds what the operator wants to a request for the homeserver that stands for one of a client.
    pub(super) fn add_headers(&self, client: &HeaderMap, headers: &mut HeaderMap) {
        for name in &self.forwarded {
            headers.remove(name);
            for value in client.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        for (name, value) in &self.added {
            headers.insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(yaml: &str) -> Config {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn headers_that_would_change_the_request_are_refused_by_name() {
        for name in [
            "Connection",
            "keep-alive",
            "TE",
            "Transfer-Encoding",
            "Upgrade",
            "Host",
            "Content-Length",
            "content-type",
            "Accept-Encoding",
            "Range",
            "If-None-Match",
            "Expect",
            "a b",
            "",
        ] {
            let forwarded = config(&format!("forward_headers: ['{name}']")).problems();
            let added = config(&format!("additional_headers: {{'{name}': x}}")).problems();
            for (key, problems) in [("compat.forward_headers", forwarded), ("compat.additional_headers", added)] {
                assert_eq!(problems.len(), 1, "{problems:?}");
                assert!(problems[0].starts_with(&format!("{key}: {name}: ")), "{problems:?}");
            }
        }
        assert_eq!(config("forward_headers: [Authorization, X-Mine]").problems(), [""; 0]);
        for name in ["authorization", "X-Forwarded-For"] {
            assert_eq!(config(&format!("additional_headers: {{{name}: x}}")).problems().len(), 1, "{name}");
        }
    }

    #[test]
    fn values_are_shown_nowhere() {
        let config = config(r#"additional_headers: {X-Key: "recognisable\n"}"#);
        assert_eq!(config.problems(), ["compat.additional_headers: X-Key: its value cannot be one of a header"]);
        assert!(!format!("{config:?}").contains("recognisable"));
        let compat = Compat::new(&self::config("additional_headers: {X-Key: recognisable}"));
        assert!(!format!("{compat:?}").contains("recognisable"));
    }

    #[test]
    fn what_a_client_does_not_send_is_skipped() {
        let compat = Compat::new(&config("{forward_headers: [X-A, X-B], additional_headers: {X-C: added}}"));
        let pairs = [("x-a", "1"), ("x-a", "2"), ("x-c", "the client's"), ("x-d", "3")];
        let client: HeaderMap = pairs
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let mut headers = HeaderMap::new();
        compat.add_headers(&client, &mut headers);
        let mut sent: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        sent.sort_unstable();
        assert_eq!(sent, [("x-a", "1"), ("x-a", "2"), ("x-c", "added")]);
    }
}

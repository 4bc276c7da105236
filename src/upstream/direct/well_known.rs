//! What servers say of themselves, in JSON.

use serde::{Deserialize, de::IgnoredAny};

use crate::json;

#[derive(Deserialize)]
struct WellKnown {
    #[serde(rename = "m.homeserver", deserialize_with = "json::member")]
    homeserver: Homeserver,
}

#[derive(Deserialize)]
struct Homeserver {
    base_url: String,
}

/// The base URL in a [`/.well-known/matrix/client`](https://spec.matrix.org/v1.16/client-server-api/#well-known-uris), as
/// it stands there.
pub(super) fn base_url(text: &[u8]) -> Option<String> {
    json::object(text).ok().map(|text: WellKnown| text.homeserver.base_url)
}

#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "versions")]
    _versions: Vec<IgnoredAny>,
}

/// True for an answer of [`/versions`](https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientversions).
pub(super) fn has_versions(text: &[u8]) -> bool {
    json::object::<Versions>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_base_url_is_found_among_other_members() {
        let text =
            br#"{"m.identity_server":{"base_url":"https://is"},"m.homeserver":{"x":1,"base_url":"https://hs"},"y":[]}"#;
        assert_eq!(base_url(text).as_deref(), Some("https://hs"));
    }

    #[test]
    fn what_does_not_name_one_string_names_none() {
        for text in [
            &b""[..],
            b"null",
            b"[]",
            b"{}",
            b"<html>",
            br#""https://hs""#,
            br#"{"m.homeserver":null}"#,
            br#"{"m.homeserver":"https://hs"}"#,
            br#"{"m.homeserver":["https://hs"]}"#,
            br#"{"m.homeserver":{}}"#,
            br#"{"m.homeserver":{"base_url":null}}"#,
            br#"{"m.homeserver":{"base_url":["https://hs"]}}"#,
            br#"{"m.homeserver":{"base_url":"https://hs","base_url":"https://evil"}}"#,
            br#"{"m.homeserver":{"base_url":"https://hs"},"m.homeserver":{"base_url":"https://evil"}}"#,
            br#"{"m.homeserver":{"base_url":"https://hs"}} x"#,
            b"{\"m.homeserver\":{\"base_url\":\"https://hs\xff\"}}",
        ] {
            assert_eq!(base_url(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn versions_are_a_list() {
        assert!(
            has_versions(br#"{"versions":["v1.1",2],"unstable_features":{}}"#) && has_versions(br#"{"versions":[]}"#)
        );
        for text in [&b""[..], b"[[]]", b"{}", br#"{"versions":"v1.1"}"#, br#"{"versions":{}}"#] {
            assert!(!has_versions(text), "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (base_url(&text), has_versions(&text));
        }

        #[test]
        fn what_is_written_is_read(url in any::<String>()) {
            let text = serde_json::json!({"m.homeserver": {"base_url": url}}).to_string();
            prop_assert_eq!(base_url(text.as_bytes()), Some(url));
        }
    }
}

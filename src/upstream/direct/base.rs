//! Where the client API of a server is.

use http::uri::PathAndQuery;
use url::Url;

use super::{error::Refusal, web::Place};
use crate::upstream::{address::Reach, destination::Destination};

/// Longest base URL that is taken, in bytes.
const MAX_LEN: usize = 1024;

/// An https host that we go to, with its port and perhaps a path before all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    destination: Destination,
    /// Without a slash at its end.
    prefix: String,
}

impl Base {
    /// The server itself.
    pub(super) fn of_server(name: &str, reach: &Reach) -> Result<Self, Refusal> {
        let url = Url::parse(&format!("https://{name}/")).map_err(|_| Refusal::NoUrl)?;
        let destination = Place::of(url, reach)?.destination().clone();
        Ok(Self { destination, prefix: String::new() })
    }

    /// What a server says is its base URL. The parser of URLs is as lenient as browsers are: what it would drop, decode
    /// or resolve is refused, and so is what would make paths of ours mean something else.
    pub(super) fn advertised(text: &str, reach: &Reach) -> Result<Self, Refusal> {
        let (scheme, rest) = text.split_once("://").ok_or(Refusal::NoUrl)?;
        if !scheme.eq_ignore_ascii_case("https") {
            return Err(Refusal::NotHttps);
        }
        let (authority, prefix) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(Refusal::Credentials);
        }
        let of_authority = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        if text.len() > MAX_LEN || authority.is_empty() || !authority.bytes().all(of_authority) {
            return Err(Refusal::NoUrl);
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_plain(prefix) {
            return Err(Refusal::Path);
        }
        Ok(Self { prefix: prefix.to_owned(), ..Self::of_server(authority, reach)? })
    }

    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// A path of the client API. What would not be asked to the letter is not asked.
    pub(super) fn place(&self, target: &PathAndQuery, reach: &Reach) -> Result<Place, Refusal> {
        let path = format!("{}{}", self.prefix, target.path());
        let query = target.query().map(|query| format!("?{query}")).unwrap_or_default();
        let url = Url::parse(&format!("https://{}{path}{query}", self.destination)).map_err(|_| Refusal::NoUrl)?;
        let place = Place::of(url, reach)?;
        match place.url().path() == path && place.url().query() == target.query() {
            true => Ok(place),
            false => Err(Refusal::Path),
        }
    }
}

/// Nothing, or segments of letters, digits and what is as harmless, and none of them dots.
fn is_plain(prefix: &str) -> bool {
    let Some(segments) = prefix.strip_prefix('/') else { return prefix.is_empty() };
    let of_segment = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    segments.split('/').all(|it| !["", ".", ".."].contains(&it) && it.bytes().all(of_segment))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::MediaRef;

    fn reach() -> Reach {
        Reach::new(&["10.9.0.0/16".parse().unwrap()])
    }

    fn url(base: &Base, target: &str) -> Result<String, Refusal> {
        base.place(&target.parse().unwrap(), &reach()).map(|place| place.url().to_string())
    }

    fn named(text: &str) -> Destination {
        Destination::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_base_url_is_an_https_host_and_perhaps_a_plain_path() {
        for (text, asked) in [
            ("https://hs.example.org", "https://hs.example.org/x?y=1"),
            ("https://hs.example.org/", "https://hs.example.org/x?y=1"),
            ("HTTPS://HS.Example.ORG.:443/", "https://hs.example.org/x?y=1"),
            ("https://hs.example.org:8448/matrix", "https://hs.example.org:8448/matrix/x?y=1"),
            ("https://hs.example.org/a/b.c/~d_e-/", "https://hs.example.org/a/b.c/~d_e-/x?y=1"),
            ("https://1.1.1.1", "https://1.1.1.1/x?y=1"),
            ("https://10.9.1.1", "https://10.9.1.1/x?y=1"),
            ("https://[2606:4700::1]:8448/", "https://[2606:4700::1]:8448/x?y=1"),
            // The name is judged when it is resolved.
            ("https://localhost", "https://localhost/x?y=1"),
        ] {
            assert_eq!(url(&Base::advertised(text, &reach()).unwrap(), "/x?y=1"), Ok(asked.to_owned()), "{text}");
        }
    }

    #[test]
    fn other_base_urls_are_refused_for_what_they_are() {
        for (text, refusal) in [
            ("", Refusal::NoUrl),
            ("hs.example.org", Refusal::NoUrl),
            ("//hs.example.org", Refusal::NoUrl),
            ("https:hs.example.org", Refusal::NoUrl),
            ("https://", Refusal::NoUrl),
            ("https:///hs.example.org", Refusal::NoUrl),
            ("https://hs.example.org:0", Refusal::NoUrl),
            ("https://hs.example.org:99999", Refusal::NoUrl),
            ("https://hs.ex ample.org", Refusal::NoUrl),
            ("https://hs.ex\tample.org", Refusal::NoUrl),
            ("https://hs%2eexample.org", Refusal::NoUrl),
            ("https://b\u{fc}cher.example", Refusal::NoUrl),
            ("https://hs\u{3002}example", Refusal::NoUrl),
            ("https://1.1.1.1.1", Refusal::NoUrl),
            ("http://hs.example.org", Refusal::NotHttps),
            (" https://hs.example.org", Refusal::NotHttps),
            ("ftp://hs.example.org", Refusal::NotHttps),
            ("file:///etc/passwd", Refusal::NotHttps),
            ("gopher://127.0.0.1:11211/_stats", Refusal::NotHttps),
            ("https://user@hs.example.org", Refusal::Credentials),
            ("https://:secret@hs.example.org", Refusal::Credentials),
            ("https://hs.example.org@evil.example", Refusal::Credentials),
            ("https://hs.example.org?x=", Refusal::Path),
            ("https://hs.example.org/?x=", Refusal::Path),
            ("https://hs.example.org/admin?x=", Refusal::Path),
            ("https://hs.example.org#", Refusal::Path),
            ("https://hs.example.org/a#b", Refusal::Path),
            ("https://hs.example.org//", Refusal::Path),
            ("https://hs.example.org/a//b", Refusal::Path),
            ("https://hs.example.org/..", Refusal::Path),
            ("https://hs.example.org/a/../b", Refusal::Path),
            ("https://hs.example.org/./a", Refusal::Path),
            ("https://hs.example.org/%2e%2e/a", Refusal::Path),
            ("https://hs.example.org/a%2Fb", Refusal::Path),
            ("https://hs.example.org/a;b", Refusal::Path),
            ("https://hs.example.org\\a", Refusal::Path),
            ("https://hs.example.org/a\\..\\b", Refusal::Path),
            ("https://127.0.0.1", Refusal::Private(named("127.0.0.1"))),
            ("https://127.1:8448/", Refusal::Private(named("127.0.0.1:8448"))),
            ("https://0x7f000001", Refusal::Private(named("127.0.0.1"))),
            ("https://2130706433", Refusal::Private(named("127.0.0.1"))),
            ("https://169.254.169.254/latest", Refusal::Private(named("169.254.169.254"))),
            ("https://[::1]", Refusal::Private(named("[::1]"))),
            ("https://[::ffff:10.9.1.1]", Refusal::Private(named("[::ffff:10.9.1.1]"))),
            ("https://10.8.0.1", Refusal::Private(named("10.8.0.1"))),
        ] {
            assert_eq!(Base::advertised(text, &reach()), Err(refusal), "{text}");
        }
        let long = format!("https://hs.example.org/{}", "a".repeat(MAX_LEN));
        assert_eq!(Base::advertised(&long, &reach()), Err(Refusal::NoUrl));
    }

    #[test]
    fn a_server_name_with_a_private_address_in_any_spelling_is_refused() {
        for name in ["127.0.0.1", "127.1", "0x7f.1", "10.8.0.1:8448", "[::1]:443", "192.168.0.1", "0"] {
            let media = MediaRef::from_segments(name, "m").unwrap();
            let refused = Base::of_server(media.server(), &reach());
            assert!(matches!(refused, Err(Refusal::Private(_))), "{name}: {refused:?}");
        }
        assert_eq!(Base::of_server("hs.example.org:0", &reach()), Err(Refusal::NoUrl));
        assert!(Base::of_server("hs.example.org:8448", &reach()).is_ok());
    }

    #[test]
    fn what_would_be_asked_otherwise_than_written_is_not_asked() {
        let base = Base::advertised("https://hs.example.org/p", &reach()).unwrap();
        for target in ["/a/../b", "/a/%2e%2e/b", "/./a", "/a?'", "/a\"b"] {
            if let Ok(target) = target.parse() {
                assert_eq!(base.place(&target, &reach()).unwrap_err(), Refusal::Path, "{target}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_spelling_leads_elsewhere_than_it_says(
            before in "(https?:)?[/\\\\]{0,3}([a-z:]{0,3}@)?",
            host in "hs\\.example\\.org|127\\.0\\.0\\.1|localhost",
            after in "[.:@/\\\\#?%0-9a-z\\t ]{0,12}",
        ) {
            let text = format!("{before}{host}{after}");
            if let Ok(base) = Base::advertised(&text, &reach()) {
                let url: Url = url(&base, "/_matrix/x").unwrap().parse().unwrap();
                let begins = format!("https://{host}");
                prop_assert!(text.to_ascii_lowercase().starts_with(&begins) && url.as_str().starts_with(&begins));
                prop_assert!(!url.host_str().unwrap().starts_with("127.0.0.1") || host.len() < url.host_str().unwrap().len());
                prop_assert!(url.path().ends_with("/_matrix/x") && !url.path().contains("//"));
                prop_assert!(url.query().is_none() && url.fragment().is_none() && url.username().is_empty());
            }
        }

        #[test]
        fn the_path_of_a_medium_is_asked_to_the_letter(
            server in "[a-zA-Z0-9.:%\\[\\]-]{1,20}",
            id in "[a-zA-Z0-9_%.-]{1,12}",
        ) {
            if let Ok(media) = MediaRef::from_segments(&server, &id) {
                let base = Base::advertised("https://hs.example.org/p", &reach()).unwrap();
                let target = format!("/_matrix/client/v1/media/download/{}", media.path());
                prop_assert_eq!(url(&base, &target), Ok(format!("https://hs.example.org/p{target}")));
            }
        }
    }
}

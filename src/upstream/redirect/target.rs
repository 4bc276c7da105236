//! What a redirect points at, and whether we go there.

use http::HeaderValue;
use url::Url;

use super::error::Refusal;
use crate::upstream::{address::Reach, destination::Destination};

/// A URL that was found to lead where we go.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    /// What may be said of it: the rest of a URL can be a credential.
    pub(super) destination: Destination,
}

impl Target {
    /// Judges the value of a `Location`.
    pub(super) fn of(location: &HeaderValue, listed: &[Destination], reach: &Reach) -> Result<Self, Refusal> {
        let text = location.to_str().map_err(|_| Refusal::NoUrl)?;
        // Relative ones have no base here: what answered is not what the homeserver speaks for.
        let mut url = Url::parse(text).map_err(|_| Refusal::NoUrl)?;
        if url.scheme() != "https" {
            return Err(Refusal::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let destination = Destination::of(&url).ok_or(Refusal::NoUrl)?;
        if !listed.contains(&destination) {
            return Err(Refusal::NotListed(destination));
        }
        if !destination.is_within(reach) {
            return Err(Refusal::Private(destination));
        }
        // What was compared is what is resolved, and what certificates are checked against.
        url.set_host(Some(&destination.host().to_string())).map_err(|_| Refusal::NoUrl)?;
        Ok(Self { url, destination })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn destination(text: &str) -> Result<Destination, String> {
        Destination::try_from(text.to_owned())
    }

    /// Judged with two names, a port, and addresses of both kinds on the list.
    fn judge(location: &str) -> Result<Target, Refusal> {
        let listed = [
            "cdn.example.org",
            "media.example.org:8443",
            "localhost",
            "1.1.1.1",
            "10.0.0.1",
            "10.9.0.1",
            "[::1]",
            "[2606:4700::1]:444",
        ];
        let listed = listed.map(|text| destination(text).unwrap());
        let reach = Reach::new(&["10.9.0.0/16".parse().unwrap()]);
        Target::of(&HeaderValue::from_bytes(location.as_bytes()).unwrap(), &listed, &reach)
    }

    #[test]
    fn a_listed_host_is_recognised_in_every_spelling() {
        for (location, url) in [
            ("https://cdn.example.org/a/b?sig=x%2Fy", "https://cdn.example.org/a/b?sig=x%2Fy"),
            ("HTTPS://CDN.example.ORG.:443/a", "https://cdn.example.org/a"),
            ("https://media.example.org:8443/", "https://media.example.org:8443/"),
            ("https://1.1.1.1/", "https://1.1.1.1/"),
            ("https://10.9.0.1/", "https://10.9.0.1/"),
            ("https://[2606:4700:0::1]:444/", "https://[2606:4700::1]:444/"),
            // The name is judged when it is resolved.
            ("https://localhost/", "https://localhost/"),
        ] {
            assert_eq!(judge(location).unwrap().url.as_str(), url);
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused_for_what_it_is() {
        let named = |text| destination(text).unwrap();
        let unlisted = |text| Refusal::NotListed(named(text));
        for (location, refusal) in [
            ("", Refusal::NoUrl),
            ("/media/x", Refusal::NoUrl),
            ("//cdn.example.org/x", Refusal::NoUrl),
            ("media", Refusal::NoUrl),
            ("https://", Refusal::NoUrl),
            ("https://./", Refusal::NoUrl),
            ("https://cdn.example.org:99999/", Refusal::NoUrl),
            ("https://1.1.1.1.1/", Refusal::NoUrl),
            ("https://cdn.example.org/\u{e9}", Refusal::NoUrl),
            ("http://cdn.example.org/", Refusal::NotHttps),
            ("ftp://cdn.example.org/", Refusal::NotHttps),
            ("file:///etc/passwd", Refusal::NotHttps),
            ("data:text/plain,x", Refusal::NotHttps),
            ("javascript:alert(1)", Refusal::NotHttps),
            ("https://user@cdn.example.org/", Refusal::Credentials),
            ("https://:secret@cdn.example.org/", Refusal::Credentials),
            ("https://cdn.example.org@evil.example/", Refusal::Credentials),
            ("https://evil.example/", unlisted("evil.example")),
            ("https://cdn.example.org.evil.example/", unlisted("cdn.example.org.evil.example")),
            ("https://evil.example#@cdn.example.org/", unlisted("evil.example")),
            ("https://evil.example\\@cdn.example.org/", unlisted("evil.example")),
            ("https://xcdn.example.org/", unlisted("xcdn.example.org")),
            ("https://cdn.example.org:8443/", unlisted("cdn.example.org:8443")),
            ("https://media.example.org/", unlisted("media.example.org")),
            ("https://8.8.8.8/", unlisted("8.8.8.8")),
            ("https://127.1/", unlisted("127.0.0.1")),
            ("https://0x7f000001/", unlisted("127.0.0.1")),
            ("https://[::ffff:1.1.1.1]/", unlisted("[::ffff:1.1.1.1]")),
            ("https://10.0.0.1/", Refusal::Private(named("10.0.0.1"))),
            ("https://10.1/", Refusal::Private(named("10.0.0.1"))),
            ("https://[::1]/", Refusal::Private(named("[::1]"))),
        ] {
            assert_eq!(judge(location).unwrap_err(), refusal, "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_spelling_leads_to_a_host_that_is_not_listed(
            before in "(https?:)?[/\\\\]{0,3}([a-z:]{0,3}@)?",
            host in "cdn\\.example\\.org|evil\\.example",
            after in "[.:@/\\\\#?%0-9a-z]{0,12}",
        ) {
            if let Ok(target) = judge(&format!("{before}{host}{after}")) {
                prop_assert_eq!(target.url.scheme(), "https");
                prop_assert_eq!(target.url.host_str(), Some("cdn.example.org"));
                prop_assert_eq!(target.url.port_or_known_default(), Some(443));
                prop_assert!(target.url.username().is_empty() && target.url.password().is_none());
            }
        }
    }
}

//! Hosts that are asked on the word of others.

use std::fmt;

use serde::Deserialize;
use url::{Host, Url};

use super::address::Reach;

/// The port of `https`.
const HTTPS: u16 = 443;

/// A host, and one port of it: `cdn.example.org`, `media.example.org:8443`, `[2001:db8::1]`. Without a port it is 443.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Destination {
    host: Host,
    port: u16,
}

impl TryFrom<String> for Destination {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no host; write cdn.example.org or cdn.example.org:8443");
        // The parser of URLs is as lenient as browsers are. What it would drop or decode was meant as something else.
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@%*".contains(c);
        if text.contains(odd) || text.ends_with(':') {
            return Err(wrong());
        }
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| wrong())?;
        Self::of(&url).filter(Self::has_port).ok_or_else(wrong)
    }
}

impl Destination {
    /// The host and port of a URL. Hosts come out in lower case and in ASCII, and without the dot at the end that
    /// makes a name absolute.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let host = match url.host()?.to_owned() {
            Host::Domain(name) => match name.strip_suffix('.').unwrap_or(&name) {
                "" => return None,
                name => Host::Domain(name.to_owned()),
            },
            literal => literal,
        };
        Some(Self { host, port: url.port_or_known_default()? })
    }

    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// False for port 0, which stands for none.
    pub(super) fn has_port(&self) -> bool {
        self.port != 0
    }

    pub(super) fn is_within(&self, reach: &Reach) -> bool {
        match self.host {
            // Names are judged when they are resolved.
            Host::Domain(_) => true,
            Host::Ipv4(address) => reach.allows(address.into()),
            Host::Ipv6(address) => reach.allows(address.into()),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            HTTPS => write!(f, "{}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(text: &str) -> Result<Destination, String> {
        Destination::try_from(text.to_owned())
    }

    #[test]
    fn a_destination_is_a_host_with_or_without_a_port() {
        for (text, shown) in [
            ("cdn.example.org", "cdn.example.org"),
            ("CDN.Example.org.", "cdn.example.org"),
            ("cdn.example.org:443", "cdn.example.org"),
            ("media.example.org:8443", "media.example.org:8443"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]:8443", "[2001:db8::1]:8443"),
        ] {
            assert_eq!(destination(text).map(|it| it.to_string()), Ok(shown.to_owned()));
        }
        for text in [
            "",
            ".",
            ":443",
            "cdn:",
            "cdn:0",
            "cdn:65536",
            "cdn:https",
            "https://cdn",
            "cdn/media",
            "cdn?x",
            "cdn#x",
            "user@cdn",
            "*.example.org",
            "c%64n",
            "c dn",
            " cdn",
            "cdn\\x",
            "2001:db8::1",
            "[2001:db8::1",
            "192.0.2.256",
        ] {
            let error = destination(text).map(|it| it.to_string()).unwrap_err();
            assert!(error.starts_with(&format!("`{text}` is no host")), "{error}");
        }
    }
}

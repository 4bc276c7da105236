//! Where an ICAP service is.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::Deserialize;
use url::Url;

/// `icap://host:port/service` or `icaps://…`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    /// Whether the connection is one of TLS.
    pub tls: bool,
    /// Name or address of the server; an IPv6 address in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    service: String,
}

impl Address {
    /// True if it is on this machine.
    pub fn is_local(&self) -> bool {
        let address = self.host.trim_matches(['[', ']']).parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// As shown in metrics and logs: without the query, which may hold a secret.
    pub(super) fn shown(&self) -> String {
        let whole = self.to_string();
        whole.split_once('?').map_or(whole.clone(), |(before, _)| before.to_owned())
    }

    /// Host and port, to connect to.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no address of an ICAP service; write icap://host:1344/service or icaps://…");
        let url = Url::parse(text).map_err(|_| wrong())?;
        let (tls, default) = match url.scheme() {
            "icap" => (false, 1344),
            "icaps" => (true, 11344),
            _ => return Err(wrong()),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let named = url.path().len() > 1 && url.port() != Some(0);
        let service = format!("{}{}", url.path(), url.query().map(|query| format!("?{query}")).unwrap_or_default());
        // Each character goes into a request line.
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        let address = Self { tls, host: host.to_owned(), port: url.port().unwrap_or(default), service };
        (plain && named && printable).then_some(address).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "icaps" } else { "icap" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back_with_their_port() {
        for (text, full) in [
            ("icap://127.0.0.1:1344/virus_scan", "icap://127.0.0.1:1344/virus_scan"),
            ("icap://scanner/avscan?allow204=on&mode=simple", "icap://scanner:1344/avscan?allow204=on&mode=simple"),
            ("icaps://scanner.example.org/a/b", "icaps://scanner.example.org:11344/a/b"),
            ("icap://[::1]:99/s", "icap://[::1]:99/s"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn other_texts_are_refused_with_an_example() {
        for text in [
            "",
            "virus_scan",
            "icap:virus_scan",
            "icap:///virus_scan",
            "icap://host",
            "icap://host/",
            "icap://host:0/s",
            "icap://host:x/s",
            "icap://user@host/s",
            "icap://user:pass@host/s",
            "icap://host/s#f",
            "icap://host/s\r\nX: y",
            "icap://host/a b",
            "http://host:1344/s",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains("icap://host:1344/service"), "{text}: {error}");
        }
    }
}

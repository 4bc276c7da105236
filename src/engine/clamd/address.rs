//! Where a clamd listens.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::Deserialize;

/// `unix:/path/to/socket` or `tcp:host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no clamd address; write unix:/run/clamav/clamd.ctl or tcp:host:3310");
        match text.split_once(':') {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", authority)) => {
                let (host, port) = authority.rsplit_once(':').ok_or_else(wrong)?;
                let valid =
                    !host.is_empty() && !host.starts_with('/') && port.parse::<u16>().is_ok_and(|port| port > 0);
                valid.then(|| Self::Tcp(authority.to_owned())).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
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
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(authority) => write!(f, "tcp:{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        for text in ["unix:/run/clamav/clamd.ctl", "tcp:clamd.internal:3310", "tcp:[::1]:3310"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_an_example() {
        for text in [
            "",
            "/run/clamd.ctl",
            "unix:clamd.ctl",
            "tcp:clamd",
            "tcp::3310",
            "tcp:clamd:x",
            "tcp:clamd:0",
            "http://clamd:3310",
            "tcp://clamd:3310",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains("tcp:host:3310"), "{text}: {error}");
        }
    }
}

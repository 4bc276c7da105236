//! Prefixes of paths that an operator closes or opens.

use serde::Deserialize;

/// Segments of routes that carry media on some homeserver, or lead to some: archives of them, too.
const CARRIERS: [&str; 7] = ["download", "thumbnail", "upload", "create", "complete", "export", "import"];

/// Most segments of a prefix.
pub(in crate::http) const MAX_SEGMENTS: usize = 8;

/// A prefix of paths, in whole segments: `/_synapse/admin` is one of `/_synapse/admin/v1/users`, not of
/// `/_synapse/administration`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPrefix(Vec<String>);

impl PathPrefix {
    /// True if `segments` begin with it, in whatever case.
    pub(in crate::http) fn covers<S: AsRef<str>>(&self, segments: &[S]) -> bool {
        let same = |(ours, theirs): (&String, &S)| ours.eq_ignore_ascii_case(theirs.as_ref());
        segments.len() >= self.0.len() && self.0.iter().zip(segments).all(same)
    }

    /// True if it is below `/_matrix`.
    pub(in crate::http) fn is_of_matrix(&self) -> bool {
        self.0.first().is_some_and(|first| first.eq_ignore_ascii_case("_matrix"))
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let segments = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest).split('/'));
        let segments: Vec<String> = segments.into_iter().flatten().map(str::to_owned).collect();
        let plain = (1..=MAX_SEGMENTS).contains(&segments.len()) && segments.iter().all(|segment| is_plain(segment));
        plain.then_some(Self(segments)).ok_or_else(|| {
            format!("`{text}` is no prefix of paths; write one like /_synapse/admin, without encoding, query or dots")
        })
    }
}

/// A prefix below which requests are passed although they look like media.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PassedPrefix(Vec<String>);

impl PassedPrefix {
    /// True if the raw `segments` of a path begin exactly with it, name nothing that carries media, and go on in a way
    /// that no router could read as another path: what is passed unscanned must not be anything else to anyone.
    pub(in crate::http) fn covers(&self, segments: &[&str]) -> bool {
        let begins = segments.len() >= self.0.len() && self.0.iter().zip(segments).all(|(ours, theirs)| ours == theirs);
        begins && segments.iter().all(|segment| is_plain(segment) && !is_carrier(segment))
    }
}

impl TryFrom<String> for PassedPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let PathPrefix(segments) = PathPrefix::try_from(text.clone())?;
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["_matrix", "media", "v3" | "r0" | "v1" | "unstable", _, ..]
                if !parts.iter().any(|part| is_carrier(part)) =>
            {
                Ok(Self(segments))
            }
            ["_matrix", "media", ..] => Err(format!("`{text}` cannot be passed: media would pass unscanned")),
            _ => Err(format!("`{text}` cannot be passed: only what is below /_matrix/media can be")),
        }
    }
}

fn is_carrier(segment: &str) -> bool {
    CARRIERS.iter().any(|carrier| carrier.eq_ignore_ascii_case(segment))
}

/// Letters, digits and what names of routes, servers and media are made of; no dot segment, nothing encoded.
fn is_plain(segment: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.~:@!$".contains(&byte);
    !matches!(segment, "" | "." | "..") && segment.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_one_of_whole_segments() {
        let prefix = PathPrefix::try_from("/_synapse/admin/".to_owned()).unwrap();
        assert!(prefix.covers(&["_synapse", "admin"]) && prefix.covers(&["_synapse", "ADMIN", "v1"]));
        assert!(!prefix.covers(&["_synapse", "administration"]) && !prefix.covers(&["_synapse"]));
        for text in ["", "/", "_synapse", "/_synapse//admin", "/a/../b", "/a%2Fb", "/a?b", "/a b"] {
            assert!(PathPrefix::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn nothing_that_carries_media_can_be_opened() {
        for text in [
            "/_matrix/media",
            "/_matrix/media/v3",
            "/_matrix/media/unstable",
            "/_matrix/media/v3/download",
            "/_matrix/media/r0/thumbnail/hs.test",
            "/_matrix/client/v1/media",
            "/_matrix/federation/v1/media/download",
            "/_matrix/media_proxy/unstable",
            "/_matrix/client/unstable/org.matrix.msc3916/media",
            "/_matrix/federation/unstable/org.matrix.msc3916/media",
            "/_matrix/media/unstable/fi.mau.msc2246/upload",
            "/_matrix/media/unstable/admin/export",
            "/_matrix/client/v3/sync",
        ] {
            assert!(PassedPrefix::try_from(text.to_owned()).is_err(), "{text}");
        }
        for text in ["/_matrix/media/unstable/admin", "/_matrix/media/r0/identicon", "/_matrix/media/unstable/info"] {
            assert!(PassedPrefix::try_from(text.to_owned()).is_ok(), "{text}");
        }
    }

    #[test]
    fn below_an_opened_prefix_no_trick_leads_out() {
        let prefix = PassedPrefix::try_from("/_matrix/media/unstable/admin".to_owned()).unwrap();
        let covers = |path: &str| prefix.covers(&path[1..].split('/').collect::<Vec<_>>());
        assert!(covers("/_matrix/media/unstable/admin") && covers("/_matrix/media/unstable/admin/purge/hs.test/abc"));
        for path in [
            "/_matrix/media/unstable/admin/../../v3/download/hs.test/abc",
            "/_matrix/media/unstable/admin/%2e%2e/x",
            "/_matrix/media/unstable/admin//x",
            "/_matrix/media/unstable/admin/..;/x",
            "/_matrix/media/unstable/admin\\..\\x",
            "/_matrix/media/unstable/administration",
            "/_matrix/media/unstable/admin/export/1/part/2",
            "/_matrix/media/unstable/admin/Download/hs.test/abc",
            "/_matrix/media/unstable/ADMIN",
        ] {
            assert!(!covers(path), "{path}");
        }
    }
}

//! The homeserver's own media routes: what of them is open, and how their answers look.

use std::time::Duration;

use serde::Deserialize;

use super::prefix::{PassedPrefix, PathPrefix};
use crate::media::MediaRef;

/// `native` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What becomes of the routes from before media was authenticated.
    pub legacy_media: LegacyMedia,
    /// Media that `legacy_media: deny` spares, as `mxc://` URIs: login pages show the icons of identity providers, and
    /// fetch them without a token.
    pub legacy_icons: Vec<MediaRef>,
    /// Prefixes of paths that nobody reaches through Lazaret.
    pub deny: Vec<PathPrefix>,
    /// Prefixes of paths that look like media and are passed all the same, unscanned.
    pub pass: Vec<PassedPrefix>,
    /// Nothing of a known medium leaves before all of it was compared with what was scanned.
    pub always_buffer: bool,
    /// Longest time for which clients and caches are told to keep a medium: after it, they ask again, and what was found
    /// meanwhile counts.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// What a refused medium looks like to clients.
    pub refusal: RefusalStyle,
    /// Longest wait for the verdict on an upload. Element Web gives up 30 s after it has sent the last byte, and the
    /// homeserver has to store the file in that time as well.
    #[serde(with = "humantime_serde")]
    pub upload_timeout: Duration,
    /// Longest time for the answer to another homeserver. Synapse waits for 60 s.
    #[serde(with = "humantime_serde")]
    pub federation_timeout: Duration,
}

/// What becomes of `/_matrix/media/{v3,r0,v1}/{download,thumbnail}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacyMedia {
    /// Scanned like any other.
    #[default]
    Scan,
    /// Not found, but for `legacy_icons`. The scanner's routes then want a token as well.
    Deny,
}

/// What a refused medium looks like to clients; uploads are never "not found".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalStyle {
    /// 403 `M_FORBIDDEN`.
    #[default]
    Forbidden,
    /// 404 `M_NOT_FOUND`, as for media that Synapse has in quarantine.
    NotFound,
    /// 400 `ORG.MATRIX.MSC4387_SAFETY`, of
    /// [MSC4387](https://github.com/matrix-org/matrix-spec-proposals/pull/4387), which is not part of the specification.
    Safety,
}

impl Config {
    /// What the operator should know of these settings.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.pass.is_empty() {
            warnings.push("native.pass: what is below these prefixes passes unscanned".to_owned());
        }
        if !self.legacy_icons.is_empty() && self.legacy_media == LegacyMedia::Scan {
            warnings.push("native.legacy_icons does nothing without `legacy_media: deny`".to_owned());
        }
        warnings
    }

    /// True if a medium is not to be had without a token.
    pub(super) fn is_closed(&self, media: &MediaRef) -> bool {
        self.legacy_media == LegacyMedia::Deny && !self.legacy_icons.contains(media)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            legacy_media: LegacyMedia::default(),
            legacy_icons: Vec::new(),
            deny: vec![PathPrefix::try_from("/_synapse/admin".to_owned()).expect("well-formed")],
            pass: Vec::new(),
            always_buffer: false,
            max_age: Duration::from_hours(24),
            refusal: RefusalStyle::default(),
            upload_timeout: Duration::from_secs(20),
            federation_timeout: Duration::from_secs(50),
        }
    }
}

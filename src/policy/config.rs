//! What the configuration says of policies.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    load::Problem,
    rule::{Otherwise, RuleSet},
    state::State,
    types::told,
};
use crate::facts::Direction;

/// Where policies are, if nobody says otherwise.
pub(super) const USUAL: &str = "/etc/lazaret/policies";

/// `policy` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of rule files, or one such file. The shipped default policy applies if this is the usual place, and nobody put a
    /// policy there; elsewhere a policy has to be.
    pub dir: PathBuf,
    /// Time between two looks at the rule files; with 0 they are read when someone asks.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
    /// What becomes of ciphertext that is asked for without its key.
    pub opaque_media: OpaqueMedia,
    /// The only types that may pass, if there are any. A type is compared with the one that is told by the bytes themselves,
    /// whatever anyone calls them. Ciphertext without its key has no type: `opaque_media` says what becomes of it on the
    /// homeserver's own routes.
    pub allowed_mimetypes: Vec<String>,
    /// Types that may not pass. Only one of the two lists can be set.
    pub blocked_mimetypes: Vec<String>,
}

impl Config {
    /// What cannot be meant.
    pub fn problems(&self) -> Vec<String> {
        let unknown = self.blocked_mimetypes.iter().filter(|name| told(name).is_none());
        let mut problems: Vec<String> = unknown
            .map(|name| {
                format!("policy.blocked_mimetypes: nothing is ever told to be `{name}`, so this blocks nothing")
            })
            .collect();
        if !(self.allowed_mimetypes.is_empty() || self.blocked_mimetypes.is_empty()) {
            let both =
                "policy.allowed_mimetypes and policy.blocked_mimetypes are both set; what is not allowed is blocked";
            problems.push(both.to_owned());
        }
        problems
    }

    /// What works but probably not as meant.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let unknown = self.allowed_mimetypes.iter().filter(|name| told(name).is_none());
        unknown.map(|name| {
            format!("policy.allowed_mimetypes: nothing is ever told to be `{name}`, so this allows nothing")
        })
    }
}

/// `policy.opaque_media` of the configuration: what becomes of media that look like noise on routes where no key is
/// given. An engine finds nothing in ciphertext, so its verdict there means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpaqueMedia {
    /// Let it pass, and count it. Clients that decrypt what they fetch here are protected by nothing but themselves.
    #[default]
    Allow,
    /// Refuse it: encrypted media is had through the scanner's routes, or not at all. Uploads stay open. Other homeservers
    /// are refused as well, and their users have no scanner of ours: encrypted media stays at home.
    Deny,
    /// Refuse it until someone had it scanned with a key that opened it to something recognisable and clean, and for as
    /// long as no key opened it to anything else.
    ///
    /// This keeps an attachment from being fetched past a scanner that knows it to be infected, and has every attachment
    /// scanned by someone first. It does **not** prove that the next reader will see what was scanned: the hash of an
    /// attachment covers neither key nor counter, so whoever made the ciphertext can have a harmless plaintext scanned
    /// and send another key to the victim. And a key that opens ciphertext to the first bytes of a known format can be
    /// found by trying some thousands to billions. Only the scanner's routes judge what the reader will see. A
    /// plaintext that looks like noise itself, or a counter that does not begin at zero as with some old clients, opens
    /// nothing: such ciphertext stays refused here. And whoever made a ciphertext can close it for all, by a key that opens
    /// it to something infected. Other homeservers are held to the same.
    RequireScanned,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: USUAL.into(),
            reload_interval: Duration::from_secs(2),
            opaque_media: OpaqueMedia::default(),
            allowed_mimetypes: Vec::new(),
            blocked_mimetypes: Vec::new(),
        }
    }
}

impl OpaqueMedia {
    /// Its name in the configuration.
    fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireScanned => "require_scanned",
        }
    }

    /// The default of policy files that means the same.
    fn otherwise(self) -> Otherwise {
        match self {
            Self::Allow => Otherwise::Allow,
            Self::Deny => Otherwise::Block,
            Self::RequireScanned => Otherwise::RequireScanned,
        }
    }

    /// Directions that it is about: uploads stay open.
    fn directions() -> impl Iterator<Item = Direction> {
        Direction::ALL.into_iter().filter(|direction| *direction != Direction::Upload)
    }

    /// Has it count where policy files say nothing.
    pub(super) fn complete(self, rules: &mut RuleSet) {
        rules.defaults.opaque_media = Some(self.otherwise());
    }
}

impl Config {
    /// That policy files say something else than `opaque_media` here, if they do: what they say counts. The default says nothing.
    pub(super) fn unheeded(&self, rules: &RuleSet) -> Option<Problem> {
        let said = |direction: &Direction| rules.defaults.said.get(&(State::OpaqueMedia, *direction));
        let is_other =
            |direction: &Direction| said(direction).is_some_and(|said| *said != self.opaque_media.otherwise());
        let directions: Vec<&str> = OpaqueMedia::directions().filter(is_other).map(Direction::name).collect();
        if self.opaque_media == OpaqueMedia::default() || directions.is_empty() {
            return None;
        }
        let (name, directions) = (self.opaque_media.name(), directions.join(", "));
        let text = format!(
            "the defaults here say themselves what becomes of `opaque_media` ({directions}), and they count: \
             `policy.opaque_media: {name}` of the configuration does nothing there"
        );
        Some(Problem::with(&self.dir, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unheeded(opaque_media: OpaqueMedia, said: &[(Direction, Otherwise)]) -> Option<String> {
        let config = Config { opaque_media, ..Config::default() };
        let mut rules = RuleSet::default();
        rules.defaults.said.extend(said.iter().map(|(direction, said)| ((State::OpaqueMedia, *direction), *said)));
        config.unheeded(&rules).map(|note| note.to_string())
    }

    #[test]
    fn a_configuration_that_policy_files_overrule_is_told_with_what_counts() {
        let said = [(Direction::Download, Otherwise::Allow), (Direction::Scan, Otherwise::Block)];
        let note = unheeded(OpaqueMedia::Deny, &said).unwrap();
        assert!(note.contains("(download), and they count: `policy.opaque_media: deny`"), "{note}");
        let note = unheeded(OpaqueMedia::RequireScanned, &said).unwrap();
        assert!(note.contains("(download, scan)"), "{note}");
        assert_eq!(unheeded(OpaqueMedia::Deny, &said[1..]), None, "both say the same");
        assert_eq!(unheeded(OpaqueMedia::Allow, &said), None, "nobody said that");
        assert_eq!(
            unheeded(OpaqueMedia::Deny, &[(Direction::Upload, Otherwise::Block)]),
            None,
            "it is not about uploads"
        );
    }
}

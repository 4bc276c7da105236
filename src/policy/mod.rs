//! What to do with a medium, given its facts and its verdict: pure, and asked anew on every hit, so that a changed policy
//! acts at once.
//!
//! Rule files are not read yet. The policy is the one to start from: what is clean passes if its type may, all else is
//! refused.

mod types;

use std::{io, path::PathBuf, sync::Arc};

use serde::Deserialize;

use self::types::Types;
pub(crate) use self::types::told;

use crate::{
    facts::Facts,
    verdict::{Effect, Heuristics, Verdict},
};

/// `policy` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Directory of rule files. The shipped default policy applies if it does not exist.
    pub dir: PathBuf,
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
            dir: "/etc/lazaret/policies".into(),
            opaque_media: OpaqueMedia::default(),
            allowed_mimetypes: Vec::new(),
            blocked_mimetypes: Vec::new(),
        }
    }
}

/// Why the policy could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Someone wrote rules and expects them to act.
    #[error(
        "{0}: rule files are not supported in this version; move it away, or unset policy.dir, to run with the default policy"
    )]
    RuleFile(PathBuf),
    /// The directory cannot be read.
    #[error("cannot read policy.dir {0}")]
    Read(PathBuf, #[source] io::Error),
}

/// How a medium is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It goes to the homeserver.
    Upload,
    /// What is judged is what a key opened it to.
    Keyed,
    /// No key is given.
    Keyless(Openings),
    /// No key is given, by someone who reads it as it is.
    Plain(Openings),
    /// It is the encoded form of a medium that is judged as well.
    Encoded,
}

/// What those who had keys to a medium found in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openings {
    /// Nobody had it scanned, or nobody remembers.
    Unknown,
    /// Nothing that would be refused.
    Clean,
    /// Something infected, with one key or other.
    Infected,
}

/// What to do with a medium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it pass.
    Allow,
    /// Refuse it.
    Block(Refusal),
}

/// Why a medium is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An engine recognised something.
    Infected,
    /// It could not be looked at in full.
    Incomplete,
    /// It holds an encrypted container.
    Opaque,
    /// It is larger than can be scanned.
    Oversize,
    /// It is ciphertext that was not scanned with its key.
    Unscanned,
    /// Files of this type are not let through.
    Type(Arc<str>),
}

/// The policy in force.
#[derive(Debug)]
pub struct Policy {
    opaque_media: OpaqueMedia,
    types: Types,
}

impl Policy {
    /// Loads the policy. A directory with rule files is an error, since rules that are silently ignored would let pass
    /// what their author meant to stop.
    pub fn load(config: &Config) -> Result<Self, PolicyError> {
        let policy = Self { opaque_media: config.opaque_media, types: Types::of(config) };
        let entries = match std::fs::read_dir(&config.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(policy),
            other => other.map_err(|error| PolicyError::Read(config.dir.clone(), error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| PolicyError::Read(config.dir.clone(), error))?.path();
            if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                return Err(PolicyError::RuleFile(path));
            }
        }
        Ok(policy)
    }

    /// What an engine must name for the policy to mean what it says: whoever refuses the incomplete and the opaque relies
    /// on being told of them.
    pub fn relies_on(&self) -> Heuristics {
        Heuristics { limits: true, encrypted: true, macros: false }
    }

    /// True if it makes a difference what keys opened a medium to.
    pub fn asks_for_openings(&self) -> bool {
        self.opaque_media == OpaqueMedia::RequireScanned
    }

    /// Decides. What the security team says counts in place of the verdict.
    pub fn decide(&self, facts: &Facts, verdict: &Verdict, over: Option<Effect>, access: Access) -> Decision {
        match (over, verdict) {
            (Some(Effect::ForceInfected), _) => Decision::Block(Refusal::Infected),
            (Some(Effect::ForceClean), _) | (None, Verdict::Clean(_)) => self.decide_clean(facts, access),
            (None, Verdict::Infected { .. }) => Decision::Block(Refusal::Infected),
            (None, Verdict::Incomplete { .. }) => Decision::Block(Refusal::Incomplete),
            (None, Verdict::Opaque { .. }) => Decision::Block(Refusal::Opaque),
        }
    }

    fn decide_clean(&self, facts: &Facts, access: Access) -> Decision {
        match access {
            Access::Keyless(openings) if facts.opaque => self.decide_opaque(openings),
            Access::Plain(openings) if facts.opaque => match self.decide_opaque(openings) {
                Decision::Allow => self.types.decide(facts),
                refused @ Decision::Block(_) => refused,
            },
            Access::Upload if facts.opaque => Decision::Allow,
            Access::Encoded => Decision::Allow,
            _ => self.types.decide(facts),
        }
    }

    fn decide_opaque(&self, openings: Openings) -> Decision {
        match (self.opaque_media, openings) {
            (OpaqueMedia::Allow, _) | (OpaqueMedia::RequireScanned, Openings::Clean) => Decision::Allow,
            (OpaqueMedia::RequireScanned, Openings::Infected) => Decision::Block(Refusal::Infected),
            (OpaqueMedia::Deny, _) | (OpaqueMedia::RequireScanned, Openings::Unknown) => {
                Decision::Block(Refusal::Unscanned)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Detection;

    #[test]
    fn only_clean_passes() {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy::load(&Config { dir: dir.path().join("absent"), ..Config::default() }).unwrap();
        let facts = Facts { size: 1, detected_type: None, container: false, opaque: true };
        let found = Detection("X".to_owned());
        for (verdict, refusal) in [
            (Verdict::Infected { detection: found.clone() }, Refusal::Infected),
            (Verdict::Incomplete { why: found.clone() }, Refusal::Incomplete),
            (Verdict::Opaque { why: found }, Refusal::Opaque),
        ] {
            for access in [Access::Upload, Access::Keyed, Access::Keyless(Openings::Clean)] {
                assert_eq!(policy.decide(&facts, &verdict, None, access), Decision::Block(refusal.clone()));
            }
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what an engine would say of noise")]
    fn ciphertext_without_a_key_is_decided_by_what_keys_opened_it_to() {
        let allowed = || Decision::Allow;
        let refused = || Decision::Block(Refusal::Unscanned);
        let noise = Facts { size: 1, detected_type: None, container: false, opaque: true };
        let clean = Verdict::Clean(crate::verdict::Clean::attest());
        for (opaque_media, expected) in [
            (OpaqueMedia::Allow, [allowed(), allowed(), allowed()]),
            (OpaqueMedia::Deny, [refused(), refused(), refused()]),
            (OpaqueMedia::RequireScanned, [refused(), allowed(), Decision::Block(Refusal::Infected)]),
        ] {
            let policy = Policy { opaque_media, types: Types::of(&Config::default()) };
            let openings = [Openings::Unknown, Openings::Clean, Openings::Infected];
            assert_eq!(
                openings.map(|openings| policy.decide(&noise, &clean, None, Access::Keyless(openings))),
                expected
            );
            for access in [Access::Upload, Access::Keyed] {
                assert_eq!(policy.decide(&noise, &clean, None, access), allowed(), "{opaque_media:?} {access:?}");
            }
            let text = Facts { opaque: false, ..noise.clone() };
            assert_eq!(policy.decide(&text, &clean, None, Access::Keyless(Openings::Unknown)), allowed());
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what an engine would say")]
    fn what_the_security_team_says_counts_in_place_of_the_verdict_and_in_place_of_nothing_else() {
        let yaml = "{opaque_media: deny, blocked_mimetypes: [image/png]}";
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let policy = Policy { opaque_media: config.opaque_media, types: Types::of(&config) };
        let facts = |opaque, kind: &str| Facts { size: 1, detected_type: Some(kind.into()), container: false, opaque };
        let (text, image, noise) = (facts(false, "text/plain"), facts(false, "image/png"), facts(true, "text/plain"));
        let found = Detection("X".to_owned());
        let clean = Verdict::Clean(crate::verdict::Clean::attest());
        let verdicts = [
            clean.clone(),
            Verdict::Infected { detection: found.clone() },
            Verdict::Incomplete { why: found.clone() },
            Verdict::Opaque { why: found },
        ];
        let openings = Openings::Unknown;
        let all = [Access::Upload, Access::Keyed, Access::Keyless(openings), Access::Plain(openings), Access::Encoded];
        for (verdict, access) in verdicts.iter().flat_map(|verdict| all.map(|access| (verdict, access))) {
            for facts in [&text, &image, &noise] {
                let decide = |over| policy.decide(facts, verdict, over, access);
                assert_eq!(decide(Some(Effect::ForceInfected)), Decision::Block(Refusal::Infected));
                let as_clean = policy.decide(facts, &clean, None, access);
                assert_eq!(decide(Some(Effect::ForceClean)), as_clean, "{facts:?} {verdict:?} {access:?}");
            }
        }
        let forced = |facts, access| policy.decide(facts, &verdicts[1], Some(Effect::ForceClean), access);
        assert_eq!(forced(&text, Access::Keyless(openings)), Decision::Allow);
        assert_eq!(forced(&noise, Access::Keyless(openings)), Decision::Block(Refusal::Unscanned));
        assert_eq!(forced(&image, Access::Keyed), Decision::Block(Refusal::Type("image/png".into())));
    }

    #[test]
    fn rule_files_are_not_ignored_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { dir: dir.path().to_owned(), ..Config::default() };
        assert!(Policy::load(&config).is_ok(), "an empty directory holds no rules");
        std::fs::write(dir.path().join("strict.yaml"), "rules: []").unwrap();
        let error = Policy::load(&config).unwrap_err().to_string();
        assert!(error.contains("strict.yaml"), "{error}");
    }
}

//! Which types of media may pass.

use std::collections::HashSet;

use super::{Config, Decision, Refusal};
use crate::facts::Facts;

/// What is called so has no type that is known.
const UNKNOWN: &str = "application/octet-stream";

/// Types without a signature that are told all the same.
const TOLD: [&str; 3] = [UNKNOWN, "text/plain", "application/x-empty"];

/// What libmagic, whose names the Matrix Content Scanner's lists are made of, calls some types, and what they are called
/// here.
const ALIASES: [(&str, &str); 13] = [
    ("application/x-dosexec", "application/vnd.microsoft.portable-executable"),
    ("application/x-executable", "application/x-executable"),
    ("application/x-pie-executable", "application/x-executable"),
    ("application/x-sharedlib", "application/x-executable"),
    ("application/x-object", "application/x-executable"),
    ("application/x-java-applet", "application/java"),
    ("application/x-rar", "application/vnd.rar"),
    ("application/x-gzip", "application/gzip"),
    ("text/rtf", "application/rtf"),
    ("audio/flac", "audio/x-flac"),
    ("audio/x-m4a", "audio/m4a"),
    ("image/x-ms-bmp", "image/bmp"),
    ("inode/x-empty", "application/x-empty"),
];

/// A type as it is called here; `None` if nothing is ever told to be of it.
pub(crate) fn told(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| (*ours).to_owned());
    let is_told = infer::is_mime_supported(&name) || TOLD.contains(&name.as_str());
    alias.or(is_told.then_some(name))
}

/// The list of types in force.
#[derive(Debug)]
pub(super) enum Types {
    All,
    Only(HashSet<String>),
    AllBut(HashSet<String>),
}

impl Types {
    pub(super) fn of(config: &Config) -> Self {
        let set = |types: &[String]| types.iter().filter_map(|name| told(name)).collect();
        match (config.allowed_mimetypes.as_slice(), config.blocked_mimetypes.as_slice()) {
            ([], []) => Self::All,
            ([], blocked) => Self::AllBut(set(blocked)),
            (allowed, _) => Self::Only(set(allowed)),
        }
    }

    /// Decides on what is clean.
    pub(super) fn decide(&self, facts: &Facts) -> Decision {
        let name = facts.detected_type.as_deref().unwrap_or(UNKNOWN);
        let passes = match self {
            Self::All => true,
            Self::Only(allowed) => allowed.contains(name),
            Self::AllBut(blocked) => !blocked.contains(name),
        };
        if passes { Decision::Allow } else { Decision::Block(Refusal::Type(name.into())) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{Access, Openings, Policy},
        *,
    };
    use crate::verdict::{Clean, Detection, Verdict};

    fn policy(yaml: &str) -> Policy {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        Policy { opaque_media: config.opaque_media, types: Types::of(&config) }
    }

    fn facts(detected_type: Option<&'static str>) -> Facts {
        Facts {
            size: 1,
            detected_type: detected_type.map(Arc::from),
            container: false,
            opaque: detected_type.is_none(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "what an engine would say")]
    fn clean() -> Verdict {
        Verdict::Clean(Clean::attest())
    }

    #[test]
    fn only_what_is_allowed_or_not_blocked_passes() {
        let refused = |name: &str| Decision::Block(Refusal::Type(name.into()));
        let (allowing, blocking) = (policy("allowed_mimetypes: [image/PNG]"), policy("blocked_mimetypes: [image/png]"));
        let openings = Openings::Unknown;
        for access in [Access::Upload, Access::Keyed, Access::Keyless(openings), Access::Plain(openings)] {
            let decide = |policy: &Policy, name| policy.decide(&facts(Some(name)), &clean(), None, access);
            assert_eq!(decide(&allowing, "image/png"), Decision::Allow, "{access:?}");
            assert_eq!(decide(&allowing, "text/plain"), refused("text/plain"), "{access:?}");
            assert_eq!(decide(&blocking, "image/png"), refused("image/png"), "{access:?}");
            assert_eq!(decide(&blocking, "text/plain"), Decision::Allow, "{access:?}");
        }
    }

    #[test]
    fn what_libmagic_calls_otherwise_is_known_by_that_name_too() {
        let refused = Decision::Block(Refusal::Type("application/vnd.microsoft.portable-executable".into()));
        let facts = facts(Some("application/vnd.microsoft.portable-executable"));
        let decision =
            policy("blocked_mimetypes: [application/x-dosexec]").decide(&facts, &clean(), None, Access::Keyed);
        assert_eq!(decision, refused);
        for (theirs, ours) in ALIASES {
            assert!(
                infer::is_mime_supported(ours) || TOLD.contains(&ours),
                "{theirs} leads to {ours}, which is never told"
            );
        }
    }

    #[test]
    fn a_name_that_nothing_is_told_to_be_of_is_no_type() {
        for name in ["text/plain", "IMAGE/png", "application/zip", "application/octet-stream", "inode/x-empty"] {
            assert!(told(name).is_some(), "{name}");
        }
        for name in ["", "png", "image/*", "text/plain; charset=utf-8", "application/javascript", "a/b"] {
            assert!(told(name).is_none(), "{name}");
        }
    }

    #[test]
    fn ciphertext_has_no_type_unless_it_is_read_as_it_is() {
        let policy = policy("allowed_mimetypes: [image/png]");
        let decide = |access| policy.decide(&facts(None), &clean(), None, access);
        for access in [Access::Upload, Access::Keyless(Openings::Unknown), Access::Encoded] {
            assert_eq!(decide(access), Decision::Allow, "{access:?}");
        }
        for access in [Access::Keyed, Access::Plain(Openings::Unknown)] {
            assert_eq!(decide(access), Decision::Block(Refusal::Type(UNKNOWN.into())), "{access:?}");
        }
    }

    #[test]
    fn what_is_infected_is_called_so_whatever_its_type() {
        let infected = Verdict::Infected { detection: Detection("X".to_owned()) };
        let decision =
            policy("allowed_mimetypes: [image/png]").decide(&facts(Some("a/b")), &infected, None, Access::Keyed);
        assert_eq!(decision, Decision::Block(Refusal::Infected));
    }
}

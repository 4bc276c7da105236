//! Which types of media may pass.

use std::collections::HashSet;

use super::{Config, Refusal};
use crate::facts::{canonical, is_told};

/// What is called so has no type that is known.
const UNKNOWN: &str = "application/octet-stream";

/// A type as it is called here; `None` if nothing is ever told to be of it.
pub(crate) fn told(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let ours = canonical(&name);
    (ours == UNKNOWN || is_told(ours)).then(|| ours.to_owned())
}

/// What a type that someone writes is called here besides, if it is called otherwise.
pub(super) fn told_as(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let ours = canonical(&name);
    (ours != name).then(|| ours.to_owned())
}

/// True if something may be told to be of that type.
pub(super) fn is_ever_told(name: &str) -> bool {
    told(name).is_some() || !file_format::FileFormat::from_media_type(name).is_empty()
}

/// The list of types in force.
#[derive(Clone, Debug)]
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

    /// Why a type may not pass, if it may not.
    pub(super) fn refusal(&self, told: Option<&str>) -> Option<Refusal> {
        let name = told.unwrap_or(UNKNOWN);
        let passes = match self {
            Self::All => true,
            Self::Only(allowed) => allowed.contains(name),
            Self::AllBut(blocked) => !blocked.contains(name),
        };
        (!passes).then(|| Refusal::Type(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{Access, Decision, Openings, Policy, rule::RuleSet, tests::decide},
        *,
    };
    use crate::{
        facts::Facts,
        verdict::{Clean, Detection, Verdict},
    };

    fn policy(yaml: &str) -> Policy {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        Policy::new(&config, RuleSet::default())
    }

    fn facts(detected_type: Option<&'static str>) -> Facts {
        Facts {
            size: 1,
            detected_type: detected_type.map(Arc::from),
            opaque: detected_type.is_none(),
            ..Facts::default()
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
            let decide = |policy: &Policy, name| decide(policy, &facts(Some(name)), &clean(), None, access);
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
        let policy = policy("blocked_mimetypes: [application/x-dosexec]");
        let decision = decide(&policy, &facts, &clean(), None, Access::Keyed);
        assert_eq!(decision, refused);
    }

    #[test]
    fn a_name_that_nothing_is_told_to_be_of_is_no_type() {
        for name in ["text/plain", "IMAGE/png", "application/zip", "application/octet-stream", "inode/x-empty"] {
            assert!(told(name).is_some(), "{name}");
        }
        for name in ["", "png", "image/*", "text/plain; charset=utf-8", "application/x-nobody-knows", "a/b"] {
            assert!(told(name).is_none(), "{name}");
        }
    }

    #[test]
    fn ciphertext_has_no_type_unless_it_is_read_as_it_is() {
        let policy = policy("allowed_mimetypes: [image/png]");
        let decide = |access| decide(&policy, &facts(None), &clean(), None, access);
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
        let policy = policy("allowed_mimetypes: [image/png]");
        let decision = decide(&policy, &facts(Some("a/b")), &infected, None, Access::Keyed);
        assert_eq!(decision, Decision::Block(Refusal::Infected));
    }
}

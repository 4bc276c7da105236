//! The corpus in `samples/containers`: each file gives the facts that stand beside it.

use std::{collections::BTreeMap, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::found;
use crate::facts::Group;

/// What a file must give. What is absent is not asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(rename = "type")]
    refined: Option<String>,
    #[serde(default)]
    macros: bool,
    #[serde(default)]
    locked: bool,
    #[serde(default)]
    active: bool,
    complete: Option<bool>,
    entries: Option<u64>,
    #[serde(default)]
    encrypted: u64,
    depth: Option<u8>,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    extensions: Vec<String>,
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/containers").join(name)
}

/// A file of the corpus, decoded.
pub(super) fn sample(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).unwrap()
}

#[test]
fn each_file_of_the_corpus_gives_its_facts() {
    let text = std::fs::read_to_string(path("facts.yaml")).unwrap();
    let corpus: BTreeMap<String, Expected> = serde_yaml::from_str(&text).unwrap();
    assert!(corpus.len() >= 20);
    for (name, expected) in corpus {
        let found = found(&sample(&format!("{name}.b64")));
        assert_eq!(found.refined, expected.refined.as_deref(), "{name}");
        let told = (found.macros, found.locked, found.active);
        assert_eq!(told, (expected.macros, expected.locked, expected.active), "{name}");
        let inside = found.inside.unwrap_or_default();
        assert_eq!(inside.encrypted, expected.encrypted, "{name}");
        assert_eq!(inside.complete, expected.complete.unwrap_or(inside.complete), "{name}");
        assert_eq!(inside.entries, expected.entries.unwrap_or(inside.entries), "{name}");
        assert_eq!(inside.depth, expected.depth.unwrap_or_default(), "{name}");
        assert!(!inside.overlapping && !inside.deceptive_names, "{name}");
        for group in expected.holds {
            assert!(inside.groups.iter().any(|seen| Group::name(*seen) == group), "{name}: {group}");
        }
        for extension in expected.extensions {
            assert!(inside.extensions.contains(extension.as_str()), "{name}: {extension}");
        }
    }
}

#[test]
fn no_file_is_left_out() {
    let text = std::fs::read_to_string(path("facts.yaml")).unwrap();
    let corpus: BTreeMap<String, Expected> = serde_yaml::from_str(&text).unwrap();
    for file in std::fs::read_dir(path("")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = name.strip_suffix(".b64").is_none_or(|name| corpus.contains_key(name));
        assert!(known, "{name} has no facts");
    }
}

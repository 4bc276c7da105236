//! What the configuration of a Matrix Content Scanner says, in either of its formats.

mod node;
mod python;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_yaml::{Mapping, Value};
use zeroize::Zeroizing;

/// Which of the two wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// The one in use.
    #[default]
    Python,
    /// Its predecessor.
    Node,
}

/// What was set, under the names of the Python implementation.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) flavour: Flavour,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) script: Option<String>,
    pub(crate) temp_directory: Option<String>,
    pub(crate) removal_command: Option<String>,
    pub(crate) allowed_mimetypes: Option<Vec<String>>,
    pub(crate) blocked_mimetypes: Option<Vec<String>>,
    /// Nothing: media are fetched from the servers that their addresses name.
    pub(crate) homeserver: Option<String>,
    pub(crate) has_proxy: bool,
    /// Names and values of headers; values may be secrets.
    pub(crate) additional_headers: Mapping,
    pub(crate) headers_to_forward: Vec<String>,
    pub(crate) exit_codes_to_ignore: Vec<i64>,
    pub(crate) max_size: Option<u64>,
    pub(crate) ttl: Option<Value>,
    pub(crate) max_file_size: Option<Value>,
    pub(crate) secret_path: Option<PathBuf>,
    pub(crate) pickle_path: Option<PathBuf>,
    pub(crate) pickle_key: Option<Zeroizing<String>>,
    /// Keys that neither implementation has ever had.
    pub(crate) unknown: Vec<String>,
    /// What relative paths are taken to be relative to.
    pub(crate) folder: PathBuf,
}

impl Settings {
    /// A path of the configuration. The scanner takes it from the folder that it was started in, which nobody
    /// knows; mostly it is that of its configuration.
    pub(crate) fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path.as_ref().strip_prefix(".").unwrap_or(path.as_ref()))
    }

    /// Notes keys that are not known.
    fn unknown_in(&mut self, section: &str, rest: &Mapping) {
        let dot = if section.is_empty() { "" } else { "." };
        let names = rest.keys().map(|key| format!("{section}{dot}{}", key.as_str().unwrap_or("(no text)")));
        self.unknown.extend(names);
    }
}

/// Reads a file.
pub(crate) fn file(path: &Path) -> anyhow::Result<Settings> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
    parse(&text, folder).with_context(|| format!("{} cannot be taken over", path.display()))
}

/// Reads the text of a file in `folder`.
pub(super) fn parse(text: &str, folder: PathBuf) -> anyhow::Result<Settings> {
    let tree: Value = serde_yaml::from_str(text).context("it is no YAML")?;
    let mut settings: Settings = match flavour(&tree) {
        Some(Flavour::Python) => serde_path_to_error::deserialize::<_, python::Config>(tree)?.into(),
        Some(Flavour::Node) => serde_path_to_error::deserialize::<_, node::Config>(tree)?.into(),
        None if tree.get("homeserver").is_some() => bail!("it is a configuration of Lazaret already"),
        None => bail!(
            "it is no configuration of a Matrix Content Scanner, which has `web` and `scan` (Python) or \
             `server` and `scan` (Node)"
        ),
    };
    settings.folder = folder;
    settings.secret_path = settings.secret_path.as_ref().map(|path| settings.absolute(path));
    settings.pickle_path = settings.pickle_path.as_ref().map(|path| settings.absolute(path));
    Ok(settings)
}

/// The two share nothing but the name of a section.
fn flavour(tree: &Value) -> Option<Flavour> {
    tree.get("scan")?.as_mapping()?;
    let has = |keys: &[&str]| keys.iter().any(|key| tree.get(key).is_some());
    if has(&["web", "crypto", "download", "result_cache"]) {
        Some(Flavour::Python)
    } else if has(&["server", "middleware"]) {
        Some(Flavour::Node)
    } else {
        None
    }
}

/// The text of a value, if it is one.
fn secret(value: Option<Value>) -> Option<Zeroizing<String>> {
    match value {
        Some(Value::String(text)) => Some(Zeroizing::new(text)),
        _ => None,
    }
}

//! Values that are meant.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    net::Ipv6Addr,
    sync::Arc,
};

use regex::RegexSet;

use super::{Wrong, glob, wrong::shortened};
use crate::policy::{Hash, Naming, fact::Value, told_as};

/// What the entries of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    /// These words.
    Words(&'static [&'static str]),
    /// Media types.
    Types,
    /// Names of servers.
    Servers,
    /// Extensions of names.
    Extensions,
    /// Any texts.
    Texts,
    /// SHA-256 digests.
    Hashes,
}

/// Values that are meant.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// These, without the difference of upper and lower case.
    pub texts: HashSet<Arc<str>>,
    /// Texts like these, in the same way.
    pub patterns: BTreeSet<String>,
    /// These digests.
    pub hashes: HashSet<Hash>,
    globs: Option<RegexSet>,
    /// These are servers: one is meant whatever its port, unless the entry has one.
    any_port: bool,
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        (&self.texts, &self.patterns, &self.hashes) == (&other.texts, &other.patterns, &other.hashes)
    }
}

/// Without it, two references to one list would be compared by all of its entries.
impl Eq for Set {}

impl Set {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.texts.len() + self.patterns.len() + self.hashes.len()
    }

    /// True if nothing is meant.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn has_text(&self, text: &str) -> bool {
        let folded = glob::folded(text);
        let has =
            |text: &str| self.texts.contains(text) || self.globs.as_ref().is_some_and(|globs| globs.is_match(text));
        has(&folded) || self.any_port && without_port(&folded).is_some_and(has)
    }

    /// True if a value is meant; of several, if one is.
    pub(super) fn has(&self, value: &Value) -> bool {
        match value {
            Value::Word(word) => self.has_text(word),
            Value::Words(words) => words.iter().any(|word| self.has_text(word)),
            Value::Text(text) => self.has_text(text),
            Value::Texts(texts) => texts.iter().any(|text| self.has_text(text)),
            Value::Hash(hash) => self.hashes.contains(hash),
            Value::Flag(_) | Value::Number(_) | Value::Real(_) => false,
        }
    }

    /// True if a value is meant; of several, if all are, and there is one.
    pub(super) fn has_all(&self, value: &Value) -> bool {
        match value {
            Value::Words(words) => !words.is_empty() && words.iter().all(|word| self.has_text(word)),
            Value::Texts(texts) => !texts.is_empty() && texts.iter().all(|text| self.has_text(text)),
            single => self.has(single),
        }
    }

    /// Adds an entry as it is written.
    pub(super) fn add(&mut self, entry: &str, entries: Entries, naming: &Naming) -> Result<(), Wrong> {
        check(entry, entries)?;
        match entries {
            Entries::Hashes => {
                self.hashes.insert(naming(&digest(entry)?));
                return Ok(());
            }
            Entries::Servers => self.any_port = true,
            Entries::Types => {
                self.texts.extend(told_as(entry).map(Arc::from));
            }
            Entries::Words(_) | Entries::Extensions | Entries::Texts => (),
        }
        let folded = glob::folded(entry);
        let is_plain = match entries {
            Entries::Words(_) => true,
            Entries::Servers => is_bracketed_address(entry),
            _ => false,
        };
        if glob::is_pattern(entry) && !is_plain {
            glob::compile([&folded.clone().into_owned()]).map_err(Wrong::new)?;
            self.patterns.insert(folded.into_owned());
        } else {
            self.texts.insert(folded.into());
        }
        Ok(())
    }

    /// Adds what another one has.
    pub(super) fn extend(&mut self, other: &Self) {
        self.texts.extend(other.texts.iter().cloned());
        self.patterns.extend(other.patterns.iter().cloned());
        self.hashes.extend(&other.hashes);
        self.any_port |= other.any_port;
    }

    /// To be called when all entries are in it.
    pub(super) fn finished(mut self) -> Result<Self, Wrong> {
        self.globs = match self.patterns.is_empty() {
            true => None,
            false => Some(glob::compile(&self.patterns).map_err(Wrong::new)?),
        };
        Ok(self)
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hashes.len() + self.texts.len() + self.patterns.len() > 6 {
            return write!(f, "one of {} entries", self.len());
        }
        let mut shown: Vec<&str> = self.texts.iter().map(|text| &**text).collect();
        shown.sort_unstable();
        shown.extend(self.patterns.iter().map(String::as_str));
        shown.extend(self.hashes.iter().map(|_| "(a digest)"));
        f.write_str(&shown.join(", "))
    }
}

/// Tells what cannot be meant.
fn check(entry: &str, entries: Entries) -> Result<(), Wrong> {
    let shown = shortened(entry);
    match entries {
        _ if entry.is_empty() => Err(Wrong::new("an empty text is meant by nobody")),
        Entries::Words(words) if !words.contains(&entry) => {
            let text = format!("`{shown}` is none of {}", words.join(", "));
            Err(Wrong::unknown(text, entry, words.iter().copied()))
        }
        Entries::Types if entry.contains(';') => {
            Err(Wrong::new(format!("`{shown}` has parameters, and types have none here")))
        }
        Entries::Types if !entry.contains(['/', '*', '{']) => Err(Wrong::new(format!("`{shown}` is no media type"))
            .hint("write type and subtype, as in image/png, or image/* for all of a kind")),
        Entries::Servers if entry.contains(['/', '@', ' ']) => {
            Err(Wrong::new(format!("`{shown}` is no name of a server"))
                .hint("write it as in Matrix ids, like matrix.org or *.example.org"))
        }
        Entries::Servers if entry.parse::<Ipv6Addr>().is_ok() => {
            Err(Wrong::new(format!("`{shown}` is no name of a server"))
                .hint(format!("such an address has brackets there: `[{shown}]`")))
        }
        // As a pattern it would be one character.
        Entries::Servers
            if entry.starts_with('[') && entry.matches(':').count() > 1 && !is_bracketed_address(entry) =>
        {
            Err(Wrong::new(format!("`{shown}` is no address; there are no patterns of addresses in brackets")))
        }
        Entries::Extensions if entry.starts_with('.') => {
            Err(Wrong::new(format!("`{shown}`: extensions are written without the dot")))
        }
        Entries::Extensions if entry.contains('.') => {
            let last = entry.rsplit('.').next().unwrap_or_default();
            Err(Wrong::new(format!("`{shown}`: an extension is what is behind the last dot alone, here `{last}`")))
        }
        _ => Ok(()),
    }
}

/// A SHA-256 digest in hexadecimal.
fn digest(text: &str) -> Result<[u8; 32], Wrong> {
    let wrong = || Wrong::new(format!("`{}` is no SHA-256 digest: those are 64 hexadecimal digits", shortened(text)));
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}

/// The name of a digest that is written in hexadecimal.
pub(in crate::policy) fn named(text: &str, naming: &Naming) -> Result<Hash, Wrong> {
    digest(text).map(|digest| naming(&digest))
}

/// True for an address as names of servers have it: in brackets, with a port or without.
fn is_bracketed_address(entry: &str) -> bool {
    let inner = entry.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inner.is_some_and(|(address, port)| {
        address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || without_port(entry).is_some())
    })
}

/// A server's name without its port; `None` if it has none.
fn without_port(server: &str) -> Option<&str> {
    let (name, port) = server.rsplit_once(':')?;
    let is_address = name.contains(':') && !name.ends_with(']');
    (!is_address && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(name)
}

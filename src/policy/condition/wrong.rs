//! What is wrong with what someone wrote, and where.

/// A step from a value to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// To what is under a key.
    Key(String),
    /// To one of a list, counted from 0.
    Index(usize),
}

/// What is wrong with a value, in words for those who write rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
pub struct Wrong {
    /// Where it is in the value that was looked at.
    pub path: Vec<PathPart>,
    /// True if it is the last key of the path itself that is wrong, not what stands under it.
    pub is_key: bool,
    /// Where it is in that text, in characters; of expressions alone.
    pub offset: Option<usize>,
    /// What is wrong.
    pub text: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

impl Wrong {
    /// This is wrong with the value itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self { path: Vec::new(), is_key: false, offset: None, text: text.into(), hint: None }
    }

    /// A word that is none of those that are known.
    pub fn unknown<'a>(text: impl Into<String>, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let hint = nearest(word, known).map(|near| format!("did you mean `{near}`?"));
        Self { hint, ..Self::new(text) }
    }

    /// The same, with what may have been meant.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, at this place of an expression.
    #[must_use]
    pub fn at(self, offset: Option<usize>) -> Self {
        Self { offset, ..self }
    }

    /// The same, seen from the value that this is a part of.
    #[must_use]
    pub fn under(mut self, part: PathPart) -> Self {
        self.path.insert(0, part);
        self
    }

    /// The same, of this key itself.
    #[must_use]
    pub fn of_key(self, key: &str) -> Self {
        Self { is_key: true, ..self.under_key(key) }
    }

    /// The same, under a key.
    #[must_use]
    pub fn under_key(self, key: &str) -> Self {
        self.under(PathPart::Key(key.to_owned()))
    }
}

/// What others call what has a name of its own here.
const ELSEWHERE: [(&str, &str); 30] = [
    ("mime", "type"),
    ("mimetype", "type"),
    ("mime.type", "type"),
    ("media.type", "type"),
    ("content.type", "declared.type"),
    ("filename", "declared.name"),
    ("file.name", "declared.name"),
    ("hash", "sha256"),
    ("digest", "sha256"),
    ("checksum", "sha256"),
    ("origin", "media.server"),
    ("homeserver", "media.server"),
    ("domain", "media.server"),
    ("sender", "user"),
    ("uploader", "user"),
    ("length", "size"),
    ("virus", "infected"),
    ("malware", "infected"),
    ("virus", "detections"),
    ("signature", "detections"),
    ("encrypted", "opaque_container"),
    ("program", "executable"),
    ("office", "document"),
    ("deny", "block"),
    ("reject", "block"),
    ("refuse", "block"),
    ("forbid", "block"),
    ("drop", "block"),
    ("pass", "allow"),
    ("accept", "allow"),
];

/// The word that is probably meant by another one: what it is called elsewhere, a part of it, or one that is spelt much like it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (word, known) = (word.to_lowercase(), known.into_iter().collect::<Vec<_>>());
    let dotted = word.replace(['_', '-', ' '], ".");
    let mut known_elsewhere = ELSEWHERE.iter().filter(|(other, _)| *other == dotted).map(|(_, ours)| *ours);
    if let Some(ours) = known_elsewhere.find_map(|ours| known.iter().copied().find(|known| *known == ours)) {
        return Some(ours);
    }
    let is_part = |known: &&&str| known.contains('.') && known.split('.').any(|part| part == word);
    if let Some(whole) = known.iter().find(is_part) {
        return Some(whole);
    }
    let begins = |one: &str, other: &str| one.len() > 1 && other.starts_with(one);
    let distance = |known: &str| match begins(&word, known) || begins(known, &word) {
        true => Some(0),
        false => Some(strsim::damerau_levenshtein(&word, known))
            .filter(|distance| *distance <= known.chars().count().max(word.chars().count()) / 3),
    };
    known.into_iter().filter_map(|known| Some((distance(known)?, known))).min().map(|(_, known)| known)
}

/// A text of someone's file, to be told as it is if it is short.
pub(in crate::policy) fn shortened(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() { format!("{short}…") } else { short }
}

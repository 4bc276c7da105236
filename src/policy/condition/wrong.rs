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
        Self { path: Vec::new(), offset: None, text: text.into(), hint: None }
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

    /// The same, under a key.
    #[must_use]
    pub fn under_key(self, key: &str) -> Self {
        self.under(PathPart::Key(key.to_owned()))
    }
}

/// The word that is nearest to another one, if it is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(&word, known), known)).min()?;
    (near.0 <= near.1.chars().count().max(word.chars().count()) / 2).then_some(near.1)
}

/// A text of someone's file, to be told as it is if it is short.
pub(in crate::policy) fn shortened(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() { format!("{short}…") } else { short }
}

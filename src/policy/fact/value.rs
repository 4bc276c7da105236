//! Values of facts.

use std::{fmt, sync::Arc};

use super::super::hash::Hash;

/// What values a fact has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
    /// A text.
    Text,
    /// Some texts.
    Texts,
    /// A number.
    Count,
    /// A number of bytes, written as `10MiB`.
    Bytes,
    /// A time that has passed, written as `3d`; in expressions a number of seconds.
    Age,
    /// A number with a fraction.
    Real,
    /// A SHA-256 digest, written in hexadecimal. Not for expressions.
    Hash,
}

impl Kind {
    /// Its name for those who write rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Word(_) => "word",
            Self::Words(_) => "words",
            Self::Text => "text",
            Self::Texts => "texts",
            Self::Count => "number",
            Self::Bytes => "bytes",
            Self::Age => "age",
            Self::Real => "fraction",
            Self::Hash => "sha256",
        }
    }
}

/// What a fact is in one case.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Word`].
    Word(&'static str),
    /// Of [`Kind::Words`].
    Words(Vec<&'static str>),
    /// Of [`Kind::Text`].
    Text(Arc<str>),
    /// Of [`Kind::Texts`].
    Texts(Vec<Arc<str>>),
    /// Of [`Kind::Count`], [`Kind::Bytes`] and, in seconds, [`Kind::Age`].
    Number(u64),
    /// Of [`Kind::Real`].
    Real(f64),
    /// Of [`Kind::Hash`].
    Hash(Hash),
}

impl Value {
    #[expect(clippy::unnecessary_wraps, reason = "rows of the table end in it")]
    pub(super) fn word(word: &'static str) -> Option<Self> {
        Some(Self::Word(word))
    }

    #[expect(clippy::unnecessary_wraps, reason = "rows of the table end in it")]
    pub(super) fn text(text: &Arc<str>) -> Option<Self> {
        Some(Self::Text(Arc::clone(text)))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Word(word) => f.write_str(word),
            Self::Words(words) => write!(f, "[{}]", words.join(", ")),
            Self::Text(text) => write!(f, "{text}"),
            Self::Texts(texts) => write!(f, "[{}]", texts.join(", ")),
            Self::Number(number) => write!(f, "{number}"),
            Self::Real(real) => write!(f, "{real:.3}"),
            Self::Hash(_) => f.write_str("(a digest)"),
        }
    }
}

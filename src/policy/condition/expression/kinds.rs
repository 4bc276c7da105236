//! What parts of an expression are, as far as that can be told before it is evaluated.

use cel::common::ast::LiteralValue;

use crate::policy::fact::{Fact, Kind};

/// A closed vocabulary, if a text is of one: the name of the fact, and its words.
pub(super) type Vocabulary = Option<(&'static str, &'static [&'static str])>;

/// What a part of an expression is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Type {
    Flag,
    Whole,
    Real,
    Text(Vocabulary),
    Texts(Vocabulary),
    List,
    /// That is not known.
    Any,
}

impl Type {
    pub(super) fn of(fact: &'static Fact) -> Self {
        match fact.kind {
            Kind::Flag => Self::Flag,
            Kind::Word(words) => Self::Text(Some((fact.name, words))),
            Kind::Words(words) => Self::Texts(Some((fact.name, words))),
            Kind::Text | Kind::Hash => Self::Text(None),
            Kind::Texts => Self::Texts(None),
            Kind::Count | Kind::Bytes | Kind::Age => Self::Whole,
            Kind::Real => Self::Real,
        }
    }

    /// That of a literal; `None` for what is of no use.
    pub(super) fn of_literal(literal: &LiteralValue) -> Option<Self> {
        match literal {
            LiteralValue::Boolean(_) => Some(Self::Flag),
            LiteralValue::Int(_) => Some(Self::Whole),
            LiteralValue::Double(_) => Some(Self::Real),
            LiteralValue::String(_) => Some(Self::Text(None)),
            LiteralValue::Bytes(_) | LiteralValue::Null | LiteralValue::UInt(_) => None,
        }
    }

    /// Its name for those who write rules.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Whole => "a whole number",
            Self::Real => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::Texts(_) | Self::List => "a list",
            Self::Any => "something",
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Real | Self::Any)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text(_) | Self::Any)
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Texts(_) | Self::List | Self::Any)
    }

    pub(super) fn is_flag(self) -> bool {
        matches!(self, Self::Flag | Self::Any)
    }

    /// That of one of its values.
    pub(super) fn item(self) -> Self {
        match self {
            Self::Texts(vocabulary) => Self::Text(vocabulary),
            _ => Self::Any,
        }
    }

    /// That of what is the one or the other.
    pub(super) fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }

    /// The words that it can be, or that its values can be.
    pub(super) fn vocabulary(self) -> Vocabulary {
        match self {
            Self::Text(vocabulary) | Self::Texts(vocabulary) => vocabulary,
            _ => None,
        }
    }

    /// True if both can be equal.
    pub(super) fn compares_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Flag, Self::Flag) => true,
            (Self::Text(_), Self::Text(_)) => true,
            (one, other) => one.is_number() && other.is_number() || one.is_list() && other.is_list(),
        }
    }
}

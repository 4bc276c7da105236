//! The table of facts for people.

use super::{Kind, Source, TABLE};

/// The table, in Markdown.
pub fn markdown() -> String {
    let rows = TABLE.iter().map(|fact| {
        let values = match fact.kind {
            Kind::Word(words) => words.join(", "),
            Kind::Words(words) => format!("some of {}", words.join(", ")),
            kind => kind.name().to_owned(),
        };
        let source = match fact.source {
            Source::Request => "the request",
            Source::Bytes => "the bytes",
            Source::Engines => "the engines",
        };
        format!("| `{}` | {values} | {source} | {} |\n", fact.name, fact.about)
    });
    let head = "| fact | values | known from | what it is |\n|---|---|---|---|\n".to_owned();
    std::iter::once(head).chain(rows).collect()
}

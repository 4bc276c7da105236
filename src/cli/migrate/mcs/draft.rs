//! A configuration with comments, and how it is written.

use serde_yaml::{Mapping, Value};

/// Columns of a line, where words allow.
const WIDTH: usize = 118;

/// A configuration in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) sections: Vec<Section>,
    /// What is said to the operator at once.
    pub(super) warnings: Vec<String>,
    /// A setting may be a secret.
    pub(super) has_secrets: bool,
}

/// Settings below one key, or, without a key, settings and remarks of their own.
pub(super) struct Section {
    key: Option<&'static str>,
    items: Vec<Item>,
    warnings: Vec<String>,
}

enum Item {
    Remark(String),
    Setting(&'static str, Value),
}

impl Section {
    pub(super) fn new(key: &'static str) -> Self {
        Self { key: Some(key), items: Vec::new(), warnings: Vec::new() }
    }

    /// Settings of the highest level.
    pub(super) fn top() -> Self {
        Self { key: None, items: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn remark(mut self, text: impl Into<String>) -> Self {
        self.items.push(Item::Remark(text.into()));
        self
    }

    pub(super) fn remark_if(self, holds: bool, text: impl Into<String>) -> Self {
        if holds { self.remark(text) } else { self }
    }

    /// A remark that the operator must see even if he never opens the file.
    pub(super) fn warning(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.warnings.push(text.clone());
        self.remark(text)
    }

    pub(super) fn set(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.items.push(Item::Setting(key, value.into()));
        self
    }

    fn text(&self) -> serde_yaml::Result<String> {
        let sets = self.items.iter().any(|item| matches!(item, Item::Setting(..)));
        let key = self.key.filter(|_| sets);
        let indent = if key.is_some() { "  " } else { "" };
        let mut lines: Vec<String> = key.map(|key| format!("{key}:")).into_iter().collect();
        for item in &self.items {
            lines.extend(item.lines(indent)?.iter().map(|line| format!("{indent}{line}")));
        }
        Ok(lines.join("\n") + "\n")
    }
}

impl Item {
    fn lines(&self, indent: &str) -> serde_yaml::Result<Vec<String>> {
        match self {
            Self::Remark(text) => Ok(wrapped(text, WIDTH - indent.len())),
            // The library does all of the quoting.
            Self::Setting(key, value) => {
                let alone = Mapping::from_iter([(Value::from(*key), value.clone())]);
                Ok(serde_yaml::to_string(&alone)?.lines().map(str::to_owned).collect())
            }
        }
    }
}

impl Draft {
    pub(super) fn add(&mut self, mut section: Section) {
        self.warnings.append(&mut section.warnings);
        if !section.items.is_empty() {
            self.sections.push(section);
        }
    }

    /// The file.
    pub(super) fn text(&self) -> serde_yaml::Result<String> {
        let sections: Result<Vec<_>, _> = self.sections.iter().map(Section::text).collect();
        Ok(sections?.join("\n"))
    }
}

/// A value as it may stand in a remark, which ends with its line.
pub(super) fn shown(value: &str) -> String {
    format!("`{}`", value.escape_debug())
}

/// Lines of a comment.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec!["#".to_owned()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the start");
        if line.len() > 1 && line.len() + 1 + word.len() > width {
            lines.push(format!("# {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(section: Section) -> Value {
        let mut draft = Draft::default();
        draft.add(section);
        serde_yaml::from_str(&draft.text().unwrap()).unwrap()
    }

    #[test]
    fn whatever_a_value_is_it_is_read_as_it_was() {
        for value in ["", "a: b", "# x", "'\"", "yes", "1.0", "two\nlines\n", " x ", "{a", "\u{85}\u{2028}\r\n\tx", "-"]
        {
            for place in [Section::top(), Section::new("section")] {
                let read = parsed(place.remark("A remark.").set("key", value).set("list", vec![value]));
                let settings = read.get("section").unwrap_or(&read);
                assert_eq!(settings["key"].as_str(), Some(value), "{read:?}");
                assert_eq!(settings["list"][0].as_str(), Some(value), "{read:?}");
            }
        }
    }

    #[test]
    fn a_remark_stays_one_whatever_it_shows() {
        for value in ["x\nlisten: 1", "x\r\nlisten: 1", "x\u{85}listen: 1", "x\u{2028}listen: 1"] {
            let text = Section::top().remark(shown(value)).text().unwrap();
            assert!(text.lines().all(|line| line.starts_with("# ")), "{text}");
            assert_eq!(serde_yaml::from_str::<Option<Value>>(&text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn remarks_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 9), ["# one two", "# three"]);
        assert_eq!(wrapped("averylongword x", 5), ["# averylongword", "# x"]);
    }

    #[test]
    fn a_section_without_settings_has_no_key() {
        assert_eq!(Section::new("cache").remark("x").text().unwrap(), "# x\n");
    }
}

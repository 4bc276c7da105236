//! In which language a refusal is explained.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, header::ACCEPT_LANGUAGE};

/// Longest `Accept-Language` that is looked at, in bytes. Browsers send some tens.
const MAX: usize = 512;

/// The languages that a client asks for. They are only looked at where there is a choice.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Languages(Option<HeaderValue>);

impl Languages {
    pub(in crate::http) fn of(headers: &HeaderMap) -> Self {
        Self(headers.get(ACCEPT_LANGUAGE).filter(|value| value.len() <= MAX).cloned())
    }

    /// The text in the best language ([RFC 4647](https://www.rfc-editor.org/rfc/rfc4647#section-3.4): `fr-CA`, and then `fr`), else
    /// the one without a language, else the English one.
    pub(super) fn choose<'a>(&self, texts: &'a BTreeMap<String, String>) -> Option<&'a str> {
        let of_tag = |tag: String| {
            let mut tag = tag.as_str();
            loop {
                match (texts.get(tag), tag.rsplit_once('-')) {
                    (Some(text), _) => return Some(text),
                    (None, Some((range, _))) => tag = range,
                    (None, None) => return None,
                }
            }
        };
        let wanted = self.wanted().into_iter().find_map(of_tag);
        wanted.or_else(|| texts.get("")).or_else(|| texts.get("en")).map(String::as_str)
    }

    /// Tags in lower case, the dearest first. The parser believes any weight that is a number.
    fn wanted(&self) -> Vec<String> {
        let text = self.0.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let parts = text.split(',').filter(|part| part.split_once(';').is_none_or(|(_, weight)| is_weight(weight)));
        let parts: Vec<&str> = parts.collect();
        let languages = accept_language::parse_with_quality(&parts.join(","));
        languages.into_iter().filter(|(_, weight)| *weight > 0.0).map(|(tag, _)| tag.to_lowercase()).collect()
    }
}

/// True for `q=0.5`.
fn is_weight(text: &str) -> bool {
    let value = text.trim().strip_prefix("q=");
    value.is_some_and(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accepted: &str, texts: &[&str]) -> Option<String> {
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, accepted.parse().unwrap())]);
        let texts = texts.iter().map(|tag| ((*tag).to_owned(), format!("in {tag}"))).collect();
        Languages::of(&headers).choose(&texts).map(str::to_owned)
    }

    #[test]
    fn the_language_that_is_dearest_to_its_reader_is_chosen() {
        let texts = ["", "en", "fr", "pt-br"];
        for (accepted, expected) in [
            ("fr", "in fr"),
            ("FR-ca", "in fr"),
            ("fr-CA-x-y, en;q=0.9", "in fr"),
            ("en;q=0.5, fr;q=0.7", "in fr"),
            ("de, pt-BR;q=0.3", "in pt-br"),
            ("pt", "in "),
            ("fr;q=0", "in "),
            ("*", "in "),
            ("", "in "),
            ("de", "in "),
        ] {
            assert_eq!(chosen(accepted, &texts).unwrap(), expected, "{accepted}");
        }
    }

    #[test]
    fn without_a_text_for_all_english_is_and_without_that_none() {
        assert_eq!(chosen("de", &["en", "fr"]).as_deref(), Some("in en"));
        assert_eq!(chosen("de", &["fr"]), None);
        assert_eq!(Languages::default().choose(&BTreeMap::new()), None);
    }

    #[test]
    fn what_is_no_list_of_languages_is_none() {
        let many = vec!["a;q=NaN"; 60].join(",");
        let deep = format!("fr{}", "-a".repeat(200));
        for accepted in [many.as_str(), "fr;q=inf", "fr;q=nan,en;q=NaN", ";;;", ",,,", "fr;q=", "fr;x=1", "-", "--"] {
            assert_eq!(chosen(accepted, &["", "a"]).as_deref(), Some("in "), "{accepted}");
        }
        assert_eq!(chosen(&deep, &["fr"]).as_deref(), Some("in fr"));
        assert_eq!(chosen(&"fr,".repeat(1000), &["", "fr"]).as_deref(), Some("in "), "too long to be read");
    }
}

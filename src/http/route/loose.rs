//! The loose view: what could some router take a path for?

use std::borrow::Cow;

use crate::http::prefix::MAX_SEGMENTS;

/// Decodings after which a path is as plain as anyone would make it.
const DECODINGS: usize = 4;

/// The ways in which a path can be read.
pub(super) struct Views<'a>(&'a str);

impl<'a> Views<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        Self(path)
    }

    /// True if the segments of some view satisfy `looks`, or there are suspiciously many views.
    pub(super) fn any(&self, looks: impl Fn(&[&str]) -> bool) -> bool {
        let mut view = Cow::Borrowed(self.0);
        for _ in 0..=DECODINGS {
            // Further segments matter only where `..` can remove some of the first ones.
            let climbs = loosen(&view).any(|segment| segment == "..");
            let segments: Vec<String> = loosen(&view).take(if climbs { usize::MAX } else { MAX_SEGMENTS }).collect();
            if looks(&resolve(&segments)) || (climbs && looks(&without_climbing(&segments))) {
                return true;
            }
            let decoded = percent_encoding::percent_decode_str(&view).decode_utf8_lossy().into_owned();
            if decoded == view {
                return false;
            }
            view = Cow::Owned(decoded);
        }
        // Nobody has an honest reason for yet another layer.
        true
    }
}

/// Segments as the most forgiving router would see them: backslash is a slash, parameters, blanks, control characters,
/// single dots and empty segments do not count, nor does case.
fn loosen(path: &str) -> impl Iterator<Item = String> {
    let bare = |segment: &str| {
        let name = segment.split([';', '?', '#']).next().unwrap_or_default();
        name.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>().to_ascii_lowercase()
    };
    path.split(['/', '\\']).map(bare).filter(|segment| !segment.is_empty() && segment != ".")
}

fn resolve(segments: &[String]) -> Vec<&str> {
    let mut resolved = Vec::new();
    for segment in segments {
        match segment.as_str() {
            ".." => _ = resolved.pop(),
            name => resolved.push(name),
        }
    }
    resolved
}

fn without_climbing(segments: &[String]) -> Vec<&str> {
    segments.iter().map(String::as_str).filter(|segment| *segment != "..").collect()
}

//! What a request says of the medium that it moves.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderValue,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use url::form_urlencoded;

use super::{Context, disposition};
use crate::{
    facts::{Declared, Direction, Occasion},
    media::MediaRef,
};

/// Longest media type that is looked at, in bytes.
const MAX_TYPE: usize = 255;

/// Longest file name that is looked at, in characters.
const MAX_NAME: usize = 255;

/// A request for a medium of this address.
pub(super) fn of_media(context: &Context, direction: Direction, route: &'static str, media: &MediaRef) -> Occasion {
    let (server, media_id) = (Some(media.server().into()), Some(media.media_id().into()));
    let is_local = context.server_name.as_ref().map(|ours| ours.has(media));
    Occasion { server, media_id, is_local, ..Occasion::new(direction, route) }
}

/// The server that media are at which are uploaded here.
pub(super) fn our_server(context: &Context) -> Option<Arc<str>> {
    context.server_name.as_ref().map(|ours| ours.as_str().into())
}

/// What the head of a medium, or of the part of one, declares.
pub(super) fn declared(headers: &HeaderMap) -> Declared {
    Declared {
        media_type: headers.get(CONTENT_TYPE).and_then(media_type),
        name: headers.get(CONTENT_DISPOSITION).and_then(disposition::file_name).and_then(|name| file_name(&name)),
    }
}

/// What the head of an upload declares.
pub(super) fn declared_by_upload(headers: &HeaderMap, query: Option<&str>) -> Declared {
    let query = query.unwrap_or_default();
    // As Synapse reads it; where others would find another name, the upload is not taken.
    let name = named(&query.replace(';', "&"));
    Declared { name: name.and_then(|name| file_name(&name)), ..declared(headers) }
}

/// True if homeservers differ in what an upload is called by its target: those that take `;` for what `&` is, as Synapse does, and others.
pub(super) fn is_ambiguous(query: Option<&str>) -> bool {
    let names = |query: &str| named(&query.replace(';', "&"));
    query.is_some_and(|query| query.contains(';') && named(query).is_some_and(|name| Some(name) != names(query)))
}

/// What the parameters of an upload call it.
fn named(query: &str) -> Option<String> {
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    parameters.find_map(|(name, value)| (name == "filename").then(|| value.into_owned()))
}

fn media_type(value: &HeaderValue) -> Option<Arc<str>> {
    media_type_of(&String::from_utf8_lossy(value.as_bytes()))
}

/// A media type without parameters, in lower case.
pub(super) fn media_type_of(text: &str) -> Option<Arc<str>> {
    let (name, _) = text.split_once(';').unwrap_or((text, ""));
    let name = name.trim();
    let end = name.floor_char_boundary(MAX_TYPE);
    (!name.is_empty()).then(|| name[..end].to_lowercase().into())
}

/// A file name. Of one that is too long it is the end that tells something.
pub(super) fn file_name(name: &str) -> Option<Arc<str>> {
    let surplus = name.chars().count().saturating_sub(MAX_NAME);
    let begin = name.char_indices().nth(surplus).map_or(name.len(), |(at, _)| at);
    (!name.is_empty()).then(|| name[begin..].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_type_is_declared_without_parameters_and_in_lower_case() {
        for (text, expected) in [
            ("Image/PNG", Some("image/png")),
            ("text/html; charset=utf-8", Some("text/html")),
            (" a/b ;", Some("a/b")),
            (";", None),
            ("", None),
        ] {
            let headers = headers(&[("content-type", text)]);
            assert_eq!(declared(&headers).media_type.as_deref(), expected, "{text}");
        }
        let long = "é".repeat(1000);
        assert!(media_type_of(&long).unwrap().len() <= MAX_TYPE);
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = file_name(&format!("{}.exe", "ä".repeat(1000))).unwrap();
        assert!(name.ends_with("ä.exe") && name.chars().count() == MAX_NAME);
        assert_eq!(file_name(""), None);
    }

    #[test]
    fn what_homeservers_would_call_otherwise_is_known() {
        for query in ["a=;filename=a.png&filename=a.exe", "filename=a.png;b", "filename=a;filename=b&c"] {
            assert!(is_ambiguous(Some(query)), "{query}");
        }
        for query in ["a=b;filename=a.png", "filename=a%3Bb.png&c=d", "filename=a&x=y;z", ""] {
            assert!(!is_ambiguous(Some(query)), "{query}");
        }
        assert!(!is_ambiguous(None));
    }

    #[test]
    fn an_upload_is_called_what_its_target_says() {
        for (query, expected) in [
            (Some("filename=a%20b.png"), Some("a b.png")),
            (Some("x=1&filename=a+b.png&filename=c"), Some("a b.png")),
            (Some("filename="), None),
            (Some("filename"), None),
            (Some("file%6eame=x"), Some("x")),
            (Some("x=1;filename=a.exe"), Some("a.exe")),
            (Some("filename=a.png;x=1"), Some("a.png")),
            (Some("filename=a%3Bb.png"), Some("a;b.png")),
            (None, None),
        ] {
            let named = headers(&[("content-disposition", "inline; filename=other")]);
            assert_eq!(declared_by_upload(&named, query).name.as_deref(), expected, "{query:?}");
        }
    }
}

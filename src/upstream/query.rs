//! Queries of media routes.

use std::borrow::Cow;

use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

use crate::media::MediaRef;

/// Parameters that say who asks and how long they wait, not what for.
const NOT_OF_THE_ADDRESS: [&str; 5] = ["access_token", "allow_redirect", "allow_remote", "timeout_ms", "user_id"];

/// What a thumbnail is called: its medium, and what of the query says how it looks.
pub fn thumbnail_address(media: &MediaRef, query: Option<&str>) -> String {
    let parameters = query.unwrap_or_default().split('&');
    let telling = parameters.filter(|parameter| !NOT_OF_THE_ADDRESS.contains(&name(parameter).as_ref()));
    format!("{}?{}", media.path(), telling.collect::<Vec<_>>().join("&"))
}

/// The target with `allow_redirect=false`, whatever the client wants: we would have to follow. Nobody signs the routes
/// that know this parameter
/// ([MSC3860](https://spec.matrix.org/v1.16/client-server-api/#get_matrixmediav3downloadservernamemediaid)).
pub fn without_redirects(target: &PathAndQuery) -> PathAndQuery {
    let query = target.query().unwrap_or_default().split('&');
    let mut parameters: Vec<&str> =
        query.filter(|parameter| !parameter.is_empty() && !asks_for_redirects(parameter)).collect();
    parameters.push("allow_redirect=false");
    let changed = format!("{}?{}", target.path(), parameters.join("&"));
    PathAndQuery::try_from(changed).unwrap_or_else(|_| target.clone())
}

/// What a thumbnail is to look like, in values that every reader sees alike; and whether redirects are wanted.
const OF_THUMBNAILS: [&str; 5] = ["width", "height", "method", "animated", "allow_redirect"];

/// The target with nothing in its query but how a thumbnail is to look: the rest, a token perhaps, is between the client
/// and its own homeserver.
pub fn for_strangers(target: &PathAndQuery) -> PathAndQuery {
    let query = target.query().unwrap_or_default().split('&');
    let telling = |parameter: &&str| {
        parameter.split_once('=').is_some_and(|(name, value)| {
            OF_THUMBNAILS.contains(&name) && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    let parameters: Vec<&str> = query.filter(telling).collect();
    let changed = match parameters.is_empty() {
        true => target.path().to_owned(),
        false => format!("{}?{}", target.path(), parameters.join("&")),
    };
    PathAndQuery::try_from(changed).expect("a part of what was one")
}

/// Some servers separate parameters by semicolons as well.
fn asks_for_redirects(parameter: &str) -> bool {
    parameter.split(';').any(|parameter| name(parameter) == "allow_redirect")
}

fn name(parameter: &str) -> Cow<'_, str> {
    let name = parameter.split('=').next().unwrap_or_default();
    percent_decode_str(name).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_switched_off_however_they_are_asked_for() {
        for (target, expected) in [
            ("/a", "/a?allow_redirect=false"),
            ("/a?", "/a?allow_redirect=false"),
            ("/a?allow_redirect=true", "/a?allow_redirect=false"),
            ("/a?x=%20&allow_redirect=true&y&allow_redirect", "/a?x=%20&y&allow_redirect=false"),
            ("/a?%61llow_redirect=true", "/a?allow_redirect=false"),
            ("/a?x;allow_redirect=true&y", "/a?y&allow_redirect=false"),
        ] {
            assert_eq!(without_redirects(&target.parse().unwrap()), expected, "{target}");
        }
    }

    #[test]
    fn strangers_are_told_nothing_but_how_a_thumbnail_is_to_look() {
        for (target, expected) in [
            ("/a", "/a"),
            ("/a?", "/a"),
            ("/a?access_token=secret", "/a"),
            (
                "/a?width=96&access_token=secret&height=64&method=crop&animated=true",
                "/a?width=96&height=64&method=crop&animated=true",
            ),
            ("/a?width=1;access_token=secret&height=2", "/a?height=2"),
            ("/a?%77idth=1&width=%31&width&height=", "/a?height="),
            ("/a?user_id=@a:b&timeout_ms=1&x=y&allow_redirect=false", "/a?allow_redirect=false"),
        ] {
            assert_eq!(for_strangers(&target.parse().unwrap()), expected, "{target}");
        }
    }

    #[test]
    fn a_thumbnail_is_named_by_what_it_shows() {
        let media = MediaRef::from_segments("hs.test", "m").unwrap();
        let query = "width=1&access_token=secret&height=2&%61ccess_token=x&method=crop&timeout_ms=1";
        assert_eq!(thumbnail_address(&media, Some(query)), "hs.test/m?width=1&height=2&method=crop");
        assert_ne!(thumbnail_address(&media, None), media.path(), "never the medium's own address");
    }
}

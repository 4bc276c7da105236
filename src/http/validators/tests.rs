use http::header::IF_NONE_MATCH;

use super::*;

/// The validator of `identity`, which is `"YWJj"`.
fn ours() -> ETag {
    etag(b"abc")
}

fn lines(name: &http::HeaderName, values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn validators_are_strong_and_differ() {
    let mut headers = HeaderMap::new();
    headers.typed_insert(ours());
    assert_eq!(headers["etag"], "\"YWJj\"");
    assert_ne!(etag(&[0xff; 32]), etag(&[0xfe; 32]));
}

#[test]
fn only_a_copy_that_is_current_is_not_sent_again() {
    for (values, expected) in [
        (&["\"YWJj\""][..], Precondition::NotModified),
        (&["W/\"YWJj\""], Precondition::NotModified),
        (&["*"], Precondition::Full),
        (&["\"x\", \"YWJj\""], Precondition::NotModified),
        (&["\"x\"", "\"YWJj\""], Precondition::NotModified),
        (&["\"a,b\",\"YWJj\""], Precondition::NotModified),
        (&["1, \"YWJj\""], Precondition::NotModified),
        (&[], Precondition::Full),
        (&["1"], Precondition::Full),
        (&["\"1\""], Precondition::Full),
        (&["YWJj"], Precondition::Full),
        (&["\"YWJj"], Precondition::Full),
        (&["w/\"YWJj\""], Precondition::Full),
        (&["\"ywjj\""], Precondition::Full),
        (&["\"*\""], Precondition::Full),
        (&[""], Precondition::Full),
    ] {
        assert_eq!(precondition(&lines(&IF_NONE_MATCH, values), &ours()), expected, "{values:?}");
    }
}

#[test]
fn one_range_is_served_and_all_else_gets_the_whole() {
    let partial = |first, last| Part::Partial { first, last };
    for (value, len, expected) in [
        ("bytes=0-0", 10, partial(0, 0)),
        ("bytes=0-", 10, partial(0, 9)),
        ("bytes=9-", 10, partial(9, 9)),
        ("bytes=2-4", 10, partial(2, 4)),
        ("bytes=2-99", 10, partial(2, 9)),
        ("Bytes=2-4", 10, partial(2, 4)),
        ("bytes=-3", 10, partial(7, 9)),
        ("bytes=-99", 10, partial(0, 9)),
        ("bytes=0-18446744073709551615", u64::MAX, partial(0, u64::MAX - 1)),
        ("bytes=10-", 10, Part::Unsatisfiable),
        ("bytes=10-20", 10, Part::Unsatisfiable),
        ("bytes=-0", 10, Part::Unsatisfiable),
        ("bytes=99999999999999999999-", 10, Part::Unsatisfiable),
        ("bytes=0-", 0, Part::Unsatisfiable),
        ("bytes=-1", 0, Part::Full),
        ("bytes=0-1,3-4", 10, Part::Full),
        ("bytes=0-1,", 10, Part::Full),
        ("bytes=4-2", 10, Part::Full),
        ("bytes=-", 10, Part::Full),
        ("bytes=", 10, Part::Full),
        ("bytes", 10, Part::Full),
        ("bytes=+1-4", 10, Part::Full),
        ("bytes=1-4x", 10, Part::Full),
        ("bytes=1--4", 10, Part::Full),
        ("bytes=1 - 4", 10, Part::Full),
        ("bytes=0x1-", 10, Part::Full),
        ("items=0-1", 10, Part::Full),
        ("", 10, Part::Full),
    ] {
        let request = lines(&RANGE, &[value]);
        assert_eq!(range(&Method::GET, &request, &ours(), len), expected, "{value} of {len}");
        assert_eq!(range(&Method::HEAD, &request, &ours(), len), Part::Full, "{value} to HEAD");
    }
    assert_eq!(range(&Method::GET, &lines(&RANGE, &["bytes=0-1", "bytes=0-1"]), &ours(), 10), Part::Full);
    assert_eq!(range(&Method::GET, &HeaderMap::new(), &ours(), 10), Part::Full);
}

#[test]
fn a_range_of_something_else_gets_the_whole() {
    for (values, served) in [
        (&[][..], true),
        (&["\"YWJj\""], true),
        (&["W/\"YWJj\""], false),
        (&["\"x\""], false),
        (&["*"], false),
        (&["1"], false),
        (&["Sat, 29 Oct 1994 19:43:31 GMT"], false),
        (&["Sat, 29 Oct 2094 19:43:31 GMT"], false),
        (&["\"YWJj\"", "\"YWJj\""], false),
    ] {
        let mut request = lines(&IF_RANGE, values);
        request.insert(RANGE, HeaderValue::from_static("bytes=2-4"));
        let part = range(&Method::GET, &request, &ours(), 10);
        assert_eq!(part == Part::Partial { first: 2, last: 4 }, served, "{values:?}: {part:?}");
    }
}

#[test]
fn ages_are_capped_and_nothing_makes_up_for_it() {
    for (values, expected) in [
        (
            &["public,max-age=86400,s-maxage=0,proxy-revalidate"][..],
            Some("public, max-age=3600, s-maxage=0, proxy-revalidate"),
        ),
        (&["public,max-age=86400,s-maxage=86400"], Some("public, max-age=3600, s-maxage=3600")),
        (&["private,max-age=31536000,immutable"], Some("private, max-age=3600")),
        (&["private, max-age=60"], Some("private, max-age=60")),
        (&["no-store", "no-cache"], Some("no-store, no-cache")),
        (&["max-age=60", "max-age=30"], Some("max-age=30")),
        (&["max-age=9, max-age=99999"], Some("max-age=9")),
        (&["public, Public"], Some("public")),
        (&["MAX-AGE=\"60\" , Must-Revalidate"], Some("max-age=60, must-revalidate")),
        (&["max-age=99999999999999999999"], Some("max-age=3600")),
        (&["max-age=soon, no-transform"], Some("max-age=0, no-transform")),
        (&["max-age"], Some("max-age=0")),
        (&["public"], Some("public")),
        (&["private=\"Set-Cookie, X\", max-age=1"], Some("private, max-age=1")),
        (&["x=\"a, public\", max-age=1"], Some("max-age=1")),
        (&["stale-while-revalidate=9, stale-if-error=9, max-age=1, must-understand"], Some("max-age=1")),
        (&["immutable"], None),
        (&[""], None),
        (&[], None),
    ] {
        let capped = cap_max_age(&lines(&CACHE_CONTROL, values), Duration::from_hours(1));
        assert_eq!(capped.as_ref().map(|value| value.to_str().unwrap()), expected, "{values:?}");
    }
}

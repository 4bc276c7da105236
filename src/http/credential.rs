//! What a request says of who sends it. Nothing is believed of it: it only tells one sender from another.

use http::{HeaderMap, header::AUTHORIZATION};

/// The access token of a client: many people may have one address. What other homeservers send differs from request to
/// request, and is no such name.
pub(super) fn token<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a [u8]> {
    let bearer = of_scheme(headers, "bearer ");
    let mut parameters = query.into_iter().flat_map(|query| query.split('&'));
    let parameter = parameters.find_map(|parameter| parameter.strip_prefix("access_token="));
    bearer.or(parameter.map(str::as_bytes)).map(<[u8]>::trim_ascii)
}

/// The name of the homeserver that signed a request of federation.
pub(super) fn origin(headers: &HeaderMap) -> Option<&[u8]> {
    let mut parameters = of_scheme(headers, "x-matrix ")?.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(b"origin=".len())?;
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        name.eq_ignore_ascii_case(b"origin=").then_some(unquoted.unwrap_or(value))
    })
}

fn of_scheme<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a [u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (found, credential) = value.split_at_checked(scheme.len())?;
    found.eq_ignore_ascii_case(scheme.as_bytes()).then_some(credential)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_that_signed_a_request_is_named_in_all_spellings() {
        for (value, expected) in [
            (r#"X-Matrix origin="a.test",destination="b",key="ed25519:1",sig="x""#, Some("a.test")),
            (r#"x-matrix key="ed25519:1",sig="x", Origin=a.test"#, Some("a.test")),
            (r#"X-Matrix key="origin=a.test""#, None),
            ("Bearer origin=a.test", None),
            ("X-Matrix", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(origin(&headers), expected.map(str::as_bytes), "{value}");
        }
        assert_eq!(origin(&HeaderMap::new()), None);
    }
}

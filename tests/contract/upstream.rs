//! What becomes of answers of the homeserver that are no medium, and on which of its routes it is asked.

use super::{
    READS, clean, error, not_found, posts, reads, remote_error, unreachable,
    vector::{Expected, Sent, Stage, Vector, check, row},
};
use crate::harness::{BareHomeserver, Stored, eicar, seal};

/// A row of all routes, in clear and encrypted.
fn everywhere(what: &str, stored: &Stored, expected: Expected) -> Vector {
    let encrypted = posts(&seal(b"a medium", "m", 1).body());
    row(format!("upstream {what}")).medium(stored).sends(reads()).sends(encrypted).expects(expected)
}

#[tokio::test]
async fn refusals_of_the_homeserver_are_told_in_the_words_of_the_scanner() {
    let missing = error(401, "M_MISSING_TOKEN", "Access token missing from request");
    let unknown = error(401, "M_UNKNOWN_TOKEN", "Invalid access token passed");
    let rows = [
        (401, r#"{"errcode":"M_MISSING_TOKEN","error":"x"}"#, missing),
        (401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x","soft_logout":true}"#, unknown),
        (401, r#"{"errcode":"M_FORBIDDEN"}"#, remote_error()),
        (404, r#"{"errcode":"M_NOT_FOUND"}"#, not_found()),
        (404, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, not_found()),
        (404, "<html>", not_found()),
        (400, r#"{"errcode":"M_UNRECOGNIZED"}"#, not_found()),
        (400, r#"{"errcode":"M_MISSING_TOKEN"}"#, remote_error()),
        (400, r#"{"errcode":"M_INVALID_PARAM"}"#, remote_error()),
        (403, r#"{"errcode":"M_FORBIDDEN"}"#, remote_error()),
        (403, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, remote_error()),
        (405, r#"{"errcode":"M_UNRECOGNIZED"}"#, remote_error()),
        (413, r#"{"errcode":"M_TOO_LARGE"}"#, remote_error()),
        (429, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1}"#, remote_error()),
        (500, r#"{"errcode":"M_UNKNOWN"}"#, remote_error()),
        (502, "<html>", remote_error()),
        (503, "", remote_error()),
        (504, r#"{"errcode":"M_NOT_YET_UPLOADED"}"#, remote_error()),
    ];
    check(rows.map(|(status, body, expected)| {
        everywhere(&format!("{status} {body}"), &Stored::json(status, body), expected)
    }))
    .await;
}

#[tokio::test]
async fn error_bodies_that_are_no_matrix_errors_are_errors_all_the_same() {
    let huge = format!(r#"{{"errcode":"M_UNKNOWN_TOKEN","x":"{}"}}"#, "x".repeat(100_000));
    let not_objects = ["[]", "7", "null", r#""M_UNKNOWN_TOKEN""#, r#"["M_UNKNOWN_TOKEN"]"#, r#"["M_UNRECOGNIZED"]"#];
    let others = ["", "{", "{}", r#"{"errcode":7}"#, r#"{"errcode":null}"#, &huge];
    let row =
        |status, body: &str| everywhere(&format!("{status} {body:.40}"), &Stored::json(status, body), remote_error());
    let rows = [400, 401].into_iter().flat_map(|status| {
        let why = "the fault is the homeserver's, not ours (500)";
        let not_objects = not_objects.map(|body| row(status, body).deviates(why));
        not_objects.into_iter().chain(others.map(|body| row(status, body)))
    });
    check(rows).await;
}

#[tokio::test]
async fn no_status_but_200_is_a_medium_and_no_redirect_is_followed() {
    let medium = Stored::media(b"a medium");
    let statuses = [201, 202, 203, 204, 205, 206, 226, 299, 300, 304];
    let statuses =
        statuses.map(|status| everywhere(&status.to_string(), &medium.clone().status(status), remote_error()));
    let redirects = [301, 302, 303, 307, 308].map(|status| {
        let elsewhere = medium.clone().status(status).header("location", "/elsewhere");
        let row = everywhere(&status.to_string(), &elsewhere, remote_error());
        row.stored("/elsewhere", Stored::media(b"another medium").open())
            .deviates("it leads to no host that is configured")
    });
    check(statuses.into_iter().chain(redirects)).await;
}

#[tokio::test]
async fn a_homeserver_that_is_away_is_told() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::start_at(nobody).await;
    stage.check([everywhere("away", &Stored::media(b""), unreachable())]).await;
}

#[tokio::test]
async fn a_homeserver_that_resets_the_connection_is_told() {
    let resetting = BareHomeserver::start("").await;
    let stage = Stage::start_at(resetting.address).await;
    stage.check([everywhere("reset before the head", &Stored::media(b""), unreachable())]).await;
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_told() {
    let stage = Stage::with_homeserver("timeouts: {media: 200ms}").await;
    stage.check([everywhere("no head", &Stored::silent(), unreachable())]).await;
}

#[tokio::test]
async fn a_medium_that_breaks_off_or_stalls_is_never_judged() {
    let stage = Stage::start("limits: {stall_timeout: 200ms}").await;
    let beginnings = [b"the beginning".to_vec(), eicar()];
    let rows = beginnings.iter().flat_map(|beginning| {
        let never = std::sync::Arc::default();
        [
            everywhere("cut short", &Stored::media(b"").cut_short(beginning), unreachable()),
            everywhere("stalled", &Stored::media(b"").held(beginning, &never, b""), unreachable()),
        ]
    });
    stage.check(rows).await;
}

#[tokio::test]
async fn a_medium_has_exactly_one_content_type() {
    let medium = Stored::media(b"a medium");
    check([
        everywhere("without a Content-Type", &medium.clone().without_headers(), remote_error()),
        everywhere("with two Content-Types", &medium.header("content-type", "text/html"), remote_error()),
    ])
    .await;
}

/// A request on each route for the medium that [`MEDIUM`] is encrypted to, which of the homeserver's routes it stands for, and
/// what is said of it, in clear or as an attachment.
fn on_all_routes() -> Vec<(Sent, &'static str, Expected)> {
    let sealed = seal(MEDIUM, "m", 1);
    let said =
        |route: &str| if route.starts_with("scan") { clean() } else { Expected::bytes(200, &sealed.ciphertext[..]) };
    let plain = reads().into_iter().zip(READS).map(|(sent, (route, kind))| (sent, kind, said(route)));
    let encrypted = posts(&sealed.body()).into_iter().zip(["scan_encrypted", "download_encrypted"]);
    plain.chain(encrypted.map(|(sent, route)| (sent, "download", said(route)))).collect()
}

const MEDIUM: &[u8] = b"a medium";

#[tokio::test]
async fn with_a_token_the_authenticated_route_is_asked_and_no_other() {
    let rows = on_all_routes().into_iter().flat_map(|(sent, kind, said)| {
        let target = format!("/_matrix/client/v1/media/{kind}/hs.test/m");
        let new = move |what: &str, token: &str| {
            row(what).sends([sent.clone().header("authorization", token)]).asks(&[&target])
        };
        let stored = |status, errcode: &str| Stored::json(status, &format!(r#"{{"errcode":"{errcode}"}}"#));
        let unknown = error(401, "M_UNKNOWN_TOKEN", "Invalid access token passed");
        let medium = Stored::media(&seal(MEDIUM, "m", 1).ciphertext);
        let mut rows = vec![
            new("200", "Bearer token").medium(&medium).expects(said),
            new("404", "Bearer token").medium(&stored(404, "M_NOT_FOUND")).expects(not_found()),
            new("400", "Bearer token").medium(&stored(400, "M_UNRECOGNIZED")).expects(not_found()),
        ];
        let tokens = ["Bearer (null)", "bearer  x", "Basic eDp5"];
        rows.extend(tokens.map(|token| new(token, token).medium(&medium).expects(unknown.clone())));
        rows
    });
    check(rows).await;
}

#[tokio::test]
async fn without_a_token_the_old_routes_are_asked_the_oldest_last() {
    let medium = Stored::media(&seal(MEDIUM, "m", 1).ciphertext).open();
    let unrecognized = Stored::json(400, r#"{"errcode":"M_UNRECOGNIZED"}"#);
    let missing = error(401, "M_MISSING_TOKEN", "Access token missing from request");
    // `None` is what is said of the medium.
    let rows = [
        ("v3 has it", Some(medium.clone()), None, None, 1),
        ("v3 has it not", None, Some(medium.clone()), None, 2),
        ("v3 does not know the route", Some(unrecognized.clone()), Some(medium.clone()), None, 2),
        ("nobody has it", None, None, Some(not_found()), 2),
        ("nobody knows the route", Some(unrecognized.clone()), Some(unrecognized), Some(not_found()), 2),
        ("v3 is broken", Some(Stored::json(500, "{}")), Some(medium.clone()), Some(remote_error()), 1),
        ("v3 wants a token", Some(Stored::media(b"")), Some(medium), Some(missing), 1),
    ];
    let rows = on_all_routes().into_iter().flat_map(|(sent, kind, said)| {
        rows.clone().map(|(what, v3, r0, expected, asked)| {
            let paths = ["v3", "r0"].map(|version| format!("/_matrix/media/{version}/{kind}/hs.test/m"));
            let targets = paths.clone().map(|path| format!("{path}?allow_redirect=false"));
            let stored = paths.iter().zip([v3, r0]).filter_map(|(path, stored)| Some((path, stored?)));
            let row = stored.fold(row(what), |row, (path, stored)| row.stored(path, stored));
            let row = row.sends([sent.clone().without_token()]).expects(expected.unwrap_or_else(|| said.clone()));
            row.asks(&targets[..asked]).deviates("redirects are asked not to be made")
        })
    });
    check(rows).await;
}

#[tokio::test]
async fn the_query_of_a_thumbnail_goes_on_verbatim_and_no_other() {
    let query = "width=96&height=96&method=crop&animated=true&&width=1&x=%2F..%20&access_token=y";
    let rows = READS.map(|(route, kind)| {
        let target = format!("/_matrix/client/v1/media/{kind}/hs.test/m");
        let asked = if route == "thumbnail" { format!("{target}?{query}") } else { target };
        let expected = if route == "scan" { clean() } else { Expected::bytes(200, "a medium") };
        let row = row(format!("query of {route}")).medium(&Stored::media(b"a medium"));
        row.get(&format!("{route}/hs.test/m?{query}")).expects(expected).asks(&[&asked])
    });
    let odd = ["scan", "download"].map(|route| {
        let sent = ["allow_redirect=true", "timeout_ms=5", "allow_redirect=false&timeout_ms=5&access_token=x"]
            .map(|query| Sent::new("GET", &format!("{route}/hs.test/m?{query}")));
        let expected = if route == "scan" { clean() } else { Expected::bytes(200, "a medium") };
        let row = row(format!("parameters of {route} for the homeserver")).medium(&Stored::media(b"a medium"));
        row.sends(sent).expects(expected).asks(&["/_matrix/client/v1/media/download/hs.test/m"])
    });
    let of_a_thumbnail = row("a token in the query of a thumbnail")
        .medium(&Stored::media(b"a medium"))
        .sends([Sent::new("GET", "thumbnail/hs.test/m?width=1&access_token=token").without_token()])
        .expects(Expected::bytes(200, "a medium"))
        .asks(&["/_matrix/media/v3/thumbnail/hs.test/m?width=1&access_token=token&allow_redirect=false"])
        .deviates("redirects are asked not to be made");
    let in_query = Sent::new("GET", "scan/hs.test/m?access_token=token").without_token();
    let missing = error(401, "M_MISSING_TOKEN", "Access token missing from request");
    let in_query = row("a token in the query")
        .stored("/_matrix/media/v3/download/hs.test/m", Stored::media(b"x"))
        .sends([in_query]);
    check(rows.into_iter().chain(odd).chain([of_a_thumbnail, in_query.expects(missing)])).await;
}

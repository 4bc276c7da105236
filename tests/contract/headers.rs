//! The headers of answers: what browsers are told, and what goes on of the homeserver's.

use super::{
    READS, clean, downloads, error, not_clean, not_found, posts, reads, remote_error, scan,
    vector::{Expected, Sent, Vector, check, row},
};
use crate::harness::{Stored, eicar};

/// The words of the homeserver on who may read an answer; every row checks that they are replaced.
fn with_words_of_its_own(stored: Stored) -> Stored {
    let names = ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"];
    names.iter().fold(stored, |stored, name| stored.header(name, "other"))
}

#[tokio::test]
async fn pages_of_every_origin_may_read_every_answer() {
    let (medium, bad) =
        (with_words_of_its_own(Stored::media(b"a medium")), with_words_of_its_own(Stored::media(&eicar())));
    let broken = with_words_of_its_own(Stored::json(500, "{}"));
    let no_store = |expected: Expected| {
        expected.with("cache-control", "no-store").with("cross-origin-resource-policy", "cross-origin")
    };
    check([
        row("CORS of a verdict").medium(&medium).sends(scan()).expects(no_store(clean())),
        row("CORS of a medium").medium(&medium).sends(downloads()).expects(Expected::bytes(200, "a medium")),
        row("CORS of a refusal").medium(&bad).sends(downloads()).expects(no_store(not_clean())),
        row("CORS of what is missing").sends(reads()).expects(no_store(not_found())),
        row("CORS of a failure").medium(&broken).sends(reads()).expects(no_store(remote_error())),
        row("CORS of a malformed body")
            .sends(posts(b"{"))
            .expects(no_store(Expected::reason(400, "MCS_MALFORMED_JSON"))),
        row("CORS of a malformed address").get("download/hs.test").expects(no_store(error(
            403,
            "MCS_MEDIA_NOT_CLEAN",
            "Malformed media ID",
        ))),
    ])
    .await;
}

/// For how long a preflight counts is not said, nor what else a page may read, unless the homeserver says so of a medium.
#[tokio::test]
async fn nothing_is_said_of_the_age_of_preflights_and_of_further_headers() {
    let said = |stored: Stored| {
        stored.header("access-control-max-age", "600").header("access-control-expose-headers", "Synapse-Trace-Id")
    };
    let (medium, bad) = (said(Stored::media(b"a medium")), said(Stored::media(&eicar())));
    let silent =
        |expected: Expected| expected.without("access-control-max-age").without("access-control-expose-headers");
    let passed_on = Expected::bytes(200, "a medium").with("access-control-expose-headers", "Synapse-Trace-Id");
    let moved = silent(Expected::bytes(308, "308: Permanent Redirect"));
    check([
        row("of a verdict").medium(&medium).sends(scan()).expects(silent(clean())),
        row("of a medium")
            .medium(&medium)
            .sends(downloads())
            .expects(passed_on.without("access-control-max-age"))
            .deviates(WHY),
        row("of a medium of which nothing is said")
            .medium(&Stored::media(b"a medium"))
            .sends(downloads())
            .expects(silent(Expected::bytes(200, "a medium"))),
        row("of a refusal").medium(&bad).sends(downloads()).expects(silent(not_clean())),
        row("of what is missing").sends(reads()).expects(silent(not_found())),
        row("of a malformed body").sends(posts(b"{")).expects(silent(Expected::reason(400, "MCS_MALFORMED_JSON"))),
        row("of a preflight")
            .sends([Sent::new("OPTIONS", "scan_encrypted").without_token().header("origin", "https://app.test")])
            .expects(silent(Expected::bytes(200, ""))),
        row("of a redirect").get("/public_key").expects(moved),
        row("of no route").get("nope").expects(silent(super::unrecognized(404))),
    ])
    .await;
}

const WHY: &str = "headers go on that are on a list, not all that there are";

#[tokio::test]
async fn a_medium_is_framed_by_us_and_never_encoded() {
    let plain = Expected::bytes(200, "a medium")
        .with("content-length", "8")
        .without("transfer-encoding")
        .without("content-encoding");
    let named = Stored::media(b"a medium").header("content-encoding", "identity");
    let wrong = ["gzip", "br", "identity, gzip"];
    let wrong = wrong.map(|encoding| {
        row(format!("upstream Content-Encoding {encoding}, damaged"))
            .medium(&Stored::media(b"x").header("content-encoding", encoding))
    });
    let two = Stored::media(b"x").header("content-encoding", "identity").header("content-encoding", "gzip");
    let gzip = Stored::media(&crate::harness::gzip(b"a medium", b"")).header("content-encoding", "gzip");
    let rows: Vec<Vector> = vec![
        row("upstream in chunks")
            .medium(&Stored::media(b"").chunked(&[b"a ", b"medium"]))
            .sends(downloads())
            .expects(plain.clone()),
        row("upstream Content-Encoding identity").medium(&named).sends(downloads()).expects(plain.clone()),
        row("upstream Content-Encoding gzip")
            .medium(&gzip)
            .sends(downloads())
            .expects(plain)
            .deviates("it is undone, and said to be"),
        row("two upstream Content-Encodings").medium(&two).sends(reads()).expects(remote_error()),
    ];
    check(
        wrong
            .map(|row| row.sends(reads()).expects(remote_error()).deviates("not served damaged"))
            .into_iter()
            .chain(rows),
    )
    .await;
}

#[tokio::test]
async fn a_medium_without_protective_headers_gets_them() {
    let stage = super::vector::Stage::start("").await;
    let expected = Expected::bytes(200, "<script>").with("x-content-type-options", "nosniff");
    let expected = expected.with("cross-origin-resource-policy", "cross-origin");
    let policy = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                  style-src 'unsafe-inline'; media-src 'self'; object-src 'self';";
    let expected = expected.with("content-security-policy", policy);
    stage
        .check([row("no headers")
            .medium(&Stored::media(b"<script>"))
            .sends(downloads())
            .expects(expected)
            .deviates(WHY)])
        .await;
}

/// What the client says of itself does not change what the homeserver is asked for.
#[tokio::test]
async fn the_homeserver_is_asked_for_all_of_it_and_told_nothing_more() {
    let stage = super::vector::Stage::start("").await;
    for (route, _) in READS {
        let sent = Sent::new("GET", &format!("{route}/hs.test/m"))
            .header("accept-encoding", "gzip")
            .header("range", "bytes=0-1")
            .header("if-none-match", "\"1\"")
            .header("cookie", "a=b")
            .header("x-other", "1");
        let expected = if route == "scan" { clean() } else { Expected::bytes(200, "a medium") };
        stage
            .check([row("headers of the client").medium(&Stored::media(b"a medium")).sends([sent]).expects(expected)])
            .await;
        let seen = stage.homeserver.last();
        assert_eq!((seen.method.as_str(), seen.header("accept-encoding")), ("GET", Some("identity")));
        for dropped in ["range", "if-none-match", "cookie", "x-other"] {
            assert_eq!(seen.header(dropped), None, "{route}: {dropped}");
        }
    }
}

//! The headers of answers: what browsers are told, and what goes on of the homeserver's.

use super::{READS, path};
use crate::harness::{Answer, Stored, eicar, request, start};

/// What browsers must be told with every answer.
const CORS: [(&str, &str); 3] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-allow-headers", "Origin, X-Requested-With, Content-Type, Accept, Authorization"),
];

#[track_caller]
fn assert_cors(answer: &Answer, what: &str) {
    for (name, value) in CORS {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{name} of {what}");
    }
}

#[tokio::test]
async fn verdicts_media_and_errors_can_be_read_from_any_origin() {
    let (homeserver, _clamd, app) = start().await;
    // The homeserver's own words on this are replaced.
    let other = |stored: Stored| CORS.iter().fold(stored, |stored, (name, _)| stored.header(name, "other"));
    homeserver.put_media("m", &other(Stored::media(b"a medium")));
    homeserver.put_media("infected", &other(Stored::media(&eicar())));
    homeserver.put_media("broken", &other(Stored::json(500, "{}")));
    assert_cors(&app.get(&path("public_key")).await, "public_key");
    for (route, _) in READS {
        for address in ["hs.test/m", "hs.test/infected", "hs.test/broken", "hs.test/missing", "hs.test/m/malformed"] {
            let rest = format!("{route}/{address}");
            assert_cors(&app.get(&path(&rest)).await, &rest);
        }
    }
    for route in ["scan_encrypted", "download_encrypted"] {
        assert_cors(&app.post(&path(route), b"not JSON").await, route);
    }
}

#[tokio::test]
async fn routing_errors_can_be_read_from_any_origin() {
    let (_homeserver, _clamd, app) = start().await;
    for (method, rest) in [("GET", "nope"), ("POST", "public_key"), ("GET", "scan_encrypted")] {
        let answer = app.client.send(request(method, &path(rest)), b"").await;
        assert_cors(&answer, &format!("{method} {rest}"));
    }
}

#[tokio::test]
async fn preflights_name_what_the_scanner_takes() {
    let (_homeserver, _clamd, app) = start().await;
    for rest in ["public_key", "scan/hs.test/m", "scan_encrypted", "nope"] {
        assert_cors(&app.client.send(request("OPTIONS", &path(rest)), b"").await, rest);
    }
}

#[tokio::test]
async fn only_safe_headers_go_on_with_a_medium() {
    let (homeserver, _clamd, app) = start().await;
    let kept = [
        ("content-disposition", "attachment; filename=a.bin"),
        ("content-security-policy", "sandbox"),
        ("cross-origin-resource-policy", "same-site"),
        ("cache-control", "private, max-age=1"),
    ];
    let dropped = [
        ("set-cookie", "session=secret"),
        ("etag", "\"1\""),
        ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("server", "Synapse"),
        ("accept-ranges", "bytes"),
        ("keep-alive", "timeout=5"),
        ("x-other", "1"),
    ];
    let stored =
        kept.iter().chain(&dropped).fold(Stored::media(b"x"), |stored, (name, value)| stored.header(name, value));
    homeserver.put_media("m", &stored);
    for route in ["download", "thumbnail"] {
        // The second answer comes from a known verdict.
        for _ in 0..2 {
            let answer = app.get(&path(&format!("{route}/hs.test/m"))).await;
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            for (name, value) in kept {
                assert_eq!(answer.header(name), Some(value), "{route}: {name}");
            }
            for (name, _) in dropped {
                assert_eq!(answer.header(name), None, "{route}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_medium_without_protective_headers_gets_them() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"<script>"));
    let answer = app.get(&path("download/hs.test/m")).await;
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cross-origin-resource-policy"), Some("cross-origin"));
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox; default-src 'none'"));
}

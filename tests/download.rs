//! Native reads: what leaves, what does not, and what the homeserver is asked.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::harness::{
    AppBuilder, Clamd, Homeserver, Stored, eicar, encrypted_zip, marker, nested_gzip, request, start,
};

/// The routes under which a medium of the fake homeserver can be read.
fn routes(id: &str) -> Vec<String> {
    let mut routes = Vec::new();
    for prefix in ["/_matrix/client/v1/media", "/_matrix/media/v3", "/_matrix/media/r0", "/_matrix/media/v1"] {
        routes.push(format!("{prefix}/download/hs.test/{id}"));
        routes.push(format!("{prefix}/thumbnail/hs.test/{id}?width=9000&height=9000&method=scale"));
    }
    routes
}

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";

#[tokio::test]
async fn clean_media_is_served_on_every_route() {
    let (homeserver, _clamd, app) = start().await;
    let body: Vec<u8> = (0..300_000_u32).map(|i| (i % 253) as u8).collect();
    homeserver.put_media("m", &Stored::media(&body));
    for route in routes("m") {
        let answer = app.get(&route).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, Some("300000")), "{route}");
        assert!(answer.body == body, "{route}");
        let separator = if route.contains('?') { "&" } else { "?" };
        let added = if route.starts_with("/_matrix/media/") {
            format!("{separator}allow_redirect=false")
        } else {
            String::new()
        };
        assert_eq!(homeserver.last().target, format!("{route}{added}"), "forwarded as it came");
    }
    assert_eq!(app.scans("clean").await, 1, "one content, one scan");
}

#[tokio::test]
async fn infected_media_is_refused_on_every_route() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(&eicar()));
    for route in routes("m") {
        let answer = app.get(&route).await;
        answer.assert_matrix_error(403, "M_FORBIDDEN");
        assert!(!answer.text().contains("EICAR"), "names no signature: {answer:?}");
    }
}

#[tokio::test]
async fn a_signature_in_the_last_byte_of_a_large_file_is_found() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(&marker(5 << 20)));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(app.scans("infected").await, 1);
}

#[tokio::test]
async fn other_spellings_of_an_infected_medium_are_refused_too() {
    let (homeserver, _clamd, app) = start().await;
    for spelling in ["download/hs.test/m/", "download/hs.test/m/a%2Fb.png", "download/hs%2Etest/%6d"] {
        let path = format!("/_matrix/client/v1/media/{spelling}");
        homeserver.put(&path, Stored::media(&eicar()));
        app.get(&path).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(homeserver.last().target, path);
    }
}

#[tokio::test]
async fn ambiguous_paths_are_refused_without_asking_the_homeserver() {
    let (homeserver, _clamd, app) = start().await;
    for path in [
        "/_matrix//media/v3/download/hs.test/m",
        "/_matrix/%6dedia/v3/download/hs.test/m",
        "/_matrix/client/../media/v3/download/hs.test/m",
        "/_matrix/media/v3/download/hs.test/m%2Fx",
        "/_matrix/media/unstable/anything",
        "/_matrix/client/unstable/org.matrix.msc3916/media/download/hs.test/m",
    ] {
        app.get(path).await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    app.post(V1, b"").await.assert_matrix_error(405, "M_UNRECOGNIZED");
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn only_safe_headers_go_on_with_a_medium() {
    let (homeserver, _clamd, app) = start().await;
    let stored = Stored::media(b"x")
        .header("content-disposition", "inline; filename=a.bin")
        .header("cache-control", "public,max-age=86400")
        .header("set-cookie", "session=secret")
        .header("etag", "1")
        .header("server", "Synapse")
        .header("x-other", "1");
    homeserver.put_media("m", &stored);
    let answer = app.get(V1).await;
    assert_eq!(answer.header("content-disposition"), Some("inline; filename=a.bin"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=86400"));
    assert_ne!(answer.header("etag"), Some("1"), "that is the same for all media");
    for dropped in ["set-cookie", "server", "x-other"] {
        assert_eq!(answer.header(dropped), None, "{dropped}");
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(answer.header(name), Some(value), "added where the homeserver left it out");
    }
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox;"));
}

#[tokio::test]
async fn the_homeserver_is_asked_for_all_of_it_with_the_callers_credentials() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"x"));
    let sent = request("GET", V1)
        .header("authorization", "Bearer token")
        .header("range", "bytes=0-0")
        .header("if-none-match", "1")
        .header("if-modified-since", "x")
        .header("if-range", "x")
        .header("accept-encoding", "gzip, br");
    assert_eq!(app.client.send(sent, b"").await.status, 200);
    let seen = homeserver.last();
    assert_eq!(
        (seen.header("authorization"), seen.header("accept-encoding")),
        (Some("Bearer token"), Some("identity"))
    );
    for dropped in ["range", "if-none-match", "if-modified-since", "if-range"] {
        assert_eq!(seen.header(dropped), None, "{dropped}");
    }
}

/// Invariant 3: a verdict is shared, access is not.
#[tokio::test]
async fn a_known_verdict_gives_nobody_access() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("clean", &Stored::media(b"x"));
    homeserver.put_media("bad", &Stored::media(&eicar()));
    for id in ["clean", "bad"] {
        let path = format!("/_matrix/client/v1/media/download/hs.test/{id}");
        app.get(&path).await;
        app.client.get(&path).await.assert_matrix_error(401, "M_MISSING_TOKEN");
        let stranger = request("GET", &path).header("authorization", "Bearer revoked");
        app.client.send(stranger, b"").await.assert_matrix_error(401, "M_UNKNOWN_TOKEN");
    }
}

/// Invariant 2: a verdict belongs to bytes.
#[tokio::test]
async fn bytes_that_change_behind_an_address_are_judged_anew() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"clean at first"));
    assert_eq!(app.get(V1).await.status, 200);
    homeserver.put_media("m", &Stored::media(&eicar()));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    homeserver.put_media("m", &Stored::media(b"clean at first"));
    assert_eq!(app.get(V1).await.status, 200);
    assert_eq!((app.scans("clean").await, app.scans("infected").await), (1, 1));
}

#[tokio::test]
async fn what_could_not_be_looked_into_is_refused_and_not_called_infected() {
    let (homeserver, _clamd, app) = start().await;
    for (specimen, verdict) in [(nested_gzip(), "incomplete"), (encrypted_zip(), "opaque")] {
        homeserver.put_media("m", &Stored::media(&specimen));
        let answer = app.get(V1).await;
        answer.assert_matrix_error(403, "M_FORBIDDEN");
        assert!(!answer.text().contains("malware"), "{answer:?}");
        assert_eq!(app.scans(verdict).await, 1);
    }
    assert_eq!(app.scans("infected").await, 0);
}

#[tokio::test]
async fn head_has_the_verdict_of_get_and_no_body() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"12345"));
    let head = || request("HEAD", V1).header("authorization", "Bearer token");
    let answer = app.client.send(head(), b"").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length"), answer.body.len()), (200, Some("5"), 0));
    assert_eq!(homeserver.last().method, "GET", "not every homeserver knows HEAD");
    homeserver.put_media("m", &Stored::media(&eicar()));
    assert_eq!(app.client.send(head(), b"").await.status, 403);
}

#[tokio::test]
async fn refusals_of_the_homeserver_are_passed_on_as_json_only() {
    let (homeserver, _clamd, app) = start().await;
    for status in [400, 401, 403, 404, 413, 429, 500, 502, 504] {
        let body = r#"{"errcode":"M_OWN","error":"its own words","soft_logout":true}"#;
        homeserver.put_media("m", &Stored::json(status, body).header("retry-after", "7").header("set-cookie", "a=b"));
        let answer = app.get(V1).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (status, body));
        assert_eq!((answer.header("retry-after"), answer.header("set-cookie")), (Some("7"), None));
    }
    let html = Stored::json(404, "<script>").without_headers().header("content-type", "text/html");
    let binary = Stored::json(500, "\u{1}\u{2} no JSON");
    let huge = Stored::json(400, &format!("\"{}\"", "x".repeat(70_000)));
    for (status, errcode, stored) in
        [(404, "M_UNRECOGNIZED", html), (500, "M_UNKNOWN", binary), (400, "M_UNKNOWN", huge)]
    {
        homeserver.put_media("m", &stored);
        app.get(V1).await.assert_matrix_error(status, errcode);
    }
}

#[tokio::test]
async fn redirects_and_partial_answers_are_not_passed_on() {
    let (homeserver, _clamd, app) = start().await;
    for status in [201, 204, 206, 301, 302, 304, 307, 308] {
        homeserver.put_media("m", &Stored::media(b"").status(status).header("location", "https://cdn.test/m"));
        let answer = app.get(V1).await;
        answer.assert_matrix_error(502, "M_UNKNOWN");
        assert_eq!(answer.header("location"), None);
    }
}

#[tokio::test]
async fn an_encoded_answer_is_not_vouched_for() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"not even gzip").header("content-encoding", "gzip"));
    app.get(V1).await.assert_matrix_error(502, "M_UNKNOWN");
    homeserver.put_media("m", &Stored::media(b"x").header("content-encoding", "identity"));
    assert_eq!(app.get(V1).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_stalls_is_not_served() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {stall_timeout: 200ms}").start().await;
    homeserver.put_media("m", &Stored::media(b"").cut_short(b"the beginning"));
    app.get(V1).await.assert_matrix_error(502, "M_UNKNOWN");
    let never = Arc::new(Notify::new());
    homeserver.put_media("m", &Stored::media(b"").held(b"the beginning", &never, b""));
    app.get(V1).await.assert_matrix_error(502, "M_UNKNOWN");
    assert_eq!(app.scans("clean").await, 0, "part of a medium is never judged");
}

#[tokio::test]
async fn media_larger_than_the_limit_is_refused() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_bytes: 1000}").start().await;
    homeserver.put_media("m", &Stored::media(&[0; 1001]));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    homeserver.put_media("m", &Stored::media(b"").chunked(&[&[0; 600], &[0; 600]]));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    homeserver.put_media("m", &Stored::media(&[0; 1000]));
    assert_eq!(app.get(V1).await.status, 200);
}

#[tokio::test]
async fn an_empty_file_and_one_without_a_length_are_served() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b""));
    let answer = app.get(V1).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, Some("0")));
    homeserver.put_media("m", &Stored::media(b"").chunked(&[b"in ", b"two pieces"]));
    let answer = app.get(V1).await;
    assert_eq!((&answer.body[..], answer.header("content-length")), (&b"in two pieces"[..], Some("13")));
}

#[tokio::test]
async fn preflights_are_answered() {
    let (homeserver, _clamd, app) = start().await;
    let answer = app.client.send(request("OPTIONS", V1).header("origin", "https://app.test"), b"").await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (200, Some("*")));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("Authorization"));
    assert_eq!(homeserver.seen().len(), 0);
}

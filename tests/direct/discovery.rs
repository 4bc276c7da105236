//! Where a server's homeserver is: asked once, remembered for a while.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Notify;

use super::{VERSIONS, WELL_KNOWN, World, native, point, put_medium, serve_versions, targets};
use crate::harness::{Cdn, Stored, eventually};

/// A server, and a homeserver on another address to which it points.
async fn delegated() -> (Cdn, Cdn) {
    let (server, homeserver) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    point(&server, &homeserver.url("/"));
    serve_versions(&homeserver);
    put_medium(&homeserver, &server.authority(), "m", b"a medium");
    (server, homeserver)
}

#[tokio::test]
async fn a_medium_comes_from_where_the_well_known_points() {
    let (server, homeserver) = delegated().await;
    let world = World::start(&[&server, &homeserver], "").await;
    let name = server.authority();
    for route in ["scan", "download"] {
        assert_eq!(world.get(route, &name, "m").await.status, 200, "{route}");
    }
    let medium = format!("{}?allow_redirect=false", native("/_matrix/media/v3", "download", &name, "m"));
    assert_eq!(targets(&server.seen()), [WELL_KNOWN]);
    assert_eq!(targets(&homeserver.seen()), [VERSIONS, &medium, &medium]);
    assert_eq!(world.discoveries("found").await, 1);
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let (server, homeserver) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    point(&server, &homeserver.url("/matrix/eu/"));
    homeserver.put_stored("/matrix/eu/_matrix/client/versions", Stored::json(200, r#"{"versions":[]}"#));
    let target = native("/matrix/eu/_matrix/media/v3", "download", &server.authority(), "m");
    homeserver.put_stored(&target, Stored::media(b"a medium"));
    let world = World::start(&[&server, &homeserver], "").await;
    world.assert_clean(&server.authority(), "m").await;
}

#[tokio::test]
async fn a_server_without_a_well_known_is_its_own_homeserver() {
    let server = Cdn::start().await;
    let world = World::start(&[&server], "").await;
    // By address and by name.
    for name in [server.authority(), format!("localhost:{}", server.server().address().port())] {
        put_medium(&server, &name, "m", b"a medium");
        world.assert_clean(&name, "m").await;
        world.assert_clean(&name, "m").await;
    }
    assert_eq!(world.discoveries("none").await, 2);
    assert_eq!(server.server().seen_below(VERSIONS).len(), 0);
}

#[tokio::test]
async fn a_well_known_that_says_nothing_leaves_the_server_itself() {
    let (server, homeserver) = delegated().await;
    put_medium(&server, &server.authority(), "m", b"a medium");
    let world = World::start(&[&server, &homeserver], "cache_ttl: 0s").await;
    let base_url = json!(homeserver.url(""));
    for stored in [
        Stored::json(500, "{}"),
        Stored::json(403, &json!({"m.homeserver": {"base_url": base_url}}).to_string()),
        Stored::json(201, &json!({"m.homeserver": {"base_url": base_url}}).to_string()),
        Stored::json(200, "{}"),
        Stored::json(200, "<html>"),
        Stored::json(200, &json!({"m.homeserver": base_url}).to_string()),
        Stored::json(200, &json!({"m.homeserver": {"base_url": [base_url]}}).to_string()),
        Stored::json(200, "{").cut_short(b"{"),
        // Well-formed, but for its size.
        Stored::json(200, &json!({"m.homeserver": {"base_url": base_url}, "x": "x".repeat(64 * 1024)}).to_string()),
        Stored::json(200, &json!({"m.homeserver": {"base_url": base_url}}).to_string()).header("x", &"x".repeat(65536)),
    ] {
        server.put_stored(WELL_KNOWN, stored);
        let before = world.discoveries("failed").await;
        world.assert_clean(&server.authority(), "m").await;
        assert_eq!(world.discoveries("failed").await, before + 1);
    }
    assert!(homeserver.seen().is_empty());
}

/// Nothing is read beyond the limit, of which the end of a body without an end would never tell.
#[tokio::test]
async fn a_well_known_without_an_end_is_given_up() {
    let server = Cdn::start().await;
    put_medium(&server, &server.authority(), "m", b"a medium");
    let never = Arc::new(Notify::new());
    server.put_stored(WELL_KNOWN, Stored::json(200, "").held(&vec![b' '; 65 * 1024], &never, b"{}"));
    let world = World::start(&[&server], "timeout: 10m").await;
    world.assert_clean(&server.authority(), "m").await;
    assert_eq!(world.discoveries("failed").await, 1);
}

#[tokio::test]
async fn a_well_known_that_does_not_come_is_not_waited_for_forever() {
    let server = Cdn::start().await;
    put_medium(&server, &server.authority(), "m", b"a medium");
    let never = Arc::new(Notify::new());
    let world = World::start(&[&server], "timeout: 500ms, cache_ttl: 0s").await;
    for stored in [Stored::silent(), Stored::json(200, "").held(b"{", &never, b"}")] {
        server.put_stored(WELL_KNOWN, stored);
        world.assert_clean(&server.authority(), "m").await;
    }
    assert_eq!(world.discoveries("failed").await, 2);
}

#[tokio::test]
async fn a_homeserver_that_does_not_say_its_versions_is_none() {
    let (server, homeserver) = delegated().await;
    put_medium(&server, &server.authority(), "m", b"a medium");
    let world = World::start(&[&server, &homeserver], "cache_ttl: 0s").await;
    for stored in [
        Stored::json(404, "{}"),
        Stored::json(500, r#"{"versions":["v1.1"]}"#),
        Stored::json(204, ""),
        Stored::json(200, "{}"),
        Stored::json(200, r#"{"versions":"v1.1"}"#),
        Stored::json(200, "It works!"),
        Stored::json(200, &json!({"versions": ["v1.1"], "x": "x".repeat(64 * 1024)}).to_string()),
    ] {
        homeserver.put_stored(VERSIONS, stored);
        world.assert_clean(&server.authority(), "m").await;
    }
    assert_eq!(world.discoveries("failed").await, 7);
    let asked = homeserver.seen();
    assert!(asked.iter().all(|seen| seen.target == VERSIONS), "nothing else of it: {asked:?}");
}

#[tokio::test]
async fn w4_nothing_of_the_client_is_told_to_anyone() {
    let (server, homeserver) = delegated().await;
    let world = World::start(&[&server, &homeserver], "").await;
    let sent = crate::harness::request(
        "GET",
        &crate::harness::path(&format!("download/{}/m?access_token=x", server.authority())),
    )
    .header("authorization", "Bearer token")
    .header("origin", "https://app.test")
    .header("user-agent", "Client/1.0")
    .header("x-forwarded-for", "203.0.113.9")
    .header("cookie", "a=b")
    .header("range", "bytes=0-1")
    .header("if-none-match", "\"1\"")
    .header("x-other", "1");
    assert_eq!(&world.app.client.send(sent, b"").await.body[..], b"a medium");
    let seen: Vec<_> = server.seen().into_iter().chain(homeserver.seen()).collect();
    assert_eq!(seen.len(), 3);
    for request in seen {
        let mut names: Vec<_> = request.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"], "{}", request.target);
        assert_eq!(request.header("user-agent"), Some("lazaret"));
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        assert!([server.authority(), homeserver.authority()].contains(&request.header("host").unwrap().to_owned()));
        assert!(!request.target.contains("access_token"), "{}", request.target);
    }
}

#[tokio::test]
async fn a_discovery_is_remembered_however_the_name_is_written() {
    let server = Cdn::start().await;
    let port = server.server().address().port();
    let world = World::start(&[&server], "").await;
    for name in [format!("localhost:{port}"), format!("LocalHost:{port}")] {
        put_medium(&server, &name, "m", b"a medium");
        world.assert_clean(&name, "m").await;
    }
    assert_eq!(server.server().seen_below(WELL_KNOWN).len(), 1);
}

#[tokio::test]
async fn w21_what_was_found_and_what_was_not_expires() {
    let (server, homeserver) = delegated().await;
    put_medium(&server, &server.authority(), "m", b"a medium");
    let world = World::start(&[&server, &homeserver], "cache_ttl: 50ms").await;
    world.assert_clean(&server.authority(), "m").await;
    server.put_stored(WELL_KNOWN, Stored::json(404, "{}"));
    eventually("the server is asked again and says otherwise", || async {
        world.assert_clean(&server.authority(), "m").await;
        world.discoveries("none").await > 0
    })
    .await;
    point(&server, &homeserver.url(""));
    eventually("so is one that said nothing", || async {
        world.assert_clean(&server.authority(), "m").await;
        world.discoveries("found").await > 1
    })
    .await;
}

#[tokio::test]
async fn w21_no_more_servers_are_remembered_than_configured() {
    let server = Cdn::start().await;
    let port = server.server().address().port();
    let world = World::start(&[&server], "max_servers: 3").await;
    // All of 127.0.0.0/8 is this machine, and nobody but 127.0.0.1 listens.
    for last in 2..30 {
        world.get("scan", &format!("127.0.0.{last}:{port}"), "m").await;
    }
    assert_eq!(world.discoveries("failed").await, 28);
    eventually("the rest is forgotten", || async {
        world.get("scan", &server.authority(), "m").await;
        (1..=3).contains(&world.app.metric("lazaret_discoveries").await)
    })
    .await;
}

#[tokio::test]
async fn requests_at_once_make_one_discovery() {
    let (server, homeserver) = delegated().await;
    let release = Arc::new(Notify::new());
    let text = json!({"m.homeserver": {"base_url": homeserver.url("")}}).to_string();
    server.put_stored(WELL_KNOWN, Stored::json(200, "").held(b"", &release, text.as_bytes()));
    let world = World::start(&[&server, &homeserver], "").await;
    let name = server.authority();
    let asking = join_all((0..20).map(|_| world.get("scan", &name, "m")));
    let releasing = async {
        let waiting = "lazaret_requests_in_flight";
        eventually("all wait", || async { world.app.metric(waiting).await >= 20 }).await;
        release.notify_one();
    };
    let (answers, ()) = tokio::join!(asking, releasing);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(targets(&server.seen()), [WELL_KNOWN]);
    assert_eq!((world.discoveries("found").await, homeserver.server().seen_below(VERSIONS).len()), (1, 1));
}

/// Whoever began a discovery may leave; those who wait for it go on with it.
#[tokio::test]
async fn a_client_that_leaves_takes_no_discovery_from_others() {
    let (server, homeserver) = delegated().await;
    let release = Arc::new(Notify::new());
    let text = json!({"m.homeserver": {"base_url": homeserver.url("")}}).to_string();
    server.put_stored(WELL_KNOWN, Stored::json(200, "").held(b"", &release, text.as_bytes()));
    let world = World::start(&[&server, &homeserver], "").await;
    let name = server.authority();
    let client = world.app.client.clone();
    let first = tokio::spawn({
        let path = crate::harness::path(&format!("scan/{name}/m"));
        async move { client.get(&path).await }
    });
    eventually("the first asks", || async { server.seen().len() == 1 }).await;
    let second = world.get("scan", &name, "m");
    let leaving = async {
        eventually("both wait", || async { world.app.metric("lazaret_requests_in_flight").await >= 2 }).await;
        first.abort();
        eventually("the second asks", || async { server.seen().len() == 2 }).await;
        // One permit is kept for whoever comes next, so both are let go.
        release.notify_waiters();
        release.notify_one();
    };
    let (answer, ()) = tokio::join!(second, leaving);
    assert_eq!(answer.status, 200);
}

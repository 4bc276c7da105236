//! Servers that send us elsewhere instead of answering.

use super::{Trap, WELL_KNOWN, World, assert_not_reached, native, point, put_medium, serve_versions, targets};
use crate::harness::{Cdn, Stored, eicar};

const ONE: &str = "private_networks: [127.0.0.1/32]";

fn medium(server: &Cdn) -> String {
    native("/_matrix/media/v3", "download", &server.authority(), "m")
}

#[tokio::test]
async fn a_medium_behind_a_redirect_is_fetched_and_scanned() {
    let (server, elsewhere) = (Cdn::start().await, Cdn::start().await);
    elsewhere.put("/clean", b"a medium", &[("content-type", "image/png")]);
    elsewhere.put("/infected", &eicar(), &[("content-type", "image/png")]);
    let world = World::start(&[&server, &elsewhere], "").await;
    server.put_redirect(&medium(&server), 307, &elsewhere.url("/clean?sig=a%2Fb"));
    let answer = world.get("download", &server.authority(), "m").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"a medium"[..]));
    assert_eq!(elsewhere.seen().pop().unwrap().target, "/clean?sig=a%2Fb");
    server.put_redirect(&medium(&server), 307, &elsewhere.url("/infected"));
    world.get("download", &server.authority(), "m").await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
}

#[tokio::test]
async fn w5_a_redirect_that_leads_inside_or_astray_is_refused_without_a_connection() {
    let server = Cdn::start().await;
    let inside = Trap::set("127.0.0.2");
    server.put("/m", b"a medium", &[("content-type", "image/png")]);
    let world = World::within(ONE, &[&server], "cache_ttl: 0s", "").await;
    let (port, authority) = (inside.port(), server.authority());
    for location in [
        format!("https://127.0.0.2:{port}/m"),
        format!("https://127.2:{port}/m"),
        format!("http://127.0.0.2:{port}/m"),
        format!("http://{authority}/m"),
        format!("//127.0.0.2:{port}/m"),
        format!("https://[::ffff:127.0.0.2]:{port}/"),
        format!("https://user@{authority}/m"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "data:text/plain,x".to_owned(),
        "https://".to_owned(),
    ] {
        server.put_redirect(&medium(&server), 307, &location);
        server.put_stored(WELL_KNOWN, Stored::json(404, "{}"));
        assert_not_reached(&world.get("download", &authority, "m").await, &location);
        // The same on the way to its homeserver.
        server.put_redirect(WELL_KNOWN, 302, &location);
        server.put("/m", b"a medium", &[("content-type", "image/png")]);
        assert_not_reached(&world.get("download", &authority, "m").await, &location);
    }
    inside.assert_untouched();
}

#[tokio::test]
async fn w5_three_redirects_are_followed_and_a_fourth_is_not() {
    let server = Cdn::start().await;
    for (hop, status) in [(3, 301), (2, 302), (1, 308)] {
        server.put_redirect(&format!("/{hop}"), status, &format!("/{}", hop - 1));
    }
    server.put("/0", b"a medium", &[("content-type", "image/png")]);
    let world = World::start(&[&server], "").await;
    server.put_redirect(&medium(&server), 307, "/2");
    world.assert_clean(&server.authority(), "m").await;
    server.put_redirect(&medium(&server), 307, "/3");
    let before = server.seen().len();
    assert_not_reached(&world.get("scan", &server.authority(), "m").await, "a fourth");
    let asked = server.seen();
    assert_eq!(targets(&asked[before + 1..]), ["/3", "/2", "/1"]);
}

#[tokio::test]
async fn w5_redirects_in_a_circle_end() {
    let (server, homeserver) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    let world = World::start(&[&server, &homeserver], "cache_ttl: 0s").await;
    server.put_redirect(&medium(&server), 307, &server.url(&medium(&server)));
    assert_not_reached(&world.get("scan", &server.authority(), "m").await, "the medium");
    assert_eq!(server.server().seen_below("/_matrix").len(), 4);
    server.put_redirect(WELL_KNOWN, 302, WELL_KNOWN);
    assert_not_reached(&world.get("scan", &server.authority(), "m").await, "the well-known");
    assert_eq!(server.server().seen_below(WELL_KNOWN).len(), 1 + 4);
    point(&server, &homeserver.url(""));
    homeserver.put_redirect(super::VERSIONS, 302, super::VERSIONS);
    assert_not_reached(&world.get("scan", &server.authority(), "m").await, "the versions");
    assert_eq!(homeserver.seen().len(), 4);
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_an_error() {
    let server = Cdn::start().await;
    let world = World::start(&[&server], "").await;
    for stored in [Stored::json(307, "{}"), Stored::json(300, "{}").header("location", "/m"), Stored::json(304, "")] {
        server.put_stored(&medium(&server), stored);
        let answer = world.get("scan", &server.authority(), "m").await;
        assert_eq!(answer.json()["info"], "The remote server responded with an error");
        answer.assert_scanner_error(502, "MCS_MEDIA_REQUEST_FAILED");
    }
    server.put_redirect(&medium(&server), 307, "/missing");
    world.get("scan", &server.authority(), "m").await.assert_scanner_error(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn a_well_known_may_be_redirected() {
    let (server, homeserver) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    server.put_redirect(WELL_KNOWN, 301, "/matrix.json");
    let text = format!(r#"{{"m.homeserver":{{"base_url":"{}"}}}}"#, homeserver.url(""));
    server.put("/matrix.json", text.as_bytes(), &[]);
    serve_versions(&homeserver);
    put_medium(&homeserver, &server.authority(), "m", b"a medium");
    let world = World::start(&[&server, &homeserver], "").await;
    world.assert_clean(&server.authority(), "m").await;
}

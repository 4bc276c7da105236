//! Names and base URLs by which strangers would have us reach what only we can reach.

use super::{Trap, WELL_KNOWN, World, assert_not_reached, error, point, put_medium, serve_versions};
use crate::harness::{Cdn, Stored, eicar};

/// Only 127.0.0.1 may be connected to.
const ONE: &str = "private_networks: [127.0.0.1/32]";

#[tokio::test]
async fn w5_a_server_in_a_private_network_is_not_connected_to() {
    let (server, inside) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    let trap = Trap::set("127.0.0.2");
    let world = World::within(ONE, &[&server, &inside], "", "").await;
    let (port, other) = (inside.server().address().port(), trap.port());
    for name in [
        format!("127.0.0.2:{port}"),
        format!("127.0.0.2:{other}"),
        format!("127.2:{other}"),
        format!("0x7f000002:{other}"),
        format!("2130706434:{other}"),
        format!("%5B::ffff:127.0.0.2%5D:{other}"),
        format!("%5B::1%5D:{other}"),
        "169.254.169.254".to_owned(),
        "10.0.0.1:8448".to_owned(),
        "0".to_owned(),
    ] {
        for route in ["scan", "download", "thumbnail"] {
            assert_not_reached(&world.get(route, &name, "m").await, &name);
        }
    }
    assert!(inside.seen().is_empty());
    trap.assert_untouched();
    assert_eq!(world.discoveries("refused").await, 30);
}

#[tokio::test]
async fn w5_a_name_that_resolves_to_a_private_address_is_not_connected_to() {
    let server = Cdn::start().await;
    let trap = Trap::set("127.0.0.1");
    let world = World::within("private_networks: [127.0.0.2/32]", &[&server], "", "").await;
    for port in [server.server().address().port(), trap.port()] {
        let name = format!("localhost:{port}");
        assert_not_reached(&world.get("scan", &name, "m").await, &name);
    }
    assert!(server.seen().is_empty());
    trap.assert_untouched();
}

/// What a well-known names is refused, and nothing is asked in its place.
#[tokio::test]
async fn w5_a_base_url_that_leads_inside_or_astray_is_refused_without_a_connection() {
    let server = Cdn::start().await;
    let inside = Trap::set("127.0.0.2");
    put_medium(&server, &server.authority(), "m", b"a medium");
    serve_versions(&server);
    let world = World::within(ONE, &[&server], "cache_ttl: 0s", "").await;
    let (port, authority) = (inside.port(), server.authority());
    for base_url in [
        format!("http://127.0.0.2:{port}"),
        format!("http://{authority}"),
        format!("https://127.0.0.2:{port}"),
        format!("https://127.2:{port}/"),
        format!("https://0x7f000002:{port}"),
        format!("https://[::ffff:127.0.0.2]:{port}"),
        format!("https://[::1]:{port}"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("gopher://127.0.0.2:{port}/"),
        format!("//127.0.0.2:{port}"),
        format!("127.0.0.2:{port}"),
        format!("https://user@{authority}"),
        format!("https://user:secret@{authority}"),
        format!("https://{authority}@127.0.0.2:{port}"),
        format!("https://127.0.0.2:{port}#@{authority}"),
        format!("https://127.0.0.2:{port}\\@{authority}"),
        format!("https://{authority}/?x="),
        format!("https://{authority}?x="),
        format!("https://{authority}/#"),
        format!("https://{authority}/a/../b"),
        format!("https://{authority}/%2e%2e/b"),
        format!("https://{authority}/a%2Fb"),
        format!("https://{authority}//"),
        format!(" https://{authority}"),
        "https://".to_owned(),
        String::new(),
    ] {
        point(&server, &base_url);
        assert_not_reached(&world.get("scan", &authority, "m").await, &base_url);
    }
    inside.assert_untouched();
    let asked = server.seen();
    assert!(asked.iter().all(|seen| seen.target == WELL_KNOWN), "{asked:?}");
    assert_eq!(world.discoveries("refused").await, 27);
}

#[tokio::test]
async fn a_refusal_is_remembered_too() {
    let server = Cdn::start().await;
    point(&server, "http://127.0.0.1");
    let world = World::start(&[&server], "").await;
    for _ in 0..3 {
        assert_not_reached(&world.get("scan", &server.authority(), "m").await, "http");
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn w5_a_name_that_is_no_server_name_is_refused_before_any_connection() {
    let server = Cdn::start().await;
    serve_versions(&server);
    let trap = Trap::set("127.0.0.1");
    let world = World::start(&[&server], "").await;
    let (authority, port) = (server.authority(), trap.port());
    for (name, id) in [
        ("..".to_owned(), "m"),
        ("%2e%2e".to_owned(), "m"),
        (authority.clone(), ".."),
        (authority.clone(), "..%2F..%2Fclient%2Fversions"),
        (authority.clone(), "m%3Fx"),
        (authority.clone(), "m%23x"),
        (format!("user@127.0.0.1:{port}"), "m"),
        (format!("user%40127.0.0.1:{port}"), "m"),
        (format!("127.0.0.1:{port}%2F"), "m"),
        (format!("127.0.0.1:{port}%3Fx"), "m"),
        (format!("127.0.0.1:{port}%23x"), "m"),
        (format!("127.0.0.1:{port}%5C"), "m"),
        (format!("127.0.0.1%00:{port}"), "m"),
        (format!("https:%2F%2F127.0.0.1:{port}"), "m"),
        ("127.0.0.1:99999".to_owned(), "m"),
    ] {
        let answer = world.get("scan", &name, id).await;
        assert_eq!(answer.text(), crate::harness::MALFORMED, "{name}/{id}");
        let answer = world.get("thumbnail", &name, id).await;
        let expected = error(403, "MCS_MEDIA_NOT_CLEAN", "Malformed media ID");
        assert_eq!((answer.status.as_u16(), answer.json()), expected, "{name}/{id}");
    }
    assert_not_reached(&world.get("scan", "127.0.0.1:0", "m").await, "no port");
    assert!(server.seen().is_empty());
    trap.assert_untouched();
}

#[tokio::test]
async fn w5_nobody_is_believed_without_a_certificate_that_is_trusted() {
    let (server, homeserver, known) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await, Cdn::start().await);
    put_medium(&server, &server.authority(), "m", b"a medium");
    let world = World::start(&[&known], "").await;
    assert_not_reached(&world.get("scan", &server.authority(), "m").await, "the server");
    assert!(server.seen().is_empty());
    // Nor is a homeserver that another one names.
    point(&known, &homeserver.url(""));
    put_medium(&known, &known.authority(), "m", b"a medium");
    world.assert_clean(&known.authority(), "m").await;
    assert!(homeserver.seen().is_empty());
}

#[tokio::test]
async fn an_infected_medium_of_a_foreign_server_is_refused() {
    let server = Cdn::start().await;
    put_medium(&server, &server.authority(), "m", &eicar());
    let world = World::start(&[&server], "").await;
    assert_eq!(world.get("scan", &server.authority(), "m").await.text(), crate::harness::INFECTED);
    let answer = world.get("download", &server.authority(), "m").await;
    assert_eq!((answer.status.as_u16(), answer.json()), error(403, "MCS_MEDIA_NOT_CLEAN", "***VIRUS DETECTED***"));
}

#[tokio::test]
async fn a_medium_larger_than_the_limit_is_refused() {
    let server = Cdn::start().await;
    let world = World::within(ONE, &[&server], "", "limits: {max_media_bytes: 1000}").await;
    let name = server.authority();
    let expected = error(403, "MCS_MEDIA_NOT_CLEAN", "This file was refused: it is too large to be scanned");
    put_medium(&server, &name, "declared", &[0; 1001]);
    let target = super::native("/_matrix/media/v3", "download", &name, "chunked");
    server.put_stored(&target, Stored::media(b"").chunked(&[&[0; 600], &[0; 600]]));
    for id in ["declared", "chunked"] {
        let answer = world.get("download", &name, id).await;
        assert_eq!((answer.status.as_u16(), answer.json()), expected, "{id}");
    }
}

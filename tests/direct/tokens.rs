//! The client's token: for the homeservers of servers that the operator named, and for nobody else.

use super::{WELL_KNOWN, World, error, native, point, put_medium, serve_versions, targets};
use crate::harness::{Answer, Cdn, Stored, path, request};

const V1: &str = "/_matrix/client/v1/media";

async fn get(world: &World, rest: &str) -> Answer {
    world.app.get(&path(rest)).await
}

/// Puts a medium on the route that needs a token.
fn put_closed(server: &Cdn, name: &str, id: &str, body: &[u8]) {
    server.server().put(&native(V1, "download", name, id), Stored::media(body));
}

#[tokio::test]
async fn w4_a_foreign_server_is_asked_without_the_token_on_the_old_routes() {
    let server = Cdn::start().await;
    let name = server.authority();
    let r0 = native("/_matrix/media/r0", "download", &name, "old");
    server.put_stored(&r0, Stored::media(b"an old medium"));
    put_medium(&server, &name, "m", b"a medium");
    put_closed(&server, &name, "closed", b"a closed medium");
    let world = World::start(&[&server], "credentials_for: [example.org, localhost, '127.0.0.1']").await;
    assert_eq!(&get(&world, &format!("download/{name}/m")).await.body[..], b"a medium");
    assert_eq!(&get(&world, &format!("download/{name}/old")).await.body[..], b"an old medium");
    get(&world, &format!("download/{name}/closed")).await.assert_scanner_error(404, "M_NOT_FOUND");
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), None, "{}", seen.target);
        assert!(!seen.target.starts_with(V1), "{}", seen.target);
    }
}

#[tokio::test]
async fn a_trusted_server_gets_the_token_where_its_own_discovery_points() {
    let (server, homeserver) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    let name = server.authority();
    point(&server, &homeserver.url(""));
    serve_versions(&homeserver);
    put_closed(&homeserver, &name, "m", b"a medium");
    let world = World::start(&[&server, &homeserver], &format!("credentials_for: ['{name}']")).await;
    assert_eq!(&get(&world, &format!("download/{name}/m")).await.body[..], b"a medium");
    let medium = native(V1, "download", &name, "m");
    let seen = homeserver.seen();
    assert_eq!(targets(&seen), ["/_matrix/client/versions", &medium]);
    assert_eq!((seen[0].header("authorization"), seen[1].header("authorization")), (None, Some("Bearer token")));
    assert_eq!(server.seen()[0].header("authorization"), None, "discovery needs none");

    // As with a homeserver, whoever sends none is asked for it.
    let answer = world.get("download", &name, "m").await;
    answer.assert_scanner_error(404, "M_NOT_FOUND");
    let sent = request("GET", &path(&format!("download/{name}/m"))).header("authorization", "Bearer other");
    world.app.client.send(sent, b"").await.assert_scanner_error(401, "M_UNKNOWN_TOKEN");
}

/// Another server may point at the homeserver of a trusted one, or the other way round: what counts is who is named.
#[tokio::test]
async fn w4_a_server_that_points_at_a_trusted_ones_homeserver_gets_no_token() {
    let (server, trusted) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    point(&server, &trusted.url(""));
    serve_versions(&trusted);
    put_medium(&trusted, &server.authority(), "m", b"a medium");
    let settings = format!("credentials_for: ['{}']", trusted.authority());
    let world = World::start(&[&server, &trusted], &settings).await;
    assert_eq!(get(&world, &format!("scan/{}/m", server.authority())).await.status, 200);
    assert!(server.seen().into_iter().chain(trusted.seen()).all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn w4_a_trusted_server_is_one_host_and_one_port() {
    let (server, other) = (Cdn::start().await, Cdn::start().await);
    for cdn in [&server, &other] {
        put_closed(cdn, &cdn.authority(), "m", b"a medium");
    }
    let settings = format!("credentials_for: ['{}']", server.authority());
    let world = World::start(&[&server, &other], &settings).await;
    assert_eq!(get(&world, &format!("scan/{}/m", server.authority())).await.status, 200);
    get(&world, &format!("scan/{}/m", other.authority())).await.assert_scanner_error(404, "M_NOT_FOUND");
    assert!(other.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn w4_the_token_follows_no_redirect() {
    let (server, elsewhere) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    let name = server.authority();
    elsewhere.put("/m", b"a medium", &[("content-type", "image/png")]);
    server.put("/m", b"a medium", &[("content-type", "image/png")]);
    let world = World::start(&[&server, &elsewhere], &format!("credentials_for: ['{name}']")).await;
    for (location, cdn) in [(elsewhere.url("/m"), &elsewhere), (server.url("/m"), &server), ("/m".to_owned(), &server)]
    {
        server.put_redirect(&native(V1, "download", &name, "m"), 307, &location);
        assert_eq!(&get(&world, &format!("download/{name}/m")).await.body[..], b"a medium", "{location}");
        let seen = cdn.seen().pop().unwrap();
        assert_eq!((seen.target.as_str(), seen.header("authorization")), ("/m", None), "{location}");
    }
}

#[tokio::test]
async fn w4_discovery_that_is_redirected_has_no_token_to_lose() {
    let (server, elsewhere) = (Cdn::start().await, Cdn::start_on("127.0.0.2").await);
    let name = server.authority();
    server.put_redirect(WELL_KNOWN, 302, &elsewhere.url("/matrix.json"));
    let text = format!(r#"{{"m.homeserver":{{"base_url":"{}"}}}}"#, server.url(""));
    elsewhere.put("/matrix.json", text.as_bytes(), &[]);
    serve_versions(&server);
    put_closed(&server, &name, "m", b"a medium");
    let world = World::start(&[&server, &elsewhere], &format!("credentials_for: ['{name}']")).await;
    assert_eq!(get(&world, &format!("scan/{name}/m")).await.status, 200);
    assert!(elsewhere.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

/// Clients that are told of an unknown token sign their user out.
#[tokio::test]
async fn a_stranger_has_no_word_on_a_token_that_it_was_not_shown() {
    let server = Cdn::start().await;
    let name = server.authority();
    let world = World::start(&[&server], "").await;
    let expected = error(502, "MCS_MEDIA_REQUEST_FAILED", "The remote server responded with an error");
    for errcode in ["M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"] {
        let refusal = Stored::json(401, &format!(r#"{{"errcode":"{errcode}","error":"x"}}"#));
        server.put_stored(&native("/_matrix/media/v3", "download", &name, "m"), refusal);
        for answer in [get(&world, &format!("download/{name}/m")).await, world.get("download", &name, "m").await] {
            assert_eq!((answer.status.as_u16(), answer.json()), expected, "{errcode}");
        }
    }
}

#[tokio::test]
async fn of_a_thumbnails_query_a_server_is_told_how_it_is_to_look() {
    let server = Cdn::start().await;
    let name = server.authority();
    for prefix in [V1, "/_matrix/media/v3"] {
        server.put_stored(&native(prefix, "thumbnail", &name, "m"), Stored::media(b"a thumbnail"));
    }
    let settings = [String::new(), format!("credentials_for: ['{name}']")];
    for (settings, prefix, more) in
        [(&settings[0], "/_matrix/media/v3", "&allow_redirect=false"), (&settings[1], V1, "")]
    {
        let world = World::start(&[&server], settings).await;
        let query = "width=96&access_token=secret&height=64&x=y&method=crop&animated=true&user_id=@a:b";
        let answer = get(&world, &format!("thumbnail/{name}/m?{query}")).await;
        assert_eq!(answer.status, 200);
        let target = native(prefix, "thumbnail", &name, "m");
        let expected = format!("{target}?width=96&height=64&method=crop&animated=true{more}");
        assert_eq!(server.seen().pop().unwrap().target, expected);
    }
}

//! What there is without a homeserver: the scanner's routes that name a medium, the key, and nothing else.

use serde_json::json;

use super::{World, assert_not_reached, error, native, put_medium};
use crate::harness::{CLEAN, Cdn, FORM, INFECTED, Stored, eicar, form, path, request, seal};

#[tokio::test]
async fn native_routes_are_not_found() {
    let server = Cdn::start().await;
    let name = server.authority();
    put_medium(&server, &name, "m", b"a medium");
    let world = World::start(&[&server], "").await;
    for (method, target) in [
        ("GET", native("/_matrix/client/v1/media", "download", &name, "m")),
        ("GET", native("/_matrix/media/v3", "download", &name, "m")),
        ("GET", native("/_matrix/media/v3", "thumbnail", &name, "m")),
        ("GET", "/_matrix/federation/v1/media/download/m".to_owned()),
        ("POST", "/_matrix/media/v3/upload".to_owned()),
        ("PUT", native("/_matrix/media/v3", "upload", &name, "m")),
        ("GET", "/_matrix/media/v3/upload".to_owned()),
        ("POST", "/_matrix/media/v1/create".to_owned()),
        ("GET", "/_matrix/client/v1/media/config".to_owned()),
        ("GET", "/_matrix/client/v1/media/preview_url?url=https://x".to_owned()),
        ("GET", "/_matrix/client/versions".to_owned()),
        ("GET", "/_matrix/client/v3/account/whoami".to_owned()),
        ("GET", "/_matrix/federation/v1/version".to_owned()),
        ("GET", "/_synapse/admin/v1/users".to_owned()),
        ("GET", "/.well-known/matrix/client".to_owned()),
        ("GET", "/".to_owned()),
        ("GET", path("nope")),
    ] {
        let answer =
            world.app.client.send(request(method, &target).header("authorization", "Bearer token"), b"x").await;
        answer.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    assert!(server.seen().is_empty());
}

/// A file that is not uploaded yet is on no server, so there is none to say who asks.
#[tokio::test]
async fn nobody_has_files_scanned_before_their_upload() {
    let server = Cdn::start().await;
    let settings = format!("credentials_for: ['{}']", server.authority());
    let world = World::start(&[&server], &settings).await;
    let body = form(&[("body", b"a medium")]);
    for token in [Some("Bearer token"), None] {
        let sent = request("POST", &path("scan_file")).header("content-type", FORM);
        let sent = token.into_iter().fold(sent, |sent, token| sent.header("authorization", token));
        let answer = world.app.client.send(sent, &body).await;
        answer.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    assert_eq!((server.seen().len(), world.app.scans("clean").await), (0, 0));
}

/// The operator may have opened what looks like media; there is nobody behind it.
#[tokio::test]
async fn what_would_be_passed_is_not_found() {
    let server = Cdn::start().await;
    let sections = "native: {pass: [/_matrix/media/unstable/admin], legacy_media: deny}";
    let World { app, .. } = &World::within(super::EVERYWHERE, &[&server], "", sections).await;
    for target in ["/_matrix/media/unstable/admin/x", "/_matrix/media/v3/download/hs.test/m"] {
        app.get(target).await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    // Without a token, scanner routes stay closed.
    app.client.get(&path("scan/hs.test/m")).await.assert_scanner_error(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn the_scanners_own_answers_are_as_ever() {
    let world = World::start(&[&Cdn::start().await], "").await;
    let key = world.app.client.get(&path("public_key")).await;
    assert_eq!((key.status.as_u16(), key.json()["public_key"].as_str().unwrap().len()), (200, 43));
    world.app.client.send(request("POST", &path("public_key")), b"").await.assert_matrix_error(405, "M_UNRECOGNIZED");
    for target in [path("scan/hs.test/m"), "/_matrix/media/v3/upload".to_owned()] {
        let answer = world.app.client.send(request("OPTIONS", &target).header("origin", "https://app.test"), b"").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("access-control-allow-origin")),
            (200, Some("*")),
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_out_of_reach() {
    let world = World::start(&[&Cdn::start().await], "").await;
    for name in ["127.0.0.9:1", "no-such-server.invalid"] {
        for route in ["scan", "download", "thumbnail"] {
            assert_not_reached(&world.get(route, name, "m").await, name);
        }
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for_forever() {
    let server = Cdn::start().await;
    let target = native("/_matrix/media/v3", "download", &server.authority(), "m");
    server.put_stored(&target, Stored::silent());
    let world = World::start(&[&server], "timeout: 500ms").await;
    assert_not_reached(&world.get("scan", &server.authority(), "m").await, "silence");
    assert!(server.seen().iter().any(|seen| seen.target.starts_with(&target)), "it was asked");
}

#[tokio::test]
async fn what_a_server_answers_is_told_as_of_a_homeserver() {
    let server = Cdn::start().await;
    let name = server.authority();
    let world = World::start(&[&server], "").await;
    let failed = "The remote server responded with an error";
    for (stored, expected) in [
        (Stored::json(404, "{}"), error(404, "M_NOT_FOUND", "File not found")),
        (Stored::json(403, "{}"), error(502, "MCS_MEDIA_REQUEST_FAILED", failed)),
        (Stored::json(500, "{}"), error(502, "MCS_MEDIA_REQUEST_FAILED", failed)),
        (Stored::media(b"x").status(206), error(502, "MCS_MEDIA_REQUEST_FAILED", failed)),
        (Stored::media(b"x").without_headers(), error(502, "MCS_MEDIA_REQUEST_FAILED", failed)),
        (Stored::media(b"x").header("content-encoding", "br"), error(502, "MCS_MEDIA_REQUEST_FAILED", failed)),
    ] {
        server.put_stored(&native("/_matrix/media/v3", "download", &name, "m"), stored);
        let answer = world.get("download", &name, "m").await;
        assert_eq!((answer.status.as_u16(), answer.json()), expected);
    }
}

#[tokio::test]
async fn a_strangers_headers_do_not_reach_clients() {
    let server = Cdn::start().await;
    let name = server.authority();
    let stored = Stored::media(b"a medium")
        .header("content-disposition", "inline; filename=x")
        .header("cache-control", "max-age=60")
        .header("content-security-policy", "default-src *")
        .header("set-cookie", "a=b")
        .header("referrer-policy", "unsafe-url")
        .header("access-control-expose-headers", "x");
    server.put_stored(&native("/_matrix/media/v3", "download", &name, "m"), stored);
    let world = World::start(&[&server], "").await;
    let answer = world.get("download", &name, "m").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"a medium"[..]));
    assert_eq!(answer.header("content-disposition"), Some("inline; filename=x"));
    assert!(answer.header("cache-control").unwrap().contains("max-age=60"));
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox"));
    for name in ["set-cookie", "referrer-policy", "access-control-expose-headers"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn encrypted_attachments_come_from_their_servers_too() {
    let server = Cdn::start().await;
    let name = server.authority();
    let world = World::start(&[&server], "").await;
    for (id, plaintext, verdict, status) in
        [("clean", b"a medium".to_vec(), CLEAN, 200), ("infected", eicar(), INFECTED, 403)]
    {
        let sealed = seal(&plaintext, id, 7);
        put_medium(&server, &name, id, &sealed.ciphertext);
        let mut file = sealed.file.clone();
        file["url"] = json!(format!("mxc://{name}/{id}"));
        let body = json!({"file": file}).to_string();
        let scan = world.app.post(&path("scan_encrypted"), body.as_bytes()).await;
        assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, verdict));
        let download = world.app.post(&path("download_encrypted"), body.as_bytes()).await;
        assert_eq!(download.status, status);
        assert!(status != 200 || download.body == sealed.ciphertext, "the ciphertext, as it came");
    }
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

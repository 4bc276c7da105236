//! What is open and what is closed.

use super::{UPLOAD, V1, start_with};
use crate::harness::{Stored, eicar, raw, request, start, target};

#[tokio::test]
async fn closed_legacy_routes_have_icons_only() {
    let settings = "native: {legacy_media: deny, legacy_icons: ['mxc://hs.test/icon', 'mxc://hs.test/bad']}";
    let (homeserver, _clamd, app) = start_with(settings).await;
    for (id, medium) in [("m", b"harmless".to_vec()), ("icon", b"an icon".to_vec()), ("bad", eicar())] {
        homeserver.put_media(id, &Stored::media(&medium));
    }
    for version in ["v3", "r0", "v1"] {
        let prefix = format!("/_matrix/media/{version}");
        for kind in ["download", "thumbnail"] {
            for spelling in ["hs.test/m", "hs%2Etest/m", "hs.test/other", "other.test/icon"] {
                let path = format!("{prefix}/{kind}/{spelling}");
                app.client.get(&path).await.assert_matrix_error(404, "M_NOT_FOUND");
                let head = app.client.send(request("HEAD", &path), b"").await;
                assert_eq!((head.status.as_u16(), head.body.len()), (404, 0), "{path}");
            }
        }
    }
    assert_eq!(homeserver.seen().len(), 0);
    for path in ["/_matrix/media/v3/download/hs.test/icon", "/_matrix/media/r0/thumbnail/hs.test/icon?width=1"] {
        assert_eq!(&app.client.get(path).await.body[..], b"an icon", "{path}");
    }
    app.client.get("/_matrix/media/v3/download/hs.test/bad").await.assert_matrix_error(403, "M_FORBIDDEN");

    // The scanner's routes ask the same ones for who has no token.
    for (id, reason) in [("m", "M_MISSING_TOKEN"), ("bad", "MCS_MEDIA_NOT_CLEAN")] {
        let answer = app.client.get(&format!("/_matrix/media_proxy/unstable/download/hs.test/{id}")).await;
        answer.assert_scanner_error(if id == "m" { 401 } else { 403 }, reason);
    }

    // The authenticated routes, uploads and preflights are others.
    assert_eq!(&app.get(V1).await.body[..], b"harmless");
    homeserver.put(UPLOAD, Stored::json(200, "{}"));
    homeserver.put("/_matrix/media/v3/config", Stored::json(200, "{}"));
    assert_eq!(app.post(UPLOAD, b"harmless").await.status, 200);
    assert_eq!(app.get("/_matrix/media/v3/config").await.status, 200);
    let preflight = request("OPTIONS", "/_matrix/media/v3/download/hs.test/m").header("origin", "https://app.test");
    assert_eq!(app.client.send(preflight, b"").await.status, 200);
}

#[tokio::test]
async fn denied_prefixes_are_reached_by_nobody_however_they_are_spelled() {
    let (homeserver, _clamd, app) =
        start_with("native: {deny: [/_synapse/admin, /_matrix/client/v1/media/download]}").await;
    homeserver.respond_with(|_| Some(Stored::json(200, "{}")));
    for path in [
        "/_synapse/admin/v1/users",
        "/_synapse/admin",
        "/_synapse/admin/",
        "/_synapse//admin/v1/users",
        "/_synapse/%61dmin/v1/users",
        "/_synapse/%2561dmin/v1/users",
        "/_SYNAPSE/Admin/v1/users",
        "/_synapse/client/../admin/v1/users",
        "/_synapse/./admin/v1/users",
        "/_synapse/admin;x/v1/users",
        "/_synapse\\admin\\v1\\users",
        "//_synapse/admin/v1/users",
        V1,
    ] {
        let answer = raw(&app, target("GET", path)).await;
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.contains(b"M_UNRECOGNIZED"), "{path}");
    }
    assert_eq!(homeserver.seen().len(), 0);
    for path in ["/_synapse/client/oidc/callback", "/_synapse/administration", "/x/_synapse/admin"] {
        assert_eq!(raw(&app, target("GET", path)).await.status(), 200, "{path}");
        assert_eq!(homeserver.last().target, path);
    }
}

#[tokio::test]
async fn nobody_reaches_the_administration_of_synapse_by_default() {
    let (homeserver, _clamd, app) = start().await;
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        let sent = request(method, "/_synapse/admin/v1/media/hs.test/m").header("authorization", "Bearer token");
        app.client.send(sent, b"").await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn what_an_operator_opens_passes_and_nothing_beside_it() {
    let (homeserver, _clamd, app) = start_with("native: {pass: [/_matrix/media/unstable/admin]}").await;
    homeserver.respond_with(|_| Some(Stored::media(&eicar()).open()));
    for (method, path) in [
        ("GET", "/_matrix/media/unstable/admin/datastores"),
        ("POST", "/_matrix/media/unstable/admin/purge/room/!a:hs.test"),
        ("DELETE", "/_matrix/media/unstable/admin/quarantine/hs.test/m"),
    ] {
        let answer = app.client.send(request(method, path), b"").await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &eicar()[..]), "unscanned, as is asked for");
        assert_eq!(homeserver.last().target, path);
    }
    let asked = homeserver.seen().len();
    for path in [
        "/_matrix/media/unstable/admin/export/x/part/1",
        "/_matrix/media/unstable/admin/import",
        "/_matrix/media/unstable/administration",
        "/_matrix/media/unstable/Admin/datastores",
        "/_matrix/media/unstable/admin/../../v3/download/hs.test/m",
        "/_matrix/media/unstable/admin/%2e%2e/%2e%2e/v3/download/hs.test/m",
        "/_matrix/media/unstable/admin/..%2f..%2fv3/download/hs.test/m",
        "/_matrix/media/unstable/admin/..\\..\\v3/download/hs.test/m",
        "/_matrix/media/unstable/admin//datastores",
        "/_matrix/media/unstable/admin;/datastores",
        "/_matrix/media/unstable/local_copy/hs.test/m",
    ] {
        let answer = raw(&app, target("GET", path)).await;
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert_eq!(homeserver.seen().len(), asked);
    app.client.get("/_matrix/media/v3/download/hs.test/m").await.assert_matrix_error(403, "M_FORBIDDEN");
}

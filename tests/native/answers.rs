//! How refusals and media look.

use tokio::io::AsyncReadExt;

use super::{FEDERATION, UPLOAD, V1, start_with};
use crate::harness::{AppBuilder, Flavour, Homeserver, Script, ScriptedClamd, Stored, eicar, encrypted_zip, request};

/// Uploads are never "not found", other homeservers are never told anything else, and the scanner has words of its own.
#[tokio::test]
async fn a_refusal_looks_as_the_operator_wants() {
    for (style, (status, errcode), (upload_status, upload_errcode)) in [
        ("forbidden", (403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")),
        ("not_found", (404, "M_NOT_FOUND"), (403, "M_FORBIDDEN")),
        ("safety", (400, "ORG.MATRIX.MSC4387_SAFETY"), (400, "ORG.MATRIX.MSC4387_SAFETY")),
    ] {
        let (homeserver, _clamd, app) = start_with(&format!("native: {{refusal: {style}}}")).await;
        for medium in [eicar(), encrypted_zip()] {
            homeserver.put_media("m", &Stored::media(&medium));
            homeserver.put(FEDERATION, Flavour::Synapse.multipart(&medium, "image/png"));
            for path in [V1, "/_matrix/media/v3/thumbnail/hs.test/m"] {
                let answer = app.get(path).await;
                answer.assert_matrix_error(status, errcode);
                assert_eq!(answer.text().contains("refused"), style != "not_found", "{answer:?}");
            }
            let head = app.client.send(request("HEAD", V1).header("authorization", "Bearer token"), b"").await;
            assert_eq!((head.status.as_u16(), head.body.len()), (status, 0), "{style}");
            app.post(UPLOAD, &medium).await.assert_matrix_error(upload_status, upload_errcode);
            app.get(FEDERATION).await.assert_matrix_error(404, "M_NOT_FOUND");
            let scanner = app.get("/_matrix/media_proxy/unstable/download/hs.test/m").await;
            scanner.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        }
        assert_eq!(homeserver.uploads(), 0);
        app.get("/_matrix/media/v3/nonsense").await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
}

/// As Synapse asks where it finds no newer routes. Of anything but a 404 it would conclude that this server is ill.
#[tokio::test]
async fn another_homeserver_is_told_no_more_on_the_old_routes() {
    let homeserver = Homeserver::start().await;
    let clamd = ScriptedClamd::start(Script::clean());
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    let path = "/_matrix/media/v3/download/hs.test/m?allow_remote=false&timeout_ms=20000&allow_redirect=true";
    assert_eq!(&app.client.get(path).await.body[..], b"a medium");
    let asked = homeserver.last().target;
    assert_eq!(asked, path.replace("allow_redirect=true", "allow_redirect=false"));
    for (what, reply) in [("infected", "{}: Found FOUND\0"), ("no verdict", "{}: Broken ERROR\0")] {
        clamd.set(Script::reply(reply));
        homeserver.put_media("m", &Stored::media(what.as_bytes()));
        app.client.get(path).await.assert_matrix_error(404, "M_NOT_FOUND");
        let (told, errcode) = if what == "infected" { (403, "M_FORBIDDEN") } else { (503, "M_UNKNOWN") };
        let of_a_client = app.client.get("/_matrix/media/v3/download/hs.test/m?allow_redirect=true").await;
        of_a_client.assert_matrix_error(told, errcode);
    }
}

/// Only of a homeserver that is not there at all is it right to back off.
#[tokio::test]
async fn another_homeserver_is_told_bad_gateway_only_when_ours_is_down() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = AppBuilder::new(&homeserver).scripted(&clamd).homeserver_at(listener.local_addr().unwrap()).start().await;
    let (answer, ()) = tokio::join!(app.get(FEDERATION), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = stream.read(&mut [0; 1024]).await.unwrap();
        assert_ne!(asked, 0, "it broke off after it was asked");
    });
    answer.assert_matrix_error(404, "M_NOT_FOUND");
    drop(listener);
    app.get(FEDERATION).await.assert_matrix_error(502, "M_UNKNOWN");
}

#[tokio::test]
async fn media_are_kept_by_clients_no_longer_than_the_operator_wants() {
    let (homeserver, _clamd, app) = start_with("native: {max_age: 1h}").await;
    for (theirs, ours) in [
        ("private,max-age=31536000,immutable", Some("private, max-age=3600")),
        ("public,max-age=86400,s-maxage=60", Some("public, max-age=3600, s-maxage=60")),
        ("no-store", Some("no-store")),
        ("immutable", None),
    ] {
        homeserver.put_media("m", &Stored::media(b"x").header("cache-control", theirs));
        assert_eq!(app.get(V1).await.header("cache-control"), ours, "{theirs}");
    }
}

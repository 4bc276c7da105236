//! Types of files that may not pass, on routes that are not the scanner's.

use crate::harness::{App, AppBuilder, Clamd, Flavour, Homeserver, PNG, Stored, path, seal};

/// An application that lets images pass and nothing else.
async fn with_images() -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).policy("allowed_mimetypes: [image/png]").start().await;
    (homeserver, clamd, app)
}

#[tokio::test]
async fn native_routes_refuse_types_as_they_refuse_anything() {
    let (homeserver, _clamd, app) = with_images().await;
    homeserver.put("/_matrix/media/v3/upload", Stored::json(200, "{}"));
    homeserver.put_media("text", &Stored::media(b"text"));
    homeserver.put_media("png", &Stored::media(PNG));
    for (id, body) in [("text", &b"text"[..]), ("png", PNG)] {
        let multipart = Flavour::Synapse.multipart(body, "image/png");
        homeserver.put(&format!("/_matrix/federation/v1/media/download/{id}"), multipart);
    }
    for kind in ["download", "thumbnail"] {
        app.get(&format!("/_matrix/client/v1/media/{kind}/hs.test/text")).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(app.get(&format!("/_matrix/client/v1/media/{kind}/hs.test/png")).await.status, 200);
    }
    app.post("/_matrix/media/v3/upload", b"text").await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(homeserver.uploads(), 0);
    assert_eq!(app.post("/_matrix/media/v3/upload", PNG).await.status, 200);
    app.get("/_matrix/federation/v1/media/download/text").await.assert_matrix_error(404, "M_NOT_FOUND");
    assert_eq!(app.get("/_matrix/federation/v1/media/download/png").await.status, 200);
}

/// Else nothing encrypted would pass there, with a list of what is allowed.
#[tokio::test]
async fn ciphertext_on_native_routes_has_no_type() {
    let (homeserver, _clamd, app) = with_images().await;
    let sealed = seal(&[b'x'; 10_000], "m", 1);
    homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
    homeserver.put("/_matrix/media/v3/upload", Stored::json(200, "{}"));
    assert_eq!(app.get("/_matrix/client/v1/media/download/hs.test/m").await.body, sealed.ciphertext);
    assert_eq!(app.post("/_matrix/media/v3/upload", &sealed.ciphertext).await.status, 200);
    app.get(&path("download/hs.test/m")).await.assert_scanner_error(403, "MCS_MIME_TYPE_FORBIDDEN");
}

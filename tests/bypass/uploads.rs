//! Rows 17 to 19: media that come to be later, anew, or past us.

use super::{UPLOAD, V1};
use crate::harness::{Stored, eicar, request, start};

const PUT: &str = "/_matrix/media/v3/upload/hs.test/m";

/// A medium can be named before it exists, and asked for before it is there.
#[tokio::test]
async fn row_17_what_is_uploaded_later_is_judged_then() {
    let (homeserver, _clamd, app) = start().await;
    let created = r#"{"content_uri":"mxc://hs.test/m"}"#;
    homeserver.put("/_matrix/media/v1/create", Stored::json(200, created));
    assert_eq!(app.post("/_matrix/media/v1/create", b"{}").await.text(), created);
    let pending = Stored::json(504, r#"{"errcode":"M_NOT_YET_UPLOADED","error":"Not yet"}"#);
    homeserver.put_media("m", &pending);
    homeserver.put(PUT, Stored::json(200, "{}"));
    app.get(V1).await.assert_matrix_error(504, "M_NOT_YET_UPLOADED");

    let put = || request("PUT", PUT).header("authorization", "Bearer token");
    app.client.send(put(), &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert!(homeserver.seen_below(PUT).is_empty(), "its name is still free");
    app.get(V1).await.assert_matrix_error(504, "M_NOT_YET_UPLOADED");
    assert_eq!(app.client.send(put(), b"harmless").await.status, 200);
    homeserver.put_media("m", &Stored::media(b"harmless"));
    assert_eq!(&app.get(V1).await.body[..], b"harmless", "no refusal was kept");
    homeserver.put_media("m", &Stored::media(&eicar()));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
}

/// What an administrator removes can come back as something else, and vendors have routes that copy and import.
#[tokio::test]
async fn row_18_a_deleted_or_copied_medium_is_judged_by_its_bytes() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"harmless"));
    assert_eq!(app.get(V1).await.status, 200);
    homeserver.put_media("m", &Stored::json(404, r#"{"errcode":"M_NOT_FOUND","error":"Not found"}"#));
    app.get(V1).await.assert_matrix_error(404, "M_NOT_FOUND");
    homeserver.put_media("m", &Stored::media(&eicar()));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    homeserver.put_media("copy", &Stored::media(&eicar()));
    let copy = "/_matrix/client/v1/media/download/hs.test/copy";
    app.get(copy).await.assert_matrix_error(403, "M_FORBIDDEN");

    let asked = homeserver.seen().len();
    for (method, path) in [
        ("GET", "/_matrix/media/unstable/local_copy/hs.test/m"),
        ("POST", "/_matrix/media/unstable/io.t2bot.media/local_copy/hs.test/m"),
        ("DELETE", "/_matrix/media/unstable/download/hs.test/m"),
        ("POST", "/_matrix/media/unstable/admin/import"),
        ("GET", "/_matrix/media/unstable/admin/export/x/part/1"),
        ("POST", "/_matrix/client/v1/media/copy/hs.test/m"),
        ("DELETE", "/_synapse/admin/v1/media/hs.test/m"),
    ] {
        app.client.send(request(method, path), b"").await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    for path in [V1, "/_matrix/media/v3/download/hs.test/m"] {
        app.client.send(request("DELETE", path), b"").await.assert_matrix_error(405, "M_UNRECOGNIZED");
    }
    assert_eq!(homeserver.seen().len(), asked);
}

/// Bridges, previews and other homeservers bring media that no upload of ours carried.
#[tokio::test]
async fn row_19_what_was_uploaded_past_us_is_scanned_when_it_is_read() {
    let (homeserver, _clamd, app) = start().await;
    let lure = r#"{"content_uri":"mxc://hs.test/m","com.beeper.msc3870.upload_url":"https://bucket.test/put"}"#;
    homeserver.put("/_matrix/media/v1/create", Stored::json(200, lure));
    let created = app.post("/_matrix/media/v1/create", b"{}").await;
    assert_eq!(created.text(), r#"{"content_uri":"mxc://hs.test/m"}"#, "the way past us is not told");
    let asked = homeserver.seen().len();
    for path in [
        "/_matrix/media/unstable/com.beeper.msc3870/upload/hs.test/m/complete",
        "/_matrix/media/unstable/fi.mau.msc2246/create",
        "/_matrix/client/v1/media/upload",
    ] {
        app.post(path, b"").await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    assert_eq!(homeserver.seen().len(), asked);
    homeserver.put_media("m", &Stored::media(&eicar()));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert!(homeserver.seen_below(UPLOAD).is_empty());
}

//! Rows 11 to 13, 20 and 21: content that is not what it is said to be.

use super::{UPLOAD, V1};
use crate::harness::{
    AppBuilder, Clamd, Homeserver, Stored, eicar, encrypted_zip, gzip, marker, nested_gzip, request, start,
};

/// Whoever skips images skips whatever is called one.
#[tokio::test]
async fn row_11_a_declared_type_is_not_believed() {
    let (homeserver, _clamd, app) = start().await;
    for kind in ["image/png", "video/mp4", "text/plain", "application/json", "nonsense"] {
        homeserver.put_media("m", &Stored::media(&eicar()).without_headers().header("content-type", kind));
        app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
        let sent = request("POST", UPLOAD).header("content-type", kind);
        app.client.send(sent, &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert!(homeserver.seen_below(UPLOAD).is_empty());
    let page = Stored::media(b"<script>alert(1)</script>").without_headers().header("content-type", "image/png");
    homeserver.put_media("m", &page);
    let answer = app.get(V1).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("image/png")));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "so nobody takes it for a page");
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox;"));
}

/// The engine sees the one form of an encoded body and the reader the other.
#[tokio::test]
async fn row_12_both_forms_of_an_encoded_body_are_scanned() {
    let (homeserver, _clamd, app) = start().await;
    for encoding in ["gzip", "br", "deflate", "identity, gzip", "x-unknown"] {
        let sent = request("POST", UPLOAD).header("content-encoding", encoding);
        app.client.send(sent, &gzip(&eicar(), b"")).await.assert_matrix_error(415, "M_UNKNOWN");
    }
    assert!(homeserver.seen_below(UPLOAD).is_empty());
    homeserver.put(UPLOAD, Stored::json(200, "{}"));
    let sent = request("POST", UPLOAD).header("content-encoding", "identity");
    assert_eq!(app.client.send(sent, b"uploaded").await.status, 200);

    let encoded = |body: &[u8]| Stored::media(body).header("content-encoding", "gzip");
    homeserver.put_media("m", &encoded(&gzip(b"harmless", b"")));
    let sent = request("GET", V1).header("authorization", "Bearer token").header("accept-encoding", "gzip");
    let answer = app.client.send(sent, b"").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"harmless"[..]), "decoded");
    assert_eq!((answer.header("content-encoding"), answer.header("content-length")), (None, Some("8")));
    assert_eq!(homeserver.last().header("accept-encoding"), Some("identity"));
    assert_eq!(app.scans("clean").await, 3, "the upload, and each form of this one");
    for (what, body) in [
        ("what it is decoded to", gzip(&eicar(), b"")),
        ("what it is encoded as", gzip(b"harmless", &marker(25))),
        ("what is decoded late", gzip(&marker(60_000), b"")),
    ] {
        homeserver.put_media("m", &encoded(&body));
        let answer = app.get(V1).await;
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
    }
    for other in ["br", "deflate", "gzip, gzip", "zstd", "x-unknown"] {
        let stored = Stored::media(&gzip(b"harmless", b"")).header("content-encoding", other);
        homeserver.put_media("m", &stored);
        app.get(V1).await.assert_matrix_error(502, "M_UNKNOWN");
    }
    homeserver.put_media("m", &encoded(b"no gzip"));
    app.get(V1).await.assert_matrix_error(502, "M_UNKNOWN");
}

/// A homeserver that reads forms takes a file out of one that nobody looked into.
#[tokio::test]
async fn row_13_a_form_is_no_file() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put(UPLOAD, Stored::json(200, "{}"));
    let form = [b"--x\r\nContent-Disposition: form-data; name=f\r\n\r\n", &eicar()[..], b"\r\n--x--\r\n"].concat();
    let sent = request("POST", UPLOAD).header("content-type", "multipart/form-data; boundary=x");
    app.client.send(sent, &form).await.assert_matrix_error(415, "M_UNKNOWN");
    let urlencoded = || request("POST", UPLOAD).header("content-type", "application/x-www-form-urlencoded");
    app.client.send(urlencoded(), &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert!(homeserver.seen_below(UPLOAD).is_empty());
    let body = b"access_token=secret&a=%20";
    assert_eq!(app.client.send(urlencoded(), body).await.status, 200);
    assert_eq!(&homeserver.last().body[..], body, "bytes like any other");
}

/// Scanners give up on what is too deep, too large or locked, and some say nothing of it.
#[tokio::test]
async fn row_20_what_cannot_be_looked_into_is_not_clean() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {max_media_bytes: 100000}").start().await;
    for (what, medium) in [
        ("nested", nested_gzip()),
        ("locked", encrypted_zip()),
        ("locked, and one byte too large", [encrypted_zip(), vec![0; 100_001]].concat()),
    ] {
        homeserver.put_media("m", &Stored::media(&medium));
        app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
        let refused = app.post(UPLOAD, &medium).await.status;
        assert_eq!(refused, if medium.len() > 100_000 { 413 } else { 403 }, "{what}");
    }
    assert!(homeserver.seen_below(UPLOAD).is_empty());
    assert_eq!(app.scans("clean").await, 0);
    homeserver.put_media("m", &Stored::media(&gzip(b"harmless", b"")));
    assert_eq!(app.get(V1).await.status, 200);
}

/// The first bytes say one thing, and the rest is another.
#[tokio::test]
async fn row_21_all_of_a_file_is_scanned_whatever_it_begins_with() {
    let (homeserver, _clamd, app) = start().await;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82";
    let heads = [&png[..], b"GIF89a;", b"\xff\xd8\xff\xe0\xff\xd9", b"%PDF-1.7\n%%EOF\n", b"RIFF\0\0\0\0WEBP"];
    for head in heads {
        let (behind, polyglot) = ([head, &marker(200_000)].concat(), [head, &marker(64)].concat());
        for medium in [behind, polyglot] {
            homeserver.put_media("m", &Stored::media(&medium).header("content-type", "image/png"));
            app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
            app.post(UPLOAD, &medium).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
    }
    homeserver.put_media("m", &Stored::media(png));
    assert_eq!(app.get(V1).await.status, 200);
}

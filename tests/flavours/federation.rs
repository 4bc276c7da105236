//! What other homeservers read.

use super::{Stage, both, image, over_each};
use crate::harness::{Medium, eicar, marker, request};

const SIGNED: &str = r#"X-Matrix origin="other.test",destination="hs.test",key="ed25519:1",sig="c2ln""#;

fn path(kind: &str, id: &str) -> String {
    let query = if kind == "thumbnail" { "?width=64&height=64&method=scale&timeout_ms=20000" } else { "" };
    format!("/_matrix/federation/v1/media/{kind}/{id}{query}")
}

#[tokio::test]
async fn clean_media_are_byte_for_byte_what_they_are_without_lazaret() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        for (id, len) in [("small", 100), ("large", 200_000)] {
            stage.server.put(id, &image(len), "image/png");
            for kind in ["download", "thumbnail"] {
                let (through, direct) = both(&stage, "GET", &path(kind, id)).await;
                assert_eq!(through.status, 200, "{name:?} {kind}");
                assert!(through.body == direct.body, "{name:?} {kind}");
                assert_eq!(through.header("content-type"), direct.header("content-type"), "{name:?} {kind}");
                assert_eq!(through.header("content-length").unwrap(), direct.body.len().to_string(), "{name:?} {kind}");
                assert_eq!((through.header("etag"), through.header("set-cookie")), (None, None), "{name:?} {kind}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn infected_media_are_not_found() {
    over_each(async |stage: Stage| {
        for (id, medium) in [("small", eicar()), ("large", marker(200_000))] {
            stage.server.put(id, &medium, "image/png");
            for kind in ["download", "thumbnail"] {
                stage.app.get(&path(kind, id)).await.assert_matrix_error(404, "M_NOT_FOUND");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_signed_reaches_the_homeserver_as_it_is() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.server.put("m", &image(100), "image/png");
        for target in [path("download", "m"), path("thumbnail", "m"), format!("{}?a=%20b&&c", path("download", "%6d"))]
        {
            let sent = request("GET", &target).header("authorization", SIGNED).header("host", "hs.test");
            let _found_or_not = stage.app.client.send(sent, b"").await;
            let seen = stage.server.homeserver.last();
            assert_eq!((seen.method.as_str(), &*seen.target), ("GET", &*target), "{name:?}");
            assert_eq!(
                (seen.header("authorization"), seen.header("host")),
                (Some(SIGNED), Some("hs.test")),
                "{name:?}"
            );
        }
        let asked = stage.server.homeserver.seen().len();
        let sent = request("HEAD", &path("download", "m")).header("authorization", SIGNED);
        assert_eq!(stage.app.client.send(sent, b"").await.status, 405, "{name:?}: the method is signed, too");
        assert_eq!(stage.server.homeserver.seen().len(), asked, "{name:?}");
    })
    .await;
}

#[tokio::test]
async fn media_elsewhere_are_put_in_their_place() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.cdn.put("/clean", &image(100_000), &[("content-type", "image/png")]);
        stage.cdn.put("/bad", &eicar(), &[("content-type", "image/png")]);
        for id in ["clean", "bad"] {
            stage.server.put_medium(id, Medium::Elsewhere(stage.cdn.url(&format!("/{id}"))));
        }
        let clean = stage.app.get(&path("download", "clean")).await;
        assert_eq!(clean.status, 200, "{name:?}");
        let kind = clean.header("content-type").unwrap();
        let boundary = kind.strip_prefix("multipart/mixed; boundary=").unwrap();
        let end = [&image(100_000)[..], format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        assert!(clean.body.ends_with(&end), "{name:?}");
        let head = String::from_utf8(clean.body[..clean.body.len() - end.len()].to_vec()).unwrap();
        assert!(head.contains("{}") && head.contains("image/png") && !head.contains("Location"), "{name:?}: {head}");
        stage.app.get(&path("download", "bad")).await.assert_matrix_error(404, "M_NOT_FOUND");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_homeservers_words() {
    over_each(async |stage: Stage| {
        let (through, direct) = both(&stage, "GET", &path("download", "none")).await;
        assert_eq!((through.status, &through.body), (direct.status, &direct.body), "{:?}", stage.flavour);
        through.assert_matrix_error(404, "M_NOT_FOUND");
    })
    .await;
}

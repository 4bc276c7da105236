//! What clients send.

use super::{Stage, both, image, over_each, v1};
use crate::harness::{Medium, eicar, marker, raw, request};

const UPLOAD: &str = "/_matrix/media/v3/upload";
const PUT: &str = "/_matrix/media/v3/upload/hs.test/created";

#[tokio::test]
async fn a_clean_upload_arrives_and_can_be_read() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        for version in ["v3", "r0", "v1"] {
            let path = format!("/_matrix/media/{version}/upload?filename=a.png");
            let sent =
                request("POST", &path).header("authorization", "Bearer token").header("content-type", "image/png");
            let answer = stage.app.client.send(sent, &image(100_000)).await;
            assert_eq!(answer.status, 200, "{name:?} {path}: {answer:?}");
            let uri = answer.json()["content_uri"].as_str().unwrap().to_owned();
            let id = uri.strip_prefix("mxc://hs.test/").unwrap();
            let read = stage.app.get(&v1("download", id)).await;
            assert_eq!(read.header("content-type"), Some("image/png"), "{name:?} {path}");
            assert!(read.body == image(100_000), "{name:?} {path}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_in_chunks_arrives_with_a_length() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        let chunks = "5\r\nin tw\r\n8;x=y\r\no pieces\r\n0\r\n\r\n";
        let head =
            "Host: hs.test\r\nAuthorization: Bearer token\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n";
        let answer = raw(&stage.app, format!("POST {UPLOAD} HTTP/1.1\r\n{head}\r\n{chunks}")).await;
        assert_eq!(answer.status(), 200, "{name:?}: {}", answer.0.escape_ascii());
        let seen = stage.server.homeserver.last();
        assert_eq!((&seen.body[..], seen.header("content-length")), (&b"in two pieces"[..], Some("13")), "{name:?}");
        assert_eq!(seen.header("transfer-encoding"), None, "{name:?}");
    })
    .await;
}

#[tokio::test]
async fn an_infected_upload_does_not_arrive() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.server.put_medium("created", Medium::Awaited);
        for medium in [eicar(), marker(3_000_000)] {
            for version in ["v3", "r0", "v1"] {
                let path = format!("/_matrix/media/{version}/upload");
                stage.app.post(&path, &medium).await.assert_matrix_error(403, "M_FORBIDDEN");
            }
            let sent = request("PUT", PUT).header("authorization", "Bearer token");
            stage.app.client.send(sent, &medium).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
        assert_eq!(stage.server.homeserver.uploads(), 0, "{name:?}");
        assert_eq!(stage.server.bytes("created"), None, "{name:?}: its name is still free");
    })
    .await;
}

#[tokio::test]
async fn a_stranger_uploads_nothing() {
    over_each(async |stage: Stage| {
        let answer = stage.app.client.send(request("POST", UPLOAD), &image(100)).await;
        answer_is_401(&answer, &format!("{:?}", stage.flavour));
        assert_eq!(stage.server.bytes("uploaded0"), None, "{:?}", stage.flavour);
    })
    .await;
}

fn answer_is_401(answer: &crate::harness::Answer, name: &str) {
    assert_eq!((answer.status.as_u16(), &answer.json()["errcode"]), (401, &"M_MISSING_TOKEN".into()), "{name}");
}

/// Where there are none, that is said in the homeserver's own words.
#[tokio::test]
async fn a_medium_that_is_named_first_is_uploaded_later() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        let put = || request("PUT", PUT).header("authorization", "Bearer token").header("content-type", "image/png");
        let (created, direct) = both(&stage, "POST", "/_matrix/media/v1/create").await;
        assert_eq!(created.status, direct.status, "{name:?}");
        if direct.status != 200 {
            assert_eq!(created.body, direct.body, "{name:?}");
            assert_eq!(stage.app.client.send(put(), &image(100)).await.status, direct.status, "{name:?}");
            return;
        }
        let (told, known) = (created.json(), direct.json());
        assert_eq!(told["content_uri"], known["content_uri"], "{name:?}");
        assert_eq!(told["unused_expires_at"], known["unused_expires_at"], "{name:?}");
        assert!(
            known.as_object().unwrap().len() == 3 && told.as_object().unwrap().len() == 2,
            "{name:?}: a way past us"
        );

        let path = v1("download", "created");
        stage.app.get(&path).await.assert_matrix_error(504, "M_NOT_YET_UPLOADED");
        assert_eq!(stage.app.client.send(put(), &image(100)).await.text(), "{}", "{name:?}");
        assert!(stage.app.get(&path).await.body == image(100), "{name:?}");
        let again = stage.app.client.send(put(), &image(101)).await;
        assert_eq!(
            (again.status.as_u16(), &again.json()["errcode"]),
            (409, &"M_CANNOT_OVERWRITE_MEDIA".into()),
            "{name:?}"
        );
        assert!(stage.server.bytes("created").unwrap() == image(100), "{name:?}");
    })
    .await;
}

//! What clients read.

use super::{Stage, both, image, over_each, v1};
use crate::harness::{Medium, eicar, marker, request};

#[tokio::test]
async fn clean_media_are_what_they_are_without_lazaret() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        for (id, len) in [("small", 100), ("large", 200_000)] {
            stage.server.put(id, &image(len), "image/png");
            for path in [v1("download", id), v1("download", &format!("{id}/a%20b.png")), v1("thumbnail", id)] {
                // Not known, and known.
                for _ in 0..2 {
                    let (through, direct) = both(&stage, "GET", &path).await;
                    assert_eq!(through.status, 200, "{name:?} {path}");
                    assert!(through.body == direct.body, "{name:?} {path}");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn infected_media_are_refused_with_json_for_browsers() {
    over_each(async |stage: Stage| {
        for (id, medium) in [("small", eicar()), ("large", marker(200_000))] {
            stage.server.put(id, &medium, "image/png");
            for path in [v1("download", id), v1("download", &format!("{id}/")), v1("thumbnail", id)] {
                for _ in 0..2 {
                    stage.app.get(&path).await.assert_matrix_error(403, "M_FORBIDDEN");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_old_routes_are_as_open_as_the_homeserver_has_them_and_scanned() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.server.put("clean", &image(100), "image/png");
        stage.server.put("bad", &eicar(), "image/png");
        for version in ["v3", "r0", "v1"] {
            for kind in ["download", "thumbnail"] {
                let path = format!("/_matrix/media/{version}/{kind}/hs.test/clean?allow_redirect=true");
                let (through, direct) = both(&stage, "GET", &path).await;
                assert_eq!(through.status.as_u16(), name.legacy_status(), "{name:?} {path}");
                assert_eq!((through.status, &through.body), (direct.status, &direct.body), "{name:?} {path}");
                let infected = stage.app.get(&path.replace("clean", "bad")).await;
                let expected = if name.legacy_status() == 404 { 404 } else { 403 };
                assert_eq!(infected.status, expected, "{name:?} {path}");
            }
        }
        let asked = stage.server.homeserver.seen_below("/_matrix/media/v3/download/hs.test/clean");
        assert!(asked[0].target.ends_with("?allow_redirect=false"), "{name:?}: {}", asked[0].target);
    })
    .await;
}

#[tokio::test]
async fn head_works_where_the_homeserver_does_not_know_it() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.server.put("clean", &image(100), "image/png");
        stage.server.put("bad", &eicar(), "image/png");
        for kind in ["download", "thumbnail"] {
            let sent = |id| request("HEAD", &v1(kind, id)).header("authorization", "Bearer token");
            let clean = stage.app.client.send(sent("clean"), b"").await;
            assert_eq!((clean.status.as_u16(), clean.header("content-length")), (200, Some("100")), "{name:?} {kind}");
            let infected = stage.app.client.send(sent("bad"), b"").await;
            assert_eq!((infected.status.as_u16(), infected.body.len()), (403, 0), "{name:?} {kind}");
        }
        assert!(stage.server.homeserver.seen().iter().all(|seen| seen.method != "HEAD"), "{name:?}");
    })
    .await;
}

#[tokio::test]
async fn parts_are_ours_wherever_the_homeserver_has_some() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        for (id, len) in [("small", 100), ("large", 200_000)] {
            stage.server.put(id, &image(len), "image/png");
            for _ in 0..2 {
                let sent = request("GET", &v1("download", id)).header("authorization", "Bearer token");
                let part = stage.app.client.send(sent.header("range", "bytes=10-19"), b"").await;
                let range = format!("bytes 10-19/{len}");
                assert_eq!((part.status.as_u16(), part.header("content-range")), (206, Some(&*range)), "{name:?}");
                assert_eq!(&part.body[..], &image(len)[10..20], "{name:?}");
            }
        }
        stage.server.put("bad", &eicar(), "image/png");
        let sent = request("GET", &v1("download", "bad")).header("authorization", "Bearer token");
        let part = stage.app.client.send(sent.header("range", "bytes=0-0"), b"").await;
        part.assert_matrix_error(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn only_our_own_validators_confirm_a_copy() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.server.put("m", &image(100), "image/png");
        let sent = |tag: &str| {
            let sent = request("GET", &v1("download", "m")).header("authorization", "Bearer token");
            stage.app.client.send(sent.header("if-none-match", tag), b"")
        };
        let full = sent("1").await;
        assert_eq!(full.status, 200, "{name:?}: Synapse has the same for everything");
        let ours = full.header("etag").unwrap().to_owned();
        assert_eq!(sent("\"1\"").await.status, 200, "{name:?}");
        assert_eq!(sent(&ours).await.status, 304, "{name:?}");
        stage.server.put("m", &image(101), "image/png");
        assert_eq!(sent(&ours).await.status, 200, "{name:?}: it is another");
        stage.server.put("m", &eicar(), "image/png");
        sent(&ours).await.assert_matrix_error(403, "M_FORBIDDEN");
    })
    .await;
}

#[tokio::test]
async fn what_the_homeserver_refuses_is_refused_in_its_words() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.server.put("m", &image(100), "image/png");
        stage.server.put_medium("later", Medium::Awaited);
        for id in ["none", "later"] {
            let (through, direct) = both(&stage, "GET", &v1("download", id)).await;
            assert_eq!((through.status, &through.body), (direct.status, &direct.body), "{name:?} {id}");
            through.assert_matrix_error(direct.status.as_u16(), direct.json()["errcode"].as_str().unwrap());
        }
        for (token, errcode) in [(None, "M_MISSING_TOKEN"), (Some("Bearer revoked"), "M_UNKNOWN_TOKEN")] {
            let sent = request("GET", &v1("download", "m"));
            let sent = token.into_iter().fold(sent, |sent, token| sent.header("authorization", token));
            stage.app.client.send(sent, b"").await.assert_matrix_error(401, errcode);
        }
    })
    .await;
}

/// Only matrix-media-repo sends anyone anywhere; what any homeserver does is treated alike.
#[tokio::test]
async fn media_elsewhere_are_fetched_scanned_and_served_in_place() {
    over_each(async |stage: Stage| {
        let name = stage.flavour;
        stage.cdn.put("/clean", &image(100_000), &[("content-type", "image/png"), ("set-cookie", "session=1")]);
        stage.cdn.put("/bad", &eicar(), &[("content-type", "image/png")]);
        for id in ["clean", "bad"] {
            stage.server.put_medium(id, Medium::Elsewhere(stage.cdn.url(&format!("/{id}?sig=1"))));
        }
        let clean = stage.app.get(&v1("download", "clean")).await;
        assert_eq!((clean.status.as_u16(), clean.header("content-type")), (200, Some("image/png")), "{name:?}");
        assert!(clean.body == image(100_000), "{name:?}");
        assert_eq!((clean.header("set-cookie"), clean.header("location")), (None, None), "{name:?}");
        stage.app.get(&v1("download", "bad")).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert!(stage.cdn.seen().iter().all(|seen| seen.header("authorization").is_none()), "{name:?}");
    })
    .await;
}

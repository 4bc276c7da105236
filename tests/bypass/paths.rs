//! Rows 1 to 6: other names and other routes for the same medium.

use super::{V1, assert_refused, everywhere, is_infected};
use crate::harness::{Flavour, Stored, eicar, marker, raw, request, start, target};

/// Homeservers decode identifiers, so that an encoded one is another name of the same medium.
#[tokio::test]
async fn row_01_an_encoded_id_is_the_same_medium() {
    let (homeserver, _clamd, app) = start().await;
    for spelling in ["hs%2Etest/m", "hs.test/%6d", "%68s.test/%6D"] {
        for prefix in ["/_matrix/client/v1/media/download", "/_matrix/client/v1/media/thumbnail"] {
            let path = format!("{prefix}/{spelling}");
            homeserver.put(&path, Stored::media(&eicar()));
            app.get(&path).await.assert_matrix_error(403, "M_FORBIDDEN");
            assert_eq!(homeserver.last().target, path, "asked for as it was named");
            homeserver.put(&path, Stored::media(b"harmless"));
        }
    }
    assert_eq!(app.scans("infected").await, 1);
    for spelling in ["hs%2Etest/m", "hs.test/%6d"] {
        let path = format!("/_matrix/client/v1/media/download/{spelling}");
        assert_eq!(&app.get(&path).await.body[..], b"harmless", "{spelling}");
    }

    // What is known of a medium is known of it by all its names.
    homeserver.put_media("m", &Stored::media(&eicar()));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    let thumbnail = "/_matrix/client/v1/media/thumbnail/%68s.test/%6d";
    homeserver.put(thumbnail, Stored::media(b"a thumbnail of it"));
    app.get(thumbnail).await.assert_matrix_error(403, "M_FORBIDDEN");

    let asked = homeserver.seen().len();
    for nested in
        ["hs.test/%256d", "hs.test/a%2Fm", "hs.test/a%5Cm", "hs.test/m%00", "hs%2Ftest/m", "hs.test/%6", "%2e%2e/m"]
    {
        for prefix in ["/_matrix/client/v1/media/download", "/_matrix/media/v3/thumbnail"] {
            app.get(&format!("{prefix}/{nested}")).await.assert_matrix_error(404, "M_UNRECOGNIZED");
        }
    }
    assert_eq!(homeserver.seen().len(), asked, "nobody was asked what these are");
}

/// A router that decodes, merges, resolves or ignores case sees a media route where others see none.
#[tokio::test]
async fn row_02_what_some_router_takes_for_a_media_route_is_refused() {
    let (homeserver, _clamd, app) = everywhere(&eicar()).await;
    for spelling in [
        "//_matrix/media/v3/download/hs.test/m",
        "/_matrix//media/v3/download/hs.test/m",
        "/_matrix/media//v3/download/hs.test/m",
        "/_matrix/media/v3//download/hs.test/m",
        "/_matrix/media/v3/download//hs.test/m",
        "/./_matrix/media/v3/download/hs.test/m",
        "/_matrix/./media/v3/download/hs.test/m",
        "/_matrix/client/../media/v3/download/hs.test/m",
        "/_matrix/client/%2e%2e/media/v3/download/hs.test/m",
        "/_matrix/client/v1/rooms/../media/download/hs.test/m",
        "/_matrix/%6dedia/v3/download/hs.test/m",
        "/_matrix/%256dedia/v3/download/hs.test/m",
        "/%5fmatrix/client/v1/media/download/hs.test/m",
        "/_matrix%2Fmedia%2Fv3%2Fdownload%2Fhs.test%2Fm",
        "/_matrix/media/v3/down%6coad/hs.test/m",
        "/_matrix/media;x/v3/download/hs.test/m",
        "/_matrix;x=y/client/v1/media/download/hs.test/m",
        "/_matrix/media/v3/download/hs.test/m;x",
        "/_matrix\\media\\v3\\download\\hs.test\\m",
        "/_matrix/client%5Cv1%5Cmedia/download/hs.test/m",
        "/_MATRIX/media/v3/download/hs.test/m",
        "/_matrix/client/V1/Media/Download/hs.test/m",
        "/_matrix/media/V3/download/hs.test/m",
        "/_matrix/media%09/v3/download/hs.test/m",
        "/_matrix/federation/v1/%6dedia/download/m",
    ] {
        let answer = raw(&app, target("GET", spelling)).await;
        assert_refused(&answer, 404, spelling);
        assert!(answer.contains(b"M_UNRECOGNIZED"), "{spelling}");
    }
    assert_eq!(homeserver.seen().len(), 0);
    for other in [
        "/_matrix/client/v3/rooms/!a%3Ahs.test/state/x%2Fy/media",
        "/_matrix/client/v3/user/%40a%3Ahs.test/account_data/media",
        "/_matrix/client/v1/rooms/!a:hs.test/hierarchy",
    ] {
        assert_eq!(raw(&app, target("GET", other)).await.status(), 200, "{other} is no medium");
        assert_eq!(homeserver.last().target, other);
    }
}

/// A file name may be empty.
#[tokio::test]
async fn row_03_a_trailing_slash_changes_nothing() {
    let (homeserver, _clamd, app) = start().await;
    for path in [format!("{V1}/"), "/_matrix/media/v3/download/hs.test/m/".to_owned()] {
        homeserver.put(&path, Stored::media(&eicar()));
        app.get(&path).await.assert_matrix_error(403, "M_FORBIDDEN");
        homeserver.put(&path, Stored::media(b"harmless"));
        assert_eq!(&app.get(&path).await.body[..], b"harmless", "{path}");
    }
}

/// A file name may be anything, and some of it could end up in a header.
#[tokio::test]
async fn row_04_a_file_name_is_no_part_of_what_a_medium_is() {
    let (homeserver, _clamd, app) = everywhere(&eicar()).await;
    let names =
        ["a.png", "x%2Fy", "x%5Cy", "..", "%2e%2e", "%00", "%ff%fe", "a;b=c", "a%0d%0aSet-Cookie:%20x=1", "\u{e4}"];
    for name in names {
        let spelling = format!("{V1}/{name}");
        let answer = raw(&app, target("GET", &spelling)).await;
        assert!(!is_infected(&answer.0), "{name}: delivered");
        assert!([403, 400].contains(&answer.status()), "{name}: {}", answer.status());
    }
    assert_eq!(app.scans("infected").await, 1, "one medium, whatever it is called");
    homeserver.respond_with(|_| {
        Some(Stored::media(b"harmless").header("content-disposition", "inline; filename=theirs.png"))
    });
    for name in ["a.png", "x%2Fy", "a%0d%0aSet-Cookie:%20x=1"] {
        let answer = app.get(&format!("{V1}/{name}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"harmless"[..]), "{name}");
        assert_eq!(answer.header("content-disposition"), Some("inline; filename=theirs.png"), "{name}");
        assert_eq!(answer.header("set-cookie"), None, "{name}");
    }
}

/// The same bytes are below many prefixes.
#[tokio::test]
async fn row_05_every_route_of_every_version_is_scanned_or_closed() {
    let (homeserver, _clamd, app) = everywhere(&eicar()).await;
    homeserver.respond_with(|seen| {
        let is_federation = seen.target.starts_with("/_matrix/federation/");
        Some(if is_federation {
            Flavour::Synapse.multipart(&eicar(), "image/png")
        } else {
            Stored::media(&eicar()).open()
        })
    });
    for prefix in ["/_matrix/client/v1/media", "/_matrix/media/v3", "/_matrix/media/r0", "/_matrix/media/v1"] {
        for rest in ["download/hs.test/m", "download/hs.test/m/a.png", "thumbnail/hs.test/m?width=1&height=1"] {
            app.get(&format!("{prefix}/{rest}")).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
    }
    for kind in ["download", "thumbnail"] {
        let path = format!("/_matrix/federation/v1/media/{kind}/m");
        app.get(&path).await.assert_matrix_error(404, "M_NOT_FOUND");
        app.get(&format!("/_matrix/media_proxy/unstable/{kind}/hs.test/m"))
            .await
            .assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    }
    let asked = homeserver.seen().len();
    for closed in [
        "/_matrix/client/unstable/org.matrix.msc3916/media/download/hs.test/m",
        "/_matrix/client/unstable/org.matrix.msc3916/media/thumbnail/hs.test/m",
        "/_matrix/federation/unstable/org.matrix.msc3916/media/download/m",
        "/_matrix/federation/unstable/org.matrix.msc3916.v2/media/download/m",
        "/_matrix/client/v2/media/download/hs.test/m",
        "/_matrix/client/r0/media/download/hs.test/m",
        "/_matrix/client/v1/media/copy/hs.test/m",
        "/_matrix/federation/v2/media/download/m",
        "/_matrix/media/v2/download/hs.test/m",
        "/_matrix/media/download/hs.test/m",
        "/_matrix/media/unstable/io.t2bot.media/download/hs.test/m",
        "/_matrix/media/r0/identicon/m",
        "/_matrix/media_proxy/unstable/anything",
    ] {
        app.get(closed).await.assert_matrix_error(404, "M_UNRECOGNIZED");
    }
    assert_eq!(homeserver.seen().len(), asked);
}

/// A thumbnail that is asked for larger than the medium is the medium, and what hides behind an image stays in it.
#[tokio::test]
async fn row_06_a_thumbnail_is_scanned_like_the_medium_that_it_may_be() {
    let (homeserver, _clamd, app) = start().await;
    let polyglot = [b"\x89PNG\r\n\x1a\n", &marker(50_000)[..]].concat();
    for medium in [eicar(), polyglot] {
        homeserver.put_media("m", &Stored::media(&medium).header("content-type", "image/png"));
        for query in ["width=99999&height=99999&method=scale", "width=1&height=1&method=crop&animated=true"] {
            let path = format!("/_matrix/client/v1/media/thumbnail/hs.test/m?{query}");
            app.get(&path).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
    }
    homeserver.put_media("n", &Stored::media(b"a small image"));
    let sent = request("GET", "/_matrix/client/v1/media/thumbnail/hs.test/n?width=1&height=1");
    let answer = app.client.send(sent.header("authorization", "Bearer token"), b"").await;
    assert_eq!(&answer.body[..], b"a small image");
}

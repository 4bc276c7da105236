//! Which addresses name a medium, and which medium.

use super::{READS, error, outcome, path};
use crate::harness::{MALFORMED, Stored, start};

#[tokio::test]
async fn malformed_addresses_are_answered_without_asking_the_homeserver() {
    let (homeserver, _clamd, app) = start().await;
    for address in [
        "..%2Fpreview_url",
        "../preview_url",
        "%2E%2E/preview_url",
        "..%2Fpreview_url/m",
        "hs.test/..",
        "hs.test/..%2F..%2Fpreview_url",
        "hs.test/%252e%252e",
        "hs.test%2Fm",
        "hs.test/m%2Fx",
        "hs.test/m%5Cx",
        "hs.test/m%00",
        "hs.test/m%3Fx",
        "hs.test/m/",
        "hs.test/m/x",
        "hs.test//m",
        "hs.test",
        "hs.test/",
        "/m",
        "hs..test/m",
        "hs.test:99999/m",
    ] {
        for query in ["", "?url=http://hs.test/"] {
            let scan = app.get(&path(&format!("scan/{address}{query}"))).await;
            assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, MALFORMED), "{address}{query}");
            for route in ["download", "thumbnail"] {
                let answer = app.get(&path(&format!("{route}/{address}{query}"))).await;
                let expected = error(403, "MCS_MEDIA_NOT_CLEAN", "Malformed media ID");
                assert_eq!(outcome(&answer), expected, "{route}/{address}{query}");
            }
        }
    }
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn every_spelling_of_an_address_asks_for_the_same_medium() {
    let (homeserver, _clamd, app) = start().await;
    for (spelling, address) in [
        ("hs.test/m", "hs.test/m"),
        ("hs%2Etest/%6d", "hs.test/m"),
        ("hs.test:8448/m", "hs.test%3A8448/m"),
        ("hs.test%3A8448/m", "hs.test%3A8448/m"),
        ("hs.test%3a8448/m", "hs.test%3A8448/m"),
        ("10.0.0.1:1/m", "10.0.0.1%3A1/m"),
        ("[::1]:8448/m", "%5B%3A%3A1%5D%3A8448/m"),
        ("%5B%3A%3A1%5D%3A8448/m", "%5B%3A%3A1%5D%3A8448/m"),
    ] {
        for (route, kind) in READS {
            let target = format!("/_matrix/client/v1/media/{kind}/{address}");
            homeserver.put(&target, Stored::media(b"a medium"));
            assert_eq!(app.get(&path(&format!("{route}/{spelling}"))).await.status, 200, "{route}/{spelling}");
            assert_eq!(homeserver.last().target, target, "{route}/{spelling}");
        }
    }
}

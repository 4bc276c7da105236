//! What each route takes and gives.

use super::{
    READS, clean, downloads, error, malformed_address, post, posts, scan,
    vector::{Expected, Sent, Vector, check, row},
};
use crate::harness::{RECOGNISABLE, Stored, seal};

fn served(bytes: &[u8]) -> Expected {
    Expected::bytes(200, bytes).with("content-length", &bytes.len().to_string())
}

#[tokio::test]
async fn clean_media_are_called_clean_and_served() {
    let (medium, empty) = (Stored::media(b"a medium"), Stored::media(b""));
    check([
        row("scan, clean").medium(&medium).sends(scan()).expects(clean()),
        row("download and thumbnail, clean").medium(&medium).sends(downloads()).expects(served(b"a medium")),
        row("scan, empty").medium(&empty).sends(scan()).expects(clean()),
        row("download and thumbnail, empty").medium(&empty).sends(downloads()).expects(served(b"")),
    ])
    .await;
}

#[tokio::test]
async fn clean_attachments_are_called_clean_and_served_as_ciphertext() {
    let (good, empty) = (seal(b"a medium", "m", 1), seal(b"", "m", 3));
    let scan = |body: &[u8]| post("scan_encrypted", body);
    let download = |body: &[u8]| post("download_encrypted", body);
    let stored = |bytes: &[u8]| Stored::media(bytes);
    check([
        row("scan_encrypted, clean").medium(&stored(&good.ciphertext)).sends(scan(&good.body())).expects(clean()),
        row("download_encrypted, clean")
            .medium(&stored(&good.ciphertext))
            .sends(download(&good.body()))
            .expects(served(&good.ciphertext).with("content-type", "application/octet-stream"))
            .asks(&["/_matrix/client/v1/media/download/hs.test/m"]),
        row("scan_encrypted, empty").medium(&stored(b"")).sends(scan(&empty.body())).expects(clean()),
        row("download_encrypted, empty").medium(&stored(b"")).sends(download(&empty.body())).expects(served(b"")),
    ])
    .await;
}

/// Rows of all routes that read a medium: an address, and whom the homeserver is asked for.
fn spelled(spelling: &str, address: &str) -> Vec<Vector> {
    let rows = READS.map(|(route, kind)| {
        let target = format!("/_matrix/client/v1/media/{kind}/{address}");
        let expected = if route == "scan" { clean() } else { served(b"a medium") };
        let row = row(format!("{route} of `{spelling}`")).stored(&target, Stored::media(b"a medium"));
        row.get(&format!("{route}/{spelling}")).expects(expected).asks(&[&target])
    });
    rows.into()
}

#[tokio::test]
async fn every_spelling_of_an_address_asks_for_the_same_medium() {
    let spellings = [
        ("hs.test/m", "hs.test/m"),
        ("hs%2Etest/%6d", "hs.test/m"),
        ("hs.test:8448/m", "hs.test%3A8448/m"),
        ("hs.test%3A8448/m", "hs.test%3A8448/m"),
        ("hs.test%3a8448/m", "hs.test%3A8448/m"),
        ("hs.test%3A8448%2Fm", "hs.test%3A8448/m"),
        ("10.0.0.1:1/m", "10.0.0.1%3A1/m"),
        ("[::1]:8448/m", "%5B%3A%3A1%5D%3A8448/m"),
        ("%5B%3A%3A1%5D%3A8448/m", "%5B%3A%3A1%5D%3A8448/m"),
    ];
    check(spellings.into_iter().flat_map(|(spelling, address)| spelled(spelling, address))).await;
}

/// One of each kind; all that there are do not lead out of the media of the homeserver either (W6).
#[tokio::test]
async fn addresses_that_name_no_medium_are_told_without_asking() {
    let addresses = ["hs.test", "hs.test/m/file.png", "..%2Fpreview_url", "hs..test/m"];
    let why = "it is told before anyone is asked, and not remembered";
    let rows = addresses.into_iter().flat_map(|address| {
        let queries = ["", "?url=http://hs.test/"];
        let sent = |route: &str| queries.map(|query| Sent::new("GET", &format!("{route}/{address}{query}")));
        let refused = error(403, "MCS_MEDIA_NOT_CLEAN", "Malformed media ID");
        [
            row(format!("scan of `{address}`")).sends(sent("scan")).expects(malformed_address()),
            row(format!("download of `{address}`")).sends(sent("download")).expects(refused.clone()),
            row(format!("thumbnail of `{address}`")).sends(sent("thumbnail")).expects(refused),
        ]
        .map(|row| row.unasked().deviates(why))
    });
    check(rows).await;
}

#[tokio::test]
async fn addresses_in_a_body_are_mxc_uris() {
    let file = seal(b"a medium", "m", 1);
    let with_url = |url: &str| {
        let file = crate::harness::edited(&file.file, "/url", Some(serde_json::json!(url)));
        serde_json::json!({"file": file}).to_string().into_bytes()
    };
    let why = "the first characters are compared, not cut off, and nobody is asked";
    let wrong = ["", "abcdefhs.test/m", "mxc://hs.test/m/x", " mxc://hs.test/m", RECOGNISABLE];
    let wrong = wrong.into_iter().flat_map(|url| {
        let refused = error(403, "MCS_MEDIA_NOT_CLEAN", "Malformed media ID");
        [
            row(format!("scan_encrypted of `{url}`"))
                .sends(post("scan_encrypted", &with_url(url)))
                .expects(malformed_address()),
            row(format!("download_encrypted of `{url}`"))
                .sends(post("download_encrypted", &with_url(url)))
                .expects(refused),
        ]
        .map(|row| row.unasked().deviates(why))
    });
    let fragment = row("a fragment").medium(&Stored::media(&file.ciphertext));
    let fragment = fragment.sends(post("scan_encrypted", &with_url("mxc://hs.test/m#blurhash")));
    let fragment = fragment.deviates("it is no part of the address").expects(clean());
    let fragment = fragment.asks(&["/_matrix/client/v1/media/download/hs.test/m"]);
    let missing = row("missing").sends(posts(&file.body())).expects(super::not_found());
    check(wrong.chain([fragment, missing])).await;
}

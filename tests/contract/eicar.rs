//! The EICAR test file in every form in which it can come.

use serde_json::json;

use super::{
    downloads, infected, not_clean, post, scan,
    vector::{Sent, Stage, check, row},
};
use crate::harness::{AppBuilder, Clamd, FORM, Homeserver, Stored, eicar, form, gzip, marker, seal};

#[tokio::test]
async fn eicar_is_found_in_every_form() {
    let archive = gzip(&eicar(), b"a comment");
    let (sealed, sealed_archive) = (seal(&eicar(), "m", 1), seal(&archive, "m", 2));
    let file =
        |parts: &[(&str, &[u8])]| [Sent::new("POST", "scan_file").header("content-type", FORM).body(form(parts))];
    let description = json!(sealed.file).to_string();
    let (plain, packed) = (Stored::media(&eicar()), Stored::media(&archive));
    let ciphertext = Stored::media(&sealed.ciphertext);
    check([
        row("plain").medium(&plain).sends(scan()).expects(infected()),
        row("plain, served").medium(&plain).sends(downloads()).expects(not_clean()),
        row("in an archive").medium(&packed).sends(scan()).expects(infected()),
        row("in an archive, served").medium(&packed).sends(downloads()).expects(not_clean()),
        row("encrypted").medium(&ciphertext).sends(post("scan_encrypted", &sealed.body())).expects(infected()),
        row("encrypted, served")
            .medium(&ciphertext)
            .sends(post("download_encrypted", &sealed.body()))
            .expects(not_clean()),
        row("in an encrypted archive")
            .medium(&Stored::media(&sealed_archive.ciphertext))
            .sends(post("scan_encrypted", &sealed_archive.body()))
            .expects(infected()),
        row("as thumbnail")
            .stored("/_matrix/client/v1/media/thumbnail/hs.test/m", plain)
            .get("thumbnail/hs.test/m?width=1&height=1")
            .expects(not_clean()),
        row("before the upload").sends(file(&[("body", &eicar())])).expects(infected()),
        row("in an archive before the upload").sends(file(&[("body", &archive)])).expects(infected()),
        row("encrypted before the upload")
            .sends(file(&[("body", &sealed.ciphertext), ("file", description.as_bytes())]))
            .expects(infected()),
    ])
    .await;
}

/// By descriptor clamd has no limit on streams; what it finds at the end of a large file counts.
#[tokio::test]
async fn it_is_found_above_the_limit_on_streams() {
    let clamd = Clamd::start_with("StreamMaxLength 1M").await;
    let stage = Stage::around(clamd).await;
    let (large, sealed) = (marker(3 << 20), seal(&marker(3 << 20), "m", 1));
    stage
        .check([
            row("above the stream limit").medium(&Stored::media(&large)).sends(scan()).expects(infected()),
            row("above the stream limit, encrypted")
                .medium(&Stored::media(&sealed.ciphertext))
                .sends(post("scan_encrypted", &sealed.body()))
                .expects(infected()),
        ])
        .await;
}

/// Over a stream it is cut off there, which is no verdict on the rest.
#[tokio::test]
async fn above_the_limit_of_a_stream_nothing_is_called_clean() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start_on_tcp("StreamMaxLength 1M").await);
    let app = AppBuilder::new(&homeserver).clamd_over_tcp(&clamd).clamd_settings("conformance: warn").start().await;
    homeserver.put_media("m", &Stored::media(&marker(3 << 20)));
    for route in ["scan", "download"] {
        let answer = app.get(&format!("/_matrix/media_proxy/unstable/{route}/hs.test/m")).await;
        answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    }
}

//! Types of files that may pass or may not: told by the bytes, on all routes.

use super::{
    clean, downloads, error, infected, not_clean, post, reads, scan,
    vector::{Expected, Sent, Stage, row},
};
use crate::harness::{FORM, PNG, Stored, eicar, form, gzip, seal};

fn forbidden(name: &str) -> Expected {
    error(403, "MCS_MIME_TYPE_FORBIDDEN", &format!("File type: {name} not allowed"))
}

/// With and without `compat.strict_mcs` the answer is the same.
#[tokio::test]
async fn what_is_not_allowed_is_refused_by_its_type_and_never_called_infected() {
    let stage = Stage::with_policy("allowed_mimetypes: [image/png]").await;
    let noise: Vec<u8> = (0..=u8::MAX).collect();
    let others: [(&str, &[u8]); 4] = [
        ("text/plain", b"text"),
        ("application/x-empty", b""),
        ("application/gzip", &gzip(b"x", b"")),
        ("application/octet-stream", &noise),
    ];
    let plain = others.iter().map(|(name, body)| {
        row(format!("{name} in clear")).medium(&Stored::media(body)).sends(reads()).expects(forbidden(name))
    });
    let encrypted = others.iter().map(|(name, body)| {
        let sealed = seal(body, "m", 1);
        let row = row(format!("{name} encrypted")).medium(&Stored::media(&sealed.ciphertext));
        row.sends(super::posts(&sealed.body())).expects(forbidden(name))
    });
    let form = form(&[("body", b"text")]);
    let declared = Stored::media(b"text").without_headers().header("content-type", "image/png");
    let encoded = Stored::media(&gzip(PNG, b"")).header("content-encoding", "gzip");
    let sealed = seal(PNG, "m", 1);
    stage.check(plain.chain(encrypted)).await;
    stage
        .check([
            row("declared type").medium(&declared).sends(reads()).expects(forbidden("text/plain")),
            row("in a form")
                .sends([Sent::new("POST", "scan_file").header("content-type", FORM).body(form)])
                .expects(forbidden("text/plain")),
            row("allowed").medium(&Stored::media(PNG)).sends(scan()).expects(clean()),
            row("allowed, served").medium(&Stored::media(PNG)).sends(downloads()).expects(Expected::bytes(200, PNG)),
            row("allowed, encoded")
                .medium(&encoded)
                .sends(scan())
                .expects(clean())
                .deviates("what counts is what is read"),
            row("allowed, encrypted")
                .medium(&Stored::media(&sealed.ciphertext))
                .sends(post("scan_encrypted", &sealed.body()))
                .expects(clean()),
            row("infected")
                .medium(&Stored::media(&eicar()))
                .sends(scan())
                .expects(infected())
                .deviates("what was found is worse than the type"),
            row("infected, served")
                .medium(&Stored::media(&eicar()))
                .sends(downloads())
                .expects(not_clean())
                .deviates("what was found is worse than the type"),
        ])
        .await;
}

#[tokio::test]
async fn what_is_blocked_is_refused_and_nothing_else() {
    let stage = Stage::with_policy("blocked_mimetypes: [image/png]").await;
    stage
        .check([
            row("blocked").medium(&Stored::media(PNG)).sends(reads()).expects(forbidden("image/png")),
            row("not blocked").medium(&Stored::media(b"text")).sends(scan()).expects(clean()),
        ])
        .await;
}

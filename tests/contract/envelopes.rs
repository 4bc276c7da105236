//! Files in an envelope: how it is written, and what is said if it cannot be opened.

use base64::{Engine as _, prelude::*};
use serde_json::{Value, json};
use vodozemac::{Curve25519PublicKey, pk_encryption::PkDecryption};

use super::{
    error, infected, posts,
    vector::{Sent, Stage, check, row},
};
use crate::harness::{Stored, edited, eicar, envelope, public_key, seal, with_file, with_member};

fn body(envelope: &Value) -> Vec<u8> {
    json!({"encrypted_body": envelope}).to_string().into_bytes()
}

fn padded(mut envelope: Value) -> Value {
    for member in ["ciphertext", "mac", "ephemeral"] {
        let bytes = BASE64_STANDARD_NO_PAD.decode(envelope[member].as_str().unwrap()).unwrap();
        envelope[member] = json!(BASE64_STANDARD.encode(bytes));
    }
    envelope
}

#[tokio::test]
async fn padded_and_unpadded_envelopes_open() {
    let sealed = seal(&eicar(), "m", 1);
    let (text, same) = (sealed.body(), sealed.body());
    let scan = |payload: Box<dyn Fn(Curve25519PublicKey) -> Vec<u8> + Send + Sync>| {
        [Sent::new("POST", "scan_encrypted").sealed(payload)]
    };
    let stored = Stored::media(&sealed.ciphertext);
    check([
        row("unpadded")
            .medium(&stored)
            .sends(scan(Box::new(move |key| body(&envelope(key, &text)))))
            .expects(infected()),
        row("padded")
            .medium(&stored)
            .sends(scan(Box::new(move |key| body(&padded(envelope(key, &same))))))
            .expects(infected()),
    ])
    .await;
}

/// One of each kind; what else can be wrong is tried where it is shown that no failure tells anything.
#[tokio::test]
async fn an_envelope_that_cannot_be_opened_is_one_error_whatever_is_wrong() {
    let stage = Stage::start("").await;
    let text = "The encrypted body could not be decrypted";
    let refused = error(403, "MCS_BAD_DECRYPTION", text);
    let strict = error(400, "MCS_MEDIA_FAILED_TO_DECRYPT", text);
    let why =
        "the documented code, with which clients fetch the key again, and one text, which tells nothing of the inside";
    let sealed = seal(b"x", "m", 1);
    // Each application has a key of its own: those for the one are broken for the other as well.
    for app in stage.apps() {
        let key = public_key(app).await;
        let good = envelope(key, &sealed.body());
        let rows = [
            ("no object", json!(7)),
            ("a member is missing", edited(&good, "/mac", None)),
            ("a member is no base64", edited(&good, "/mac", Some(json!("!")))),
            ("another key", envelope(PkDecryption::new().public_key(), &sealed.body())),
            ("a changed ciphertext", with_member(&good, "ciphertext", |bytes| *bytes.last_mut().unwrap() ^= 1)),
            ("a changed MAC", with_member(&good, "mac", |bytes| bytes[0] ^= 1)),
            ("text that is not UTF-8", envelope(key, b"\xff")),
            ("text that is no JSON", envelope(key, b"x")),
            ("text that describes no file", envelope(key, b"{}")),
            ("a file of another version", envelope(key, &with_file(&edited(&sealed.file, "/v", Some(json!("v1")))))),
        ];
        let rows = rows.map(|(what, broken)| {
            // A valid file beside it must not make up for it.
            let body = json!({"file": sealed.file, "encrypted_body": broken}).to_string();
            let row = row(format!("an envelope with {what}"));
            row.sends(posts(body.as_bytes())).deviates(why).expects(refused.clone()).strictly(strict.clone()).unasked()
        });
        stage.check(rows).await;
    }
}

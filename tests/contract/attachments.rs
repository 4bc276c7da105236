//! Keys, IVs and hashes: how they are written, and what does not decrypt with them.

use base64::{Engine as _, prelude::*};
use serde_json::{Value, json};

use super::{
    clean, infected, post, posts, undecryptable,
    vector::{Sent, Vector, check, row},
};
use crate::harness::{RECOGNISABLE, Stored, edited, eicar, envelope, seal, with_file};

/// A row in which the file is found to be infected: with a key that is read wrong it would be clean noise.
fn found(what: &str, stored: &Stored, file: &Value) -> Vector {
    let sealed = file.clone();
    let sealed = Sent::new("POST", "scan_encrypted")
        .sealed(move |key| json!({"encrypted_body": envelope(key, &with_file(&sealed))}).to_string().into_bytes());
    row(what).medium(stored).sends(post("scan_encrypted", &with_file(file))).sends([sealed]).expects(infected())
}

#[tokio::test]
async fn base64_is_read_padded_and_unpadded_and_in_both_alphabets() {
    // A key and an IV with both characters in which the alphabets differ.
    let sealed = seal(&eicar(), "m", 0xfb);
    let (k, iv) = ([0xfb; 32], [[0xfb; 8], [0; 8]].concat());
    let sha256 = BASE64_STANDARD_NO_PAD.decode(sealed.file["hashes"]["sha256"].as_str().unwrap()).unwrap();
    let stored = Stored::media(&sealed.ciphertext);
    let alphabets = [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD];
    let rows = alphabets.map(|base64| {
        let mut file = sealed.file.clone();
        file["key"]["k"] = json!(base64.encode(k));
        file["iv"] = json!(base64.encode(&iv));
        file["hashes"]["sha256"] = json!(base64.encode(&sha256));
        found("base64", &stored, &file)
    });
    let bits = sealed.file["key"]["k"].as_str().unwrap().strip_suffix('s').map(|text| json!(format!("{text}t")));
    let stray = edited(&sealed.file, "/key/k", Some(bits.expect("the last character has two unused bits")));
    check(rows.into_iter().chain([found("stray bits at the end", &stored, &stray)])).await;
}

#[tokio::test]
async fn malformed_keys_ivs_and_hashes_do_not_decrypt() {
    let file = edited(&seal(&eicar(), "m", 1).file, "/key/k", Some(json!(RECOGNISABLE)));
    let bytes = |len: usize| json!(BASE64_STANDARD_NO_PAD.encode(vec![0xfb; len]));
    let spoilt =
        |pointer: &str, text: &str| json!(format!("{}{text}", file.pointer(pointer).unwrap().as_str().unwrap()));
    let members = [
        ("/key/k", [0, 16, 24, 31, 33, 64]),
        ("/iv", [0, 8, 12, 15, 17, 32]),
        ("/hashes/sha256", [0, 16, 20, 31, 33, 64]),
    ];
    let rows = members.into_iter().flat_map(|(pointer, lengths)| {
        let mut wrong: Vec<Value> = lengths.map(bytes).into();
        wrong.extend(["!", " ", "\n", "A", "===", "\u{e4}", "\0"].map(|text| spoilt(pointer, text)));
        wrong.extend([json!("!"), json!(RECOGNISABLE[1..]), json!(format!("-+{}", "A".repeat(41)))]);
        let row = |value: Value| {
            let body = with_file(&edited(&file, pointer, Some(value.clone())));
            row(format!("{pointer} is {value}")).sends(posts(&body)).expects(undecryptable()).unasked()
        };
        wrong.into_iter().map(row).collect::<Vec<_>>()
    });
    let why = "nobody is asked for what cannot be decrypted";
    check(rows.map(|row| row.deviates(why))).await;
}

#[tokio::test]
async fn a_ciphertext_with_another_hash_is_not_decrypted() {
    let rows = [b"a medium".to_vec(), eicar(), Vec::new()].into_iter().flat_map(|plaintext| {
        let (sealed, other) = (seal(&plaintext, "m", 1), seal(b"another", "m", 1));
        let wrong = edited(&sealed.file, "/hashes/sha256", Some(other.file["hashes"]["sha256"].clone()));
        [
            row("other bytes").medium(&Stored::media(&other.ciphertext)).sends(posts(&sealed.body())),
            row("another hash").medium(&Stored::media(&sealed.ciphertext)).sends(posts(&with_file(&wrong))),
        ]
        .map(|row| row.expects(undecryptable()))
    });
    let sealed = seal(b"a known medium", "m", 1);
    let known = row("known").medium(&Stored::media(&sealed.ciphertext)).sends(post("scan_encrypted", &sealed.body()));
    let replaced = row("known, and replaced").medium(&Stored::media(b"another")).sends(posts(&sealed.body()));
    let last = [known.expects(clean()), replaced.expects(undecryptable())];
    check(rows.chain(last)).await;
}

#[tokio::test]
async fn an_attachment_whose_counter_wraps_is_not_decrypted() {
    let iv = |left: u64| json!(BASE64_STANDARD_NO_PAD.encode([[1; 8], (u64::MAX - left).to_be_bytes()].concat()));
    let sizes = [(16, 0, true), (17, 0, false), (17, 1, true), (160, 9, true), (161, 9, false)];
    let why = "half of all readers carry into the upper half of the counter, and would see another plaintext";
    check(sizes.map(|(len, left, fits)| {
        let sealed = seal(&vec![b'x'; len], "m", 1);
        let body = with_file(&edited(&sealed.file, "/iv", Some(iv(left))));
        let row = row(format!("{len} bytes with {left} more blocks")).medium(&Stored::media(&sealed.ciphertext));
        match fits {
            true => row.sends(post("scan_encrypted", &body)).expects(clean()),
            false => row.sends(posts(&body)).expects(undecryptable()).deviates(why),
        }
    }))
    .await;
}

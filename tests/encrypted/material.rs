//! Keys, IVs and hashes: how they are written, and what does not decrypt with them.

use base64::{Engine as _, prelude::*};
use serde_json::{Value, json};

use super::{
    KEY, assert_clean, assert_infected, assert_refused, edited, envelope, public_key, put, with_envelope, with_file,
};
use crate::harness::{Stored, eicar, scans, seal, start};

#[tokio::test]
async fn malformed_keys_ivs_and_hashes_do_not_decrypt() {
    let (homeserver, _clamd, app) = start().await;
    let file = edited(&put(&homeserver, &eicar(), "m", 1).file, "/key/k", Some(json!(KEY)));
    let bytes = |len: usize| json!(BASE64_STANDARD_NO_PAD.encode(vec![0xfb; len]));
    let spoilt =
        |pointer: &str, text: &str| json!(format!("{}{text}", file.pointer(pointer).unwrap().as_str().unwrap()));
    let mixed = json!(format!("-+{}", "A".repeat(41)));
    for (pointer, lengths) in [
        ("/key/k", [0, 16, 24, 31, 33, 64]),
        ("/iv", [0, 8, 12, 15, 17, 32]),
        ("/hashes/sha256", [0, 16, 20, 31, 33, 64]),
    ] {
        let mut wrong: Vec<Value> = lengths.map(bytes).into();
        wrong.extend(["!", " ", "\n", "A", "===", "\u{e4}", "\0"].map(|text| spoilt(pointer, text)));
        wrong.extend([json!("!"), json!(KEY[1..]), mixed.clone()]);
        for value in wrong {
            let what = format!("{pointer} is {value}");
            let body = with_file(&edited(&file, pointer, Some(value)));
            assert_refused(&app, &body, 400, "MCS_MEDIA_FAILED_TO_DECRYPT", &what).await;
        }
    }
    assert_eq!(scans(&app).await, (0, 0));
}

#[tokio::test]
async fn padded_unpadded_and_both_alphabets_of_base64_are_read() {
    let (homeserver, _clamd, app) = start().await;
    let public = public_key(&app).await;
    // A key and an IV with both characters in which the alphabets differ. The file is infected: a key that is read
    // wrong would make clean noise of it.
    let sealed = put(&homeserver, &eicar(), "m", 0xfb);
    let (k, iv) = ([0xfb; 32], [[0xfb; 8], [0; 8]].concat());
    let sha256 = BASE64_STANDARD_NO_PAD.decode(sealed.file["hashes"]["sha256"].as_str().unwrap()).unwrap();
    for base64 in [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD] {
        let mut file = sealed.file.clone();
        file["key"]["k"] = json!(base64.encode(k));
        file["iv"] = json!(base64.encode(&iv));
        file["hashes"]["sha256"] = json!(base64.encode(&sha256));
        assert_infected(&app, &with_file(&file), &file.to_string()).await;
        assert_infected(&app, &with_envelope(public, &file), &file.to_string()).await;
    }
    let bits = sealed.file["key"]["k"].as_str().unwrap().strip_suffix('s').map(|text| json!(format!("{text}t")));
    let stray = edited(&sealed.file, "/key/k", Some(bits.expect("the last character has two unused bits")));
    assert_infected(&app, &with_file(&stray), "stray bits at the end").await;

    let mut sent = envelope(public, &sealed.body());
    for member in ["ciphertext", "mac", "ephemeral"] {
        let bytes = BASE64_STANDARD_NO_PAD.decode(sent[member].as_str().unwrap()).unwrap();
        sent[member] = json!(BASE64_STANDARD.encode(bytes));
    }
    assert_infected(&app, json!({"encrypted_body": sent}).to_string().as_bytes(), "a padded envelope").await;
}

#[tokio::test]
async fn a_ciphertext_with_another_hash_is_not_decrypted() {
    let (homeserver, _clamd, app) = start().await;
    for plaintext in [b"a medium".to_vec(), eicar(), Vec::new()] {
        let sealed = seal(&plaintext, "m", 1);
        let other = seal(b"another", "m", 1);
        homeserver.put_media("m", &Stored::media(&other.ciphertext));
        assert_refused(&app, &sealed.body(), 400, "MCS_MEDIA_FAILED_TO_DECRYPT", "other bytes").await;
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext));
        let wrong = edited(&sealed.file, "/hashes/sha256", Some(other.file["hashes"]["sha256"].clone()));
        assert_refused(&app, &with_file(&wrong), 400, "MCS_MEDIA_FAILED_TO_DECRYPT", "another hash").await;
    }
    assert_eq!(scans(&app).await, (0, 0));
}

#[tokio::test]
async fn a_known_attachment_with_another_hash_is_not_decrypted() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put(&homeserver, b"a medium", "m", 1);
    assert_clean(&app, &sealed.body(), &sealed.ciphertext, "the first time").await;
    homeserver.put_media("m", &Stored::media(&seal(&eicar(), "m", 1).ciphertext));
    assert_refused(&app, &sealed.body(), 400, "MCS_MEDIA_FAILED_TO_DECRYPT", "replaced").await;
}

/// Where the counter wraps, half of all readers see another plaintext than we.
#[tokio::test]
async fn an_attachment_whose_counter_wraps_is_not_decrypted() {
    let (homeserver, _clamd, app) = start().await;
    let iv = |left: u64| json!(BASE64_STANDARD_NO_PAD.encode([[1; 8], (u64::MAX - left).to_be_bytes()].concat()));
    for (len, left, fits) in [(16, 0, true), (17, 0, false), (17, 1, true), (160, 9, true), (161, 9, false)] {
        let sealed = put(&homeserver, &vec![b'x'; len], "m", 1);
        let body = with_file(&edited(&sealed.file, "/iv", Some(iv(left))));
        let what = format!("{len} bytes with {left} more blocks");
        match fits {
            true => assert_clean(&app, &body, &sealed.ciphertext, &what).await,
            false => assert_refused(&app, &body, 400, "MCS_MEDIA_FAILED_TO_DECRYPT", &what).await,
        }
    }
}

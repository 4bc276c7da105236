use base64::{Engine as _, prelude::BASE64_STANDARD};
use vodozemac::{Curve25519PublicKey, pk_encryption::PkEncryption};

use super::*;
use crate::crypto::encoding;

fn keys(dir: &tempfile::TempDir) -> EnvelopeKeys {
    let config = Config { request_secret_path: dir.path().join("secret"), ..Config::default() };
    EnvelopeKeys::load_or_create(&config).unwrap()
}

fn write(dir: &tempfile::TempDir, secrets: &[u8]) {
    let lines: Vec<_> = secrets.iter().map(|secret| BASE64_STANDARD.encode([*secret; 32])).collect();
    std::fs::write(dir.path().join("secret"), lines.join("\n")).unwrap();
}

fn seal(public_key: &str, text: &[u8]) -> EncryptedBody {
    let public = Curve25519PublicKey::from_base64(public_key).unwrap();
    let message = PkEncryption::from_key(public).encrypt(text).unwrap();
    let [ciphertext, mac] = [&message.ciphertext, &message.mac].map(|bytes| encoding::encode(bytes));
    EncryptedBody { ciphertext, mac, ephemeral: message.ephemeral_key.to_base64() }
}

#[test]
fn padded_and_unpadded_envelopes_open() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(&dir);
    let mut body = seal(&keys.public_key(), b"{}");
    assert_eq!(**keys.open(&body).unwrap(), *b"{}");
    body.ciphertext += "==";
    body.mac += "=";
    body.ephemeral += "=";
    assert_eq!(**keys.open(&body).unwrap(), *b"{}");
}

#[test]
fn a_broken_envelope_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(&dir);
    let breaks: [fn(&mut EncryptedBody); 4] = [
        |b| b.mac = "AAAAAAAAAAA".into(),
        // A part of the right one.
        |b| b.mac.truncate(2),
        |b| b.ephemeral = "x".into(),
        |b| b.ciphertext.clear(),
    ];
    for broken in breaks {
        let mut body = seal(&keys.public_key(), b"{}");
        broken(&mut body);
        assert_eq!(keys.open(&body).err(), Some(BadEnvelope));
    }
}

#[test]
fn every_secret_opens_and_the_first_is_published() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, &[1, 2, 3]);
    let keys = keys(&dir);
    let public = Secrets::read(&dir.path().join("secret")).unwrap().public_keys();
    assert_eq!(keys.public_key(), public[0]);
    for key in public {
        assert_eq!(**keys.open(&seal(&key, key.as_bytes())).unwrap(), *key.as_bytes());
    }
}

#[test]
fn what_the_file_holds_now_is_in_force() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, &[1]);
    let keys = keys(&dir);
    let (old, sealed) = (keys.public_key(), seal(&keys.public_key(), b"x"));
    assert!(!keys.look().changed, "nothing has");
    write(&dir, &[2, 1]);
    let look = keys.look();
    assert!(look.changed);
    assert_eq!(look.outcome.unwrap(), InForce { secrets: 2, public_key: keys.public_key() });
    assert_ne!(keys.public_key(), old);
    assert!(keys.open(&sealed).is_ok());
    write(&dir, &[2]);
    assert!(keys.look().changed && keys.open(&sealed).is_err());
}

#[test]
fn a_file_that_cannot_be_used_is_complained_of_once_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir, &[1]);
    let keys = keys(&dir);
    let before = keys.public_key();
    let path = dir.path().join("secret");
    let breaks: [&dyn Fn(); 3] =
        [&|| std::fs::write(&path, "nonsense").unwrap(), &|| std::fs::write(&path, "").unwrap(), &|| {
            std::fs::remove_file(&path).unwrap();
        }];
    for broken in breaks {
        broken();
        let looks = [keys.look(), keys.look()];
        assert_eq!(looks.each_ref().map(|look| (look.changed, look.outcome.is_err())), [(true, true), (false, true)]);
        assert_eq!(keys.public_key(), before);
    }
    assert!(!path.exists(), "it is created at start only");
    write(&dir, &[1]);
    assert!(!keys.look().changed, "the same as ever");
}

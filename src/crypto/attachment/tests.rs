use aws_lc_rs::cipher::{AES_256, DecryptionContext, StreamingDecryptingKey, UnboundCipherKey};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

fn file() -> Value {
    json!({
        "v": "v2",
        "url": "mxc://hs.test/abc",
        "key": {"kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["decrypt", "encrypt"], "k": "A".repeat(43)},
        "iv": "AAAAAAAAAAAAAAAAAAAAAA",
        "hashes": {"sha256": "A".repeat(43)},
    })
}

fn parse(value: &Value) -> Result<Attachment, Option<AttachmentError>> {
    let file: EncryptedFile = serde_json::from_value(value.clone()).map_err(|_| None)?;
    Attachment::try_from(file).map_err(Some)
}

#[test]
fn what_clients_send_is_accepted() {
    let mut sent = file();
    sent["mimetype"] = json!("image/png");
    sent["key"]["k"] = json!(format!("{}=", "A".repeat(43)));
    sent["iv"] = json!("AAAAAAAAAAAAAAAAAAAAAA==");
    sent["key"]["key_ops"] = json!(["encrypt", "wrapKey", "decrypt"]);
    sent["hashes"]["sha512"] = json!("ignored");
    assert_eq!(parse(&sent).unwrap().media.to_string(), "mxc://hs.test/abc");
}

#[test]
fn what_is_not_version_2_is_refused() {
    let cases = [
        ("/v", json!("v1")),
        ("/key/kty", json!("RSA")),
        ("/key/alg", json!("A128CTR")),
        ("/key/ext", json!(false)),
        ("/key/key_ops", json!(["decrypt"])),
    ];
    for (pointer, value) in cases {
        let mut sent = file();
        *sent.pointer_mut(pointer).unwrap() = value;
        let name = pointer[1..].replace('/', ".");
        assert!(matches!(parse(&sent), Err(Some(AttachmentError::Schema(m))) if m == name), "{pointer}");
    }
}

#[test]
fn wrong_types_and_missing_members_are_refused() {
    for pointer in
        ["/v", "/iv", "/key", "/key/kty", "/key/alg", "/key/ext", "/key/key_ops", "/key/k", "/hashes", "/hashes/sha256"]
    {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        for wrong in [None, Some(json!(1)), Some(json!(null))] {
            let mut sent = file();
            let object = sent.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            match wrong {
                None => object.remove(member),
                Some(value) => object.insert(member.to_owned(), value),
            };
            assert!(matches!(parse(&sent), Err(None)), "{pointer}");
        }
    }
}

#[test]
fn only_an_attachment_needs_an_address() {
    let key =
        |sent: &Value| AttachmentKey::try_from(json::object::<EncryptedFile>(sent.to_string().as_bytes()).ok()?).ok();
    for url in [None, Some(json!(null)), Some(json!("")), Some(json!("mxc://hs.test/../abc"))] {
        let mut sent = file();
        match &url {
            None => sent.as_object_mut().unwrap().remove("url"),
            Some(url) => sent.as_object_mut().unwrap().insert("url".to_owned(), url.clone()),
        };
        assert!(key(&sent).is_some() && parse(&sent).is_err(), "{url:?}");
    }
    let mut sent = file();
    sent["url"] = json!(null);
    assert_eq!(parse(&sent).unwrap_err(), Some(AttachmentError::Schema("url")));
    sent["url"] = json!(7);
    assert!(key(&sent).is_none(), "one that is given is a text");
    let mut sent = file();
    sent["v"] = json!("v1");
    assert!(key(&sent).is_none(), "all else is needed");
}

#[test]
fn duplicate_members_are_refused() {
    let text = file().to_string().replacen("\"v\":\"v2\"", "\"v\":\"v2\",\"v\":\"v2\"", 1);
    assert!(json::object::<EncryptedFile>(text.as_bytes()).is_err());
}

#[test]
fn malformed_material_and_addresses_are_told_apart() {
    for (pointer, value) in [("/key/k", "A".repeat(22)), ("/iv", "A".repeat(11)), ("/hashes/sha256", "!".repeat(43))] {
        let mut sent = file();
        *sent.pointer_mut(pointer).unwrap() = json!(value);
        assert_eq!(parse(&sent).unwrap_err(), Some(AttachmentError::Material), "{pointer}");
    }
    let mut sent = file();
    sent["url"] = json!("mxc://hs.test/../abc");
    assert_eq!(parse(&sent).unwrap_err(), Some(AttachmentError::Media(MalformedMedia)));
}

#[test]
fn a_key_prints_nothing_of_itself() {
    assert_eq!(format!("{:?}", AttachmentKey::new([7; 32], [7; 16], [7; 32])), "AttachmentKey(..)");
}

#[test]
fn another_ciphertext_is_refused() {
    assert_eq!(AttachmentKey::new([0; 32], [0; 16], [1; 32]).check(&[2; 32], 1), Err(DecryptError::Hash));
}

/// The vector that separates implementations with a 64-bit counter from those with a 128-bit one.
#[test]
fn a_counter_that_wraps_is_refused_and_one_that_just_fits_is_not() {
    let mut iv = [0x11; 16];
    iv[8..].fill(0xff);
    let key = AttachmentKey::new(std::array::from_fn(|i| u8::try_from(i).unwrap()), iv, [0; 32]);
    assert_eq!(key.check(&[0; 32], 0), Ok(()));
    assert_eq!(key.check(&[0; 32], 16), Ok(()));
    assert_eq!(key.check(&[0; 32], 17), Err(DecryptError::CounterWrap));

    let mut block = [b'A'; 16];
    key.decryptor().apply(&mut block);
    assert_eq!(block[..4], [0x89, 0x9f, 0x20, 0x5b], "both families agree up to the wrap");
}

/// Another implementation: AWS-LC's AES-CTR.
fn oracle(key: &[u8; 32], iv: [u8; 16], input: &[u8]) -> Vec<u8> {
    let unbound = UnboundCipherKey::new(&AES_256, key).unwrap();
    let context = DecryptionContext::Iv128(iv.into());
    let mut cipher = StreamingDecryptingKey::ctr(unbound, context).unwrap();
    let mut output = vec![0; input.len() + 16];
    let written = cipher.update(input, &mut output).unwrap().written().len();
    output.truncate(written);
    output
}

proptest! {
    #[test]
    fn any_chunking_gives_the_plaintext_of_another_implementation(
        key: [u8; 32],
        iv: [u8; 16],
        body in proptest::collection::vec(any::<u8>(), 0..3000),
        cuts in proptest::collection::vec(1..700_usize, 1..12),
    ) {
        let digest: Digest = Sha256::digest(&body).into();
        let ours = AttachmentKey::new(key, iv, digest);
        prop_assume!(ours.check(&digest, body.len() as u64) != Err(DecryptError::CounterWrap));

        let mut plain = body.clone();
        let (mut decryptor, mut hash) = (ours.decryptor(), Sha256::new());
        let (mut rest, mut sizes) = (&mut plain[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at_mut((*sizes.next().unwrap()).min(rest.len()));
            hash.update(&*piece);
            decryptor.apply(piece);
            rest = tail;
        }
        prop_assert_eq!(Digest::from(hash.finalize()), digest);
        prop_assert_eq!(plain, oracle(&key, iv, &body));
    }
}

#[test]
fn a_decryptor_at_a_place_gives_what_one_from_the_start_gives_there() {
    let key = AttachmentKey::new([7; 32], [0xfe; 16], [0; 32]);
    let mut whole = vec![0; 70_000];
    key.decryptor().apply(&mut whole);
    for at in [0, 1, 15, 16, 17, 255 * 16, 65_536, 69_999] {
        let mut rest = vec![0; whole.len() - at];
        key.decryptor_at(at as u64).apply(&mut rest);
        assert!(rest == whole[at..], "at {at}");
    }
}

//! However a body comes in pieces it is split in the same place, and every byte of it is accounted for.

#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use lazaret::upstream::multipart::{Boundary, Splitter};
use libfuzzer_sys::fuzz_target;

/// All before the content, the content, all after it; `None` if the body was refused.
fn split(body: &[u8], piece: usize) -> Option<[Vec<u8>; 3]> {
    let content_type = HeaderValue::from_static("multipart/mixed; boundary=b");
    let boundary = Boundary::of(&HeaderMap::from_iter([(CONTENT_TYPE, content_type)])).unwrap();
    let (mut splitter, mut content) = (Splitter::new(&boundary), Vec::new());
    for piece in body.chunks(piece) {
        for bytes in splitter.feed(Bytes::copy_from_slice(piece)).ok()? {
            content.extend_from_slice(&bytes);
        }
    }
    let parts = splitter.finish().ok()?;
    Some([parts.prefix.to_vec(), content, parts.suffix.to_vec()])
}

fuzz_target!(|body: &[u8]| {
    let whole = split(body, usize::MAX);
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(split(body, piece), whole);
    }
    let Some(parts) = whole else { return };
    assert_eq!(parts.concat(), body);
    let [prefix, content, suffix] = parts;
    // Three delimiters, and none that anybody could see in the content.
    let boundaries = |bytes: &[u8]| bytes.windows(3).filter(|window| window == b"--b").count();
    assert_eq!([boundaries(&prefix), boundaries(&content), boundaries(&suffix)], [2, 0, 1]);
    assert!(prefix.ends_with(b"\r\n") && suffix.starts_with(b"\r\n--b"));
});

use std::io::Cursor;

use super::*;

fn after(bytes: &[u8], kind: &str) -> Option<u64> {
    let mut reader = Cursor::new(bytes);
    let windows = Windows::open(&mut reader, bytes.len() as u64).unwrap();
    trailing(&mut reader, &windows, Some(kind)).unwrap()
}

fn chunk(kind: [u8; 4], len: usize) -> Vec<u8> {
    let length = u32::try_from(len).unwrap().to_be_bytes();
    [&length[..], &kind, &vec![0x42; len], b"crc."].concat()
}

fn png(len: usize) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(*b"IHDR", 13), chunk(*b"IDAT", len), chunk(*b"IEND", 0)].concat()
}

/// With a thumbnail, which has an end of its own, and a scan with stuffed bytes and restarts.
fn jpeg(len: usize) -> Vec<u8> {
    let thumbnail = b"\xff\xe1\0\x0aExif\xff\xd9..";
    let scan = b"\xff\xda\0\x04\0\0..\xff\0\xff\xd0..";
    [b"\xff\xd8", &thumbnail[..], scan, &vec![0x42; len], b"\xff\xd9"].concat()
}

fn gif() -> Vec<u8> {
    let head = b"GIF89a\x01\0\x01\0\x80\0\0......";
    let comment = b"\x21\xfe\x02\x3b\x3b\0";
    let image = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x3b\x3b\0";
    [&head[..], comment, image, b"\x3b"].concat()
}

#[test]
fn what_comes_after_the_end_is_counted() {
    let pdf = b"%PDF-1.7\n1 0 obj\nstartxref\n0\n%%EOF\n".to_vec();
    let riff = b"RIFF\x0d\0\0\0WEBPVP8 \x01\0\0\0x\0".to_vec();
    for (name, bytes, kind) in [
        ("PNG", png(100), "image/png"),
        ("a PNG of several windows", png(300_000), "image/png"),
        ("JPEG", jpeg(100), "image/jpeg"),
        ("a JPEG of several windows", jpeg(300_000), "image/jpeg"),
        ("GIF", gif(), "image/gif"),
        ("PDF", pdf, "application/pdf"),
        ("WebP", riff, "image/webp"),
    ] {
        assert_eq!(after(&bytes, kind), Some(0), "{name}");
        assert_eq!(after(&[&bytes[..], b"and more"].concat(), kind), Some(8), "{name}");
        let cut = &bytes[..bytes.len() - 8];
        assert!(after(cut, kind).is_none_or(|after| after < 8), "{name}, cut");
    }
}

#[test]
fn ends_are_found_behind_what_not_all_writers_write() {
    let filled = b"\xff\xd8\xff\xff\xe1\0\x04..\xff\xda\0\x04\0\0..\xff\xd9";
    assert_eq!(after(filled, "image/jpeg"), Some(0), "fill bytes before a marker");
    let saved_twice = b"%PDF-1.7\n1 0 obj\nstartxref\n0\n%%EOF\n2 0 obj\nstartxref\n9\n%%EOF\nand more";
    assert_eq!(after(saved_twice, "application/pdf"), Some(8), "it ends at its last mark");
    let odd = b"RIFF\x0d\0\0\0WEBPVP8 \x01\0\0\0x";
    assert_eq!(after(odd, "image/webp"), Some(0), "an odd length without padding");
}

#[test]
fn a_format_that_does_not_say_has_no_end() {
    assert_eq!(after(b"text", "text/plain"), None);
    assert_eq!(after(b"%PDF-1.7", "application/pdf"), None);
    assert_eq!(after(b"\x89PNG\r\n\x1a\n", "image/png"), None);
    assert_eq!(after(b"\xff\xd8", "image/jpeg"), None);
    assert_eq!(after(b"GIF89a", "image/gif"), None);
}

#[test]
fn files_cut_anywhere_have_no_end_beyond_theirs() {
    for (bytes, kind) in [(png(40), "image/png"), (jpeg(40), "image/jpeg"), (gif(), "image/gif")] {
        for len in 0..bytes.len() {
            assert!(after(&bytes[..len], kind).is_none_or(|after| after <= len as u64), "{kind} at {len}");
        }
    }
}

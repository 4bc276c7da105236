//! What the homeservers of today write.

use super::*;

fn synapse() -> (&'static str, Vec<u8>) {
    let head = "\r\n--6067d4698f8d40a0a794ea7d7379d53a\r\nContent-Type: application/json\r\n\r\n{}\r\n\
        --6067d4698f8d40a0a794ea7d7379d53a\r\nContent-Type: image/png\r\n\
        Content-Disposition: inline; filename=a.png\r\n\r\n";
    let end = b"\r\n--6067d4698f8d40a0a794ea7d7379d53a--\r\n";
    ("multipart/mixed; boundary=6067d4698f8d40a0a794ea7d7379d53a", [head.as_bytes(), CONTENT, end].concat())
}

fn ruma(end: &str) -> (&'static str, Vec<u8>) {
    let head = "\r\n--QvJ9eRZyzQwmoQBMHWrTQZ6fFhCtVz\r\ncontent-type: application/json\r\n\r\n{}\r\n\
        --QvJ9eRZyzQwmoQBMHWrTQZ6fFhCtVz\r\ncontent-type: image/png\r\n\
        content-disposition: attachment; filename=\"a b.png\"\r\n\r\n";
    let body = [head.as_bytes(), CONTENT, b"\r\n--QvJ9eRZyzQwmoQBMHWrTQZ6fFhCtVz", end.as_bytes()].concat();
    ("multipart/mixed; boundary=QvJ9eRZyzQwmoQBMHWrTQZ6fFhCtVz", body)
}

fn dendrite() -> (&'static str, Vec<u8>) {
    let head = "--0ac8fdf3a9e5a4f2d53d2b3c62cb1a7c3c1f5d1c4d0a9b8e7f6a5b4c3d2e\r\nContent-Type: application/json\r\n\r\n\
        {}\r\n--0ac8fdf3a9e5a4f2d53d2b3c62cb1a7c3c1f5d1c4d0a9b8e7f6a5b4c3d2e\r\nContent-Type: image/png\r\n\r\n";
    let end = b"\r\n--0ac8fdf3a9e5a4f2d53d2b3c62cb1a7c3c1f5d1c4d0a9b8e7f6a5b4c3d2e--\r\n";
    let body = [head.as_bytes(), CONTENT, end].concat();
    ("multipart/mixed; boundary=0ac8fdf3a9e5a4f2d53d2b3c62cb1a7c3c1f5d1c4d0a9b8e7f6a5b4c3d2e", body)
}

const MMR_LOCATION: &str = "--c0ffee\r\nContent-Type: application/json\r\n\r\n{\"restrictions\":{}}\r\n--c0ffee\r\n\
    Location: https://cdn.example.org/a?sig=1\r\n\r\n\r\n--c0ffee--\r\n";

#[test]
fn every_known_producer_is_split() {
    let mmr = b"--c0ffee\r\nContent-Type: application/json\r\n\r\n{}\r\n--c0ffee\r\nContent-Disposition: attachment; \
        filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n";
    let mmr = ("multipart/mixed; boundary=c0ffee", [&mmr[..], CONTENT, b"\r\n--c0ffee--\r\n"].concat());
    for (name, (content_type, body)) in [
        ("Synapse", synapse()),
        ("ruma", ruma("--")),
        ("ruma before it closed its bodies", ruma("")),
        ("the same, with a line end", ruma("\r\n")),
        ("Dendrite", dendrite()),
        ("matrix-media-repo", mmr),
    ] {
        let boundary = boundary(content_type).unwrap();
        assert_eq!(boundary.content_type(), content_type, "{name}");
        for sizes in [&[usize::MAX][..], &[1], &[7, 64]] {
            let (content, parts) = split(&boundary, &body, sizes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(content, CONTENT, "{name}");
            assert_eq!(parts.headers[CONTENT_TYPE], "image/png", "{name}");
            assert_eq!(parts.headers.contains_key(CONTENT_DISPOSITION), name != "Dendrite", "{name}");
            assert_eq!([&parts.prefix, CONTENT, &parts.suffix].concat(), body, "{name}");
        }
    }
}

#[test]
fn a_location_is_read_and_has_no_content() {
    let boundary = boundary("multipart/mixed; boundary=c0ffee").unwrap();
    for sizes in [&[usize::MAX][..], &[1]] {
        let (content, parts) = split(&boundary, MMR_LOCATION.as_bytes(), sizes).unwrap();
        assert_eq!(parts.headers[LOCATION], "https://cdn.example.org/a?sig=1");
        assert!(content.is_empty());
        let with_content = MMR_LOCATION.replace("\r\n\r\n\r\n", "\r\n\r\nx\r\n");
        let refused = split(&boundary, with_content.as_bytes(), sizes);
        assert!(matches!(refused, Err(MultipartError::Location)), "{refused:?}");
    }
}

#[test]
fn a_location_is_replaced_and_all_else_of_the_first_part_is_kept() {
    let served = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("image/png")),
        (CONTENT_DISPOSITION, HeaderValue::from_bytes(b"inline; filename=\"\xe4\"").unwrap()),
        (LOCATION, HeaderValue::from_static("https://evil.example")),
    ]);
    let original = boundary("multipart/mixed; boundary=c0ffee").unwrap();
    let (_, parts) = split(&original, MMR_LOCATION.as_bytes(), &[usize::MAX]).unwrap();
    let frame = reframe(&parts, &served).unwrap();
    assert_ne!(frame.content_type, reframe(&parts, &served).unwrap().content_type, "a boundary that can be foreseen");
    let fresh = boundary(frame.content_type.to_str().unwrap()).unwrap();
    let framed = [&frame.prefix, CONTENT, &frame.suffix].concat();
    assert!(framed.ends_with(b"--\r\n"));
    let (content, again) = split(&fresh, &framed, &[usize::MAX]).unwrap();
    let first = b"Content-Type: application/json\r\n\r\n{\"restrictions\":{}}";
    assert_eq!((&content[..], &again.prefix[again.first.clone()]), (CONTENT, &first[..]));
    assert_eq!((again.headers.len(), &again.headers[CONTENT_DISPOSITION]), (2, &served[CONTENT_DISPOSITION]));
}

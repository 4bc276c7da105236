//! What is attached to PDFs, and what hides it.

use std::io::Write;

use flate2::{Compression, write::ZlibEncoder};

use super::{counted, found};
use crate::facts::Group;

const HEADER: &[u8] = b"%PDF-1.7\n";

/// A stream of objects.
fn objects(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    [b"1 0 obj\n<</Type/ObjStm/N 1>>\nstream\r\n", &encoder.finish().unwrap()[..], b"\nendstream\n"].concat()
}

#[test]
fn what_is_attached_is_seen_whatever_names_it() {
    for text in ["/EF<</F 3 0 R>>", "/Names<</EmbeddedFiles 3 0 R>>", "/Subtype/FileAttachment", "/Subtype /RichMedia"]
    {
        for body in [text.as_bytes().to_vec(), objects(text.as_bytes())] {
            let found = found(&[HEADER, &body].concat());
            let inside = found.inside.unwrap();
            assert_eq!((inside.entries, inside.complete), (1, false), "{text}");
            assert_eq!(found.active, text.contains("RichMedia"), "{text}");
        }
    }
}

#[test]
fn what_is_put_in_front_hides_nothing() {
    let script = objects(b"<</S/JavaScript/JS 3 0 R>>");
    let padding = b"2 0 obj\n<</Padding 1>>\nendobj\n".repeat(1 << 18);
    let far = found(&[HEADER, &padding, &script, &padding].concat());
    assert!(far.active && far.inside.is_none());
    let late = found(&[HEADER, &objects(b"").repeat(500), &script].concat());
    assert!(late.active && late.inside.is_none());
}

#[test]
fn what_lies_where_two_parts_meet_is_seen_once() {
    let file = b"/EmbeddedFile ";
    for padding in (256 * 1024 - 40..256 * 1024).step_by(2).chain((255 * 1024 - 40..255 * 1024 + 20).step_by(2)) {
        let bytes = [HEADER, &vec![b'\n'; padding - HEADER.len()], file, &vec![b'\n'; 2000]].concat();
        assert_eq!(found(&bytes).inside.unwrap().entries, 1, "{padding}");
    }
}

#[test]
fn the_end_of_a_long_one_is_searched_too() {
    let found = found(&[HEADER, &vec![b'\n'; 33 << 20], b"/JavaScript"].concat());
    assert!(found.active && !found.inside.unwrap().complete);
}

#[test]
fn what_is_not_searched_is_told() {
    let long = vec![b'\n'; 33 << 20];
    let many = objects(b"").repeat(3000);
    let large = objects(&vec![b'\n'; 2 << 20]);
    let damaged = b"/ObjStm>>stream\nno such thing".to_vec();
    for (name, body) in [("long", long), ("many", many), ("large", large), ("damaged", damaged)] {
        let (found, read) = counted(&[HEADER, &body].concat());
        let inside = found.unwrap().inside.unwrap();
        assert_eq!((inside.entries, inside.complete, inside.depth), (0, false, 1), "{name}");
        assert_eq!(inside.groups, [Group::Unknown].into(), "{name}");
        assert!(read < 64 << 20, "{name}: {read}");
    }
}

#[test]
fn what_a_reader_undoes_otherwise_is_told() {
    let zlib = |text: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let script = b"<</S/JavaScript/JS 3 0 R>>";
    // Each row as its difference from the one above.
    let rows = [b'\x02', b'<'].into_iter().chain([2, 0]).collect::<Vec<_>>();
    for (name, dictionary, content) in [
        ("a predictor", "/Type/ObjStm/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 1>>", zlib(&rows)),
        ("one in front", "/DecodeParms<</Predictor 12/Columns 1>>/Filter/FlateDecode/Type/ObjStm", zlib(&rows)),
        ("twice", "/Type/ObjStm/Filter[/FlateDecode/FlateDecode]", zlib(&zlib(script))),
        ("twice, in front", "/F#69lter [ /FlateDecode /Fl ]/Type/ObjStm", zlib(&zlib(script))),
        ("elsewhere", "/Type/ObjStm/Filter 9 0 R", zlib(&zlib(script))),
    ] {
        let head = format!("%PDF-1.7\n1 0 obj\n<<{dictionary}/N 1/First 5>>\nstream\r\n");
        let found = found(&[head.as_bytes(), &content, b"\nendstream\nendobj\n"].concat());
        assert!(found.active || found.inside.is_some_and(|inside| !inside.complete), "{name}");
    }
}

#[test]
fn objects_are_unpacked_whatever_their_stream_is_called() {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"7 0 <</S/JavaScript/JS 3 0 R>>").unwrap();
    let body = encoder.finish().unwrap();
    for dictionary in ["/N 1/First 4", "/First 4 /N 1/Type/XObject", "/F#69rst\n4/N 1"] {
        let head = format!("%PDF-1.7\n1 0 obj\n<<{dictionary}/Filter/FlateDecode>>\nstream\n");
        let found = found(&[head.as_bytes(), &body, b"\nendstream\nendobj\n"].concat());
        assert!(found.active, "{dictionary}");
    }
}

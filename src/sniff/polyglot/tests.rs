use std::io::Cursor;

use crate::sniff::examine;

const GIF: &[u8] = b"GIF89a\x01\0\x01\0\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b";

/// An archive with one file in it; its places are right wherever it is put, as unpackers allow.
fn zip() -> Vec<u8> {
    let local = b"PK\x03\x04\x0a\0\0\0\0\0\0\0!X\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a";
    let listed = b"PK\x01\x02\x0a\0\x0a\0\0\0\0\0\0\0!X\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a";
    let (len, at) = (u32::try_from(listed.len()).unwrap(), u32::try_from(local.len()).unwrap());
    let end = [&b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &len.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat();
    [&local[..], listed, &end].concat()
}

fn pdf() -> Vec<u8> {
    b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\nstartxref\n0\n%%EOF\n".to_vec()
}

fn other(parts: &[&[u8]]) -> (bool, Vec<String>) {
    let bytes = parts.concat();
    let facts = examine(&mut Cursor::new(&bytes), bytes.len() as u64).unwrap();
    (facts.polyglot, facts.other_types.iter().map(ToString::to_string).collect())
}

#[test]
fn a_second_format_is_seen() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR............crc.";
    let film = b"\0\0\0\x18ftypisom\0\0\x02\0isommp42";
    let end = b"\0\0\0\0IENDcrc.";
    let pe = [&b"MZ"[..], &[0; 200]].concat();
    for (name, parts, second) in [
        ("an archive after a picture", &[GIF, &zip()][..], "application/zip"),
        ("an archive after a document", &[&pdf(), &zip()], "application/zip"),
        ("an archive after a program", &[&pe, &zip()], "application/zip"),
        ("an archive after an archive's name", &[film, &vec![0; 100_000], &zip()], "application/zip"),
        ("a document in a picture's comment", &[&GIF[..13], b"\x21\xfe\x40", &pdf(), &GIF[13..]], "application/pdf"),
        ("a page after a picture", &[png, end, b"<html><script>"], "text/html"),
        ("a script in a picture's comment", &[&GIF[..13], b"\x21\xfe\x10<?php echo 1; ?>\0", &GIF[13..]], "text/x-php"),
        ("a stub of an archive of PHP", &[GIF, b"__HALT_COMPILER(); ?>"], "text/x-php"),
        ("a page in a film", &[film, b"\0\0\0\x40free<html><script>x</script>", &[0; 100]], "text/html"),
        ("a picture that is a comment", &[b"GIF89a/*\x01\0\0\0\0;*/=1;"], "text/javascript"),
        ("an archive behind a gap", &[GIF, b"..", b"Rar!\x1a\x07\x01\0", &[1; 60]], "application/vnd.rar"),
        ("an archive in a film", &[film, &vec![0; 1000], b"7z\xbc\xaf\x27\x1c\0\x04"], "application/x-7z-compressed"),
        ("a program after a picture", &[GIF, b"\x7fELF\x02\x01\x01", &[0; 60]], "application/x-executable"),
    ] {
        let (polyglot, types) = other(parts);
        assert!(polyglot, "{name}");
        assert!(types.iter().any(|known| known == second), "{name}: {types:?}");
    }
}

#[test]
fn one_format_is_no_two() {
    let motion = [&b"\xff\xd8\xff\xda\0\x02..\xff\xd9"[..], b"\0\0\0\x18ftypisom\0\0\x02\0isommp42"].concat();
    let page = b"<html>%PDF-1.7 is what a document begins with";
    for (name, parts) in [
        ("a picture", &[GIF][..]),
        ("a picture and a line break", &[GIF, b"\r\n\r\n"]),
        ("a document", &[&pdf()]),
        ("an archive", &[&zip()]),
        ("a photo with a film", &[&motion]),
        ("a page about documents", &[page]),
        ("text about archives", &[b"PK\x05\x06 is how they end, in text without a record"]),
    ] {
        let (polyglot, types) = other(parts);
        assert!(!polyglot, "{name}: {types:?}");
    }
}

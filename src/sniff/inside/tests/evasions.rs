//! What those write who do not want to be looked into.

use super::{
    found,
    pack::{Entry, deflated, gzip, stored, tar, zip},
};
use crate::facts::{Group, Inside};

const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0";

fn inside(bytes: &[u8]) -> Inside {
    found(bytes).inside.expect("it holds something")
}

/// A record of an extended header.
fn record(pair: &str) -> String {
    let len = (pair.len() + 3..pair.len() + 9).find(|len| len.to_string().len() + pair.len() + 2 == *len).unwrap();
    format!("{len} {pair}\n")
}

fn extended(records: &str) -> Vec<u8> {
    tar("pax", b'x', records.len() as u64, records.as_bytes())
}

fn program() -> Vec<u8> {
    tar("evil.exe", b'0', ELF.len() as u64, ELF)
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

/// What hides the next file where it is taken for a header.
fn cover() -> Vec<u8> {
    tar("cover.txt", b'0', program().len() as u64, b"")
}

#[test]
fn what_a_line_of_a_comment_looks_like_says_nothing_of_a_file() {
    let lines = format!("{}{}", record("path=evil.exe"), record("comment=x\n14 path=a.txt\n12 size=9999"));
    let tape = [extended(&lines), tar("cut", b'0', 4, b"text"), program(), end()].concat();
    for bytes in [tape.clone(), gzip(&tape)] {
        let inside = inside(&bytes);
        assert!(inside.extensions.contains("exe") && !inside.extensions.contains("txt"), "{inside:?}");
        assert!(inside.groups.contains(&Group::Executable), "{inside:?}");
    }
}

#[test]
fn where_readers_of_tape_archives_go_different_ways_not_all_is_seen() {
    let sparse = {
        let mut header = tar("a", b'S', 512, b"");
        header[482] = 1;
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        [header, vec![0; 512], cover(), program()].concat()
    };
    let mut folder = tar("folder/", b'5', 512, b"");
    folder.extend(cover());
    folder.extend(program());
    let mut link = tar("link", b'1', 512, b"");
    link.extend(cover());
    link.extend(program());
    for (name, body) in [("sparse", sparse), ("folder", folder), ("link", link)] {
        let inside = inside(&[body, end()].concat());
        assert!(!inside.complete && inside.groups.contains(&Group::Unknown), "{name}: {inside:?}");
    }
}

#[test]
fn files_with_holes_are_called_what_they_become_and_not_seen() {
    let lines = [
        record("GNU.sparse.major=1"),
        record("GNU.sparse.minor=0"),
        record("GNU.sparse.name=evil.exe"),
        record("GNU.sparse.realsize=20"),
        record("path=GNUSparseFile.0/a.txt"),
    ];
    let map = [&b"1\n0\n20\n"[..], &[0; 505], ELF].concat();
    let tape = [extended(&lines.concat()), tar("a.txt", b'0', map.len() as u64, &map), end()].concat();
    let inside = inside(&tape);
    assert!(inside.extensions.contains("exe"), "{inside:?}");
    assert!(!inside.complete && inside.groups.contains(&Group::Unknown), "{inside:?}");
}

#[test]
fn what_follows_the_end_of_a_tape_archive_is_not_seen() {
    let tape = tar("a.txt", b'0', 4, b"text");
    for (name, middle) in [("one block", 512), ("two", 1024), ("a record", 10_240)] {
        let inside = inside(&[tape.clone(), vec![0; middle], program(), end()].concat());
        assert!(!inside.complete && inside.groups.contains(&Group::Unknown), "{name}: {inside:?}");
    }
    let padded = [tape, vec![0; 10_240]].concat();
    assert!(inside(&padded).complete && inside(&gzip(&padded)).complete);
}

#[test]
fn archives_in_archives_that_are_not_opened_are_not_seen() {
    let arj = [b"\x60\xea\x29\0\x1e\x07\x01\0\x10\0\x02".as_slice(), &[0; 100]].concat();
    let lha = [&b"\x20\x9a-lh5-"[..], &[1; 100]].concat();
    let lzma = [&b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0"[..], &[7; 200]].concat();
    for (name, archive) in [("arj", arj), ("lha", lha), ("lzma", lzma)] {
        for bytes in [zip(&[stored("a", &archive)]), gzip(&archive), tar("a", b'0', archive.len() as u64, &archive)] {
            let inside = inside(&bytes);
            let named = inside.groups.contains(&Group::Archive);
            assert!(!named || !inside.complete && inside.groups.contains(&Group::Unknown), "{name}: {inside:?}");
        }
    }
}

#[test]
fn a_name_in_unicode_is_a_name_too() {
    let extra = |name: &[u8]| {
        let len = u16::try_from(name.len() + 5).unwrap();
        [&b"\x75\x70"[..], &len.to_le_bytes(), b"\x01\0\0\0\0", name].concat()
    };
    let inside_of = |name: &[u8]| inside(&zip(&[Entry { extra: extra(name), ..stored("a.txt", b"text") }]));
    let other = inside_of(b"evil.exe");
    assert!(other.deceptive_names && other.extensions.contains("exe"), "{other:?}");
    let same = inside_of(b"a.txt");
    assert!(!same.deceptive_names && same.complete);
    let latin = Entry { name: b"\x81.txt".to_vec(), extra: extra("ü.txt".as_bytes()), ..stored("", b"text") };
    assert!(!inside(&zip(&[latin])).deceptive_names, "the same in another alphabet");
}

fn office(parts: &[(&str, &[u8])]) -> Vec<u8> {
    zip(&parts.iter().map(|(name, content)| deflated(name, content)).collect::<Vec<_>>())
}

#[test]
fn macros_are_seen_however_their_types_are_written() {
    for kind in [
        "application/vnd.ms-excel.macrosheet",
        "application/vnd.ms-excel.intlMacroSheet+xml",
        "application/vnd.ms-excel.&#109;acrosheet+xml",
        "application/vnd.ms-office.&#x76;baProject",
        "application/vnd.ms-office.VBAPROJECT",
        "application/vnd.ms-word.document.macro&#x45;nabled.main+xml",
        "application/vnd.ms-word.document.MACROENABLED.main+xml",
    ] {
        let types = format!("<Types><Override PartName='/a/b.bin' ContentType='{kind}'/></Types>");
        assert!(found(&office(&[("[Content_Types].xml", types.as_bytes()), ("a/b.bin", b"x")])).macros, "{kind}");
    }
    let relation =
        b"<Relationship Type='http://schemas.microsoft.com/office/2006/relationships/xl&#77;acrosheet' Target='a'/>";
    let types = b"<Types/>";
    assert!(found(&office(&[("[Content_Types].xml", types), ("xl/_rels/workbook.xml.rels", relation)])).macros);
}

#[test]
fn relations_that_lead_out_are_seen_however_they_are_written() {
    for relation in [
        "Type='http://s/relationships/attachedTemplate' Target='http://h/a.dotm' TargetMode='External'",
        "Type=\"http://s/relationships/attachedTemplate\" Target=\"http://h/a.dotm\" TargetMode = \"External\"",
        "Type=\"http://s/relationships/attached&#84;emplate\" Target=\"http://h/a.dotm\" TargetMode=\"Ext&#x65;rnal\"",
        "TargetMode=\n'External' Type='http://s/relationships/oleObject'\nTarget='http://h/a'",
    ] {
        let relation = format!("<Relationship {relation}/>");
        let found = found(&office(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("word/_rels/settings.xml.rels", relation.as_bytes()),
        ]));
        assert!(found.active, "{relation}");
    }
    let links = b"<Relationship Type='http://s/relationships/hyperlink' Target='http://h/' TargetMode='External'/>";
    assert!(!found(&office(&[("[Content_Types].xml", b"<Types/>"), ("word/_rels/a.xml.rels", links)])).active);
}

#[test]
fn an_index_that_is_too_long_to_be_read_is_not_seen() {
    let padding = " ".repeat(2 << 20);
    let types = format!("<Types>{padding}<Override ContentType='application/vnd.ms-excel.macrosheet+xml'/></Types>");
    let document = found(&office(&[("[Content_Types].xml", types.as_bytes()), ("xl/a.xml", b"<x/>")]));
    assert!(document.macros || !document.inside.unwrap().complete);
    let relation =
        format!("<Relationships>{padding}<Relationship Type='http://s/attachedTemplate' TargetMode='External'/>");
    let document =
        found(&office(&[("[Content_Types].xml", b"<Types/>"), ("word/_rels/a.xml.rels", relation.as_bytes())]));
    assert!(document.active || !document.inside.unwrap().complete);
}

#[test]
fn objects_that_start_far_behind_in_rich_text_are_not_overlooked() {
    let text = [&b"{\\rtf1 "[..], &vec![b' '; 9 << 20], b"{\\object\\objupdate{\\*\\objdata 01}}}"].concat();
    let found = found(&text);
    assert!(found.active || found.inside.is_some_and(|inside| !inside.complete));
}

#[test]
fn rich_text_that_fetches_its_template_is_active() {
    for target in ["http://h/a.dotm", "\\u-65432?\\u-65420?", "\\\\\\\\h\\\\a.dotm", " HTTPS://h/a"] {
        assert!(found(format!("{{\\rtf1 {{\\*\\template {target}}}}}").as_bytes()).active, "{target}");
    }
    for target in ["C:\\\\Users\\\\a\\\\Normal.dotm", "Normal.dotm"] {
        assert!(!found(format!("{{\\rtf1 {{\\*\\template {target}}}}}").as_bytes()).active, "{target}");
    }
}

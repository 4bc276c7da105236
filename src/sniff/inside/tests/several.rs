//! Honest ones.

use super::{
    super::types,
    found,
    pack::{Entry, deflated, gzip, stored, tar, zip},
};
use crate::facts::Group;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\x02\0\0\0";

fn inside(bytes: &[u8]) -> crate::facts::Inside {
    found(bytes).inside.expect("it holds something")
}

fn strings<'a>(set: impl IntoIterator<Item = &'a std::sync::Arc<str>>) -> Vec<&'a str> {
    set.into_iter().map(|text| &**text).collect()
}

#[test]
fn entries_of_a_zip_are_counted_named_and_looked_at() {
    let archive = zip(&[stored("a/", b""), stored("a/dot.PNG", PNG), deflated("b.txt", &b"text ".repeat(1000))]);
    let inside = inside(&archive);
    assert_eq!((inside.entries, inside.depth, inside.complete), (2, 1, true));
    assert_eq!(inside.expanded, PNG.len() as u64 + 5000);
    assert_eq!(inside.groups, [Group::Text, Group::Image].into());
    assert_eq!(strings(&inside.types), ["image/png", "text/plain"]);
    assert_eq!(strings(&inside.extensions), ["png", "txt"]);
    assert!(!inside.overlapping && !inside.deceptive_names);
    assert_eq!(found(&archive).trailing, Some(0));
}

#[test]
fn tape_archives_are_read_plain_and_compressed() {
    let long = format!("{}.csv", "x".repeat(150));
    let extended = format!("{} path={long}\n", long.len() + 10);
    let tape = [
        tar("sub/", b'5', 0, b""),
        tar("sub/dot.png", b'0', PNG.len() as u64, PNG),
        tar("././@LongLink", b'L', long.len() as u64, long.as_bytes()),
        tar("cut", b'0', 4, b"a,b\n"),
        tar("pax", b'x', extended.len() as u64, extended.as_bytes()),
        tar("cut", b'0', 4, b"a,b\n"),
        vec![0; 1024],
    ]
    .concat();
    for (bytes, depth, entries) in [(tape.clone(), 1, 3), (gzip(&tape), 2, 4)] {
        let inside = inside(&bytes);
        assert_eq!((inside.entries, inside.depth, inside.complete), (entries, depth, true));
        assert_eq!(strings(&inside.extensions), ["csv", "png"]);
        assert!(inside.groups.contains(&Group::Image) && inside.groups.contains(&Group::Text));
        assert!(!inside.overlapping && !inside.deceptive_names);
    }
}

#[test]
fn one_compressed_file_is_an_entry_as_large_as_it_becomes() {
    let inside = inside(&gzip(&b"to whom it may concern ".repeat(10_000)));
    assert_eq!((inside.entries, inside.depth, inside.complete, inside.expanded), (1, 1, true, 230_000));
    assert_eq!(inside.groups, [Group::Text].into());
}

#[test]
fn containers_in_containers_are_opened() {
    let document = zip(&[stored("[Content_Types].xml", b"<Types/>"), stored("word/vbaProject.bin", b"x")]);
    let archive = zip(&[deflated("a.zip", &zip(&[stored("b.gz", &gzip(&document))]))]);
    let found = found(&archive);
    let inside = found.inside.unwrap();
    assert_eq!((inside.depth, inside.entries, inside.complete), (4, 5, true));
    assert!(found.macros, "in a document in three archives");
    assert!(inside.types.contains(types::DOCX));
    assert_eq!(found.refined, None);
}

#[test]
fn programs_in_archives_are_seen_whatever_they_are_called() {
    let elf = [&b"\x7fELF\x02\x01\x01"[..], &[0; 60]].concat();
    let inside = inside(&zip(&[stored("holiday.jpg", &elf)]));
    assert_eq!(inside.groups, [Group::Executable].into());
}

#[test]
fn packages_are_told_from_plain_archives() {
    let types = |part: &str| format!("<Types><Override ContentType=\"application/vnd.{part}\"/></Types>");
    let document =
        |part: &str| zip(&[deflated("[Content_Types].xml", types(part).as_bytes()), stored("a/b.xml", b"<b/>")]);
    let with = |names: &[&str]| zip(&names.iter().map(|name| stored(name, b"x")).collect::<Vec<_>>());
    let open = |kind: &str| zip(&[stored("mimetype", kind.as_bytes()), stored("content.xml", b"<x/>")]);
    for (bytes, refined, macros) in [
        (document("openxmlformats-officedocument.wordprocessingml.document.main+xml"), Some(types::DOCX), false),
        (document("ms-word.document.macroEnabled.main+xml"), Some(types::DOCM), true),
        (document("openxmlformats-officedocument.spreadsheetml.sheet.main+xml"), Some(types::XLSX), false),
        (document("ms-excel.sheet.binary.macroEnabled.main"), Some(types::XLSB), false),
        (document("openxmlformats-officedocument.presentationml.template.main+xml"), Some(types::POTX), false),
        (open("application/vnd.oasis.opendocument.text"), Some(types::ODT), false),
        (open("application/epub+zip"), Some(types::EPUB), false),
        (open("application/x-unheard-of"), None, false),
        (with(&["META-INF/MANIFEST.MF", "A.class"]), Some(types::JAR), false),
        (with(&["AndroidManifest.xml", "classes.dex", "META-INF/MANIFEST.MF"]), Some(types::APK), false),
        (with(&["manifest.json", "META-INF/mozilla.rsa"]), Some(types::XPI), false),
        (with(&["word/document.xml"]), None, false),
    ] {
        let found = found(&bytes);
        assert_eq!((found.refined, found.macros, found.locked), (refined, macros, false));
    }
}

#[test]
fn macros_of_all_kinds_of_documents_are_seen() {
    let open =
        |name: &str| zip(&[stored("mimetype", b"application/vnd.oasis.opendocument.text"), stored(name, b"<m/>")]);
    let office = |name: &str| zip(&[stored("[Content_Types].xml", b"<Types/>"), stored(name, b"x")]);
    let typed = |part: &str| {
        let types = format!("<Types><Override PartName=\"/a\" ContentType=\"application/vnd.ms-{part}\"/></Types>");
        zip(&[stored("[Content_Types].xml", types.as_bytes()), stored("a", b"x")])
    };
    for bytes in [
        typed("office.vbaProject"),
        typed("excel.macrosheet+xml"),
        open("Basic/Standard/Module1.xml"),
        open("Scripts/python/a.py"),
        office("xl/macrosheets/sheet1.xml"),
        office("oddly/VBAPROJECT.BIN"),
    ] {
        assert!(found(&bytes).macros);
    }
    for bytes in [open("Basic/Standard/script-lb.xml"), open("content.xml"), zip(&[stored("scripts/a.py", b"x")])] {
        assert!(!found(&bytes).macros);
    }
}

#[test]
fn documents_that_fetch_something_are_active() {
    let relation = |mode: &str| {
        let relation = format!(
            "<Relationship Type=\"http://s/relationships/attachedTemplate\" Target=\"http://h/a.dotm\" TargetMode=\"{mode}\"/>"
        );
        zip(&[stored("[Content_Types].xml", b"<Types/>"), stored("word/_rels/settings.xml.rels", relation.as_bytes())])
    };
    assert!(found(&relation("External")).active);
    assert!(found(&zip(&[stored("word/activeX/activeX1.xml", b"<x/>")])).active);
    assert!(!found(&relation("Internal")).active);
    assert!(found(b"{\\rtf1 {\\object\\objautlink\\objupdate{\\*\\objdata 01}}}").active);
    assert!(found(b"%PDF-1.7\n1 0 obj <</OpenAction <</S /J#61vaScript>> >> endobj").active);
    assert!(!found(b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj").active);
}

#[test]
fn passwords_are_seen_without_having_them() {
    let entry = Entry { flags: 1, ..stored("a.txt", b"x") };
    let plain = inside(&zip(&[entry.clone(), stored("b.txt", b"x")]));
    assert_eq!((plain.entries, plain.encrypted, plain.complete), (2, 1, false));
    assert!(plain.groups.contains(&Group::Unknown));
    let aes = inside(&zip(&[Entry { method: 99, ..entry.clone() }]));
    assert_eq!((aes.encrypted, aes.complete), (1, false));
    for (what, flags) in [("strong", 0x40), ("with masked headers", 0x2000)] {
        assert_eq!(inside(&zip(&[Entry { flags, ..entry.clone() }])).encrypted, 1, "{what}");
    }
    let manifest = b"<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>";
    let open = zip(&[
        stored("mimetype", b"application/vnd.oasis.opendocument.text"),
        stored("content.xml", &[0x9c; 200]),
        stored("META-INF/manifest.xml", manifest),
    ]);
    let found_open = found(&open);
    assert!(found_open.locked && !found_open.inside.unwrap().complete);
    assert!(found(b"%PDF-1.7\ntrailer <</Root 1 0 R /Encrypt 2 0 R>>").locked);
    assert!(found(b"%PDF-1.7\ntrailer <</Root 1 0 R /#45ncrypt 2 0 R>>").locked, "by codes");
    assert!(!found(b"%PDF-1.7\n<</EncryptMetadata false>>").locked);
}

#[test]
fn files_in_documents_are_counted_but_not_taken_out() {
    for bytes in [
        &b"%PDF-1.7\n1 0 obj <</Type /EmbeddedFile /Length 3>> stream"[..],
        b"{\\rtf1 {\\object\\objemb{\\*\\objdata 0105}}}",
    ] {
        let inside = inside(bytes);
        assert_eq!((inside.entries, inside.complete), (1, false));
    }
    for bytes in [&b"%PDF-1.7\n1 0 obj <</Type /Catalog>>"[..], b"{\\rtf1 plain}"] {
        assert_eq!(found(bytes).inside, None);
    }
}

#[test]
fn other_archives_are_named_and_not_looked_into() {
    for bytes in [
        &b"BZh91AY&SY"[..],
        b"\xfd7zXZ\0\0\x04",
        b"\x28\xb5\x2f\xfd\x04\0",
        b"!<arch>\ndebian-binary",
        b"7z\xbc\xaf\x27\x1c\0\x04",
    ] {
        let inside = inside(bytes);
        assert_eq!((inside.depth, inside.complete), (1, false), "{}", bytes.escape_ascii());
        assert!(inside.groups.contains(&Group::Unknown));
    }
    assert_eq!(super::counted(b"to whom it may concern").0, None);
    assert_eq!(super::counted(b"").0, None);
}

#[test]
fn archives_behind_something_else_are_found() {
    let archive = zip(&[stored("a.txt", b"text")]);
    for front in [&b"#!/bin/sh\nexit\n"[..], PNG] {
        let found = found(&[front, &archive].concat());
        let inside = found.inside.unwrap();
        assert_eq!((inside.entries, inside.complete, found.refined), (1, true, None));
    }
    let document = zip(&[stored("mimetype", b"application/epub+zip"), stored("a.xml", b"<x/>")]);
    assert_eq!(found(&document).refined, Some(types::EPUB));
    assert_eq!(found(&[PNG, &document].concat()).refined, None, "a picture stays one");
}

#[test]
fn links_that_lead_out_of_a_tape_archive_are_deceptive() {
    let link = |target: &[u8]| {
        let mut block = tar("link", b'2', 0, b"");
        block[157..157 + target.len()].copy_from_slice(target);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        inside(&[block, vec![0; 1024]].concat()).deceptive_names
    };
    assert!(link(b"/etc/passwd") && !link(b"other.txt"));
}

#[test]
fn a_size_that_stands_before_a_header_counts_in_place_of_its_own() {
    let elf = [&b"\x7fELF\x02\x01\x01"[..], &[0; 2000]].concat();
    // Whoever goes by the header takes what it skips for the next entry.
    let hidden = [vec![b'x'; 512], tar("evil", b'0', elf.len() as u64, &elf)].concat();
    let ahead = format!("13 size={}\n", hidden.len());
    let tape = [
        tar("pax", b'x', ahead.len() as u64, ahead.as_bytes()),
        tar("a.bin", b'0', 0, &hidden),
        tar("b.txt", b'0', 4, b"text"),
        vec![0; 1024],
    ];
    let inside = inside(&tape.concat());
    assert_eq!((inside.entries, inside.expanded, inside.complete), (2, hidden.len() as u64 + 4, true));
}

#[test]
fn objects_in_rich_text_are_counted_once_wherever_they_are() {
    let object = b"{\\object\\objupdate{\\*\\objdata 01}}";
    for padding in (64 * 1024 - 80..64 * 1024).step_by(3) {
        let found = found(&[b"{\\rtf1 ".to_vec(), vec![b'x'; padding], object.to_vec(), vec![b'x'; 5000]].concat());
        assert!(found.active, "{padding}");
        let inside = found.inside.unwrap();
        assert_eq!((inside.entries, inside.complete), (1, false), "{padding}");
    }
}

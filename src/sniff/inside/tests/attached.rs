//! Files in messages and documents of OLE2, and archives of which only headers are read.

use std::io::{Cursor, Write};

use super::{super::types, found};
use crate::facts::Group;

fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (path, content) in streams {
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        if !folder.is_empty() {
            file.create_storage_all(folder).unwrap();
        }
        file.create_stream(path).unwrap().write_all(content).unwrap();
    }
    file.into_inner().into_inner()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn attachments_of_a_message_are_looked_at() {
    let program = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9000]].concat();
    let found = found(&compound(&[
        ("/__properties_version1.0", &[0; 32]),
        ("/__attach_version1.0_#00000000/__substg1.0_37010102", &program),
        ("/__attach_version1.0_#00000000/__substg1.0_3707001F", &wide("invoice.pdf.exe")),
        ("/__attach_version1.0_#00000001/__substg1.0_37010102", b"text"),
    ]));
    assert_eq!(found.refined, Some(types::MSG));
    let inside = found.inside.unwrap();
    assert_eq!((inside.entries, inside.complete, inside.deceptive_names), (2, true, true));
    assert_eq!(inside.groups, [Group::Text, Group::Executable].into());
    assert!(inside.extensions.contains("exe"));
}

/// A program, as it is dropped into a document.
fn dropped() -> Vec<u8> {
    let mut native = vec![0; 4];
    native.extend(b"\x02\0a.bat\0C:\\a.bat\0\0\0\x03\0");
    native.extend(9_u32.to_le_bytes());
    native.extend(b"C:\\a.bat\0");
    native.extend(4_u32.to_le_bytes());
    native.extend(b"\x7fELF\0\0\0\0");
    native
}

#[test]
fn files_dropped_into_a_document_are_looked_at() {
    let found = found(&compound(&[("/WordDocument", &[0; 5000]), ("/ObjectPool/_1/\u{1}Ole10Native", &dropped())]));
    let inside = found.inside.unwrap();
    assert_eq!((found.refined, inside.entries, inside.complete), (Some(types::DOC), 1, true));
    assert!(inside.extensions.contains("bat"));
}

#[test]
fn passwords_and_macros_of_binary_documents_are_seen() {
    let word = |flags: u16| [&[0; 10][..], &flags.to_le_bytes(), &[0; 5000]].concat();
    let sheet = |record: &[u8]| [b"\x09\x08\x02\0\0\x06", record, b"\x0a\0\0\0", &[0; 5000]].concat();
    for (streams, locked, macros) in [
        (("/WordDocument", word(0)), false, false),
        (("/WordDocument", word(0x100)), true, false),
        (("/WordDocument", word(0x8000)), true, false),
        (("/Workbook", sheet(b"\x85\0\x08\0\0\0\0\0\0\x06\0\0")), false, true),
        (("/Workbook", sheet(b"\x2f\0\x02\0\x01\0")), true, false),
        (("/Workbook", sheet(b"\x85\0\x08\0\0\0\0\0\0\x01\0\0")), false, true),
        (("/Workbook", sheet(b"\x85\0\x08\0\0\0\0\0\0\0\0\0")), false, false),
        (("/Current User", [&[0; 12][..], b"\xdf\xc4\xd1\xf3", &[0; 20]].concat()), true, false),
        (("/Macros/VBA/dir", b"x".to_vec()), false, true),
        (("/EncryptedPackage", vec![7; 5000]), true, false),
    ] {
        let found = found(&compound(&[(streams.0, &streams.1)]));
        assert_eq!((found.locked, found.macros), (locked, macros), "{}", streams.0);
    }
}

#[test]
fn installers_and_files_that_are_cut_hold_what_is_not_seen() {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.set_storage_clsid("/", "000c1084-0000-0000-c000-000000000046".parse().unwrap()).unwrap();
    let installer = found(&file.into_inner().into_inner());
    assert_eq!((installer.refined, installer.inside.unwrap().complete), (Some(types::MSI), false));
    let message = |len: usize| {
        let attached = vec![b'x'; len];
        let whole = compound(&[
            ("/__properties_version1.0", &[0; 32]),
            ("/__attach_version1.0_#00000000/__substg1.0_37010102", &attached),
        ]);
        found(&whole).inside.unwrap().complete
    };
    assert!(message(9000) && !message((4 << 20) + 1), "of an attachment, 4 MiB are looked at");
}

#[test]
fn names_and_passwords_in_old_rar_archives_are_read() {
    let block = |kind: u8, flags: u16, fields: &[u8]| {
        let len = u16::try_from(7 + fields.len()).unwrap();
        [&[0, 0, kind][..], &flags.to_le_bytes(), &len.to_le_bytes(), fields].concat()
    };
    let file = |name: &str, flags: u16| {
        let len = u16::try_from(name.len()).unwrap();
        let fields =
            [&4_u32.to_le_bytes()[..], &100_u32.to_le_bytes(), &[0; 11], &len.to_le_bytes(), &[0; 4], name.as_bytes()];
        [block(0x74, 0x8000 | flags, &fields.concat()), b"data".to_vec()].concat()
    };
    let archive = |flags: u16, files: &[Vec<u8>]| {
        let all = [b"Rar!\x1a\x07\0".to_vec(), block(0x73, flags, &[0; 6]), files.concat()].concat();
        found(&all).inside.unwrap()
    };
    let plain = archive(0, &[file("sub\\a.exe", 0), file("b.txt", 0)]);
    assert_eq!((plain.entries, plain.encrypted, plain.expanded, plain.deceptive_names), (2, 0, 200, false));
    assert!(plain.extensions.contains("exe"));
    let locked = archive(0, &[file("a.txt", 4), file("b.txt", 0)]);
    assert_eq!((locked.entries, locked.encrypted), (2, 1));
    let unnamed = archive(0x80, &[vec![7; 100]]);
    assert_eq!((unnamed.entries, unnamed.encrypted), (1, 1));
}

#[test]
fn names_in_cabinets_are_read() {
    let mut bytes = b"MSCF\0\0\0\0".to_vec();
    bytes.extend([0; 8]);
    bytes.extend(36_u32.to_le_bytes());
    bytes.extend([0, 0, 0, 0, 3, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    for name in ["a.exe", "sub\\b.txt"] {
        bytes.extend(100_u32.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(name.as_bytes());
        bytes.push(0);
    }
    let inside = found(&bytes).inside.unwrap();
    assert_eq!((inside.entries, inside.expanded, inside.complete, inside.deceptive_names), (2, 200, false, false));
    assert!(inside.extensions.contains("exe") && inside.extensions.contains("txt"));
}

#[test]
fn names_and_passwords_in_new_rar_archives_are_read() {
    let file = |name: &str, extra: &[u8]| {
        let flags = u8::from(!extra.is_empty());
        let mut fields = vec![2, flags];
        if flags == 1 {
            fields.push(u8::try_from(extra.len()).unwrap());
        }
        // File flags, size, attributes, method, system, name.
        fields.extend([0, 100, 0, 0, 0, u8::try_from(name.len()).unwrap()]);
        fields.extend(name.as_bytes());
        fields.extend(extra);
        [&[0; 4][..], &[u8::try_from(fields.len()).unwrap()], &fields].concat()
    };
    let archive = |blocks: &[Vec<u8>]| [b"Rar!\x1a\x07\x01\0".to_vec(), blocks.concat()].concat();
    let plain = found(&archive(&[file("a.exe", b""), file("b.txt", b"")])).inside.unwrap();
    assert_eq!((plain.entries, plain.encrypted, plain.expanded), (2, 0, 200));
    assert!(plain.extensions.contains("exe"));
    let locked = found(&archive(&[file("a.txt", &[2, 1, 0])])).inside.unwrap();
    assert_eq!((locked.entries, locked.encrypted), (1, 1));
    for (extra, encrypted) in [
        (&[3, 2, 0, 0, 2, 1, 0][..], 1),
        (&[1, 5, 1, 5, 2, 1, 0], 1),
        (&[3, 2, 1, 1, 2, 3, 1], 0),
        (&[1, 5].repeat(40), 1),
        (&[9, 5, 1, 0], 0),
    ] {
        let inside = found(&archive(&[file("a.txt", extra)])).inside.unwrap();
        assert_eq!((inside.entries, inside.encrypted), (1, encrypted), "{extra:?}");
    }
    let unnamed = found(&archive(&[vec![0, 0, 0, 0, 3, 4, 0, 0]])).inside.unwrap();
    assert_eq!((unnamed.entries, unnamed.encrypted), (1, 1));
}

#[test]
fn streams_are_known_whatever_the_case_of_their_names() {
    let dropped = found(&compound(&[("/worddocument", &[0; 5000]), ("/ObjectPool/_1/\u{1}oLe10nAtIvE", &dropped())]));
    let inside = dropped.inside.unwrap();
    assert!(inside.groups.contains(&Group::Executable) && inside.extensions.contains("bat"), "{inside:?}");
    let locked = [&[0; 10][..], &0x100_u16.to_le_bytes(), &[0; 5000]].concat();
    assert!(found(&compound(&[("/WORDDOCUMENT", &locked)])).locked);
    let sheet = [&b"\x09\x08\x02\0\0\x06\x85\0\x08\0\0\0\0\0\0\x01\0\0\x0a\0\0\0"[..], &[0; 5000]].concat();
    assert!(found(&compound(&[("/WORKBOOK", &sheet)])).macros);
}

#[test]
fn macros_of_old_presentations_are_seen() {
    let info = |has: u8| {
        let atom =
            [&b"\x1f\0\xff\x03\x14\0\0\0\x02\0\0\x04\x0c\0\0\0\x05\0\0\0"[..], &[has, 0, 0, 0, 2, 0, 0, 0]].concat();
        [&vec![0; 9000][..], &atom, &vec![0; 9000]].concat()
    };
    assert!(found(&compound(&[("/PowerPoint Document", &info(1))])).macros);
    assert!(!found(&compound(&[("/PowerPoint Document", &info(0))])).macros);
}

#[test]
fn sheets_of_macros_are_seen_behind_much_else() {
    let font = [&b"\x31\0\0\x20"[..], &[0; 0x2000]].concat();
    let behind = |many: usize| {
        let sheet = b"\x85\0\x08\0\0\0\0\0\0\x01\0\0\x0a\0\0\0";
        let book = [b"\x09\x08\x02\0\0\x06", &font.repeat(many)[..], sheet, &[0; 5000]].concat();
        found(&compound(&[("/Workbook", &book)]))
    };
    assert!(behind(20).macros);
    let far = behind(400);
    assert!(far.macros || !far.inside.unwrap().complete);
}

//! What is made to cost time or memory. Bounds are on bytes read and on what comes out, since times differ.

use proptest::prelude::*;

use super::{
    super::{super::told::Told, Opened, tally::Tally},
    counted, found,
    pack::{Entry, deflated, gzip, stored, tar, zeros, zip},
};
use crate::facts::Group;

const MIB: u64 = 1 << 20;

#[test]
fn little_is_read_of_an_entry_that_becomes_huge() {
    let bomb = Entry { packed: zeros(2048), size: 2 << 30, method: 8, ..stored("zeros", b"") };
    let (found, read) = counted(&zip(&[bomb]));
    let inside = found.unwrap().inside.unwrap();
    assert_eq!((inside.expanded, inside.entries, inside.complete), (2 << 30, 1, true));
    assert!(read < MIB, "{read}");
}

#[test]
fn a_compressed_file_that_becomes_huge_is_inflated_no_further_than_to_count() {
    let mut bomb = gzip(b"");
    let end = bomb.split_off(10);
    bomb.extend([zeros(2048), end].concat());
    let (found, read) = counted(&bomb);
    let inside = found.unwrap().inside.unwrap();
    assert!(inside.expanded >= 4 * MIB && inside.expanded < 6 * MIB, "{}", inside.expanded);
    assert!(!inside.complete, "it says that it has no bytes");
    assert!(read < MIB, "{read}");
    let end = bomb.len() - 4;
    bomb[end..].copy_from_slice(&(1_u32 << 31).to_le_bytes());
    assert_eq!(super::found(&bomb).inside.unwrap().expanded, 2 << 30, "now it says how many");
}

#[test]
fn entries_that_all_have_the_same_content_overlap() {
    let kernel = Entry { packed: zeros(16), size: 16 << 20, method: 8, ..stored("0", b"") };
    let more = (1..20_000).map(|number| Entry {
        name: number.to_string().into(),
        at: Some(0),
        packed: Vec::new(),
        ..kernel.clone()
    });
    let entries: Vec<Entry> = std::iter::once(kernel.clone()).chain(more).collect();
    let (found, read) = counted(&zip(&entries));
    let inside = found.unwrap().inside.unwrap();
    assert!(inside.overlapping && !inside.complete);
    assert_eq!(inside.entries, 20_000);
    assert!(inside.expanded > 300 << 30);
    assert!(read <= 65 * MIB, "{read}");
}

#[test]
fn archives_in_archives_are_opened_to_a_depth() {
    let mut archive = stored("a.txt", b"text").packed;
    for level in 0..50 {
        archive = zip(&[deflated(&format!("{level}.zip"), &archive)]);
    }
    let inside = found(&archive).inside.unwrap();
    assert_eq!((inside.depth, inside.complete), (5, false));
    let gzips = (0..100).fold(b"text".to_vec(), |content, _| gzip(&content));
    let inside = found(&gzips).inside.unwrap();
    assert_eq!((inside.depth, inside.complete), (5, false));
}

#[test]
fn what_comes_out_of_many_archives_in_archives_is_bounded() {
    let bomb = Entry { packed: zeros(64), size: 64 << 20, method: 8, ..stored("zeros", b"") };
    let mut archive = zip(&[bomb]);
    for _ in 0..4 {
        let copies: Vec<Entry> = (0..16).map(|number| deflated(&format!("{number}.zip"), &archive)).collect();
        archive = zip(&copies);
    }
    let (found, read) = counted(&archive);
    let inside = found.unwrap().inside.unwrap();
    assert!(!inside.complete);
    assert_eq!(inside.depth, 5);
    assert!(read < 4 * MIB, "{read}");
    let large = |count: usize| {
        let inner = zip(&[stored("a", &vec![0; 6 << 20])]);
        let copies: Vec<Entry> = (0..count).map(|number| deflated(&format!("{number}.zip"), &inner)).collect();
        super::found(&zip(&copies)).inside.unwrap().complete
    };
    assert!(large(2) && !large(3), "16 MiB in all");
}

#[test]
fn no_more_entries_are_counted_than_can_be() {
    let mut tally = Tally::new();
    tally.enter(1);
    let listed = (0..300_000).take_while(|_| tally.list("a", 1)).count();
    let inside = tally.found(&Opened::default()).inside.unwrap();
    assert_eq!((listed, inside.entries, inside.complete), (200_000, 200_000, false));
}

#[test]
fn a_hundred_thousand_entries_are_counted_and_some_looked_at() {
    let entries: Vec<Entry> = (0..100_000).map(|number| stored(&format!("{number}.txt"), b"text")).collect();
    let (found, read) = counted(&zip(&entries));
    let inside = found.unwrap().inside.unwrap();
    assert_eq!((inside.entries, inside.complete, inside.overlapping), (100_000, false, false));
    assert!(read < 32 * MIB, "{read}");
    let tape = tar("a", b'0', 0, b"").repeat(100_000);
    let (found, read) = counted(&tape);
    let inside = found.unwrap().inside.unwrap();
    assert_eq!((inside.entries, inside.complete), (100_000, false));
    assert!(read < 64 * MIB, "{read}");
}

#[test]
fn what_runs_is_remembered_of_however_many() {
    let mut entries: Vec<Entry> = (0..200).map(|number| stored(&format!("a.{number:03}"), b"text")).collect();
    entries.push(stored("b.exe", b"MZ"));
    let inside = found(&zip(&entries)).inside.unwrap();
    assert_eq!(inside.extensions.len(), crate::facts::Inside::MOST);
    assert!(inside.extensions.contains("exe"));
}

#[test]
fn types_of_what_runs_are_remembered_of_however_many() {
    let told = |name: String, group| Told { media_type: Some(name.into()), group, ..Told::default() };
    for programs_first in [true, false] {
        let mut tally = Tally::new();
        tally.enter(1);
        for of_programs in [programs_first, !programs_first] {
            for number in 0..40 {
                match of_programs {
                    true if number < 3 => tally.kind(told(format!("a/0-program-{number}"), Group::Executable), None),
                    true => (),
                    false => tally.kind(told(format!("a/{number}"), Group::Text), None),
                }
            }
        }
        let types = tally.found(&Opened::default()).inside.unwrap().types;
        let programs = types.iter().filter(|name| name.starts_with("a/0-program-")).count();
        assert_eq!((types.len(), programs), (32, 3), "{programs_first}");
    }
}

#[test]
fn a_container_too_large_to_be_held_is_not_complete() {
    let large = zip(&[stored("a", &vec![0; 9 << 20])]);
    let inside = found(&gzip(&large)).inside.unwrap();
    assert!(!inside.complete && inside.groups.contains(&Group::Unknown));
}

#[test]
fn names_may_be_huge() {
    let entries: Vec<Entry> = (0..50).map(|number| stored(&format!("{number:065531}.exe"), b"MZ")).collect();
    let inside = found(&zip(&entries)).inside.unwrap();
    assert_eq!((inside.entries, inside.complete, inside.overlapping), (50, true, false));
    assert!(inside.extensions.contains("exe") && inside.deceptive_names);
    let tape = [tar("././@LongLink", b'L', 1 << 20, &vec![b'x'; 1 << 20]), tar("a", b'0', 0, b"")].concat();
    assert!(!found(&tape).inside.unwrap().complete);
}

#[test]
fn a_directory_may_be_nothing_but_huge_names() {
    let first = stored(&format!("{:065531}.exe", 0), b"MZ");
    let more = (1..1000).map(|number| Entry { at: Some(0), ..stored(&format!("{number:065531}.exe"), b"MZ") });
    let entries: Vec<Entry> = std::iter::once(first).chain(more).collect();
    let (found, read) = counted(&zip(&entries));
    let inside = found.unwrap().inside.unwrap();
    assert!(inside.overlapping && inside.deceptive_names && inside.extensions.contains("exe"));
    assert!(inside.entries > 400 && read <= 65 * MIB, "{} {read}", inside.entries);
}

#[test]
fn sizes_may_be_absurd() {
    for size in [1 << 40, (1 << 62) + 1, u64::MAX] {
        for archive in [tar("a", b'0', size, b"text"), tar("a", b'L', size, b"text"), tar("a", b'g', size, b"text")] {
            let inside = found(&archive).inside.unwrap();
            assert!(!inside.complete);
            let inside = found(&gzip(&archive)).inside.unwrap();
            assert!(!inside.complete);
        }
    }
    let entry = Entry { size: u32::MAX, packed: b"text".into(), ..stored("a", b"") };
    assert!(!found(&zip(&[entry])).inside.unwrap().complete);
}

#[test]
fn rings_in_compound_files_come_to_an_end() {
    let whole = super::corpus::sample("../specimens/macro-document.b64");
    for step in [0_u32, 1, 2, 3, 5] {
        let mut bytes = whole.clone();
        // All of the table: each sector leads to a near one.
        let table = (u32::from_le_bytes(bytes[76..80].try_into().unwrap()) as usize + 1) * 512;
        for index in 0..128_u32 {
            let to = (index ^ step) % 6;
            bytes[table + index as usize * 4..][..4].copy_from_slice(&to.to_le_bytes());
        }
        let (found, read) = counted(&bytes);
        assert!(found.is_some());
        assert!(read < 64 * MIB, "{read}");
    }
}

#[test]
fn containers_may_end_anywhere() {
    let document =
        zip(&[deflated("word/document.xml", &b"<w/>".repeat(50)), stored("a.zip", &zip(&[stored("b", b"x")]))]);
    let tape = gzip(&[tar("a.txt", b'0', 4, b"text"), vec![0; 1024]].concat());
    let compound = super::corpus::sample("../specimens/macro-document.b64");
    let rar = super::corpus::sample("../specimens/stored-rar.b64");
    for bytes in [document, tape, compound, rar] {
        for len in 0..bytes.len() {
            let (found, _) = counted(&bytes[..len]);
            let complete =
                found.and_then(|found| found.inside).is_some_and(|inside| inside.complete && inside.entries > 0);
            assert!(!complete || len + 600 > bytes.len(), "{len} of {}", bytes.len());
        }
    }
}

proptest! {
    #[test]
    fn damaged_containers_never_cost_more(
        which in 0..4_usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut bytes = match which {
            0 => zip(&[stored("a.zip", &zip(&[deflated("b.txt", b"text")])), deflated("c", &[7; 3000])]),
            1 => [tar("a.txt", b'0', 4, b"text"), tar("b", b'x', 20, b"20 path=something\n"), vec![0; 1024]].concat(),
            2 => super::corpus::sample("../specimens/macro-document.b64"),
            _ => super::corpus::sample("../specimens/stored-rar.b64"),
        };
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        let (_, read) = counted(&bytes);
        prop_assert!(read <= 65 * MIB);
    }

    #[test]
    fn anything_behind_a_magic_is_looked_into(which in 0..8_usize, rest in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let magic: &[u8] = [
            &b"PK\x03\x04"[..], b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"7z\xbc\xaf\x27\x1c",
            b"Rar!\x1a\x07\x01\0", b"Rar!\x1a\x07\0", b"MSCF\0\0\0\0", b"%PDF-1.7 /ObjStm stream\n\x78\x9c",
        ][which];
        counted(&[magic, &rest].concat());
    }
}

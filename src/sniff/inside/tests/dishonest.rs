//! Archives that two readers would see differently.

use super::{
    found,
    pack::{Entry, deflated, gzip, stored, zip},
};
use crate::facts::{Group, Inside};

fn inside(entries: &[Entry]) -> Inside {
    found(&zip(entries)).inside.unwrap()
}

#[test]
fn entries_that_share_bytes_overlap() {
    let one = stored("a.txt", b"text");
    let again = Entry { name: b"b.txt".into(), at: Some(0), local_name: None, ..one.clone() };
    assert!(inside(&[one.clone(), again]).overlapping);
    assert!(!inside(&[one.clone(), stored("b.txt", b"text")]).overlapping);
}

#[test]
fn content_that_is_not_as_large_as_told_overlaps_or_is_not_complete() {
    let more = Entry { size: 10, ..deflated("a.txt", &b"text".repeat(100)) };
    assert!(inside(&[more]).overlapping);
    let less = Entry { size: 10_000, ..deflated("a.txt", b"text") };
    assert!(!inside(&[less]).complete);
    let broken = Entry { packed: vec![0xff; 50], ..deflated("a.txt", b"text") };
    assert!(!inside(&[broken]).complete);
}

#[test]
fn names_that_differ_or_come_twice_are_deceptive() {
    let other = Entry { local_name: Some(b"evil.exe".into()), ..stored("a.txt", b"text") };
    let inside_other = inside(&[other]);
    assert!(inside_other.deceptive_names);
    assert!(inside_other.extensions.contains("exe"), "both are seen");
    assert!(inside(&[stored("a.txt", b"one"), stored("A.TXT", b"two")]).deceptive_names);
    assert!(inside(&[stored("../a.txt", b"one")]).deceptive_names);
    assert!(!inside(&[stored("a.txt", b"one"), stored("b.txt", b"two")]).deceptive_names);
}

#[test]
fn what_the_directory_does_not_list_is_dishonest() {
    let hidden = Entry { hidden: true, ..stored("b.exe", b"MZ") };
    assert!(inside(&[hidden.clone(), stored("a.txt", b"text")]).overlapping, "at the beginning");
    assert!(inside(&[stored("a.txt", b"text"), hidden.clone()]).overlapping, "at the end");
    assert!(inside(&[stored("a.txt", b"text"), hidden, stored("c.txt", b"text")]).overlapping, "between");
}

#[test]
fn two_ends_are_dishonest() {
    let archive = zip(&[stored("a.txt", b"text")]);
    let mut twice = archive.clone();
    let end = archive.len() - 22;
    twice.truncate(archive.len() - 2);
    twice.extend(22_u16.to_le_bytes());
    twice.extend(&archive[end..]);
    assert!(found(&twice).inside.unwrap().overlapping);
}

#[test]
fn what_is_said_twice_of_an_entry_is_said_alike_or_dishonest() {
    let entry = stored("a.txt", b"text");
    assert!(!inside(&[Entry { local: Some((0, 0, 4)), ..entry.clone() }]).overlapping);
    for (what, local) in [("encryption", (1, 0, 4)), ("method", (0, 8, 4)), ("size", (0, 0, 3))] {
        assert!(inside(&[Entry { local: Some(local), ..entry.clone() }]).overlapping, "{what}");
    }
}

#[test]
fn a_directory_that_ends_early_or_leads_nowhere_is_not_complete() {
    let archive = zip(&[stored("a.txt", b"text"), stored("b.txt", b"text")]);
    let broken = |what: &[u8], with: &[u8]| {
        let at = memchr::memmem::rfind(&archive, what).unwrap();
        let bytes = [&archive[..at], with, &archive[at + with.len()..]].concat();
        found(&bytes).inside.unwrap()
    };
    assert!(!broken(b"PK\x01\x02", b"PK\0\0").complete, "a record of the directory");
    assert!(!broken(b"PK\x03\x04", b"PK\0\0").complete, "what stands in front of an entry");
    let end = archive.len() - 12;
    let counted = [&archive[..end - 2], &[3, 0, 3, 0], &archive[end + 2..]].concat();
    assert!(found(&counted).inside.unwrap().overlapping, "another number of entries");
}

#[test]
fn what_follows_the_end_is_trailing() {
    let archive = [zip(&[stored("a.txt", b"text")]), b"and more".to_vec()].concat();
    let found = found(&archive);
    assert_eq!((found.trailing, found.inside.unwrap().entries), (Some(8), 1));
}

#[test]
fn a_folder_with_content_is_a_file() {
    let inside = inside(&[stored("a/", b"MZ")]);
    assert_eq!((inside.entries, inside.expanded), (1, 2));
    let said_to_be_empty = Entry { size: 0, ..stored("a/", b"MZ and more") };
    assert_eq!(super::found(&zip(&[said_to_be_empty])).inside.unwrap().entries, 1);
}

#[test]
fn archives_that_are_cut_show_what_is_left_of_them() {
    let whole = zip(&[stored("a.txt", b"text"), stored("b.exe", b"MZ"), deflated("c.txt", &b"text ".repeat(100))]);
    let found = found(&whole[..whole.len() - 100]);
    let inside = found.inside.unwrap();
    assert!(!inside.complete && inside.entries >= 2);
    assert!(inside.extensions.contains("exe"));
    let locked = zip(&[Entry { flags: 1, ..stored("a.txt", b"text") }]);
    assert_eq!(super::found(&locked[..34 + 5]).inside.unwrap().encrypted, 1);
}

#[test]
fn what_was_cut_off_could_be_anything() {
    let less = Entry { size: 100, ..stored("a.txt", b"text") };
    let whole = gzip(b"text, and more text, and more of it");
    for bytes in [zip(&[less]), whole[..whole.len() - 12].to_vec(), gzip(&zip(&[stored("a", b"x")]))[..60].to_vec()] {
        let inside = found(&bytes).inside.unwrap();
        assert!(!inside.complete && inside.groups.contains(&Group::Unknown), "{inside:?}");
    }
}

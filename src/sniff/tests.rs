use std::io::{Cursor, SeekFrom};

use proptest::prelude::*;

use super::*;

fn facts(bytes: &[u8]) -> Facts {
    examine(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
}

fn kind(bytes: &[u8]) -> (String, Group) {
    let facts = facts(bytes);
    (facts.detected_type.as_deref().unwrap_or("unknown").to_owned(), facts.group)
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// A header of a Windows program, and no program.
fn pe() -> Vec<u8> {
    let mut bytes = vec![0; 512];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x80;
    bytes[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
    bytes
}

#[test]
fn known_types_text_and_nothing_are_named_and_noise_is_unknown() {
    assert_eq!(kind(b"\x89PNG\r\n\x1a\n...."), ("image/png".to_owned(), Group::Image));
    assert_eq!(kind(b"%PDF-1.7"), ("application/pdf".to_owned(), Group::Document));
    assert_eq!(kind(b""), ("application/x-empty".to_owned(), Group::Empty));
    assert_eq!(kind("gruß".as_bytes()), ("text/plain".to_owned(), Group::Text));
    assert_eq!(kind(b"\0text"), ("unknown".to_owned(), Group::Unknown));
    let noise = facts(&[0xd1, 0x57, 0x02, 0x9c]);
    assert_eq!(noise, Facts { size: 4, opaque: true, entropy: 2000, ..Facts::default() });
}

#[test]
fn what_runs_is_known_as_such() {
    let elf = [b"\x7fELF\x02\x01\x01".to_vec(), vec![0; 57]].concat();
    for (bytes, name) in [
        (&pe()[..], "application/vnd.microsoft.portable-executable"),
        (&elf, "application/x-executable"),
        (&elf[..20], "application/x-executable"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34\0\x10", "application/java"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "application/x-mach-binary"),
        (b"\0asm\x01\0\0\0", "application/wasm"),
        (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", "application/x-ms-shortcut"),
        (b"!<arch>\ndebian-binary   ", "application/vnd.debian.binary-package"),
        (b"\xa7\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0\xe3\0\0\0", "application/x-bytecode.python"),
        (b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0META-INF/", "application/java-archive"),
        (
            b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\x04\0a/\xfe\xca\0\0",
            "application/java-archive",
        ),
        (b"[InternetShortcut]\r\nURL=file:///x\r\n", "application/x-mswinurl"),
        (b"# made by hand\n[Desktop Entry]\nType=Application\nExec=x\n", "application/x-desktop"),
        (b"<html><hta:application id=x><script>", "application/hta"),
    ] {
        assert_eq!(kind(bytes), (name.to_owned(), Group::Executable), "{}", bytes.escape_ascii());
    }
}

#[test]
fn archives_are_told_from_photos() {
    assert!(facts(b"PK\x03\x04\x14\0\0\0\x08\0").container);
    assert!(facts(b"\x1f\x8b\x08\0\0\0\0\0").container);
    assert!(!facts(b"\x89PNG\r\n\x1a\n....").container);
    assert!(!facts(b"to whom it may concern").container);
}

#[test]
fn what_is_known_or_readable_or_not_there_is_not_opaque() {
    let noise: Vec<u8> = (0..=u8::MAX).collect();
    assert!(facts(&noise).opaque);
    for bytes in [[b"\x89PNG\r\n\x1a\n", &noise[..]].concat(), b"to whom it may concern".to_vec(), Vec::new()] {
        assert!(!facts(&bytes).opaque, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_program_that_says_so_late_is_not_taken_for_text() {
    let archive = [&b"#!/bin/sh\nexec tail -n +3 $0\n"[..], &noise(4096)].concat();
    assert_eq!(kind(&archive), ("text/x-shellscript".to_owned(), Group::Script));
    let page = [&b"<html><body>\0"[..], &noise(300)].concat();
    assert_eq!(kind(&page).1, Group::Html);
}

/// Counts what is read.
struct Counting<R> {
    bytes: R,
    read: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(piece)?;
        self.read += read as u64;
        Ok(read)
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

/// Windows, the second voice, what the most thorough of the searches reads, and twice what is read of a document for what is
/// inside it.
const BOUND: u64 = (3 + 2 * 8) * 1024 * 1024;

/// The same, for a PDF, whose names can be anywhere.
const PDF_BOUND: u64 = BOUND + 16 * 1024 * 1024;

/// A body that is too long to be held.
struct Endless {
    beginning: &'static [u8],
    filler: u8,
    at: u64,
}

/// Its length, far above all that may be read.
const ENDLESS: u64 = 1 << 30;

impl Read for Endless {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(ENDLESS.saturating_sub(self.at)).unwrap().min(piece.len());
        for byte in &mut piece[..len] {
            let at = usize::try_from(self.at).unwrap();
            *byte = self.beginning.get(at).copied().unwrap_or(self.filler);
            self.at += 1;
        }
        Ok(len)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => ENDLESS.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Beginnings after which something is followed.
const BEGINNINGS: [&[u8]; 14] = [
    b"",
    b"\x89PNG\r\n\x1a\n\0\0\0\x04IDAT",
    b"\xff\xd8\xff\xda\0\x02",
    b"\xff\xd8\xff\xe0\0\x02",
    b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02",
    b"%PDF-1.7\n",
    b"<html>",
    b"<svg xmlns='x'>",
    b"RIFF\0\0\0\0WEBP",
    b"\0\0\0\x18ftypisom\0\0\x02\0isommp42\0\0\0\x08free",
    b"\x1a\x45\xdf\xa3",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
];

#[test]
fn however_large_it_is_a_bounded_part_is_read() {
    for beginning in BEGINNINGS {
        for filler in [0xff, b'/'] {
            let mut bytes = Counting { bytes: Endless { beginning, filler, at: 0 }, read: 0 };
            examine(&mut bytes, ENDLESS).unwrap();
            let bound = if beginning.starts_with(b"%PDF") { PDF_BOUND } else { BOUND };
            assert!(bytes.read <= bound, "{} bytes of {} {filler}", bytes.read, beginning.escape_ascii());
        }
    }
}

#[test]
fn an_error_of_reading_is_no_fact() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    impl Seek for Broken {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    assert_eq!(examine(&mut Broken, 10).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_file_that_is_shorter_than_it_should_be_has_facts_all_the_same() {
    let mut short = Cursor::new(b"GIF89a");
    assert_eq!(examine(&mut short, 1 << 40).unwrap().detected_type.as_deref(), Some("image/gif"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_stumble(
        beginning in prop::sample::select(&BEGINNINGS[..]),
        rest in prop::collection::vec(any::<u8>(), 0..2048),
        size in any::<u64>(),
    ) {
        let bytes = [beginning, &rest].concat();
        let honest = facts(&bytes);
        prop_assert_eq!(honest.size, bytes.len() as u64);
        prop_assert!(honest.trailing.is_none_or(|trailing| trailing <= honest.size));
        prop_assert!(!honest.opaque || honest.detected_type.is_none());
        examine(&mut Cursor::new(&bytes), size).unwrap();
        told::tell(&bytes, size);
    }

    #[test]
    fn no_text_makes_it_stumble(text in "\\PC{0,400}", start in "(<!--|<\\?xml|#!|\\{|%PDF-|<!DOCTYPE \\[)?") {
        facts(format!("{start}{text}").as_bytes());
        let wide: Vec<u8> = format!("\u{feff}{start}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        facts(&wide);
    }
}

#[test]
fn a_script_with_a_byte_that_no_text_has_is_a_script() {
    let scripts = [
        "@echo off\r\nrem \x01\r\npowershell -enc AAAA\r\n".to_owned(),
        "var x = new ActiveXObject('X');// \x02\n".to_owned(),
        format!("'{}\x03\r\nSet shell = CreateObject(\"WScript.Shell\")\r\nshell.Run \"x\"\r\n", "x".repeat(400)),
        "import os\n# \0\ndef f(a):\n    return os.getcwd()\n".to_owned(),
    ];
    for script in scripts {
        let facts = facts(script.as_bytes());
        assert_eq!((facts.group, facts.opaque), (Group::Script, false), "{script:?}");
    }
    let image = [&b"\x01\x02\x03"[..], &[0; 300], b"@echo off\r\n"].concat();
    assert_eq!(kind(&image).1, Group::Unknown);
}

#[test]
fn white_space_in_front_hides_no_page() {
    for padding in [" ".repeat(20_000), "\r\n".repeat(30_000), "\t".repeat(1 << 20)] {
        for (page, name) in [
            ("<html><script>x</script></html>", "text/html"),
            ("<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "image/svg+xml"),
            ("@echo off\r\nstart x\r\n", "text/x-msdos-batch"),
        ] {
            assert_eq!(kind(format!("{padding}{page}").as_bytes()).0, name);
        }
    }
}

#[test]
fn scripts_are_seen_wherever_they_are_in_a_picture() {
    let picture = |before: usize, after: usize| {
        let path = |len: usize| format!("<path d='{}'/>", "M0 0 ".repeat(len / 5));
        let text = format!(
            "<svg xmlns='http://www.w3.org/2000/svg'>{}<script>x()</script>{}</svg>",
            path(before),
            path(after)
        );
        facts(text.as_bytes())
    };
    for (before, after) in [(0, 0), (3 << 20, 1 << 20), (255 << 10, 200 << 10), (33 << 20, 1 << 20)] {
        assert!(picture(before, after).active, "{before} {after}");
    }
    let long = format!("<svg xmlns='http://www.w3.org/2000/svg'><path d='{}'/></svg>", "M0 0 ".repeat(1 << 20));
    assert!(!facts(long.as_bytes()).active);
}

#[test]
fn xml_is_active_in_whatever_it_is_written() {
    let xml = "<?xml version='1.0'?><?xml-stylesheet href='x.xsl'?><a/>";
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(xml.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for bytes in [xml.as_bytes(), &wide] {
        let facts = facts(bytes);
        assert_eq!((facts.detected_type.as_deref(), facts.active), (Some("text/xml"), true));
    }
}

#[test]
fn a_shortcut_is_one_behind_other_sections() {
    for text in ["[x]\r\na=b\r\n[InternetShortcut]\r\nURL=file://x\r\n", "junk\n[internetshortcut]\nurl=file:\n"] {
        assert_eq!(kind(text.as_bytes()).1, Group::Executable, "{text}");
    }
    assert_eq!(kind(b"such a file begins with\n[InternetShortcut]\nand goes on\n").1, Group::Text);
}

#[test]
fn scripts_are_told_although_the_rest_is_no_text() {
    for start in ["#!/bin/sh\n", "\u{feff}#!/bin/sh\n"] {
        assert_eq!(kind(&[start.as_bytes(), b"\0\x01\xff\xfe"].concat()).1, Group::Script, "{start:?}");
    }
    assert_eq!(kind(b"<html>\0\x01\xff\xfe"), ("text/html".to_owned(), Group::Html));
}

#[test]
fn what_is_found_inside_is_told_of_the_whole() {
    let rich = facts(b"{\\rtf1 {\\object\\objautlink{\\*\\objdata 01}}}");
    assert!(rich.active && rich.container && rich.inside.is_some());
    let plain = facts(b"{\\rtf1 text}");
    assert!(!plain.active && plain.inside.is_none());
}

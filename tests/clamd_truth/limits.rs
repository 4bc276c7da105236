//! The five ways in which clamd, by its defaults, says OK to what it did not look at.

use super::{SLOW_SIGNATURE, fetch, slow};
use crate::harness::{AppBuilder, Clamd, Homeserver, eicar, eventually};

/// Small enough to be exceeded by small specimens.
const SETTINGS: &str = "PCREMatchLimit 2000000000\nPCRERecMatchLimit 2000000000\nMaxFileSize 1536K\nMaxScanSize 2M\n\
                        MaxFiles 30\nMaxScanTime 2000\n";

/// EICAR, each time behind another limit, and the name of that.
fn specimens() -> Vec<(&'static str, Vec<u8>)> {
    let padding = vec![b'.'; 700 << 10];
    let padded = zip(&[padding.clone(), [padding, b"!".to_vec()].concat(), eicar()]);
    let numbered = |number: usize| format!("member {number}").into_bytes();
    let crowded = zip(&(0..40).map(numbered).chain([eicar()]).collect::<Vec<_>>());
    let large = [vec![b','; 1536 << 10], eicar()].concat();
    let tedious = |number: usize| slow(25, &number.to_string());
    let long = zip(&(0..8).map(tedious).chain([eicar()]).collect::<Vec<_>>());
    let nested = (0..20).fold(eicar(), |inner, _| gzip(&inner));
    vec![
        ("MaxRecursion", nested),
        ("MaxScanSize", padded),
        ("MaxFiles", crowded),
        ("MaxFileSize", large),
        ("MaxScanTime", long),
    ]
}

async fn limited_clamd(settings: &str) -> Clamd {
    let mut clamd = Clamd::prepare(&format!("{SETTINGS}{settings}"));
    clamd.write_signatures("slow.ldb", SLOW_SIGNATURE);
    clamd.launch().await;
    clamd
}

#[tokio::test]
async fn what_clamd_gave_up_on_is_incomplete_whatever_the_limit() {
    let (homeserver, clamd) = (Homeserver::start().await, limited_clamd("AlertExceedsMax yes").await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    for (number, (limit, specimen)) in (1..).zip(specimens()) {
        let before = clamd.log().len();
        let answer = fetch(&homeserver, &app, limit, &specimen).await;
        assert_eq!(answer.status, 403, "{limit}: {answer:?}");
        assert_eq!((app.scans("incomplete").await, app.scans("clean").await), (number, 0), "{limit}");
        let named = format!("Heuristics.Limits.Exceeded.{limit} FOUND");
        eventually(&named, || async { clamd.log()[before..].contains(&named) }).await;
    }
}

#[tokio::test]
async fn a_clamd_that_keeps_silent_about_its_limits_is_not_used() {
    let (homeserver, clamd) = (Homeserver::start().await, limited_clamd("AlertExceedsMax no").await);
    let refused = AppBuilder::new(&homeserver).clamd(&clamd).try_start().await;
    let error = format!("{:#}", refused.err().expect("no start"));
    for part in ["the policy refuses", "this clamd says OK", "`AlertExceedsMax yes`", &clamd.address()] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// What the canary says of such a clamd is true of every limit.
#[tokio::test]
async fn a_silent_clamd_that_is_used_by_choice_says_ok_to_all_of_it() {
    let (homeserver, clamd) = (Homeserver::start().await, limited_clamd("AlertExceedsMax no").await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).clamd_settings("conformance: warn").start().await;
    let canary = format!("lazaret_canary_named{{backend=\"{}\",canary=\"nested_gzip\"}} 0", clamd.address());
    let metrics = app.admin.get("/metrics").await.text();
    assert!(metrics.lines().any(|line| line == canary), "{metrics}");
    for (limit, specimen) in specimens() {
        assert_eq!(fetch(&homeserver, &app, limit, &specimen).await.status, 200, "{limit}");
    }
}

/// A zip archive of members that are not compressed.
fn zip(members: &[Vec<u8>]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (number, data) in members.iter().enumerate() {
        let (name, size) = (format!("{number:04}"), u32::try_from(data.len()).unwrap().to_le_bytes());
        let offset = u32::try_from(archive.len()).unwrap().to_le_bytes();
        // Version, flags, method, time, date, checksum, both sizes, lengths of name and extra field.
        let fields = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc(data), &size, &size, &[4, 0, 0, 0]].concat();
        archive.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), data].concat());
        directory.extend([b"PK\x01\x02\x14\0", &fields[..], &[0; 10], &offset, name.as_bytes()].concat());
    }
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    let place = [directory.len(), archive.len()].map(|length| u32::try_from(length).unwrap().to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0", &count[..], &count, &place[0], &place[1], &[0, 0]].concat();
    [archive, directory, end].concat()
}

/// A gzip file that is not compressed.
fn gzip(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    let lengths = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
    [&head[..], &lengths, data, &crc(data), &u32::from(length).to_le_bytes()].concat()
}

/// The checksum of both formats.
fn crc(data: &[u8]) -> [u8; 4] {
    let shift = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    let add = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), shift);
    (!data.iter().fold(u32::MAX, add)).to_le_bytes()
}

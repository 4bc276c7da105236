//! What it costs to look into media: honest ones of 1 MiB, and those that are made to cost much.
//!
//! Prints, of each, how much processor time it takes (the mean of some runs), how many bytes are read, and by how much memory
//! grows: the most that the kernel counts of a process that does nothing else, of which some 200 KiB are code that is loaded.

#[path = "../../src/sniff/inside/tests/counted.rs"]
mod counted;
#[path = "../../src/sniff/inside/tests/pack.rs"]
mod pack;

use std::{
    fs::File,
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

use lazaret::{facts::Facts, sniff::examine};

use self::{
    counted::Counted,
    pack::{Entry, deflated, gzip, stored, tar, zeros, zip},
};

const MIB: usize = 1 << 20;

/// Runs that a mean is taken of, at most, and the time after which there are no more. The kernel counts in steps of some
/// milliseconds, so few runs of what is quick tell nothing.
const MOST_RUNS: u32 = 2000;
const ENOUGH: Duration = Duration::from_secs(2);

fn facts(bytes: &[u8]) -> (Facts, u64) {
    let mut reader = Counted::new(bytes);
    let facts = examine(&mut reader, bytes.len() as u64).expect("the reader never fails");
    (facts, reader.read)
}

fn random(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

/// Letters that compress to about half.
fn prose(len: usize) -> Vec<u8> {
    random(len).into_iter().map(|byte| b"etaoin shrdlu etaoin shrdlu, eta"[usize::from(byte % 32)]).collect()
}

fn document(text: usize, pictures: usize) -> Vec<u8> {
    const TYPES: &[u8] = b"<Types><Override ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>";
    let mut entries = vec![deflated("[Content_Types].xml", TYPES), deflated("word/document.xml", &prose(text))];
    entries.extend((0..12).map(|number| deflated(&format!("word/part{number}.xml"), &prose(8000))));
    let picture = [&b"\x89PNG\r\n\x1a\n"[..], &random(100 * 1024)].concat();
    entries.extend((0..pictures).map(|number| stored(&format!("word/media/{number}.png"), &picture)));
    zip(&entries)
}

fn pdf(len: usize) -> Vec<u8> {
    let page = random(50 * 1024);
    let mut bytes = b"%PDF-1.7\n".to_vec();
    while bytes.len() < len {
        bytes.extend(b"1 0 obj <</Type /Page /Resources <</Font <</F1 2 0 R>>>> /Length 51200>> stream\n");
        bytes.extend(&page);
        bytes.extend(b"\nendstream endobj\n");
    }
    bytes
}

fn nested(levels: usize) -> Vec<u8> {
    let bomb = Entry { packed: zeros(64), size: 64 << 20, method: 8, ..stored("zeros", b"") };
    let mut archive = zip(&[bomb]);
    for _ in 0..levels {
        archive = zip(&(0..16).map(|number| deflated(&format!("{number}.zip"), &archive)).collect::<Vec<_>>());
    }
    archive
}

fn overlapping(count: u32) -> Vec<u8> {
    let kernel = Entry { packed: zeros(16), size: 16 << 20, method: 8, ..stored("0", b"") };
    let other =
        |number: u32| Entry { name: number.to_string().into(), at: Some(0), packed: Vec::new(), ..kernel.clone() };
    zip(&std::iter::once(kernel.clone()).chain((1..count).map(other)).collect::<Vec<_>>())
}

/// Entries that each cost as much as one may: all that fits in the bound on what comes out.
fn inflated(count: u32) -> Vec<u8> {
    let rows = prose(64 * 1024);
    zip(&(0..count).map(|number| deflated(&format!("{number}.rels"), &rows)).collect::<Vec<_>>())
}

fn many(count: u32) -> Vec<u8> {
    zip(&(0..count).map(|number| deflated(&format!("{number}.txt"), b"text text text")).collect::<Vec<_>>())
}

fn tape(count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| tar(&number.to_string(), b'0', 4, b"text")).collect()
}

fn compressed(content: &[u8]) -> Vec<u8> {
    let mut bytes = gzip(b"");
    let end = bytes.split_off(10);
    bytes.extend(content);
    bytes.extend(end);
    bytes
}

fn rings() -> Vec<u8> {
    let mut bytes = vec![0_u8; 8 * MIB];
    bytes[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    bytes[30] = 9;
    bytes[48] = 1;
    // The table is in sector 0, and leads from each sector to itself.
    for at in (0..128_u32).map(|sector| (sector, 512 + sector as usize * 4)) {
        bytes[at.1..at.1 + 4].copy_from_slice(&at.0.to_le_bytes());
    }
    // Four streams in the sector of the directory, again and again.
    for at in (1024..1536).step_by(128) {
        let name: Vec<u8> = "\u{1}Ole10Native".encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes[at..at + name.len()].copy_from_slice(&name);
        bytes[at + 64] = 26;
        bytes[at + 66] = 2;
        bytes[at + 116] = 2;
        bytes[at + 120..at + 124].copy_from_slice(&(4_u32 << 20).to_le_bytes());
    }
    bytes
}

/// A field of the kernel's in KiB.
fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

/// Time that this process was running.
fn running() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or_default())
}

/// What a process of its own needs to look into a file.
fn peak(path: &str) {
    let mut file = File::open(path).expect("the file was just written");
    let size = file.metadata().expect("the file is open").len();
    let before = status("VmRSS");
    black_box(examine(&mut file, size)).expect("the file can be read");
    println!("{}", status("VmHWM").saturating_sub(before));
}

fn measure(name: &str, bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("there is room");
    std::fs::write(file.path(), bytes).expect("there is room");
    let this = std::env::current_exe().expect("it has a path");
    let child = Command::new(this).arg("--peak").arg(file.path()).output().expect("it starts");
    let grown = String::from_utf8_lossy(&child.stdout).trim().to_owned();
    let (facts_of, read) = facts(bytes);
    let (mut runs, began, started) = (0, Instant::now(), running());
    while runs < MOST_RUNS && (runs < 3 || began.elapsed() < ENOUGH) {
        black_box(facts(black_box(bytes)));
        runs += 1;
    }
    let each = running().saturating_sub(started) / runs;
    let inside = facts_of.inside.unwrap_or_default();
    println!(
        "| {name} | {} | {:.2} | {} | {grown} | {} | {} | {} |",
        bytes.len() / 1024,
        each.as_secs_f64() * 1e3,
        read / 1024,
        inside.entries,
        inside.depth,
        inside.complete,
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, path, ..] = arguments.as_slice()
        && flag == "--peak"
    {
        return peak(path);
    }
    println!("| what | KiB | ms | KiB read | KiB of memory | entries | depth | complete |");
    println!("|---|---|---|---|---|---|---|---|");
    measure("document, mostly text", &document(1900 * 1024, 0));
    measure("document, mostly pictures", &document(100 * 1024, 9));
    measure("PDF", &pdf(MIB));
    measure("PNG", &[&b"\x89PNG\r\n\x1a\n"[..], &random(MIB)].concat());
    measure("text", &prose(MIB));
    measure("script of tags", &b"<b>if (a) { b(); }\n".repeat(MIB / 20));
    measure("compressed tape archive", &gzip(&tape(1000)));
    measure(
        "one entry of 2 GiB zeros",
        &zip(&[Entry { packed: zeros(2048), size: 2 << 30, method: 8, ..stored("zeros", b"") }]),
    );
    measure("gzip of 10 GiB zeros", &compressed(&zeros(10 * 1024)));
    let header = gzip(&tar("zeros", b'0', 10 << 30, b""));
    measure("compressed tape archive with 10 GiB zeros", &[header, compressed(&zeros(10 * 1024))].concat());
    measure("60 000 entries, one content of 16 MiB", &overlapping(60_000));
    measure("16 archives in each of 16, to a depth of 6", &nested(5));
    measure(
        "archives in one another, 50",
        &(0..50).fold(b"text".to_vec(), |inner, _| zip(&[deflated("a.zip", &inner)])),
    );
    measure("gzip in gzip, 100", &(0..100).fold(b"text".to_vec(), |inner, _| gzip(&inner)));
    measure("100 000 entries", &many(100_000));
    measure("100 000 entries of a tape archive", &tape(100_000));
    measure("entries that inflate as far as they may", &inflated(2000));
    measure(
        "100 names of 64 KiB",
        &zip(&(0..100).map(|number| stored(&format!("{number:065531}.txt"), b"x")).collect::<Vec<_>>()),
    );
    measure("a compound file of rings", &rings());
    measure("PDF of slashes", &[&b"%PDF-1.7\n"[..], &b"/E#4".repeat(2 * MIB)].concat());
    measure("rich text of templates", &[&b"{\\rtf1"[..], &b"\\template".repeat(MIB)].concat());
    measure("rich text of objects", &[&b"{\\rtf1"[..], &b"\\objdata".repeat(MIB)].concat());
}

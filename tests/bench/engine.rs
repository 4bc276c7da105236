//! Whole scans of new bytes, by the engine and by a client that does nothing but talk to clamd: connect, hand over, read
//! one reply. Both write the bytes into a memory file of their own first, or stream them.
//!
//! Starts a clamd with the sample signatures. What clamd's own work costs, and so the ratio, depends on the signatures.

#[path = "../harness/mod.rs"]
#[expect(dead_code, unused_imports, unreachable_pub, reason = "the harness is that of the tests")]
mod harness;

use std::{
    fs::File,
    io::{IoSlice, Read, Write},
    mem::MaybeUninit,
    net::TcpStream,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use lazaret::{
    engine::{Engine, Tally, clamd},
    facts::Facts,
    limits,
    plaintext::Plaintext,
    spool::{self, Spooler},
    verdict::{Heuristics, Verdict},
};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

const SIZES: [usize; 3] = [10_000, 1 << 20, 20 << 20];
const CLIENTS: [usize; 3] = [1, 4, 16];
const CHUNK: usize = 64 << 10;

/// Time spent on each measurement. A measurement ends with the scans that it began.
const SPAN: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Transfer {
    Fildes,
    Instream,
    /// `Fildes` in a session that is held: what the engine does not do.
    Session,
}

/// Bytes that nobody has scanned before: clamd remembers what it found clean.
struct Fresh {
    bytes: Vec<u8>,
}

impl Fresh {
    fn new(size: usize) -> Self {
        let mut bytes = vec![0; size];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        Self { bytes }
    }

    fn next(&mut self) -> &[u8] {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        self.bytes[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        &self.bytes
    }
}

/// What a measurement gave.
struct Outcome {
    scans: u64,
    elapsed: Duration,
    our_cpu: f64,
    clamd_cpu: f64,
}

fn sealed(bytes: &[u8]) -> File {
    let file = File::from(memfd_create("raw", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap());
    (&file).write_all(bytes).unwrap();
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL).unwrap();
    file
}

fn raw_fildes(socket: &std::path::Path, bytes: &[u8]) -> Vec<u8> {
    let file = sealed(bytes);
    let mut stream = UnixStream::connect(socket).unwrap();
    hand_over(&mut stream, &file);
    rest(stream)
}

fn hand_over(stream: &mut UnixStream, file: &File) {
    stream.write_all(b"zFILDES\0").unwrap();
    let descriptors = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(&*stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL).unwrap();
}

fn raw_session(held: &mut Option<UnixStream>, socket: &std::path::Path, bytes: &[u8]) -> Vec<u8> {
    let stream = held.get_or_insert_with(|| {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(b"zIDSESSION\0").unwrap();
        stream
    });
    hand_over(stream, &sealed(bytes));
    let mut reply = vec![];
    while !reply.ends_with(b"\0") {
        let mut piece = [0; 256];
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "clamd closed the session");
        reply.extend_from_slice(&piece[..read]);
    }
    reply
}

fn raw_instream(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address.trim_start_matches("tcp:")).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(b"zINSTREAM\0").unwrap();
    for chunk in bytes.chunks(CHUNK) {
        stream.write_all(&u32::try_from(chunk.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(chunk).unwrap();
    }
    stream.write_all(&[0; 4]).unwrap();
    rest(stream)
}

fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

/// Processor time of a process so far, in seconds.
fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // In ticks, of which Linux shows a hundred a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn measure(clamd: &harness::Clamd, run: impl FnOnce(Instant) -> u64) -> Outcome {
    let clamd = clamd.pid().as_raw_nonzero().to_string();
    let (begun, ours, theirs) = (Instant::now(), cpu("self"), cpu(&clamd));
    let scans = run(begun + SPAN);
    Outcome { scans, elapsed: begun.elapsed(), our_cpu: cpu("self") - ours, clamd_cpu: cpu(&clamd) - theirs }
}

fn raw(clamd: &harness::Clamd, transfer: Transfer, size: usize, clients: usize, until: Instant) -> u64 {
    std::thread::scope(|scope| {
        let client = || {
            let (mut fresh, mut scans, mut session) = (Fresh::new(size), 0, None);
            while Instant::now() < until {
                let reply = match transfer {
                    Transfer::Session => raw_session(&mut session, &clamd.socket(), fresh.next()),
                    Transfer::Fildes => raw_fildes(&clamd.socket(), fresh.next()),
                    Transfer::Instream => raw_instream(&clamd.tcp_address(), fresh.next()),
                };
                assert!(reply.ends_with(b": OK\0"), "{}", reply.escape_ascii());
                scans += 1;
            }
            scans
        };
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    })
}

async fn engine(engine: Arc<clamd::Clamd>, spooler: Arc<Spooler>, size: usize, clients: usize, until: Instant) -> u64 {
    let client = move || {
        let (engine, spooler) = (Arc::clone(&engine), Arc::clone(&spooler));
        async move {
            let (mut fresh, mut scans) = (Fresh::new(size), 0);
            while Instant::now() < until {
                let bytes = fresh.next();
                let write = |file: &mut File| file.write_all(bytes).map(|()| [0; 32]);
                let spool = spooler.hold_in_memory(size as u64, write).unwrap().expect("room for all clients");
                let facts = Facts { size: size as u64, ..Facts::default() };
                let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
                let scan = engine.scan(&Plaintext::Held(Arc::new(spool)), &facts, &[], deadline).await.unwrap();
                assert!(matches!(scan.verdict, Verdict::Clean(_)), "{scan:?}");
                scans += 1;
            }
            scans
        }
    };
    let clients: Vec<_> = (0..clients).map(|_| tokio::spawn(client())).collect();
    let mut scans = 0;
    for client in clients {
        scans += client.await.unwrap();
    }
    scans
}

/// An engine whose canaries have passed.
async fn start(address: &str, dir: &std::path::Path) -> (Arc<clamd::Clamd>, Arc<Spooler>) {
    let config = spool::Config { dir: dir.to_owned(), ..spool::Config::default() };
    let spooler = Arc::new(Spooler::open(&config, bytesize::ByteSize::gib(2)).unwrap());
    let backends = vec![clamd::BackendConfig::at(address.parse().unwrap())];
    let config = clamd::Config { backends, ..clamd::Config::default() };
    let registry = prometheus::Registry::new();
    let limits = limits::Config::default();
    let engine = clamd::Clamd::new(
        &config,
        &limits,
        Heuristics::default(),
        &spooler,
        &Tally::register(&registry).unwrap(),
        &registry,
    )
    .unwrap();
    engine.first_look().await.unwrap();
    engine.ready().unwrap();
    (Arc::new(engine), spooler)
}

fn print(size: usize, clients: usize, transfer: Transfer, raw: &Outcome, engine: &Outcome) {
    let rate = |outcome: &Outcome| outcome.scans as f64 / outcome.elapsed.as_secs_f64();
    let megabytes = |outcome: &Outcome| outcome.scans as f64 * size as f64 / 1e6;
    println!(
        "| {size} | {clients} | {transfer:?} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.1} |",
        rate(raw),
        rate(engine),
        rate(engine) * size as f64 / 1e6,
        rate(raw) / rate(engine),
        raw.our_cpu * 1e3 / megabytes(raw),
        engine.our_cpu * 1e3 / megabytes(engine),
        engine.clamd_cpu * 1e3 / megabytes(engine),
    );
}

fn engine_beside_raw(runtime: &tokio::runtime::Runtime, clamd: &harness::Clamd) {
    let dir = tempfile::tempdir().unwrap();
    println!(
        "| bytes | clients | transfer | raw/s | engine/s | MB/s | time, engine : raw | raw CPU ms/MB | engine CPU ms/MB | clamd CPU ms/MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for transfer in [Transfer::Fildes, Transfer::Instream] {
        let address = if transfer == Transfer::Fildes { clamd.address() } else { clamd.tcp_address() };
        let (under_test, spooler) = runtime.block_on(start(&address, dir.path()));
        for (size, clients) in SIZES.into_iter().flat_map(|size| CLIENTS.map(|clients| (size, clients))) {
            let by_raw = measure(clamd, |until| raw(clamd, transfer, size, clients, until));
            let by_engine = measure(clamd, |until| {
                let scanning = engine(Arc::clone(&under_test), Arc::clone(&spooler), size, clients, until);
                runtime.block_on(scanning)
            });
            print(size, clients, transfer, &by_raw, &by_engine);
        }
    }
}

fn sessions_beside_connections(clamd: &harness::Clamd) {
    println!("\n| bytes | clients | a connection each, scans/s | held sessions, scans/s |\n|---|---|---|---|");
    for (size, clients) in SIZES.into_iter().flat_map(|size| CLIENTS.map(|clients| (size, clients))) {
        let rate = |transfer| {
            let outcome = measure(clamd, |until| raw(clamd, transfer, size, clients, until));
            outcome.scans as f64 / outcome.elapsed.as_secs_f64()
        };
        println!("| {size} | {clients} | {:.1} | {:.1} |", rate(Transfer::Fildes), rate(Transfer::Session));
    }
}

/// `sessions` as an argument: only whether held sessions would pay.
fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let clamd = runtime.block_on(harness::Clamd::start_on_tcp("MaxThreads 16"));
    if !std::env::args().any(|argument| argument == "sessions") {
        engine_beside_raw(&runtime, &clamd);
    }
    sessions_beside_connections(&clamd);
}

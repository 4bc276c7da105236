//! The scripted clamd itself: where it is not told otherwise it does as the real one.

use std::{
    io::{IoSlice, Seek, Write},
    mem::MaybeUninit,
    os::fd::AsFd,
    sync::Arc,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest},
    net::{TcpStream, UnixStream},
    sync::Notify,
};

use crate::harness::{
    Ask, Clamd, Script, ScriptedClamd, Specimen, Step, eicar, encrypted_zip, eventually, nested_gzip,
};

/// A connection, by an address as in the configuration.
async fn connect(address: &str) -> Box<dyn Stream> {
    match address.split_once(':').unwrap() {
        ("unix", path) => Box::new(UnixStream::connect(path).await.unwrap()),
        (_, address) => Box::new(TcpStream::connect(address).await.unwrap()),
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// All that is said in answer to these bytes, as text.
async fn said(address: &str, sent: &[u8]) -> String {
    let mut stream = connect(address).await;
    stream.write_all(sent).await.unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8(said).unwrap()
}

/// What is said of a file that is passed by descriptor, positioned at its end.
async fn said_of_file(address: &str, bytes: &[u8]) -> String {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(std::io::SeekFrom::End(0)).unwrap();
    let mut stream = UnixStream::connect(address.strip_prefix("unix:").unwrap()).await.unwrap();
    stream.write_all(b"zFILDES\0").await.unwrap();
    let pass = || {
        let (files, mut space) = ([file.as_fd()], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
        Ok(sendmsg(&stream, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?)
    };
    stream.async_io(Interest::WRITABLE, pass).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

/// A stream in one chunk.
fn instream(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    let end: &[u8] = if bytes.is_empty() { &[] } else { &[0; 4] };
    [b"zINSTREAM\0", &len[..], bytes, end].concat()
}

/// Figures, the number of a descriptor and that of commands under way differ between two clamds in the same state.
fn form(said: &str) -> String {
    let under_way = "\tSTATS #.###### \n";
    let mut form = said.replace(|c: char| c.is_ascii_digit(), "#").replace("fd[##]", "fd[#]");
    while form.contains(&under_way.repeat(2)) {
        form = form.replace(&under_way.repeat(2), under_way);
    }
    form
}

/// A real one, and one that was told the version and the signature of it.
async fn both() -> (Clamd, ScriptedClamd) {
    let (real, scripted) = (Clamd::start().await, ScriptedClamd::start_on_socket(Script::clean()));
    scripted.set_version(said(&real.address(), b"zVERSION\0").await.trim_end_matches('\0'));
    scripted.canary(Specimen::Eicar, b"{}: Lazaret.Test.EICAR.UNOFFICIAL FOUND\0");
    (real, scripted)
}

#[tokio::test]
async fn it_speaks_as_the_real_one() {
    let (real, scripted) = both().await;
    for sent in [
        b"zPING\0".to_vec(),
        b"zVERSION\0".to_vec(),
        b"zVERSIONCOMMANDS\0".to_vec(),
        b"zSTATS\0".to_vec(),
        b"zRELOAD\0".to_vec(),
        b"zNONSENSE\0".to_vec(),
        b"zIDSESSION\0zPING\0zVERSION\0zVERSIONCOMMANDS\0zEND\0".to_vec(),
        b"zIDSESSION\0zSTATS\0zEND\0".to_vec(),
        b"zIDSESSION\0zNONSENSE\0".to_vec(),
        instream(b"harmless text"),
        instream(&eicar()),
        instream(&nested_gzip()),
        instream(&encrypted_zip()),
        instream(b""),
        [&b"zIDSESSION\0"[..], &instream(b"harmless text"), b"zEND\0"].concat(),
    ] {
        let (expected, got) = (said(&real.address(), &sent).await, said(&scripted.address(), &sent).await);
        assert_eq!(form(&got), form(&expected), "{}", sent.escape_ascii());
    }
}

#[tokio::test]
async fn it_reads_a_file_that_is_passed_as_the_real_one() {
    let (real, scripted) = both().await;
    for file in [b"harmless text".to_vec(), eicar(), nested_gzip(), encrypted_zip(), Vec::new()] {
        let (expected, got) =
            (said_of_file(&real.address(), &file).await, said_of_file(&scripted.address(), &file).await);
        assert_eq!(form(&got), form(&expected), "{}", file.escape_ascii());
    }
    assert_eq!(*scripted.received.borrow(), [b"harmless text".to_vec(), Vec::new()]);
    scripted.let_read_descriptors(false);
    assert_eq!(said_of_file(&scripted.address(), b"harmless text").await, "fd[9]: Access denied. ERROR\0");
}

#[tokio::test]
async fn it_can_be_told_what_to_say_of_itself() {
    let clamd = ScriptedClamd::start(Script::clean());
    clamd.set_max_threads(3);
    assert!(said(&clamd.address(), b"zSTATS\0").await.contains(" max 3 "));
    clamd.set_version("ClamAV 9/9/9");
    assert_eq!(said(&clamd.address(), b"zIDSESSION\0zVERSION\0zEND\0").await, "1: ClamAV 9/9/9\0");
    clamd.disable_version();
    let said_in_session = said(&clamd.address(), b"zIDSESSION\0zPING\0zVERSION\0").await;
    assert_eq!(said_in_session, "1: PONG\x002: COMMAND UNAVAILABLE\0");
    assert!(said(&clamd.address(), b"zVERSIONCOMMANDS\0").await.starts_with("ClamAV 9/9/9| COMMANDS: SCAN "));
    clamd.on(Ask::Version, Script::steps([Step::Close]));
    assert_eq!(said(&clamd.address(), b"zVERSION\0").await, "");
}

#[tokio::test]
async fn it_crashes_comes_back_and_goes_deaf_at_one_address() {
    for clamd in [ScriptedClamd::start(Script::clean()), ScriptedClamd::start_on_socket(Script::clean())] {
        let address = clamd.address();
        let mut held = connect(&address).await;
        clamd.until(|counts| counts.connections == 1).await;
        clamd.kill().await;
        assert_eq!(held.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(refuses(&address).await);
        clamd.revive().await;
        assert_eq!(said(&address, b"zPING\0").await, "PONG\0");
        clamd.stop_accepting().await;
        let mut waiting = connect(&address).await;
        waiting.write_all(b"zPING\0").await.unwrap();
        assert_eq!(clamd.counts().connections, 2, "connected and not accepted");
        clamd.revive().await;
        assert_eq!(waiting.read_u8().await.unwrap(), b'P');
        clamd.set(Script::steps([Step::ReadAll, Step::Die]));
        assert_eq!(said(&address, &instream(b"deadly")).await, "");
        eventually("it is dead", || refuses(&address)).await;
    }
}

async fn refuses(address: &str) -> bool {
    match address.split_once(':').unwrap() {
        ("unix", path) => UnixStream::connect(path).await.is_err(),
        (_, address) => TcpStream::connect(address).await.is_err(),
    }
}

#[tokio::test]
async fn it_counts_what_it_is_asked() {
    let finish = Arc::new(Notify::new());
    let clamd = ScriptedClamd::start(Script::held(&finish, b"{}: OK\0"));
    let address = clamd.address();
    let release = async {
        clamd.has_received(2).await;
        for answered in 1..=2 {
            finish.notify_one();
            clamd.until(|counts| counts.answered(Ask::Medium) == answered).await;
        }
    };
    let (one, other) = (instream(b"one"), instream(b"other"));
    let (one, other, ()) = tokio::join!(said(&address, &one), said(&address, &other), release);
    assert_eq!([one, other], ["stream: OK\0", "stream: OK\0"]);
    assert_eq!(said(&address, b"zIDSESSION\0zVERSION\0zVERSION\0zEND\0").await.len(), 86);
    said(&address, &instream(&eicar())).await;
    let counts = clamd.counts();
    assert_eq!((counts.connections, counts.sessions, counts.peak, counts.scanning), (4, 1, 2, 0));
    assert_eq!((counts.asked(Ask::Medium), counts.asked(Ask::Version), counts.canaries()), (2, 2, 1));
}

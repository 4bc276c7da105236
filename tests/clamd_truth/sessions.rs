//! What clamd does to sessions (`IDSESSION`): it ends the one that we hold, and it mixes up the scans of others.

use std::{io::IoSlice, mem::MaybeUninit, os::fd::AsFd, path::Path};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
};

use super::{assert_right, ejections, fetch, in_front_of_after_canaries, rounds, slow, slow_and_found, start_slow};
use crate::harness::{Clamd, eventually};

/// Sockets of a clamd to which nobody is connected.
const LISTENING: usize = 1;

#[tokio::test]
async fn the_session_that_clamd_closes_for_its_silence_is_not_missed() {
    let clamd = Clamd::start_with("ReadTimeout 2\nCommandReadTimeout 2\nIdleTimeout 2").await;
    let (homeserver, app) = in_front_of_after_canaries(&clamd, "probe_interval: 1h").await;
    for number in 0..3 {
        assert_right(&homeserver, &app, &format!("in session {number}")).await;
        eventually("clamd closed the session", || async { sockets(&clamd) == LISTENING }).await;
    }
    fetch(&homeserver, &app, "last", b"in the last session").await;
    assert!(sockets(&clamd) > LISTENING, "a session is held");
    assert_eq!(ejections(&app, &clamd).await, []);
    assert_eq!((rounds(&app, &clamd, "passed").await, app.scans("error").await), (2, 0), "no trouble at all");
}

/// Sockets that its process holds.
fn sockets(clamd: &Clamd) -> usize {
    let descriptors = format!("/proc/{}/fd", clamd.pid().as_raw_nonzero());
    let links = std::fs::read_dir(Path::new(&descriptors)).unwrap();
    let is_socket = |link: &Path| std::fs::read_link(link).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
    links.filter(|link| link.as_ref().is_ok_and(|link| is_socket(&link.path()))).count()
}

/// Why scans have connections of their own. A session that ends while its scan runs leaves the number of its descriptor
/// to the next connection, and its reply with it. If this fails, clamd has been mended, and sessions are worth a thought.
#[tokio::test]
async fn in_sessions_a_scan_can_be_answered_with_the_reply_to_another() {
    let clamd = start_slow("").await;
    for attempt in 0..10 {
        let mut ended = connect(&clamd, b"zIDSESSION\0").await;
        hand_over(&mut ended, &slow(24, &format!("clean {attempt}"))).await;
        // Not allowed in a session, and so the end of it.
        ended.write_all(b"zRELOAD\0").await.unwrap();
        ended.read_to_end(&mut Vec::new()).await.unwrap();
        let mut other = connect(&clamd, b"zIDSESSION\0").await;
        hand_over(&mut other, &slow_and_found(25, &format!("found {attempt}"))).await;
        let reply = reply(&mut other).await;
        assert!(reply.starts_with("1: fd["), "{reply}");
        // If the first scan was over too early there was nobody to take its reply.
        if reply.ends_with(": OK") {
            return;
        }
    }
    panic!("clamd kept sessions apart");
}

#[tokio::test]
async fn on_connections_of_its_own_a_scan_is_answered_for_itself() {
    let clamd = start_slow("").await;
    for attempt in 0..2 {
        let mut left = connect(&clamd, b"").await;
        hand_over(&mut left, &slow(25, &format!("clean {attempt}"))).await;
        clamd.is_scanning().await;
        drop(left);
        let mut other = connect(&clamd, b"").await;
        hand_over(&mut other, &slow_and_found(24, &format!("found {attempt}"))).await;
        let mut replies = String::new();
        other.read_to_string(&mut replies).await.unwrap();
        assert!(replies.starts_with("fd[") && replies.ends_with("Lazaret.Test.Slow.UNOFFICIAL FOUND\0"), "{replies}");
        assert_eq!(replies.matches('\0').count(), 1, "{replies:?}");
    }
}

async fn connect(clamd: &Clamd, greeting: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(clamd.socket()).await.unwrap();
    stream.write_all(greeting).await.unwrap();
    stream
}

/// Has a file scanned by its descriptor.
async fn hand_over(stream: &mut UnixStream, bytes: &[u8]) {
    let file = memfd_create("specimen", MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&file, bytes).unwrap();
    stream.write_all(b"zFILDES\0").await.unwrap();
    let pass = || {
        let descriptors = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        Ok(sendmsg(&*stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?)
    };
    assert_eq!(stream.async_io(Interest::WRITABLE, pass).await.unwrap(), 1);
}

/// The next reply, without its end.
async fn reply(stream: &mut UnixStream) -> String {
    let mut reply = Vec::new();
    loop {
        match stream.read_u8().await.unwrap() {
            0 => return String::from_utf8(reply).unwrap(),
            byte => reply.push(byte),
        }
    }
}

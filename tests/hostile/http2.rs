//! HTTP/2 that no client library would send: frames made by hand.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{App, start};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// Flags of a frame.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It was answered with this status.
    Answered(u16),
    /// Its stream, or the whole connection, was ended.
    Ended,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as literals without any compression (RFC 7541 §6.2.2).
fn headers(pairs: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    pairs.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// The status of an answer: the first header of its block, in one of the forms that our side uses.
fn status(block: &[u8]) -> u16 {
    match *block {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // ":status" by index, and three digits as they are or in Huffman's code, which has five bits for 0, 1 and 2 and
        // six for the others.
        [0x48, length, ..] => {
            let text = &block[2..][..usize::from(length & 0x7f)];
            match length & 0x80 {
                0 => std::str::from_utf8(text).unwrap().parse().unwrap(),
                _ => digits(text),
            }
        }
        _ => panic!("a form that is not known: {block:02x?}"),
    }
}

fn digits(code: &[u8]) -> u16 {
    let bits = code.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) << (64 - 8 * code.len());
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let five = (bits << at) >> 59;
        let (digit, width) = if five < 3 { (five, 5) } else { (((bits << at) >> 58) - 0x19 + 3, 6) };
        (at, number) = (at + width, number * 10 + u16::try_from(digit).unwrap());
    }
    number
}

/// Sends one request and gives its fate.
async fn fate(app: &App, pairs: &[(&str, &str)], body: &[u8]) -> Fate {
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    let end = if body.is_empty() { END_STREAM } else { 0 };
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(SETTINGS, 0, 0, b""));
    sent.extend(frame(HEADERS, END_HEADERS | end, 1, &headers(pairs)));
    if !body.is_empty() {
        sent.extend(frame(DATA, END_STREAM, 1, body));
    }
    stream.write_all(&sent).await.unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Fate::Ended;
        }
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            HEADERS => return Fate::Answered(status(&payload)),
            RESET | GOAWAY => return Fate::Ended,
            _ => (),
        }
    }
}

/// A request with some of its headers replaced; no value takes one away.
fn with<'a>(changes: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
    let plain = [(":method", "POST"), (":scheme", "http"), (":authority", "hs.test"), (":path", "/x")];
    let change = |name: &str| changes.iter().find(|(known, _)| *known == name);
    let kept = plain.into_iter().filter_map(|(name, value)| match change(name) {
        Some((_, new)) => new.map(|value| (name, value)),
        None => Some((name, value)),
    });
    let is_new = |name: &str| plain.iter().all(|(known, _)| *known != name);
    let new = changes.iter().filter(|(name, _)| is_new(name)).filter_map(|(name, value)| Some((*name, (*value)?)));
    kept.chain(new).collect()
}

#[tokio::test]
async fn frames_made_by_hand_are_understood() {
    let (homeserver, _clamd, app) = start().await;
    assert_eq!(fate(&app, &with(&[]), b"body").await, Fate::Answered(404));
    assert_eq!(&homeserver.last().body[..], b"body");
    let medium = with(&[(":method", Some("PUT")), (":path", Some("/_matrix/media/v3/download/hs.test/m"))]);
    assert_eq!(fate(&app, &medium, b"").await, Fate::Answered(405));
    assert_eq!(homeserver.seen().len(), 1);
}

#[tokio::test]
async fn what_http2_forbids_goes_nowhere() {
    let (homeserver, _clamd, app) = start().await;
    for changes in [
        vec![("transfer-encoding", Some("chunked"))],
        vec![("connection", Some("close"))],
        vec![("connection", Some("x-mine")), ("x-mine", Some("1"))],
        vec![("keep-alive", Some("1"))],
        vec![("upgrade", Some("h2c"))],
        vec![("te", Some("gzip"))],
        vec![("x", Some("a\r\ny: z"))],
        vec![("x", Some("a\nb"))],
        vec![("x", Some("a\0b"))],
        vec![("x\r\ny", Some("z"))],
        vec![("X", Some("y"))],
        vec![("x y", Some("z"))],
        vec![("", Some("z"))],
        vec![(":status", Some("200"))],
        vec![(":method", None)],
        vec![(":scheme", None)],
        vec![(":path", None)],
        vec![(":path", Some(""))],
        vec![(":path", Some("/x HTTP/1.1\r\ny: z"))],
        vec![("content-length", Some("1"))],
        vec![("content-length", Some("+4"))],
    ] {
        assert_eq!(fate(&app, &with(&changes), b"body").await, Fate::Ended, "{changes:?}");
    }
    let twice = [with(&[]), vec![(":path", "/y")]].concat();
    assert_eq!(fate(&app, &twice, b"").await, Fate::Ended);
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn what_is_no_path_on_one_host_is_refused_over_http2_too() {
    let (homeserver, _clamd, app) = start().await;
    for (status, changes) in [
        (400, vec![("host", Some("other.test"))]),
        (400, vec![(":path", Some("*"))]),
        (405, vec![(":method", Some("CONNECT")), (":scheme", None), (":path", None)]),
        (405, vec![(":method", Some("get"))]),
        (405, vec![(":method", Some("TRACE"))]),
    ] {
        assert_eq!(fate(&app, &with(&changes), b"").await, Fate::Answered(status), "{changes:?}");
    }
    for changes in [
        vec![(":path", Some("x"))],
        vec![(":method", Some("CONNECT")), (":protocol", Some("websocket"))],
        vec![(":method", Some("CONNECT"))],
        vec![(":authority", Some("user@hs test"))],
    ] {
        let fate = fate(&app, &with(&changes), b"").await;
        assert!(matches!(fate, Fate::Ended | Fate::Answered(400 | 405)), "{changes:?}: {fate:?}");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

/// The library drops a fragment before anyone sees it; what is left is what is classified and what is sent.
#[tokio::test]
async fn a_fragment_does_not_go_further() {
    let (homeserver, _clamd, app) = start().await;
    assert_eq!(fate(&app, &with(&[(":path", Some("/x?y#z"))]), b"").await, Fate::Answered(404));
    assert_eq!(homeserver.last().target, "/x?y");
}

//! HTTP/2 as no library would write it: one request, field by field, in frames made by hand.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::App;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What came back.
#[derive(Debug, Default)]
pub struct Frames {
    /// The status of the answer, if one had begun.
    pub status: Option<u16>,
    /// Its body.
    pub data: Vec<u8>,
    /// The stream or the connection was given up.
    pub refused: bool,
}

/// Sends a request with these fields, in this order and spelling, and a body if there is one.
pub async fn frames(app: &App, fields: &[(&str, &str)], body: Option<&[u8]>) -> Frames {
    let mut stream = TcpStream::connect(app.public).await.unwrap();
    let mut sent = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    let last = if body.is_none() { END_STREAM } else { 0 };
    sent.extend(frame(HEADERS, END_HEADERS | last, 1, &block(fields)));
    if let Some(body) = body {
        sent.extend(frame(DATA, END_STREAM, 1, body));
    }
    // It may be closed before it has read everything.
    let _sent_or_refused = stream.write_all(&sent).await;
    let limit = std::time::Duration::from_mins(1);
    tokio::time::timeout(limit, answer(stream)).await.expect("it is answered")
}

async fn answer(mut stream: TcpStream) -> Frames {
    let mut frames = Frames::default();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        if stream.read_exact(&mut payload).await.is_err() {
            break;
        }
        let (kind, flags) = (head[3], head[4]);
        match kind {
            DATA => frames.data.extend(payload),
            HEADERS => frames.status = frames.status.or(Some(status(&payload))),
            RST_STREAM | GOAWAY => frames.refused = true,
            _ => (),
        }
        if frames.refused || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) {
            return frames;
        }
    }
    frames.refused = true;
    frames
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields without indexing, names and values as plain octets (RFC 7541 §6.2.2).
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let string = |text: &str| {
        let len = u8::try_from(text.len()).ok().filter(|len| *len < 127).expect("one octet of length");
        [&[len], text.as_bytes()].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], string(name), string(value)].concat()).collect()
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

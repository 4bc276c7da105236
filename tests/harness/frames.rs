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
    /// An answer had begun.
    pub answered: bool,
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
            HEADERS => frames.answered = true,
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

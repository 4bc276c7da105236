//! An ICAP server that behaves until it meets a medium that it was told to misbehave about.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use memchr::memmem;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use super::eicar;

/// What makes it misbehave.
pub const ODD: &[u8] = b"ODD MEDIUM";

/// When it answers about an odd medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After the preview.
    Preview,
    /// After the first chunk.
    Early,
    /// After all of it.
    End,
}

/// What it does about an odd medium.
#[derive(Clone, Debug)]
pub struct Oddity {
    pub when: When,
    /// What it sends, to the byte.
    pub answer: Vec<u8>,
    /// Whether it closes the connection then, or goes on as if nothing were wrong.
    pub closes: bool,
}

/// What it has seen of one request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its head, and those in it.
    pub head: String,
    /// The medium, as far as it was sent.
    pub body: Vec<u8>,
    /// How much of it came as a preview.
    pub preview: Option<usize>,
}

struct State {
    istag: Mutex<String>,
    offer: Mutex<String>,
    oddity: Mutex<Option<Oddity>>,
    /// Looks at no more than so many bytes.
    blind_from: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
}

/// The server.
pub struct FakeIcap {
    port: u16,
    state: Arc<State>,
}

impl FakeIcap {
    /// One that wants no preview.
    pub async fn start() -> Self {
        Self::offering("").await
    }

    /// One that offers more, in lines with their ends.
    pub async fn offering(offer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State {
            istag: Mutex::new("\"one\"".to_owned()),
            offer: Mutex::new(format!("Methods: RESPMOD, REQMOD\r\nAllow: 204\r\nOptions-TTL: 5\r\n{offer}")),
            oddity: Mutex::default(),
            blind_from: AtomicUsize::new(usize::MAX),
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
        });
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    /// What it does about odd media from now on.
    pub fn misbehaves(&self, when: When, answer: &[u8], closes: bool) {
        *self.state.oddity.lock().unwrap() = Some(Oddity { when, answer: answer.to_vec(), closes });
    }

    /// Gives it another state.
    pub fn set_istag(&self, istag: &str) {
        istag.clone_into(&mut self.state.istag.lock().unwrap());
    }

    /// Replaces the fields of its offer, `ISTag` apart.
    pub fn offers(&self, offer: &str) {
        offer.clone_into(&mut self.state.offer.lock().unwrap());
    }

    /// Has it look at so many bytes of each medium only.
    pub fn looks_at(&self, bytes: usize) {
        self.state.blind_from.store(bytes, Ordering::SeqCst);
    }

    /// Media that it was asked about so far and that have `part` in them.
    pub fn asked_about(&self, part: &[u8]) -> Vec<Asked> {
        let asked = self.state.asked.lock().unwrap();
        asked.iter().filter(|asked| memmem::find(&asked.body, part).is_some()).cloned().collect()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Its service, as in the configuration.
    pub fn url(&self) -> String {
        format!("icap://{}/scan", self.authority())
    }

    /// Where it listens.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

type Wire = BufReader<TcpStream>;

async fn serve(stream: TcpStream, state: Arc<State>) {
    let mut wire = BufReader::new(stream);
    while answer(&mut wire, &state).await.is_some() {}
}

/// One request; `None` ends the connection.
async fn answer(wire: &mut Wire, state: &State) -> Option<()> {
    let head = head(wire).await?;
    let istag = state.istag.lock().unwrap().clone();
    if head.starts_with("OPTIONS ") {
        let offer = state.offer.lock().unwrap().clone();
        let text = format!(
            "ICAP/1.0 200 OK\r\nService: Fake 1.0\r\nISTag: {istag}\r\n{offer}Encapsulated: null-body=0\r\n\r\n"
        );
        return wire.write_all(text.as_bytes()).await.ok();
    }
    let encapsulated = encapsulated(wire, &head).await?;
    let mut asked = Asked { head: head.clone() + &encapsulated, body: Vec::new(), preview: None };
    let oddity = state.oddity.lock().unwrap().clone();
    let odd = |asked: &Asked, at: When| {
        let is_odd = memmem::find(&asked.body, ODD).is_some();
        oddity.clone().filter(|oddity| is_odd && oddity.when == at)
    };
    if head.contains("\r\nPreview: ") {
        body(wire, &mut asked.body, usize::MAX).await?;
        asked.preview = Some(asked.body.len());
        if let Some(oddity) = odd(&asked, When::Preview) {
            return misbehave(wire, state, asked, oddity).await;
        }
        wire.write_all(b"ICAP/1.0 100 Continue\r\n\r\n").await.ok()?;
    }
    let ended = body(wire, &mut asked.body, 1).await?;
    if let Some(oddity) = odd(&asked, When::Early) {
        return misbehave(wire, state, asked, oddity).await;
    }
    if !ended {
        body(wire, &mut asked.body, usize::MAX).await?;
    }
    if let Some(oddity) = odd(&asked, When::End) {
        return misbehave(wire, state, asked, oddity).await;
    }
    let seen = &asked.body[..asked.body.len().min(state.blind_from.load(Ordering::SeqCst))];
    let verdict = match memmem::find(seen, &eicar()) {
        Some(_) => infected(&istag),
        None => format!("ICAP/1.0 204 Unmodified\r\nISTag: {istag}\r\n\r\n"),
    };
    state.asked.lock().unwrap().push(asked);
    wire.write_all(verdict.as_bytes()).await.ok()
}

fn infected(istag: &str) -> String {
    let page = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n";
    format!(
        "ICAP/1.0 200 OK\r\nISTag: {istag}\r\nX-Infection-Found: Type=0; Resolution=2; Threat=Eicar;\r\n\
         Encapsulated: res-hdr=0, res-body={}\r\n\r\n{page}4\r\nGone\r\n0\r\n\r\n",
        page.len()
    )
}

async fn misbehave(wire: &mut Wire, state: &State, asked: Asked, oddity: Oddity) -> Option<()> {
    state.asked.lock().unwrap().push(asked);
    wire.write_all(&oddity.answer).await.ok()?;
    if oddity.closes {
        return None;
    }
    // Whatever else comes is taken and not answered.
    tokio::io::copy(wire, &mut tokio::io::sink()).await.ok()?;
    None
}

async fn head(wire: &mut Wire) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if wire.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

async fn encapsulated(wire: &mut Wire, head: &str) -> Option<String> {
    let line = head.lines().find_map(|line| line.strip_prefix("Encapsulated: "))?;
    let mut heads = vec![0; line.rsplit_once('=')?.1.parse().ok()?];
    wire.read_exact(&mut heads).await.ok()?;
    String::from_utf8(heads).ok()
}

/// Reads chunks, `most` of them; true if there are no more.
async fn body(wire: &mut Wire, body: &mut Vec<u8>, most: usize) -> Option<bool> {
    for _ in 0..most {
        let mut line = String::new();
        wire.read_line(&mut line).await.ok()?;
        let len = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let before = body.len();
        body.resize(before + len, 0);
        wire.read_exact(&mut body[before..]).await.ok()?;
        wire.read_line(&mut line).await.ok()?;
        if len == 0 {
            return Some(true);
        }
    }
    Some(false)
}

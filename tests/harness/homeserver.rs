//! A homeserver of which every answer is set by the test, and that remembers what it was asked.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    serve::{Listener, ListenerExt},
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use tokio::{net::TcpListener, sync::Notify};

/// What the homeserver answers on a path.
#[derive(Clone)]
pub struct Stored {
    status: u16,
    headers: Vec<(String, String)>,
    body: Delivery,
    token: bool,
}

/// How a body is sent.
#[derive(Clone)]
enum Delivery {
    Whole(Bytes),
    /// In chunks, without a length.
    Chunked(Vec<Bytes>),
    /// A length, some bytes and an end.
    CutShort(Bytes),
    /// These bytes, and the rest when it is notified.
    Held(Bytes, Arc<Notify>, Bytes),
    /// Nothing, ever.
    Silence,
}

impl Stored {
    /// A medium that needs a token, with a content type.
    pub fn media(body: &[u8]) -> Self {
        let headers = vec![("content-type".to_owned(), "application/octet-stream".to_owned())];
        Self { status: 200, headers, body: Delivery::Whole(Bytes::copy_from_slice(body)), token: true }
    }

    /// JSON with a status, for everyone.
    pub fn json(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: Delivery::Whole(Bytes::copy_from_slice(body.as_bytes())), token: false }
    }

    pub fn open(self) -> Self {
        Self { token: false, ..self }
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without_headers(self) -> Self {
        Self { headers: Vec::new(), ..self }
    }

    pub fn chunked(self, chunks: &[&[u8]]) -> Self {
        Self { body: Delivery::Chunked(chunks.iter().map(|chunk| Bytes::copy_from_slice(chunk)).collect()), ..self }
    }

    /// Announces more than it sends.
    pub fn cut_short(self, body: &[u8]) -> Self {
        Self { body: Delivery::CutShort(Bytes::copy_from_slice(body)), ..self }
    }

    /// Sends `rest` only when notified.
    pub fn held(self, first: &[u8], until: &Arc<Notify>, rest: &[u8]) -> Self {
        let (first, rest) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest));
        Self { body: Delivery::Held(first, Arc::clone(until), rest), ..self }
    }

    /// Takes the request and never answers.
    pub fn silent() -> Self {
        Self { body: Delivery::Silence, ..Self::json(200, "") }
    }

    fn respond(self, seen: &Seen) -> Response {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        let authorized = seen.headers.get("authorization").is_some_and(|value| value == "Bearer token");
        if self.token && !authorized {
            let (code, text) = match seen.headers.contains_key("authorization") {
                true => ("M_UNKNOWN_TOKEN", "Unknown token"),
                false => ("M_MISSING_TOKEN", "Missing token"),
            };
            let body = format!(r#"{{"errcode":"{code}","error":"{text}"}}"#);
            return Self::json(401, &body).respond(seen);
        }
        let body = match self.body {
            Delivery::Whole(bytes) => Body::from(bytes),
            Delivery::Chunked(chunks) => {
                let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
                Body::from_stream(futures_util::stream::iter(chunks))
            }
            Delivery::CutShort(bytes) => {
                builder = builder.header("content-length", bytes.len() + 100);
                let end = async {
                    // The server sends what it has when there is nothing more for now.
                    tokio::task::yield_now().await;
                    Err(std::io::Error::other("cut short"))
                };
                let bytes = futures_util::stream::iter([Ok(bytes)]);
                Body::from_stream(futures_util::StreamExt::chain(bytes, futures_util::stream::once(end)))
            }
            Delivery::Silence => Body::empty(),
            Delivery::Held(first, until, rest) => {
                let rest = async move {
                    until.notified().await;
                    Ok(rest)
                };
                let first = futures_util::stream::iter([Ok::<_, std::io::Error>(first)]);
                Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::once(rest)))
            }
        };
        builder.body(body).unwrap()
    }
}

/// A request as the homeserver saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Makes an answer of a request.
type Responder = Arc<dyn Fn(&Seen) -> Option<Stored> + Send + Sync>;

#[derive(Default)]
struct Inner {
    responder: Mutex<Option<Responder>>,
    stored: Mutex<HashMap<String, Stored>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
}

/// Tells who a token belongs to.
const WHO_AM_I: &str = "/_matrix/client/v3/account/whoami";

/// A running fake homeserver.
pub struct Homeserver {
    inner: Arc<Inner>,
    address: SocketAddr,
}

impl Homeserver {
    /// Starts one that knows whoever has a token, and answers 404 to everything else.
    pub async fn start() -> Self {
        Self::behind(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Starts one behind a listener of any kind.
    pub(super) fn behind(listener: impl Listener<Addr = SocketAddr>) -> Self {
        let inner = Arc::new(Inner::default());
        let address = listener.local_addr().unwrap();
        let counted = Arc::clone(&inner);
        let listener = listener.tap_io(move |_| {
            counted.connections.fetch_add(1, Ordering::SeqCst);
        });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { inner, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the answer on a path, without its query.
    pub fn put(&self, path: &str, stored: Stored) {
        self.inner.stored.lock().unwrap().insert(path.to_owned(), stored);
    }

    /// Puts a medium on all native routes as `mxc://hs.test/{id}`.
    pub fn put_media(&self, id: &str, stored: &Stored) {
        for kind in ["download", "thumbnail"] {
            self.put(&format!("/_matrix/client/v1/media/{kind}/hs.test/{id}"), stored.clone());
            for version in ["v3", "r0", "v1"] {
                self.put(&format!("/_matrix/media/{version}/{kind}/hs.test/{id}"), stored.clone().open());
            }
        }
    }

    /// Forgets what was put and what was asked.
    pub fn forget(&self) {
        self.inner.stored.lock().unwrap().clear();
        self.inner.seen.lock().unwrap().clear();
    }

    /// Answers by more than the path. Where this gives nothing, what was put there counts.
    pub fn respond_with(&self, responder: impl Fn(&Seen) -> Option<Stored> + Send + Sync + 'static) {
        *self.inner.responder.lock().unwrap() = Some(Arc::new(responder));
    }

    /// Connections that were made to it so far.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::SeqCst)
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Requests so far for a path or what is below it.
    pub fn seen_below(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.target.starts_with(path)).collect()
    }

    /// Requests that came with a file.
    pub fn uploads(&self) -> usize {
        self.seen().iter().filter(|seen| seen.target.contains("/upload")).count()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("the homeserver was asked nothing")
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let seen = Seen { method: parts.method, target: parts.uri.to_string(), headers: parts.headers, body };
    inner.seen.lock().unwrap().push(seen.clone());
    let responder = inner.responder.lock().unwrap().clone();
    let stored = responder.and_then(|responder| responder(&seen));
    let stored = stored.or_else(|| inner.stored.lock().unwrap().get(parts.uri.path()).cloned());
    let is_known = seen.header("authorization").is_some() && parts.uri.path() == WHO_AM_I;
    let missing = || match is_known {
        true => Stored::json(200, r#"{"user_id":"@user:hs.test"}"#),
        false => Stored::json(404, r#"{"errcode":"M_NOT_FOUND","error":"Not found"}"#),
    };
    let stored = stored.unwrap_or_else(missing);
    if matches!(stored.body, Delivery::Silence) {
        std::future::pending::<()>().await;
    }
    stored.respond(&seen)
}

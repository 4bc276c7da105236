//! An HTTP client that changes nothing on the way.

use std::{fmt, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A request in the making; the client puts the address before its path.
pub fn request(method: &str, path: &str) -> request::Builder {
    Request::builder().method(method).uri(path)
}

/// A complete answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Of a body only the beginning, since media may be large.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body[..self.body.len().min(500)].escape_ascii();
        write!(f, "{} {:?} {body} ({} bytes)", self.status, self.headers, self.body.len())
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts a Matrix error.
    #[track_caller]
    pub fn assert_matrix_error(&self, status: u16, errcode: &str) {
        assert_eq!((self.status.as_u16(), &self.json()["errcode"]), (status, &errcode.into()), "{self:?}");
        assert!(self.json()["error"].is_string() && self.json().get("reason").is_none(), "{self:?}");
        self.assert_json_for_browsers();
    }

    /// Asserts a scanner error.
    #[track_caller]
    pub fn assert_scanner_error(&self, status: u16, reason: &str) {
        assert_eq!((self.status.as_u16(), &self.json()["reason"]), (status, &reason.into()), "{self:?}");
        assert!(self.json()["info"].is_string() && self.json().get("errcode").is_none(), "{self:?}");
        self.assert_json_for_browsers();
    }

    /// Without these a web client sees a network failure instead of our JSON.
    #[track_caller]
    fn assert_json_for_browsers(&self) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("access-control-allow-origin"), Some("*"));
        assert_eq!(self.header("cross-origin-resource-policy"), Some("cross-origin"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

/// Speaks to one address.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).build_http(), address }
    }

    /// Whom it asks.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, in HTTP/2 with prior knowledge.
    pub fn http2(&self) -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).http2_only(true).build_http(), address: self.address }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path), b"").await
    }

    pub async fn send(&self, builder: request::Builder, body: &[u8]) -> Answer {
        self.try_send(builder, body).await.unwrap()
    }

    /// Sends a request; an error if the connection broke before the answer was complete.
    pub async fn try_send(
        &self,
        builder: request::Builder,
        body: &[u8],
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = builder.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let target = request.uri().path_and_query().unwrap().clone();
        let uri = Uri::builder().scheme("http").authority(self.address.to_string()).path_and_query(target);
        *request.uri_mut() = uri.build().unwrap();
        let (parts, incoming) = self.pool.request(request).await?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: incoming.collect().await?.to_bytes() })
    }
}

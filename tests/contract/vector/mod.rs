//! A row of the contract as a value, and how it is checked.

mod expected;
mod stage;

use std::sync::Arc;

use vodozemac::Curve25519PublicKey;

pub use self::{
    expected::Expected,
    stage::{Stage, check},
};
use crate::harness::{Answer, App, Stored, request};

/// Below it are all routes of the scanner API.
pub const PREFIX: &str = "/_matrix/media_proxy/unstable/";

/// Makes a body for an application with this public key.
type Payload = Arc<dyn Fn(Curve25519PublicKey) -> Vec<u8> + Send + Sync>;

/// A request, with the token that the fake homeserver accepts.
#[derive(Clone)]
pub struct Sent {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    payload: Payload,
}

impl Sent {
    /// A request for a path below the prefix.
    pub fn new(method: &'static str, rest: &str) -> Self {
        let headers = vec![("authorization", "Bearer token".to_owned())];
        Self { method, path: format!("{PREFIX}{rest}"), headers, payload: Arc::new(|_| Vec::new()) }
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.sealed(move |_| body.clone())
    }

    /// A body that is made with the public key.
    pub fn sealed(self, payload: impl Fn(Curve25519PublicKey) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { payload: Arc::new(payload), ..self }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn without_token(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "authorization");
        self
    }

    async fn send(&self, app: &App, key: Curve25519PublicKey) -> Answer {
        let sent =
            self.headers.iter().fold(request(self.method, &self.path), |sent, (name, value)| sent.header(*name, value));
        app.client.send(sent, &(self.payload)(key)).await
    }
}

/// A row: what the homeserver has, what is sent, and what comes back, each time.
pub struct Vector {
    row: String,
    deviation: Option<&'static str>,
    stored: Vec<(String, Stored)>,
    sent: Vec<Sent>,
    expected: Expected,
    strict: Option<Expected>,
    asked: Option<Vec<String>>,
}

/// A row, in words; it answers nothing until [`Vector::expects`].
pub fn row(row: impl Into<String>) -> Vector {
    let expected = Expected::bytes(0, "");
    Vector {
        row: row.into(),
        deviation: None,
        stored: Vec::new(),
        sent: Vec::new(),
        expected,
        strict: None,
        asked: None,
    }
}

impl Vector {
    /// The medium is `mxc://hs.test/m` on all routes of the homeserver.
    pub fn medium(self, stored: &Stored) -> Self {
        let routes = ["client/v1/media", "media/v3", "media/r0"];
        let paths = routes
            .iter()
            .flat_map(|route| ["download", "thumbnail"].map(|kind| format!("/_matrix/{route}/{kind}/hs.test/m")));
        paths.fold(self, |row, path| {
            let is_legacy = !path.contains("/client/");
            row.stored(&path, if is_legacy { stored.clone().open() } else { stored.clone() })
        })
    }

    /// The homeserver answers this on a path.
    pub fn stored(mut self, path: &str, stored: Stored) -> Self {
        self.stored.push((path.to_owned(), stored));
        self
    }

    pub fn sends(mut self, sent: impl IntoIterator<Item = Sent>) -> Self {
        self.sent.extend(sent);
        self
    }

    pub fn get(self, rest: &str) -> Self {
        self.sends([Sent::new("GET", rest)])
    }

    /// With and without `compat.strict_mcs`.
    pub fn expects(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// Where this is not the answer of the Matrix Content Scanner: why not.
    pub fn deviates(self, why: &'static str) -> Self {
        Self { deviation: Some(why), ..self }
    }

    /// Its answer, which is ours with `compat.strict_mcs`.
    pub fn strictly(self, expected: Expected) -> Self {
        assert!(self.deviation.is_some(), "{}: name the deviation", self.row);
        Self { strict: Some(expected), ..self }
    }

    /// What the homeserver is asked for each of the requests.
    pub fn asks<S: AsRef<str>>(self, targets: &[S]) -> Self {
        Self { asked: Some(targets.iter().map(|target| target.as_ref().to_owned()).collect()), ..self }
    }

    /// It is answered without the homeserver.
    pub fn unasked(self) -> Self {
        self.asks::<&str>(&[])
    }

    async fn check(&self, stage: &Stage, app: &App, key: Curve25519PublicKey, expected: &Expected) -> Vec<String> {
        let mut failures = Vec::new();
        for sent in &self.sent {
            stage.homeserver.forget();
            for (path, stored) in &self.stored {
                stage.homeserver.put(path, stored.clone());
            }
            let mut differences = expected.differences(&sent.send(app, key).await);
            let asked: Vec<String> = stage.homeserver.seen().into_iter().map(|seen| seen.target).collect();
            if self.asked.as_ref().is_some_and(|expected| *expected != asked) {
                differences.push(format!("asked {asked:?}"));
            }
            failures.extend(
                differences.into_iter().map(|difference| format!("{} {}: {difference}", sent.method, sent.path)),
            );
        }
        failures
    }
}

//! An answer, as far as a row says what it is.

use serde_json::Value;

use crate::harness::Answer;

/// What every answer tells browsers.
const CORS: [(&str, &str); 3] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, POST, OPTIONS"),
    ("access-control-allow-headers", "Origin, X-Requested-With, Content-Type, Accept, Authorization"),
];

/// An answer, as far as a row says what it is.
#[derive(Clone, PartialEq)]
pub struct Expected {
    status: u16,
    body: Content,
    headers: Vec<(&'static str, Option<String>)>,
}

#[derive(Clone, PartialEq)]
enum Content {
    Exactly(Vec<u8>),
    /// These are all members, and the last may be any text.
    Reason(&'static str),
}

impl Expected {
    pub fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: Content::Exactly(body.into()), headers: Vec::new() }
    }

    pub fn json(status: u16, text: &str) -> Self {
        Self::bytes(status, text).with("content-type", "application/json")
    }

    /// An error whose text is not part of the contract.
    pub fn reason(status: u16, reason: &'static str) -> Self {
        let expected = Self { status, body: Content::Reason(reason), headers: Vec::new() };
        expected.with("content-type", "application/json")
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, Some(value.to_owned())));
        self
    }

    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.push((name, None));
        self
    }

    /// Everything in which an answer is another.
    pub fn differences(&self, answer: &Answer) -> Vec<String> {
        let mut found = Vec::new();
        if answer.status != self.status {
            found.push(format!("status {}, not {}", answer.status.as_u16(), self.status));
        }
        if !self.body.is(answer) {
            found.push(format!("body {}", answer.body[..answer.body.len().min(300)].escape_ascii()));
        }
        for (name, value) in &self.headers {
            if answer.header(name) != value.as_deref() {
                found.push(format!("{name}: {:?}, not {value:?}", answer.header(name)));
            }
        }
        for (name, value) in CORS {
            if !answer.headers.get_all(name).iter().eq([value]) {
                found.push(format!("{name} is not {value}"));
            }
        }
        found
    }
}

impl Content {
    fn is(&self, answer: &Answer) -> bool {
        match self {
            Self::Exactly(body) => answer.body == body,
            Self::Reason(reason) => {
                let Ok(Value::Object(error)) = serde_json::from_slice(&answer.body) else { return false };
                error.len() == 2 && error.get("reason") == Some(&(*reason).into()) && error["info"].is_string()
            }
        }
    }
}
